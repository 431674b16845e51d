//! Instances of the component that handles requests: one for each, or one for several in a row.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::body::Incoming;
use hyper::{Request, Response};
use tokio::sync::oneshot;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Result, Store, bail};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p2::bindings::{Proxy, ProxyPre};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

/// Handles requests. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Instances {
    pre: ProxyPre<State>,
    /// How many requests an instance handles.
    reuse: NonZeroU32,
    /// Those between two requests.
    idle: Arc<Mutex<Vec<Instance>>>,
}

/// What the host keeps for an instance.
struct State {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: NoRequests,
    table: ResourceTable,
}

/// Denies every request that a component would send.
struct NoRequests;

/// An instance, and how many requests it has handled.
struct Instance {
    store: Store<State>,
    proxy: Proxy,
    handled: u32,
}

impl Instances {
    /// Links a component with WASI.
    ///
    /// # Errors
    /// If it imports something else, or does not handle requests.
    pub(crate) fn new(engine: &Engine, component: &Component, reuse: NonZeroU32) -> Result<Self> {
        let mut linker = Linker::new(engine);
        // Spin links all of WASI, and more.
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
        let pre = ProxyPre::new(linker.instantiate_pre(component)?)?;
        Ok(Self {
            pre,
            reuse,
            idle: Arc::default(),
        })
    }

    /// Has an instance handle a request. The response may come before the instance has done all of its work.
    ///
    /// # Errors
    /// If the instance traps before it responds, or ends without.
    pub(crate) async fn handle(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<HyperOutgoingBody>> {
        let (sender, receiver) = oneshot::channel();
        let this = self.clone();
        let work = tokio::spawn(async move {
            let mut instance = match this.take() {
                Some(instance) => instance,
                None => this.instantiate().await?,
            };
            let store = &mut instance.store;
            let mut http = store.data_mut().http();
            let request = http.new_incoming_request(Scheme::Http, request)?;
            let response = http.new_response_outparam(sender)?;
            let handler = instance.proxy.wasi_http_incoming_handler();
            handler.call_handle(store, request, response).await?;
            instance.handled += 1;
            this.keep(instance);
            Ok(())
        });
        match receiver.await {
            Ok(response) => Ok(response?),
            Err(_) => match work.await {
                Ok(Ok(())) => bail!("expected a response, found none when the instance was done"),
                Ok(Err(error)) => Err(error),
                Err(error) => Err(error.into()),
            },
        }
    }

    async fn instantiate(&self) -> Result<Instance> {
        let state = State {
            wasi: WasiCtx::builder().build(),
            http: WasiHttpCtx::new(),
            hooks: NoRequests,
            table: ResourceTable::new(),
        };
        let mut store = Store::new(self.pre.engine(), state);
        // Lets others run at each tick.
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        let proxy = self.pre.instantiate_async(&mut store).await?;
        Ok(Instance {
            store,
            proxy,
            handled: 0,
        })
    }

    fn take(&self) -> Option<Instance> {
        self.idle(Vec::pop)
    }

    fn keep(&self, instance: Instance) {
        if instance.handled < self.reuse.get() {
            self.idle(|idle| idle.push(instance));
        }
    }

    fn idle<R>(&self, work: impl FnOnce(&mut Vec<Instance>) -> R) -> R {
        // A vector of whole instances is valid at any time, also after a panic elsewhere.
        work(&mut self.idle.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.table,
            hooks: &mut self.hooks,
        }
    }
}

/// What comes of a request that is sent: a response, and what becomes of its body.
type Sent = Result<(Response<WasiBody>, Box<dyn Future<Output = Done> + Send>), Error>;

type Done = Result<(), Error>;

impl WasiHttpHooks for NoRequests {
    fn send_request(
        &mut self,
        _: Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Box<dyn Future<Output = Done> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        Box::new(std::future::ready(Err(Error::HttpRequestDenied)))
    }
}
