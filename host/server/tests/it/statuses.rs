//! Every status, and what is told with it.

use axum::http::Method;
use expect_test::expect;

use crate::calls::toy;
use crate::client::{Answer, Running, call, eventually};
use crate::folder::Folder;
use crate::toy::Behaviour;

/// Starts a server of one model that behaves so.
async fn start(behaviour: Behaviour, config: &str) -> (Folder, Running) {
    let folder = Folder::new();
    folder.put("toy", 1, &toy(1, behaviour));
    folder.configure("toy", &format!("{config}\n[model_warmup]\ncalls = 0\n"));
    let repository = folder.open();
    let running = Running::start(repository).await;
    (folder, running)
}

async fn infer(server: &Running) -> Answer {
    server.post("/v2/models/toy/infer", call(1)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there() {
    let (_folder, server) = start(Behaviour::Good, "").await;
    let mut lines = Vec::new();
    for (method, path) in [
        (Method::GET, "/"),
        (Method::GET, "/v2/"),
        (Method::GET, "/v2/models"),
        (Method::GET, "/v2/models/x"),
        (Method::GET, "/v2/models/x%2Fy"),
        (Method::GET, "/v2/models/x/ready"),
        (Method::POST, "/v2/models/x/infer"),
        (Method::GET, "/v2/models/toy/versions/2"),
        (Method::GET, "/v2/models/toy/versions/99999999999999999999"),
        (Method::GET, "/v2/models/toy/versions/latest"),
        (Method::GET, "/v2/models/toy/labels/canary"),
        (Method::POST, "/v2/models/toy/versions/2/infer"),
        (Method::GET, "/v2/models/toy/infer"),
        (Method::GET, "/v2/repository/index"),
        (Method::POST, "/v2/health/live"),
        (Method::DELETE, "/v2/models/toy"),
    ] {
        let answer = server.send(method.clone(), path, &[], call(1)).await;
        lines.push(format!(
            "{method} {path}: {} {}",
            answer.status,
            answer.error()
        ));
    }
    expect![[r#"
        GET /: 404 Not Found
        GET /v2/: 404 Not Found
        GET /v2/models: 404 Not Found
        GET /v2/models/x: 404 Request for unknown model: 'x' is not found
        GET /v2/models/x%2Fy: 404 Request for unknown model: 'x/y' is not found
        GET /v2/models/x/ready: 404 Request for unknown model: 'x' is not found
        POST /v2/models/x/infer: 404 Request for unknown model: 'x' is not found
        GET /v2/models/toy/versions/2: 404 Request for unknown model: 'toy' version 2 is not found
        GET /v2/models/toy/versions/99999999999999999999: 404 Request for unknown model: 'toy' version 18446744073709551615 is not found
        GET /v2/models/toy/versions/latest: 404 Not Found
        GET /v2/models/toy/labels/canary: 404 Request for unknown model: 'toy' label 'canary' is not found
        POST /v2/models/toy/versions/2/infer: 404 Request for unknown model: 'toy' version 2 is not found
        GET /v2/models/toy/infer: 405 Method Not Allowed
        GET /v2/repository/index: 405 Method Not Allowed
        POST /v2/health/live: 405 Method Not Allowed
        DELETE /v2/models/toy: 405 Method Not Allowed"#]].assert_eq(&lines.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_request() {
    let (_folder, server) = start(Behaviour::Good, "").await;
    let json_len = |len: &'static str| ("inference-header-content-length", len);
    let wrong_shape = r#"{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[1,2]}]}"#;
    let other_output = call(1).replace("}]}", r#"}],"outputs":[{"name":"z"}]}"#);
    let bytes = r#"{"inputs":[{"name":"x","datatype":"BYTES","shape":[1],"data":["a"]}]}"#;
    let mut lines = Vec::new();
    for (headers, body) in [
        (vec![], ""),
        (vec![], "{}"),
        (vec![], wrong_shape),
        (vec![], other_output.as_str()),
        (vec![], bytes),
        (vec![json_len("x")], ""),
        (vec![json_len("-1")], ""),
        (vec![json_len("3")], "{}"),
        (vec![json_len("0")], "1234"),
        (vec![("content-encoding", "gzip")], "1234"),
    ] {
        let answer = server
            .send(
                Method::POST,
                "/v2/models/toy/infer",
                &headers,
                body.to_owned(),
            )
            .await;
        lines.push(format!("{} {}", answer.status, answer.error()));
    }
    expect![[r#"
        400 request: EOF while parsing a value at line 1 column 0
        400 request: missing field `inputs` at line 1 column 2
        400 input `x`: expected f32[N, 1], found f32[1, 2]
        400 output `z`: expected one of `y`, found an output that the model does not have
        501 input `x`: BYTES are not supported, as models have no strings
        400 header Inference-Header-Content-Length: expected a number of bytes, found `x`
        400 header Inference-Header-Content-Length: expected a number of bytes, found `-1`
        400 request: expected 3 bytes of JSON, as its header says, found a body of 2
        501 requests without JSON, whose header length is 0, are not supported
        415 expected a body that is not compressed, found "gzip""#]]
    .assert_eq(&lines.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_models_do_wrong() {
    let mut lines = Vec::new();
    for (behaviour, config) in [
        (Behaviour::Trap, ""),
        (Behaviour::Grow, "[limits]\nmemory_mib = 16"),
        (Behaviour::WrongShape, ""),
        (
            Behaviour::Loop,
            "[limits]\nexecution_timeout_seconds = 0.05",
        ),
    ] {
        let (_folder, server) = start(behaviour, config).await;
        let answer = infer(&server).await;
        assert_eq!(answer.header("retry-after"), None);
        lines.push(format!(
            "{behaviour:?}: {} {}",
            answer.status,
            answer.error()
        ));
    }
    expect![[r#"
        Trap: 500 the model trapped
        Grow: 500 the model asked for more memory than it may have
        WrongShape: 500 the model gave other outputs than it promised
        Loop: 500 the model took longer than it may"#]]
    .assert_eq(&lines.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_of_a_call() {
    let (_folder, server) = start(Behaviour::Loop, "[limits]\nexecution_timeout_seconds = 2").await;
    let body = call(1).replacen('{', r#"{"parameters":{"timeout":20000},"#, 1);
    let answer = server.post("/v2/models/toy/infer", body).await;
    assert_eq!((answer.status, answer.header("retry-after")), (504, None));
    assert_eq!(answer.error(), "the deadline came before the outputs");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_calls_a_second() {
    let (_folder, server) = start(
        Behaviour::Good,
        "[limits]\ncalls_per_second = 0.1\nburst = 1",
    )
    .await;
    assert_eq!(infer(&server).await.status, 200);
    let answer = infer(&server).await;
    assert_eq!(answer.status, 429, "{}", answer.text());
    assert_eq!(answer.header("retry-after"), Some("10"));
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_calls_that_wait() {
    let config = "max_batch_size = 1\n[instance_group]\ncount = 1\n[dynamic_batching.default_queue_policy]\nmax_queue_size = 1\n[limits]\nexecution_timeout_seconds = 1";
    let (_folder, server) = start(Behaviour::Loop, config).await;
    let server = std::sync::Arc::new(server);
    let mut calls = Vec::new();
    for (running, queued) in [(1, 0), (1, 1)] {
        let one = std::sync::Arc::clone(&server);
        calls.push(tokio::spawn(async move { infer(&one).await.status }));
        eventually("it is in", || {
            let calls = server.statistics().calls;
            (calls.running_batches, calls.queued_calls) == (running, queued)
        })
        .await;
    }
    let answer = infer(&server).await;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (429, Some("1"))
    );
    assert_eq!(
        answer.error(),
        "the model has more calls than it can answer"
    );
    for call in calls {
        assert_eq!(call.await.unwrap(), 500);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_always_fails() {
    let (_folder, server) = start(
        Behaviour::Trap,
        "[circuit_breaker]\nfailures = 2\ncool_down_seconds = 30",
    )
    .await;
    assert_eq!(infer(&server).await.status, 500);
    assert_eq!(infer(&server).await.status, 500);
    let answer = infer(&server).await;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("30"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_not_ready() {
    let (folder, server) = start(Behaviour::Good, "").await;
    assert_eq!(
        server
            .post("/v2/repository/models/toy/unload", "")
            .await
            .status,
        200
    );
    let answer = infer(&server).await;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("1"))
    );
    assert_eq!(answer.error(), "model `toy` was unloaded");
    folder.put("broken", 1, b"nothing");
    server.repository.reload().unwrap();
    for path in [
        "/v2/models/broken",
        "/v2/models/broken/ready",
        "/v2/models/broken/versions/1",
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 503, "{path}: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_long() {
    let folder = Folder::new();
    folder.put_good("toy", &[1]);
    let max = call(1).len();
    let server = Running::start_with(folder.open(), |config| config.max_body_bytes = max).await;
    assert_eq!(infer(&server).await.status, 200, "at the limit");
    let answer = server.post("/v2/models/toy/infer", call(1) + " ").await;
    assert_eq!(answer.status, 413);
    assert_eq!(
        answer.error(),
        format!("expected a body of at most {max} bytes, found more")
    );
    // One that does not say how long it is.
    let body = call(1) + " ";
    let (first, second) = body.split_at(10);
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let head =
        "POST /v2/models/toy/infer HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n";
    let request = format!("{head}{}{}0\r\n\r\n", chunk(first), chunk(second));
    assert_eq!(crate::connections::raw(&server, &request).await.status, 413);
    let request = request.replace(&chunk(second), &chunk(second.trim_end()));
    assert_eq!(crate::connections::raw(&server, &request).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_too_long_together() {
    let (_folder, server) = {
        let folder = Folder::new();
        folder.put("toy", 1, &toy(1, Behaviour::Slow(500_000_000)));
        folder.configure("toy", "[model_warmup]\ncalls = 0");
        let running =
            Running::start_with(folder.open(), |config| config.max_bodies_bytes = 4096).await;
        (folder, std::sync::Arc::new(running))
    };
    let one = std::sync::Arc::clone(&server);
    let first = tokio::spawn(async move { infer(&one).await.status });
    eventually("it runs", || server.statistics().calls.running_batches == 1).await;
    let answer = infer(&server).await;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (429, Some("1"))
    );
    assert_eq!(first.await.unwrap(), 200);
    assert_eq!(
        infer(&server).await.status,
        200,
        "when the first is answered there is room"
    );
}
