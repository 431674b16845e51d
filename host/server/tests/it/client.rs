//! A server that runs, and a client of it.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{HOST, HeaderMap};
use axum::http::{Method, Request};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tensorlet_repository::{LoadedStatistics, Repository};
use tensorlet_server::{Ended, Server, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// A server that runs until it is told to stop.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) repository: Repository,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<std::io::Result<Ended>>,
}

/// What a server has answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Running {
    /// Starts a server with small limits of time.
    pub(crate) async fn start(repository: Repository) -> Self {
        Self::start_with(repository, |_| {}).await
    }

    pub(crate) async fn start_with(
        repository: Repository,
        change: impl FnOnce(&mut ServerConfig),
    ) -> Self {
        let mut config = ServerConfig {
            has_control: true,
            ..ServerConfig::default()
        };
        change(&mut config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let server = Server::new(repository.clone(), config);
        let task = tokio::spawn(server.serve(listener, async {
            // It also stops when the test is over.
            let _ = stopped.await;
        }));
        Self {
            address,
            repository,
            stop: Some(stop),
            task,
        }
    }

    /// Tells the server to stop.
    pub(crate) fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    pub(crate) async fn ended(self) -> Ended {
        self.task.await.unwrap().unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], Bytes::new()).await
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.send(Method::POST, path, &[], body).await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Body::new(Full::new(body.into()));
        self.connect()
            .await
            .answer(request.body(body).unwrap())
            .await
    }

    /// Opens a connection.
    pub(crate) async fn connect(&self) -> Connection {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Connection(sender)
    }

    /// Returns what the only version does.
    #[track_caller]
    pub(crate) fn statistics(&self) -> LoadedStatistics {
        self.repository.statistics().versions[0]
            .loaded
            .clone()
            .unwrap()
    }
}

/// A connection that can carry many requests, one after the other.
pub(crate) struct Connection(SendRequest<Body>);

impl Connection {
    pub(crate) async fn answer(&mut self, mut request: Request<Body>) -> Answer {
        request.headers_mut().insert(HOST, "test".parse().unwrap());
        self.0.ready().await.unwrap();
        let response = self.0.send_request(request).await.unwrap();
        let (head, body) = response.into_parts();
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.answer(Request::get(path).body(Body::empty()).unwrap())
            .await
    }
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Returns the message of an error.
    #[track_caller]
    pub(crate) fn error(&self) -> String {
        assert!(
            self.status >= 400,
            "expected an error, found {} {}",
            self.status,
            self.text()
        );
        assert_eq!(self.header("content-type"), Some("application/json"));
        let json = self.json();
        assert_eq!(
            json.as_object().unwrap().len(),
            1,
            "an error and nothing else: {json}"
        );
        json["error"].as_str().unwrap().to_owned()
    }
}

/// Returns the body of a call with so many rows.
pub(crate) fn call(rows: usize) -> String {
    let data = vec!["0"; rows].join(",");
    format!(r#"{{"inputs":[{{"name":"x","datatype":"FP32","shape":[{rows},1],"data":[{data}]}}]}}"#)
}

/// Waits until something is so.
pub(crate) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..4000 {
        if is_so() {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!("{what}");
}
