//! What the protocol asks for, answered.

use axum::http::Method;
use expect_test::expect;
use serde_json::json;

use crate::client::{Running, call};
use crate::folder::Folder;

async fn start() -> (Folder, Running) {
    let folder = Folder::new();
    folder.put_good("toy", &[1, 2, 7]);
    let labels = "version_policy = { all = true }
[labels]
stable = 1
canary = 7
";
    folder.configure("toy", labels);
    let repository = folder.open();
    let running = Running::start(repository).await;
    (folder, running)
}

#[tokio::test(flavor = "multi_thread")]
async fn says_what_it_is() {
    let (_folder, server) = start().await;
    let answer = server.get("/v2").await;
    assert_eq!(answer.status, 200);
    let json = answer.json();
    assert_eq!(json["name"], "tensorlet");
    assert_eq!(json["extensions"][0], "binary_tensor_data");
    let live = server.get("/v2/health/live").await;
    assert_eq!((live.status, live.text()), (200, r#"{"live":true}"#));
    let ready = server.get("/v2/health/ready").await;
    assert_eq!((ready.status, ready.text()), (200, r#"{"ready":true}"#));
    let head = server.send(Method::HEAD, "/v2/health/ready", &[], "").await;
    assert_eq!((head.status, head.text()), (200, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn says_what_models_are() {
    let (_folder, server) = start().await;
    expect![[r#"{"name":"toy","versions":["1","2","7"],"platform":"wasm_component","inputs":[{"name":"x","datatype":"FP32","shape":[-1,1]}],"outputs":[{"name":"y","datatype":"FP32","shape":[-1,1]}]}"#]].assert_eq(server.get("/v2/models/toy").await.text());
    for target in ["/versions/2", "/labels/stable", "/versions/007"] {
        let answer = server.get(&format!("/v2/models/toy{target}")).await;
        assert_eq!(
            answer.json()["inputs"][0]["shape"],
            json!([-1, 1]),
            "{target}"
        );
        let ready = server.get(&format!("/v2/models/toy{target}/ready")).await;
        assert_eq!(
            (ready.status, ready.text()),
            (200, r#"{"name":"toy","ready":true}"#),
            "{target}"
        );
    }
    let index = server.post("/v2/repository/index", "").await;
    expect![[r#"[{"name":"toy","version":"1","state":"READY","reason":""},{"name":"toy","version":"2","state":"READY","reason":""},{"name":"toy","version":"7","state":"READY","reason":""}]"#]].assert_eq(index.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_json_with_json() {
    let (_folder, server) = start().await;
    let answer = server.post("/v2/models/toy/infer", call(2)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    expect![[r#"{"model_name":"toy","model_version":"7","outputs":[{"name":"y","datatype":"FP32","shape":[2,1],"data":[7.0,7.0]}]}"#]].assert_eq(answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(
        answer.header("content-length"),
        Some(answer.body.len().to_string().as_str())
    );
    assert_eq!(answer.header("transfer-encoding"), None);
    for (target, version, value) in [
        ("/versions/1", "1", 1.0),
        ("/labels/canary", "7", 7.0),
        ("/versions/2", "2", 2.0),
    ] {
        let answer = server
            .post(&format!("/v2/models/toy{target}/infer"), call(1))
            .await
            .json();
        assert_eq!(answer["model_version"], version);
        assert_eq!(answer["outputs"][0]["data"], json!([value]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_binary_with_binary() {
    let (_folder, server) = start().await;
    let json = r#"{"id":"a","parameters":{"binary_data_output":true},"inputs":[
        {"name":"x","datatype":"FP32","shape":[2,1],"parameters":{"binary_data_size":8}}]}"#;
    let body = [json.as_bytes(), &[0; 8]].concat();
    let len = json.len().to_string();
    let headers = [("Inference-Header-Content-Length", len.as_str())];
    let answer = server
        .send(Method::POST, "/v2/models/toy/infer", &headers, body)
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        answer.header("content-type"),
        Some("application/octet-stream")
    );
    let len = answer
        .header("inference-header-content-length")
        .unwrap()
        .parse()
        .unwrap();
    let (json, binary) = answer.body.split_at(len);
    expect![[r#"{"model_name":"toy","model_version":"7","id":"a","outputs":[{"name":"y","datatype":"FP32","shape":[2,1],"parameters":{"binary_data_size":8}}]}"#]].assert_eq(str::from_utf8(json).unwrap());
    assert_eq!(
        binary,
        [7.0f32.to_le_bytes(), 7.0f32.to_le_bytes()].concat()
    );
    assert_eq!(
        answer.header("content-length"),
        Some(answer.body.len().to_string().as_str())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn traffic_is_divided_also_where_outputs_are_named() {
    let (folder, server) = start().await;
    let half = "version_policy = { all = true }\n[labels]\nstable = 1\ncanary = 7\n[traffic]\nstable = 1\ncanary = 1\n";
    folder.configure("toy", half);
    assert!(server.repository.reload().unwrap().is_empty());
    let body = call(1).replace("}]}", r#"}],"outputs":[{"name":"y"}]}"#);
    let mut calls = std::collections::BTreeMap::new();
    for _ in 0..20 {
        let answer = server.post("/v2/models/toy/infer", body.clone()).await;
        let version = answer.json()["model_version"].as_str().unwrap().to_owned();
        *calls.entry(version).or_insert(0) += 1;
    }
    let half = |version: &str| (version.to_owned(), 10);
    assert_eq!(calls, [half("1"), half("7")].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn content_types_are_not_asked_for() {
    let (_folder, server) = start().await;
    for content_type in [
        "application/json",
        "application/octet-stream",
        "text/plain",
        "",
    ] {
        let headers = [("content-type", content_type)];
        let answer = server
            .send(Method::POST, "/v2/models/toy/infer", &headers, call(1))
            .await;
        assert_eq!(answer.status, 200, "{content_type}");
    }
    let headers = [("content-encoding", "identity")];
    let answer = server
        .send(Method::POST, "/v2/models/toy/infer", &headers, call(1))
        .await;
    assert_eq!(answer.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_are_answered() {
    let (_folder, server) = start().await;
    let rows = 200_000;
    let answer = server.post("/v2/models/toy/infer", call(rows)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    let data = answer["outputs"][0]["data"].as_array().unwrap();
    assert_eq!(data.len(), rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_carries_many_requests() {
    let (_folder, server) = start().await;
    let mut connection = server.connect().await;
    for _ in 0..100 {
        let request = axum::http::Request::post("/v2/models/toy/infer")
            .body(call(1).into())
            .unwrap();
        assert_eq!(connection.answer(request).await.status, 200);
    }
}
