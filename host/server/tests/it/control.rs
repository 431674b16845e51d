//! Models loaded, unloaded and rolled back by requests.

use expect_test::expect;

use crate::client::{Running, call};
use crate::folder::Folder;

async fn version(server: &Running) -> String {
    let answer = server.post("/v2/models/toy/infer", call(1)).await;
    match answer.status {
        200 => answer.json()["model_version"].as_str().unwrap().into(),
        status => status.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_loaded_unloaded_and_rolled_back() {
    let folder = Folder::new();
    folder.put_good("toy", &[1]);
    let server = Running::start(folder.open()).await;
    assert_eq!(version(&server).await, "1");
    folder.put_good("toy", &[2]);
    let load = server.post("/v2/repository/models/toy/load", "{}").await;
    assert_eq!((load.status, load.text()), (200, ""));
    assert_eq!(version(&server).await, "2");
    let back = server.post("/v2/repository/models/toy/rollback", "").await;
    assert_eq!(
        (back.status, back.text()),
        (200, r#"{"name":"toy","version":"1"}"#)
    );
    assert_eq!(version(&server).await, "1");
    let body = r#"{"parameters":{"unload_dependents":true}}"#;
    assert_eq!(
        server
            .post("/v2/repository/models/toy/unload", body)
            .await
            .status,
        200
    );
    assert_eq!(version(&server).await, "503");
    let index = server.post("/v2/repository/index", "{}").await;
    expect![[r#"[{"name":"toy","state":"UNAVAILABLE","reason":"unloaded"}]"#]]
        .assert_eq(index.text());
    let ready = server
        .post("/v2/repository/index", r#"{"ready":true}"#)
        .await;
    assert_eq!(ready.text(), "[]");
    assert_eq!(
        server
            .post("/v2/repository/models/toy/load", "")
            .await
            .status,
        200
    );
    assert_eq!(version(&server).await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn says_what_cannot_be_done() {
    let folder = Folder::new();
    folder.put_good("toy", &[1]);
    folder.put("broken", 1, b"nothing");
    let server = Running::start(folder.open()).await;
    let mut lines = Vec::new();
    for (path, body) in [
        ("missing/load", ""),
        ("..%2F..%2Fetc/load", ""),
        ("broken/load", ""),
        ("toy/load", "["),
        ("toy/load", r#"{"parameters":{"config":"{}"}}"#),
        ("toy/load", r#"{"parameters":{"file:1/model.onnx":"AAAA"}}"#),
        ("toy/rollback", ""),
        ("missing/rollback", ""),
    ] {
        let answer = server
            .post(&format!("/v2/repository/models/{path}"), body)
            .await;
        lines.push(format!("{path}: {} {}", answer.status, answer.error()));
    }
    expect![[r#"
        missing/load: 404 failed to load 'missing', failed to poll from model repository
        ..%2F..%2Fetc/load: 404 failed to load '../../etc', failed to poll from model repository
        broken/load: 500 version 1 of `broken` is not served: the component cannot be loaded: expected a WebAssembly component, found other bytes
        toy/load: 400 request: EOF while parsing a list at line 1 column 1
        toy/load: 501 parameter `config`: models are loaded as they are in the repository
        toy/load: 501 parameter `file:1/model.onnx`: models are loaded as they are in the repository
        toy/rollback: 409 expected an older version of `toy` than 1 to go back to, found none
        missing/rollback: 404 expected a model `missing` with a version to serve, found none"#]].assert_eq(&lines.join("\n"));
    let unload = server
        .post("/v2/repository/models/missing/unload", "")
        .await;
    assert_eq!((unload.status, unload.text()), (200, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn control_is_refused_by_default() {
    let folder = Folder::new();
    folder.put_good("toy", &[1]);
    let server = Running::start_with(folder.open(), |config| config.has_control = false).await;
    for change in ["load", "unload", "rollback"] {
        let answer = server
            .post(&format!("/v2/repository/models/toy/{change}"), "")
            .await;
        assert_eq!(answer.status, 403, "{change}");
    }
    assert_eq!(version(&server).await, "1");
    assert_eq!(server.post("/v2/repository/index", "").await.status, 200);
}
