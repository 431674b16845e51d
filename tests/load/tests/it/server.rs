//! A server with one model, `sum`, that behaves as it is told.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::task::{LocalSet, spawn_local};

const JSON_LEN: &str = "inference-header-content-length";

/// What a server does to calls. The first call, number 0, is the one that is made before any load.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Behaviour {
    /// Answers after a while.
    Slow(Duration),
    /// Answers odd calls, and refuses even ones.
    Refuse,
    /// Answers even calls, and closes the connection at odd ones.
    Close,
    /// Answers all calls, each on a connection of its own.
    CloseAfterwards,
    /// Gives the same call different answers.
    Drift,
    /// Gives answers without outputs.
    Empty,
    /// Says that the caller is wrong.
    Blame,
}

/// A running server. It runs until the tests end.
pub(crate) struct Server {
    address: SocketAddr,
    calls: Arc<AtomicU64>,
}

impl Server {
    pub(crate) fn start(behaviour: Behaviour) -> Self {
        let calls = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&calls);
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            LocalSet::new().block_on(&runtime, serve(listener, behaviour, count));
        });
        Self { address, calls }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns how many calls have come, but for the one before the load.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst) - 1
    }
}

async fn serve(listener: std::net::TcpListener, behaviour: Behaviour, calls: Arc<AtomicU64>) {
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let calls = Arc::clone(&calls);
        let service = service_fn(move |request| answer(request, behaviour, Arc::clone(&calls)));
        spawn_local(async move {
            // An error is a connection that was closed, by either side.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    behaviour: Behaviour,
    calls: Arc<AtomicU64>,
) -> io::Result<Response<Full<Bytes>>> {
    if request.method() == Method::GET {
        assert_eq!(request.uri().path(), "/v2/models/sum");
        let input = json!({ "name": "x", "datatype": "FP32", "shape": [-1, 4] });
        return Ok(json_response(
            200,
            &json!({ "name": "sum", "inputs": [input] }),
        ));
    }
    assert_eq!(request.uri().path(), "/v2/models/sum/infer");
    let number = calls.fetch_add(1, Ordering::SeqCst);
    let json_len = request.headers().get(JSON_LEN).cloned();
    let json_len = json_len.map(|len| len.to_str().unwrap().parse().unwrap());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let sums = sums(&body, json_len);
    match behaviour {
        Behaviour::Slow(delay) => tokio::time::sleep(delay).await,
        Behaviour::Refuse if number.is_multiple_of(2) => {
            return Ok(json_response(503, &json!({ "error": "busy" })));
        }
        Behaviour::Close if !number.is_multiple_of(2) => return Err(io::Error::other("closed")),
        Behaviour::Empty => return Ok(json_response(200, &json!({ "outputs": [] }))),
        Behaviour::Blame => return Ok(json_response(400, &json!({ "error": "no such input" }))),
        Behaviour::Drift => {
            let sums = sums.iter().map(|sum| sum + number as f32).collect();
            return Ok(response(sums, json_len.is_some()));
        }
        _ => {}
    }
    let mut response = response(sums, json_len.is_some());
    if let Behaviour::CloseAfterwards = behaviour {
        let close = "close".parse().unwrap();
        response.headers_mut().insert("connection", close);
    }
    Ok(response)
}

/// Returns the sum of each row of 4.
fn sums(body: &[u8], json_len: Option<usize>) -> Vec<f32> {
    let (json, raw) = body.split_at(json_len.unwrap_or(body.len()));
    let json: Value = serde_json::from_slice(json).unwrap();
    let input = &json["inputs"][0];
    let values: Vec<f32> = match json_len {
        Some(_) => {
            assert_eq!(json["parameters"]["binary_data_output"], true);
            assert_eq!(input["parameters"]["binary_data_size"], raw.len());
            let (values, rest) = raw.as_chunks();
            assert!(rest.is_empty());
            values.iter().copied().map(f32::from_le_bytes).collect()
        }
        None => serde_json::from_value(input["data"].clone()).unwrap(),
    };
    assert_eq!(input["shape"], json!([values.len() / 4, 4]));
    values.chunks(4).map(|row| row.iter().sum()).collect()
}

fn response(sums: Vec<f32>, is_binary: bool) -> Response<Full<Bytes>> {
    let mut output = json!({ "name": "y", "datatype": "FP32", "shape": [sums.len()] });
    if !is_binary {
        output["data"] = json!(sums);
        return json_response(200, &json!({ "outputs": [output] }));
    }
    output["parameters"] = json!({ "binary_data_size": 4 * sums.len() });
    let mut body = json!({ "outputs": [output] }).to_string().into_bytes();
    let json_len = body.len();
    body.extend(sums.iter().flat_map(|sum| sum.to_le_bytes()));
    Response::builder()
        .header(JSON_LEN, json_len)
        .body(Full::new(body.into()))
        .unwrap()
}

fn json_response(status: u16, json: &Value) -> Response<Full<Bytes>> {
    let body = Full::new(json.to_string().into());
    Response::builder().status(status).body(body).unwrap()
}
