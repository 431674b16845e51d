//! Tests of whole requests.

use expect_test::expect;

use super::*;
use crate::testing::{FakeRequest, Toy};

/// Shows status, headers and body; a body in binary in two lines.
fn text(response: &Response) -> String {
    let headers = response.headers.iter();
    let headers = Vec::from_iter(headers.map(|(name, value)| format!("{name}: {value}")));
    let mut lens = response.headers.iter();
    let len = lens.find_map(|(name, len)| (*name == JSON_LEN_HEADER).then(|| len.parse().unwrap()));
    let (json, binary) = response.body.split_at(len.unwrap_or(response.body.len()));
    let json = str::from_utf8(json).unwrap();
    let binary = match len {
        Some(_) => format!("\n{binary:?}"),
        None => String::new(),
    };
    format!("{} {}\n{json}{binary}", response.status, headers.join(", "))
}

fn ask(request: &mut FakeRequest) -> String {
    text(&handle(request, &Toy::default()))
}

fn call(data: &str) -> String {
    format!(r#"{{"inputs":[{{"name":"x","datatype":"FP32","shape":[1,2],"data":{data}}}]}}"#)
}

#[test]
fn says_what_it_is() {
    let mut answers = vec![];
    for path in [
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/toy",
        "/toys/v2/models/toy/versions/3",
        "/v2/models/toy/ready",
    ] {
        let get = ask(&mut FakeRequest::new(Method::Get, path));
        let head = ask(&mut FakeRequest::new(Method::Head, path));
        assert_eq!(get, head, "who sends the answer leaves the body out");
        answers.push(get.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
    }
    expect![[r#"
        200 content-type: application/json
        {"name":"tensorlet","version":"VERSION","extensions":["binary_tensor_data","parameters"]}
        200 content-type: application/json
        {"live":true}
        200 content-type: application/json
        {"ready":true}
        200 content-type: application/json
        {"name":"toy","versions":["3"],"platform":"wasm_component","inputs":[{"name":"x","datatype":"FP32","shape":[-1,2]}],"outputs":[{"name":"y","datatype":"FP32","shape":[-1,2]}]}
        200 content-type: application/json
        {"name":"toy","versions":["3"],"platform":"wasm_component","inputs":[{"name":"x","datatype":"FP32","shape":[-1,2]}],"outputs":[{"name":"y","datatype":"FP32","shape":[-1,2]}]}
        200 content-type: application/json
        {"name":"toy","ready":true}"#]]
    .assert_eq(&answers.join("\n"));
}

#[test]
fn answers_json_with_json() {
    let body = call("[[1.5, -2]]").replacen(
        '{',
        r#"{"id":"a","parameters":{"priority":2,"timeout":1},"#,
        1,
    );
    expect![[r#"
        200 content-type: application/json
        {"model_name":"toy","model_version":"3","id":"a","outputs":[{"name":"y","datatype":"FP32","shape":[1,2],"data":[3.0,-4.0]},{"name":"z","datatype":"FP32","shape":[1,2],"data":[1.5,-2.0]}]}"#]].assert_eq(&ask(&mut FakeRequest::post("/v2/models/toy/infer", body)));
}

#[test]
fn answers_binary_with_binary() {
    let json = r#"{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}}],"outputs":[{"name":"y","parameters":{"binary_data":true}}]}"#;
    let floats = [1.0f32.to_le_bytes(), 2.0f32.to_le_bytes()].concat();
    let body = [json.as_bytes(), &floats].concat();
    let mut request = FakeRequest::post("/v2/models/toy/versions/3/infer", body)
        .with(JSON_LEN_HEADER, &json.len().to_string());
    expect![[r#"
        200 content-type: application/octet-stream, inference-header-content-length: 133
        {"model_name":"toy","model_version":"3","outputs":[{"name":"y","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}}]}
        [0, 0, 0, 64, 0, 0, 128, 64]"#]].assert_eq(&ask(&mut request));
}

#[test]
fn answers_files() {
    let answers = ["l", "s"].map(|file| ask(&mut FakeRequest::post("/v2/models/toy/answer", file)));
    expect![[r#"
        200 content-type: application/json
        {"model_name":"toy","model_version":"3","labels":[{"label":"unknown","score":0.25,"instead_of":"rust"},{"label":"toml","score":0.125}]}
        200 content-type: application/json
        {"model_name":"toy","model_version":"3","speech":{"segments":[{"start_s":0.5,"end_s":1.25,"peak":0.75}],"scores":[0.25,0.75]}}"#]].assert_eq(&answers.join("\n"));
}

#[test]
fn says_what_is_not_there() {
    let mut lines = vec![];
    for (method, path) in [
        (Method::Get, "/"),
        (Method::Get, "/v2/models"),
        (Method::Get, "/v2/models/other"),
        (Method::Get, "/v2/models/other/ready"),
        (Method::Post, "/v2/models/other/infer"),
        (Method::Post, "/v2/models/toy/versions/2/answer"),
        (Method::Post, "/v2"),
        (Method::Other, "/v2/models/toy"),
        (Method::Get, "/v2/models/toy/infer"),
        (Method::Head, "/v2/models/toy/answer"),
        (Method::Other, "/v2/models/toy/infer"),
    ] {
        let model = Toy::default();
        let mut request = FakeRequest::post(path, call("[1,2]"));
        request.method = method;
        let answer = text(&handle(&mut request, &model)).replace('\n', " ");
        assert_eq!((request.reads, model.calls.get()), (0, 0), "{path}");
        lines.push(format!("{method:?} {path}: {answer}"));
    }
    expect![[r#"
        Get /: 404 content-type: application/json {"error":"Not Found"}
        Get /v2/models: 404 content-type: application/json {"error":"Not Found"}
        Get /v2/models/other: 404 content-type: application/json {"error":"Request for unknown model: 'other' is not found"}
        Get /v2/models/other/ready: 404 content-type: application/json {"error":"Request for unknown model: 'other' is not found"}
        Post /v2/models/other/infer: 404 content-type: application/json {"error":"Request for unknown model: 'other' is not found"}
        Post /v2/models/toy/versions/2/answer: 404 content-type: application/json {"error":"Request for unknown model: 'toy' version 2 is not found"}
        Post /v2: 405 content-type: application/json, allow: GET,HEAD {"error":"Method Not Allowed"}
        Other /v2/models/toy: 405 content-type: application/json, allow: GET,HEAD {"error":"Method Not Allowed"}
        Get /v2/models/toy/infer: 405 content-type: application/json, allow: POST {"error":"Method Not Allowed"}
        Head /v2/models/toy/answer: 405 content-type: application/json, allow: POST {"error":"Method Not Allowed"}
        Other /v2/models/toy/infer: 405 content-type: application/json, allow: POST {"error":"Method Not Allowed"}"#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn says_what_is_wrong_with_a_call() {
    let json_len = |len: &'static str| vec![(JSON_LEN_HEADER, len)];
    let wrong_type = call("[1,2]").replace("FP32", "INT8");
    let other_output = call("[1,2]").replace("}]}", r#"}],"outputs":[{"name":"w"}]}"#);
    let bytes = r#"{"inputs":[{"name":"x","datatype":"BYTES","shape":[1],"data":["a"]}]}"#;
    let good = call("[1,2]");
    let mut lines = vec![];
    for (headers, body) in [
        (vec![], ""),
        (vec![], "{}"),
        (vec![], wrong_type.as_str()),
        (vec![], other_output.as_str()),
        (vec![], bytes),
        (vec![], &call("[13,2]")),
        (json_len("x"), ""),
        (json_len("-1"), ""),
        (json_len("3"), "{}"),
        (json_len("0"), "1234"),
        (vec![("content-encoding", "gzip")], "1234"),
        (vec![("content-length", "67108865")], "1234"),
        (vec![("content-length", "1000")], &good),
    ] {
        let mut request = FakeRequest::post("/v2/models/toy/infer", body);
        for (name, value) in headers {
            request = request.with(name, value);
        }
        let response = handle(&mut request, &Toy::default());
        lines.push(format!(
            "{} {}",
            response.status,
            str::from_utf8(&response.body).unwrap()
        ));
    }
    expect![[r#"
        400 {"error":"request: EOF while parsing a value at line 1 column 0"}
        400 {"error":"request: missing field `inputs` at line 1 column 2"}
        400 {"error":"input `x`: expected f32[N, 2], found i8[1, 2]"}
        400 {"error":"output `w`: expected one of `y`, `z`, found an output that the model does not have"}
        501 {"error":"input `x`: BYTES are not supported, as models have no strings"}
        500 {"error":"the model cannot be computed for these inputs: 13 is unlucky"}
        400 {"error":"header Inference-Header-Content-Length: expected a number of bytes, found `x`"}
        400 {"error":"header Inference-Header-Content-Length: expected a number of bytes, found `-1`"}
        400 {"error":"request: expected 3 bytes of JSON, as its header says, found a body of 2"}
        501 {"error":"requests without JSON, whose header length is 0, are not supported"}
        415 {"error":"expected a body that is not compressed, found \"gzip\""}
        413 {"error":"expected a body of at most 67108864 bytes, found more"}
        400 {"error":"the body ends before its end"}"#]].assert_eq(&lines.join("\n"));
}

#[test]
fn says_why_a_file_has_no_answer() {
    let answers =
        ["", "u", "f"].map(|file| ask(&mut FakeRequest::post("/v2/models/toy/answer", file)));
    expect![[r#"
        400 content-type: application/json
        {"error":"file: expected a picture, found another format"}
        404 content-type: application/json
        {"error":"expected a model that was built with a model.toml which says how files become inputs and outputs become answers, found one without: it takes tensors, at `infer`"}
        500 content-type: application/json
        {"error":"the model cannot be computed for these inputs: 13 is unlucky"}"#]].assert_eq(&answers.join("\n"));
}
