//! The real program against servers that are slow, refuse, break off or give wrong answers.
//!
//! Counts are exact; of times, only what no machine can be too slow for is asserted.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod server;

use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

use crate::server::{Behaviour, Server};

const OPEN: [&str; 6] = ["--rate", "200", "--seconds", "1", "--warm-up", "0"];

fn program(server: &Server, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tensorlet-load"))
        .args(["http", &server.url(), "sum"])
        .args(args)
        .output()
        .unwrap()
}

/// Runs the program; returns what it tells programs, and what it tells people.
fn run(server: &Server, args: &[&[&str]]) -> (Value, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.json");
    let output = program(
        server,
        &[&args.concat()[..], &["--json", path.to_str().unwrap()]].concat(),
    );
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{error}");
    let json = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    (json, String::from_utf8(output.stdout).unwrap())
}

fn count(json: &Value, of: &str) -> u64 {
    json[of].as_u64().or(json[of]["count"].as_u64()).unwrap()
}

#[test]
fn every_call_to_a_slow_server_is_made_and_answered() {
    let server = Server::start(Behaviour::Slow(Duration::from_millis(300)));
    let (json, text) = run(&server, &[&OPEN]);
    let sent = count(&json, "sent");
    assert!((140..260).contains(&sent), "{sent} of about 200");
    assert_eq!(sent, server.calls());
    assert_eq!(count(&json, "arrived"), sent);
    assert_eq!(count(&json, "answered"), sent);
    assert_eq!(count(&json, "answers"), sent);
    assert_eq!(count(&json, "lateness"), sent);
    let goodput = count(&json, "goodput");
    assert!(goodput < sent, "the last answers come when all is over");
    assert!(json["answers"]["p50_ms"].as_f64().unwrap() >= 300.0);
    assert!(text.contains("goodput"), "{text}");
    let opened = json["counts"]["connections opened"].as_u64().unwrap();
    assert!((2..=sent).contains(&opened), "{opened} connections");
}

#[test]
fn refusals_are_apart_from_answers() {
    let server = Server::start(Behaviour::Refuse);
    let (json, text) = run(&server, &[&OPEN, &["--binary", "--rows", "3"]]);
    let sent = count(&json, "sent");
    assert_eq!(sent, server.calls());
    assert_eq!(json["refused"]["HTTP 503"], sent / 2);
    assert_eq!(count(&json, "refusals"), sent / 2);
    assert_eq!(count(&json, "answered"), sent.div_ceil(2));
    assert_eq!(count(&json, "failures"), 0);
    assert!(text.contains("HTTP 503"), "{text}");
}

#[test]
fn connections_that_break_off_are_failures_and_replaced() {
    let server = Server::start(Behaviour::Close);
    let (json, _) = run(&server, &[&OPEN, &["--verify"]]);
    let sent = count(&json, "sent");
    assert_eq!(sent, server.calls());
    assert_eq!(json["failed"]["connection closed"], sent.div_ceil(2));
    assert_eq!(count(&json, "answered"), sent / 2);
}

#[test]
fn connections_that_close_after_the_answer_are_no_failures() {
    let server = Server::start(Behaviour::CloseAfterwards);
    let (json, _) = run(&server, &[&OPEN]);
    let sent = count(&json, "sent");
    assert_eq!(count(&json, "answered"), sent);
    assert_eq!(json["counts"]["connections opened"], sent);
}

#[test]
fn calls_without_an_answer_in_time_are_failures() {
    let server = Server::start(Behaviour::Slow(Duration::from_secs(2)));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.csv");
    let options = ["--timeout", "0.2", "--samples", path.to_str().unwrap()];
    let (json, text) = run(&server, &[&OPEN, &options]);
    let sent = count(&json, "sent");
    assert_eq!(json["failed"]["timeout"], sent);
    assert!(text.contains("WARNING: no call was answered"), "{text}");
    let csv = std::fs::read_to_string(path).unwrap();
    let timeouts = csv.matches("failed: timeout").count();
    assert_eq!(timeouts as u64, sent, "each call is a line");
}

#[test]
fn calls_beyond_the_limit_are_told_loudly() {
    let server = Server::start(Behaviour::Slow(Duration::from_secs(2)));
    let (json, text) = run(&server, &[&OPEN, &["--max-in-flight", "5"]]);
    assert_eq!(count(&json, "sent"), 5);
    let dropped = count(&json, "arrived") - 5;
    assert_eq!(json["dropped_by_the_generator"], dropped);
    assert!(text.contains("WARNING"), "{text}");
}

#[test]
fn answers_are_checked() {
    let server = Server::start(Behaviour::Drift);
    let (json, _) = run(&server, &[&OPEN, &["--verify=0.001"]]);
    let differs = "answer: differs from the first to the same call";
    assert_eq!(count(&json, "answered"), 16, "one for each body");
    assert_eq!(json["failed"][differs], count(&json, "sent") - 16);
    let (json, _) = run(&server, &[&OPEN]);
    assert_eq!(count(&json, "answered"), count(&json, "sent"));

    let server = Server::start(Behaviour::Empty);
    let (json, _) = run(&server, &[&OPEN]);
    let failed = &json["failed"]["answer: expected outputs"];
    assert_eq!(*failed, count(&json, "sent"));
}

#[test]
fn a_closed_loop_has_as_many_calls_under_way_as_callers() {
    let server = Server::start(Behaviour::Slow(Duration::from_millis(100)));
    let (json, _) = run(
        &server,
        &[&[
            "--closed",
            "4",
            "--threads",
            "2",
            "--seconds",
            "1",
            "--warm-up",
            "0.2",
        ]],
    );
    let sent = count(&json, "sent");
    assert!((4..=44).contains(&sent), "{sent} calls of 100 ms");
    assert_eq!(json["counts"]["connections opened"], 4);
    assert_eq!(count(&json, "answered"), sent);
}

#[test]
fn a_call_that_is_wrong_is_no_load() {
    let server = Server::start(Behaviour::Blame);
    let output = program(&server, &OPEN);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(
        error.contains("HTTP 400") && error.contains("no such input"),
        "{error}"
    );
    assert_eq!(server.calls(), 0);
}
