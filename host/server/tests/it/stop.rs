//! The end of a server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::calls::toy;
use crate::client::{Running, call, eventually};
use crate::folder::Folder;
use crate::toy::Behaviour;

fn slow(behaviour: Behaviour) -> Folder {
    let folder = Folder::new();
    folder.put("toy", 1, &toy(1, behaviour));
    folder.configure(
        "toy",
        "[model_warmup]\ncalls = 0\n[limits]\nexecution_timeout_seconds = 3",
    );
    folder
}

/// Begins a call, and returns what will be its status once it runs; 0 without an answer.
async fn begin(server: &Running) -> tokio::task::JoinHandle<u16> {
    let mut connection = server.connect().await;
    let task = tokio::spawn(async move {
        let request = axum::http::Request::post("/v2/models/toy/infer")
            .body(call(1).into())
            .unwrap();
        connection.answer(request).await.status
    });
    eventually("it runs", || server.statistics().calls.running_batches == 1).await;
    task
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_have_begun_are_answered() {
    let folder = slow(Behaviour::Slow(1_000_000_000));
    let mut server = Running::start(folder.open()).await;
    let mut idle = server.connect().await;
    assert_eq!(idle.get("/v2/health/ready").await.status, 200);
    let call = begin(&server).await;
    let address = server.address;
    server.stop();
    let ended = server.ended().await;
    assert_eq!(call.await.unwrap(), 200);
    assert_eq!(ended.cut_connections, 0);
    assert!(
        TcpStream::connect(address).await.is_err(),
        "nobody listens any more"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_longer_than_the_time_of_grace_is_cut_off() {
    let folder = slow(Behaviour::Loop);
    let grace = Duration::from_millis(200);
    let mut server = Running::start_with(folder.open(), |config| config.grace = grace).await;
    let call = begin(&server).await;
    let start = Instant::now();
    server.stop();
    let ended = server.ended().await;
    assert_eq!(ended.cut_connections, 1);
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    assert!(call.await.is_err(), "there is no answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_fails_while_requests_are_still_taken() {
    let folder = slow(Behaviour::Good);
    let delay = Duration::from_secs(1);
    let mut server = Running::start_with(folder.open(), |config| config.stop_delay = delay).await;
    let mut connection = server.connect().await;
    assert_eq!(connection.get("/v2/health/ready").await.status, 200);
    server.stop();
    sleep(Duration::from_millis(100)).await;
    let answer = connection.get("/v2/health/ready").await;
    assert_eq!((answer.status, answer.text()), (503, r#"{"ready":false}"#));
    assert_eq!(connection.get("/v2/models/toy/ready").await.status, 503);
    assert_eq!(connection.get("/v2/health/live").await.status, 200);
    let infer = server.post("/v2/models/toy/infer", call(1)).await;
    assert_eq!(infer.status, 200, "also on a new connection");
    server.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_drains_answers_that_it_does() {
    let folder = slow(Behaviour::Good);
    let server = Arc::new(Running::start(folder.open()).await);
    server.repository.drain(Duration::ZERO);
    assert_eq!(server.get("/v2/health/ready").await.status, 503);
    let answer = server.post("/v2/models/toy/infer", call(1)).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, None));
    assert_eq!(answer.error(), "the server takes no more calls");
}
