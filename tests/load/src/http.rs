//! A server that speaks the Open Inference Protocol, version 2, over HTTP/1.1.
//!
//! [`Prepared`] is made once, from the model's metadata: a few different calls that come round. Each thread makes an [`Http`] of it.

mod codec;
mod pool;
mod server;

use std::cell::RefCell;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body as _, Bytes};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::runtime;
use tokio::task::LocalSet;

use self::codec::{Encoding, JSON_LEN, Output};
use self::pool::{Connection, Pool};
use self::server::Server;
use crate::inputs::{self, Sizes, Spec};
use crate::target::{Kind, Outcome, Target};

/// The longest answer that is read.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// What to call, and how.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) url: String,
    pub(crate) model: String,
    pub(crate) version: Option<String>,
    /// Write tensors as raw bytes, not as JSON.
    pub(crate) is_binary: bool,
    pub(crate) sizes: Sizes,
    /// How many different calls there are.
    pub(crate) bodies: usize,
    pub(crate) seed: u64,
    /// How far an answer may be from the first one to the same call; without it, answers are not compared.
    pub(crate) tolerance: Option<f64>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) parameters: Map<String, Value>,
}

/// Calls that are ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    server: Server,
    requests: Vec<Request<Full<Bytes>>>,
    tolerance: Option<f64>,
}

/// What a server tells of a model, as far as it is needed.
#[derive(Deserialize)]
struct Metadata {
    inputs: Vec<Spec>,
}

impl Prepared {
    /// Asks the server for the model, and makes calls of it. One of them is made, to see whether they fit.
    ///
    /// # Errors
    /// If the server or the model is not there, if an input needs a size or has a type without numbers, or if the server
    /// says that the call is wrong.
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let server = Server::find(&config.url)?;
        let path = server.model_path(&config.model, config.version.as_deref());
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        LocalSet::new().block_on(&runtime, async {
            let pool = Pool::new(server.addresses.clone());
            let request = Request::get(&path)
                .header(HOST, &server.host)
                .body(Full::default())?;
            let metadata = ask(&pool, request)
                .await
                .with_context(|| format!("GET {path}"))?;
            let metadata: Metadata = serde_json::from_slice(&metadata)
                .with_context(|| format!("GET {path}: expected inputs with numbers"))?;
            let requests = requests(config, &server, &format!("{path}/infer"), &metadata.inputs)?;
            let first = requests.first().context("expected one call or more")?;
            ask(&pool, first.clone())
                .await
                .with_context(|| format!("POST {path}/infer"))?;
            Ok(Self {
                server,
                requests,
                tolerance: config.tolerance,
            })
        })
    }
}

fn requests(
    config: &Config,
    server: &Server,
    path: &str,
    specs: &[Spec],
) -> Result<Vec<Request<Full<Bytes>>>> {
    let (encoding, content_type) = match config.is_binary {
        true => (Encoding::Binary, "application/octet-stream"),
        false => (Encoding::Json, "application/json"),
    };
    let mut requests = Vec::new();
    for inputs in inputs::make(specs, &config.sizes, config.seed, config.bodies)? {
        let body = codec::write(&inputs, encoding, &config.parameters)?;
        let mut request = Request::post(path)
            .header(HOST, &server.host)
            .header(CONTENT_TYPE, content_type);
        if let Some(json_len) = body.json_len {
            request = request.header(JSON_LEN, json_len);
        }
        for (name, value) in &config.headers {
            request = request.header(name, value);
        }
        requests.push(request.body(Full::new(body.bytes.into()))?);
    }
    Ok(requests)
}

/// Makes a call before there is any load. An answer that says that the caller is at fault is an error; that the server is busy
/// or broken is for the report to tell.
async fn ask(pool: &Pool, request: Request<Full<Bytes>>) -> Result<Bytes> {
    let is_call = !request.body().is_end_stream();
    let response = exchange(pool, request)
        .await
        .map_err(|kind| anyhow!("{kind}"))?;
    let status = response.status();
    let is_usable = match is_call {
        true => !status.is_client_error() || is_refusal(status),
        false => status == StatusCode::OK,
    };
    if !is_usable {
        let text = String::from_utf8_lossy(response.body());
        bail!("expected an answer, found HTTP {status}: {text}");
    }
    Ok(response.into_body())
}

/// Sends a request and reads the answer. If it fails, says why.
async fn exchange(pool: &Pool, mut request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Kind> {
    loop {
        let idle = pool.idle().await;
        let is_new = idle.is_none();
        let mut connection: Connection = match idle {
            Some(connection) => connection,
            None => pool
                .open()
                .await
                .map_err(|error| Kind::from(format!("connect: {}", error.kind())))?,
        };
        match connection.try_send_request(request).await {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                let body = Limited::new(body, MAX_ANSWER_BYTES)
                    .collect()
                    .await
                    .map_err(|_| Kind::from("answer cut off"))?;
                pool.give_back(connection);
                return Ok(Response::from_parts(parts, body.to_bytes()));
            }
            // An idle connection was closed before any of the request was written to it.
            Err(mut error) => match error.take_message() {
                Some(unsent) if !is_new => request = unsent,
                _ => return Err(why(error.error())),
            },
        }
    }
}

fn why(error: &hyper::Error) -> Kind {
    if error.is_parse() {
        return "no HTTP".into();
    }
    "connection closed".into()
}

fn is_refusal(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE
}

/// The server, as one thread sees it.
pub(crate) struct Http {
    prepared: Arc<Prepared>,
    pool: Pool,
    /// The first answer to each call, if answers are compared.
    first: RefCell<Vec<Option<Vec<Output>>>>,
}

impl Http {
    pub(crate) fn new(prepared: Arc<Prepared>) -> Self {
        Self {
            pool: Pool::new(prepared.server.addresses.clone()),
            first: RefCell::new(vec![None; prepared.requests.len()]),
            prepared,
        }
    }

    fn check(&self, index: usize, response: &Response<Bytes>) -> Result<()> {
        let json_len = match response.headers().get(JSON_LEN) {
            Some(len) => Some(len.to_str()?.parse()?),
            None => None,
        };
        let Some(tolerance) = self.prepared.tolerance else {
            return codec::check(response.body(), json_len);
        };
        let outputs = codec::read(response.body(), json_len)?;
        let mut first = self.first.borrow_mut();
        let first = first[index].get_or_insert_with(|| outputs.clone());
        ensure!(
            codec::agree(&outputs, first, tolerance),
            "differs from the first to the same call"
        );
        Ok(())
    }
}

impl Target for Http {
    async fn call(&self, number: u64) -> Outcome {
        let index = (number % self.prepared.requests.len() as u64) as usize;
        let request = self.prepared.requests[index].clone();
        let response = match exchange(&self.pool, request).await {
            Ok(response) => response,
            Err(kind) => return Outcome::Failed(kind),
        };
        let status = response.status();
        let kind = || Kind::from(format!("HTTP {}", status.as_u16()));
        match status {
            StatusCode::OK => match self.check(index, &response) {
                Ok(()) => Outcome::Answered,
                Err(error) => Outcome::Failed(format!("answer: {error}").into()),
            },
            _ if is_refusal(status) => Outcome::Refused(kind()),
            _ => Outcome::Failed(kind()),
        }
    }

    fn counts(&self) -> Vec<(&'static str, u64)> {
        vec![("connections opened", self.pool.opened())]
    }
}
