//! Connections that are too many, too slow, or gone.

use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::calls::toy;
use crate::client::{Answer, Running, call, eventually};
use crate::folder::Folder;
use crate::toy::Behaviour;

/// Sends bytes as they are, and returns the answer; the rest of the connection is not looked at.
pub(crate) async fn raw(server: &Running, request: &str) -> Answer {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    while !text.contains("\r\n\r\n") {
        let mut bytes = [0; 1024];
        let read = stream.read(&mut bytes).await.unwrap();
        assert!(read > 0, "expected an answer, found {text:?}");
        text.push_str(str::from_utf8(&bytes[..read]).unwrap());
    }
    Answer {
        status: text.split(' ').nth(1).unwrap().parse().unwrap(),
        headers: HeaderMap::new(),
        body: text.into(),
    }
}

fn good() -> Folder {
    let folder = Folder::new();
    folder.put_good("toy", &[1]);
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_more_than_may_be_waits() {
    let folder = good();
    let server = Running::start_with(folder.open(), |config| config.max_connections = 2).await;
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    assert_eq!(first.get("/v2/health/live").await.status, 200);
    assert_eq!(second.get("/v2/health/live").await.status, 200);
    let third = server.get("/v2/health/live");
    let mut third = std::pin::pin!(third);
    assert!(
        timeout(Duration::from_millis(300), &mut third)
            .await
            .is_err(),
        "both places are taken"
    );
    assert_eq!(
        first.get("/v2/health/live").await.status,
        200,
        "who is in is served"
    );
    drop(second);
    assert_eq!(third.await.status, 200);
}

/// Sends a byte now and then, and returns how long the server bears it.
async fn drip(server: &Running, head: &str) -> Duration {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let start = Instant::now();
    let mut bytes = [0; 1024];
    loop {
        match timeout(Duration::from_millis(20), stream.read(&mut bytes)).await {
            Ok(Ok(0) | Err(_)) => return start.elapsed(),
            Ok(Ok(_)) => {}
            // The end is seen when it is read.
            Err(_) => drop(stream.write_all(b"x").await),
        }
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "expected the connection to be closed"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_head_is_not_waited_for() {
    let folder = good();
    let server = Running::start_with(folder.open(), |config| {
        config.head_timeout = Duration::from_millis(300);
        config.max_connections = 1;
    })
    .await;
    let borne = drip(&server, "GET /v2/health/live HTTP/1.1\r\nx: ").await;
    assert!(borne >= Duration::from_millis(250), "{borne:?}");
    let idle = drip_nothing(&server).await;
    assert!(idle >= Duration::from_millis(250), "{idle:?}");
    assert_eq!(
        server.get("/v2/health/live").await.status,
        200,
        "the place is free again"
    );
}

/// Sends one request and then nothing, and returns how long the server bears it.
async fn drip_nothing(server: &Running) -> Duration {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(b"GET /v2/health/live HTTP/1.1\r\nhost: test\r\n\r\n")
        .await
        .unwrap();
    let start = Instant::now();
    let mut answer = Vec::new();
    timeout(Duration::from_secs(20), stream.read_to_end(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 OK"));
    start.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_body_is_not_waited_for() {
    let folder = good();
    let server = Running::start_with(folder.open(), |config| {
        config.body_timeout = Duration::from_millis(200)
    })
    .await;
    let head =
        "POST /v2/models/toy/infer HTTP/1.1\r\nhost: test\r\ncontent-length: 1000000\r\n\r\n{";
    let answer = raw(&server, head).await;
    assert_eq!(answer.status, 408);
    assert!(
        answer
            .text()
            .contains("the body took longer than 200ms to arrive")
    );
    drip(&server, head).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_too_long_is_refused() {
    let folder = good();
    let server = Running::start(folder.open()).await;
    let head = format!(
        "GET /v2 HTTP/1.1\r\nhost: test\r\nx: {}\r\n\r\n",
        "x".repeat(70_000)
    );
    assert_eq!(raw(&server, &head).await.status, 431);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_call_of_a_client_that_goes_away_is_cancelled() {
    let folder = Folder::new();
    folder.put("toy", 1, &toy(1, Behaviour::Loop));
    let config = "max_batch_size = 1\n[model_warmup]\ncalls = 0\n[instance_group]\ncount = 1\n[limits]\nexecution_timeout_seconds = 2";
    folder.configure("toy", config);
    let server = Running::start(folder.open()).await;
    let mut streams = Vec::new();
    for (running, queued) in [(1, 0), (1, 1)] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let body = call(1);
        let head = format!(
            "POST /v2/models/toy/infer HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).await.unwrap();
        streams.push(stream);
        eventually("it is in", || {
            let calls = server.statistics().calls;
            (calls.running_batches, calls.queued_calls) == (running, queued)
        })
        .await;
    }
    drop(streams);
    eventually("both are cancelled", || {
        let gone = server.statistics().calls.counters.gone;
        (gone.cancelled_queued, gone.cancelled_running) == (1, 1)
    })
    .await;
}
