//! Files as bodies: the answers are those of `tensorlet predict`.

use std::fs;

use serde_json::{Value, json};

use super::host::on_each;
use crate::program::{component_with, repository, run};

/// The largest difference between scores that were computed in the component, and by the host.
const TOLERANCE: f64 = 1e-4;

/// Returns what the native host says of a file, given the very component that handles requests elsewhere.
fn native(model: &str, file: &str) -> Value {
    let component = component_with(model, &["--http"]);
    let file = repository(file);
    let json = run([
        "predict".as_ref(),
        "--json".as_ref(),
        component.as_os_str(),
        file.as_os_str(),
    ])
    .json();
    json[0].clone()
}

/// Compares JSON, numbers within the tolerance.
#[track_caller]
fn agree(found: &Value, expected: &Value, what: &str) {
    match (found, expected) {
        (Value::Number(found), Value::Number(expected)) => {
            let difference = found.as_f64().unwrap() - expected.as_f64().unwrap();
            assert!(
                difference.abs() <= TOLERANCE,
                "{what}: {found}, not {expected}"
            );
        }
        (Value::Array(found), Value::Array(expected)) => {
            assert_eq!(found.len(), expected.len(), "{what}");
            for (found, expected) in found.iter().zip(expected) {
                agree(found, expected, what);
            }
        }
        (Value::Object(found), Value::Object(expected)) => {
            assert!(
                found.keys().eq(expected.keys()),
                "{what}: {found:?}, not {expected:?}"
            );
            for (key, value) in found {
                agree(value, &expected[key], &format!("{what}, {key}"));
            }
        }
        _ => assert_eq!(found, expected, "{what}"),
    }
}

#[track_caller]
fn check(model: &str, files: &[&str], part: &str) {
    let name = model.rsplit('/').next().unwrap();
    on_each(model, |host| {
        for file in files {
            let body = fs::read(repository(file)).unwrap();
            let answer = host.post(&format!("/v2/models/{name}/answer"), &[], &body);
            let json = answer.json(200);
            assert_eq!(json["model_name"], name);
            let expected = native(model, file);
            agree(
                &json[part],
                &expected[part],
                &format!("{file} on {:?}", host.kind),
            );
        }
    });
}

#[test]
fn pictures_are_named() {
    let files = ["models/samples/coffee.png", "models/samples/rocket.jpg"];
    check("models/efficientnet-lite0", &files, "labels");
}

#[test]
fn files_are_named() {
    let files = ["models/samples/guide.md", "models/samples/primes.py"];
    check("models/magika", &files, "labels");
}

#[test]
fn recordings_are_listened_to() {
    check(
        "models/silero-vad",
        &["models/samples/speech.wav"],
        "speech",
    );
}

#[test]
fn a_file_that_is_none_says_so() {
    on_each("models/efficientnet-lite0", |host| {
        let path = "/v2/models/efficientnet-lite0/answer";
        let error = host.post(path, &[], b"not a picture").json(400);
        let expected = "file: expected a PNG, JPEG, WebP, BMP or GIF picture, found ";
        let message = error["error"].as_str().unwrap();
        assert!(message.starts_with(expected), "{message}");
    });
}

#[test]
fn a_model_without_model_toml_takes_no_files() {
    on_each("tests/fixtures/add.onnx", |host| {
        let error = host.post("/v2/models/add/answer", &[], b"file").json(404);
        let message = error["error"].as_str().unwrap();
        assert!(
            message.starts_with("expected a model that was built with a model.toml"),
            "{message}"
        );
        let tensor = |name: &str| json!({"name": name, "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]});
        let call = json!({"inputs": [tensor("a"), tensor("b")]}).to_string();
        let sum = host
            .post("/v2/models/add/infer", &[], call.as_bytes())
            .json(200);
        assert_eq!(sum["outputs"][0]["data"], json!([2.0, 4.0, 6.0, 8.0]));
    });
}
