//! Requests that are wrong in every way: each is told what was expected, and none harms those that follow.

use serde_json::json;

use super::calls::Call;
use super::host::{Host, JSON_LEN, on_each};

const INFER: &str = "/v2/models/magika/infer";

fn call(datatype: &str, shape: &[u32], values: usize) -> String {
    let data = vec![1; values];
    json!({"inputs": [{"name": "bytes", "datatype": datatype, "shape": shape, "data": data}]})
        .to_string()
}

#[track_caller]
fn check(host: &Host, headers: &[(&str, &str)], body: &str, status: u16, expected: &str) {
    let error = host.post(INFER, headers, body.as_bytes()).json(status);
    let message = error["error"].as_str().unwrap();
    assert!(message.contains(expected), "{:?}: {message}", host.kind);
}

#[test]
fn wrong_calls_say_what_is_wrong() {
    on_each("models/magika", |host| {
        let good = call("INT32", &[1, 2048], 2048);
        let other_name = good.replace("\"bytes\"", "\"x\"");
        let other_output = good.replace("}]}", "}],\"outputs\":[{\"name\":\"w\"}]}");
        let signature = "input `bytes`: expected i32[N, 2048], found ";
        for (body, status, expected) in [
            ("", 400, "request: EOF"),
            ("{", 400, "request: EOF"),
            ("{}", 400, "missing field `inputs`"),
            ("{\"inputs\": []}", 400, "found nothing"),
            (&call("FP32", &[1, 2048], 2048), 400, signature),
            (&call("INT32", &[1, 2047], 2047), 400, signature),
            (&call("INT32", &[1, 2048], 2047), 400, "2047"),
            (
                &call("INT32", &[4_000_000_000, 2048], 1),
                400,
                "input `bytes`: ",
            ),
            (&call("BYTES", &[1], 1), 501, "BYTES are not supported"),
            (&other_name, 400, "`x`"),
            (&other_output, 400, "output `w`: expected"),
        ] {
            check(host, &[], body, status, expected);
        }
        let nonsense = "expected a number of bytes, found `nonsense`";
        check(host, &[(JSON_LEN, "nonsense")], &good, 400, nonsense);
        let compressed = "expected a body that is not compressed";
        check(
            host,
            &[("content-encoding", "gzip")],
            &good,
            415,
            compressed,
        );
        Call::magika("batch-1").by_binary(host);
    });
}

#[test]
fn wrong_paths_and_methods_say_what_is_there() {
    on_each("models/magika", |host| {
        let error = host.get("/v2/models/other").json(404);
        assert_eq!(
            error,
            json!({"error": "Request for unknown model: 'other' is not found"})
        );
        host.get("/v2/models/magika/versions/2").json(404);
        host.get("/nothing").json(404);
        let answer = host.get(INFER);
        answer.json(405);
        assert_eq!(answer.allow.as_deref(), Some("POST"));
        let answer = host.post("/v2/models/magika", &[], b"{}");
        answer.json(405);
        assert_eq!(answer.allow.as_deref(), Some("GET,HEAD"));
    });
}

#[test]
fn bodies_beyond_the_limit_are_refused_before_they_are_sent() {
    on_each("models/magika", |host| {
        let head =
            format!("POST {INFER} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 67108865\r\n\r\n");
        let answer = host.raw(head.as_bytes());
        assert!(
            answer.starts_with("HTTP/1.1 413 "),
            "{:?}: {answer}",
            host.kind
        );
        Call::magika("batch-1").by_json(host);
    });
}

#[test]
fn bodies_that_end_early_harm_nobody() {
    on_each("models/magika", |host| {
        let head =
            format!("POST {INFER} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n{{");
        host.hang_up(head.as_bytes());
        Call::magika("batch-1").by_json(host);
    });
}
