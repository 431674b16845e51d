//! Pre-initialises a predictor: runs its `prepare` on a plan and keeps the memory that it leaves.
//!
//! ```text
//! predictor ── instrument ──► component whose memory can be read
//!   first instance:   prepare(plan, segments, none)      ─► which allocations survive
//!   second instance:  prepare(plan, segments, survivors) ─► memory: survivors side by side, then scratch
//!   snapshot ─► predictor with that memory ── cut the scratch part off ──► component
//! ```
//!
//! The instrumented predictor is the same for every model, so its compiled form comes from the engine's cache
//! after the first time.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use tensorlet_runtime::Engine;
use wasmtime::component::{
    Component, ComponentNamedList, Instance, Lift, Linker, TypedFunc, WasmList,
};
use wasmtime::{ResourceLimiter, Store};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

use crate::build::Stage;
use crate::error::{CompileError, CompileErrorKind};
use crate::trim;

/// The export that is run, and that the resulting component does not have.
const PREPARE: &str = "prepare";

/// What the core module calls it.
const CORE_PREPARE: &str = "Prepare";

/// The core module's functions that nothing calls after a snapshot.
pub(crate) const DEAD_CORE_EXPORTS: [&str; 2] = [CORE_PREPARE, "cabi_post_prepare"];

/// Returns the predictor with the memory that `prepare` leaves, given a plan and those of its segments. The functions that the compiler writes for the plan will be at
/// `first_tile` of the predictor's table, and are appended later.
///
/// # Errors
/// If the predictor is not one, refuses the plan, or runs out of memory.
pub(crate) fn snapshot(
    engine: &Engine,
    predictor: &[u8],
    (plan, segments): (&[u8], &[Vec<u8>]),
    first_tile: u32,
    progress: &mut dyn FnMut(Stage),
) -> Result<Vec<u8>, CompileError> {
    progress(Stage::CompilePredictor);
    let mut wizer = Wizer::new();
    wizer.init_func(PREPARE);
    let predictor = trim::rename_core_export(predictor.to_vec(), PREPARE, CORE_PREPARE)
        .map_err(|reason| CompileError::new(CompileErrorKind::Predictor, reason))?;
    let (context, instrumented) = wizer
        .instrument_component(&predictor)
        .map_err(predictor_error)?;
    let component = engine.component(&instrumented).map_err(|error| {
        CompileError::because(
            CompileErrorKind::Predictor,
            "the predictor does not compile",
            error,
        )
    })?;

    progress(Stage::Prepare);
    let lifetimes = Prepared::new(engine, &component, (plan, segments, None, first_tile))?.answer;
    progress(Stage::Place);
    let mut prepared = Prepared::new(
        engine,
        &component,
        (plan, segments, Some(&lifetimes), first_tile),
    )?;

    progress(Stage::Snapshot);
    let keep_bytes = prepared
        .answer
        .as_slice()
        .try_into()
        .map(u32::from_le_bytes)
        .map_err(|_| {
            CompileError::new(
                CompileErrorKind::Predictor,
                "expected the predictor to say how much memory to keep",
            )
        })?;
    let component =
        now_or_never(wizer.snapshot_component(&context, &mut prepared)).map_err(predictor_error)?;
    trim::trim_memory(component, u64::from(keep_bytes))
        .map_err(|reason| CompileError::new(CompileErrorKind::Predictor, reason))
}

/// What `prepare` takes: the plan, those of its segments, which allocations survive, and where the compiler's functions will be.
type PrepareParams<'a> = (&'a [u8], &'a [Vec<u8>], Option<&'a [u8]>, u32);

/// An instance in which `prepare` has run.
struct Prepared {
    store: Store<Limiter>,
    instance: Instance,
    answer: Vec<u8>,
}

impl Prepared {
    fn new(
        engine: &Engine,
        component: &Component,
        params: PrepareParams<'_>,
    ) -> Result<Self, CompileError> {
        let mut store = Store::new(engine.raw(), Limiter::default());
        store.limiter(|limiter| limiter);
        store.set_hostcall_fuel(usize::MAX);
        store.set_epoch_deadline(u64::MAX / 2);
        let mut linker = Linker::new(engine.raw());
        // A predictor asks for nothing while it is prepared.
        linker
            .define_unknown_imports_as_traps(component)
            .map_err(predictor_error)?;
        let instance = linker
            .instantiate(&mut store, component)
            .map_err(predictor_error)?;
        let prepare: TypedFunc<PrepareParams<'_>, (Result<Vec<u8>, String>,)> = instance
            .get_typed_func(&mut store, PREPARE)
            .map_err(predictor_error)?;

        let result = prepare.call(&mut store, params);
        let answer = match result {
            Ok((Ok(answer),)) => answer,
            Ok((Err(reason),)) => {
                let message = format!("the predictor refused the model: {reason}");
                return Err(CompileError::new(CompileErrorKind::Unsupported, message));
            }
            Err(error) if store.data().refused => {
                let message = "expected a model that fits in a component's 4 GiB while it is prepared, found a larger one";
                return Err(CompileError::because(
                    CompileErrorKind::TooLarge,
                    message,
                    error.into_boxed_dyn_error(),
                ));
            }
            Err(error) => return Err(predictor_error(error)),
        };
        Ok(Self {
            store,
            instance,
            answer,
        })
    }

    fn call<R: 'static>(&mut self, instance: &str, function: &str) -> R
    where
        (R,): ComponentNamedList + Lift,
    {
        let (_, instance) = self
            .instance
            .get_export(&mut self.store, None, instance)
            .expect("instrumenting added the interface");
        let (_, function) = self
            .instance
            .get_export(&mut self.store, Some(&instance), function)
            .expect("instrumenting added the function");
        let function = self
            .instance
            .get_typed_func::<(), (R,)>(&mut self.store, function)
            .expect("instrumenting gave the function this type");
        let (result,) = function
            .call(&mut self.store, ())
            .expect("reading a global or a memory does not trap");
        result
    }
}

/// Reads the state of an instance through the functions that instrumenting added.
impl ComponentInstanceState for Prepared {
    async fn call_func_ret_list_u8(
        &mut self,
        instance: &str,
        func: &str,
        contents: impl FnOnce(&[u8]) + Send,
    ) {
        let list: WasmList<u8> = self.call(instance, func);
        contents(list.as_le_slice(&self.store));
    }

    async fn call_func_ret_s32(&mut self, instance: &str, func: &str) -> i32 {
        self.call(instance, func)
    }

    async fn call_func_ret_s64(&mut self, instance: &str, func: &str) -> i64 {
        self.call(instance, func)
    }

    async fn call_func_ret_f32(&mut self, instance: &str, func: &str) -> u32 {
        self.call::<f32>(instance, func).to_bits()
    }

    async fn call_func_ret_f64(&mut self, instance: &str, func: &str) -> u64 {
        self.call::<f64>(instance, func).to_bits()
    }
}

/// Remembers whether memory was refused. Two pages are spared for reading the memory.
#[derive(Default)]
struct Limiter {
    refused: bool,
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        _: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let maximum = maximum.unwrap_or(usize::MAX).min((4 << 30) - (4 << 16));
        self.refused |= desired > maximum;
        Ok(desired <= maximum)
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(true)
    }
}

/// Runs a future that never waits.
fn now_or_never<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("reading an instance's state does not wait"),
    }
}

fn predictor_error(error: wasmtime::Error) -> CompileError {
    let message = "the predictor failed while it was prepared";
    CompileError::because(
        CompileErrorKind::Predictor,
        message,
        error.into_boxed_dyn_error(),
    )
}
