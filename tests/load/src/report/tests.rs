//! A report of calls whose times are known.

use std::time::Instant;

use expect_test::expect;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use serde_json::json;

use super::*;
use crate::clock::now;
use crate::recorder::{Call, Window};
use crate::target::Outcome;

fn load() -> Config {
    Config {
        pattern: Pattern::Open {
            rate: 100.0,
            max_in_flight: 4096,
        },
        warm_up_seconds: 2.0,
        seconds: 10.0,
        timeout_seconds: 5.0,
        seed: 1,
        threads: 1,
        keeps_samples: true,
    }
}

fn call(arrived: Instant, latency_ms: u64, late_us: u64) -> Call {
    Call {
        arrived,
        sent: arrived + Duration::from_micros(late_us),
        ended: arrived + Duration::from_millis(latency_ms),
    }
}

/// 1000 calls in 10 seconds: some refused, one failed, and the last answers too late for goodput.
fn recorder(late_us: u64) -> Recorder {
    let start = now();
    let end = start + Duration::from_secs(10);
    let mut recorder = Recorder::new(Window { start, end }, true);
    for number in 0..1000u32 {
        let arrived = start + Duration::from_millis(10) * number;
        let (latency_ms, outcome) = match number % 100 {
            50 => (1, Outcome::Refused("HTTP 503".into())),
            51 if number == 51 => (5000, Outcome::TIMED_OUT),
            rest => (20 + u64::from(rest), Outcome::Answered),
        };
        recorder.record(call(arrived, latency_ms, late_us), outcome);
    }
    recorder.add_counts(vec![("connections opened", 12)]);
    recorder
}

fn report(recorder: &Recorder) -> Report {
    let title = "http://127.0.0.1:8000, model mlp, JSON".to_owned();
    Report::new(title, json!({ "model": "mlp" }), &load(), recorder).unwrap()
}

#[test]
fn tells_people() {
    expect![[r#"
        http://127.0.0.1:8000, model mlp, JSON
        open loop, Poisson arrivals at 100 calls/s, seed 1; 10 s after 2 s of warm-up, timeout 5 s, threads 1

                                      calls  calls/s
        ────────────────────────────  ─────  ───────
        arrived                        1000    100.0
        sent meanwhile                 1000    100.0
        answered meanwhile (goodput)    979     97.9
        dropped by the generator          0
        answered                        989
        refused                          10
          HTTP 503                       10
        failed                            1
          timeout                         1
        connections opened               12

        Time from arrival

                                p50       p90       p99     p99.9       max
        ─────────────────  ────────  ────────  ────────  ────────  ────────
        answers            69.01 ms  110.0 ms  119.0 ms  119.0 ms  119.0 ms
        refusals           1.000 ms  1.000 ms  1.000 ms  1.000 ms  1.000 ms
        failures            5000 ms   5000 ms   5000 ms   5000 ms   5000 ms
        generator late by  0.020 ms  0.020 ms  0.020 ms  0.020 ms  0.020 ms
    "#]].assert_eq(&report(&recorder(20)).to_string());
}

#[test]
fn warns_of_figures_that_are_doubtful() {
    let mut recorder = recorder(3000);
    let start = now();
    recorder.drop_call(start);
    recorder.drop_call(start);
    let warnings = report(&recorder).warnings.join("\n");
    expect![[r#"
        2 calls were dropped by the generator, as 4096 were under way, or as it was too late to send them. They are in no latency: raise --max-in-flight, or lower --rate
        the generator was late by 3.000 ms at p99, which is part of all latencies: give it a core, or more --threads"#]].assert_eq(&warnings);
    let window = Window { start, end: start };
    let nothing = report(&Recorder::new(window, false)).warnings;
    assert_eq!(nothing, ["no call was answered"]);
}

#[test]
fn tells_programs() {
    let mut json = serde_json::to_value(report(&recorder(20))).unwrap();
    let mut histograms = Vec::new();
    for times in ["answers", "refusals", "failures", "lateness"] {
        let base64 = json[times]["histogram"].take();
        let bytes = STANDARD.decode(base64.as_str().unwrap()).unwrap();
        let histogram: Histogram<u64> = Deserializer::new().deserialize(&mut &bytes[..]).unwrap();
        histograms.push(histogram.len());
    }
    assert_eq!(histograms, [989, 10, 1, 1000]);
    let json = serde_json::to_string_pretty(&json).unwrap();
    expect![[r#"
        {
          "answered": 989,
          "answers": {
            "count": 989,
            "histogram": null,
            "max_ms": 119.0,
            "mean_ms": 69.493428,
            "p50_ms": 69.009407,
            "p90_ms": 110.034943,
            "p99_9_ms": 119.0,
            "p99_ms": 119.0
          },
          "arrived": {
            "count": 1000,
            "per_second": 100.0
          },
          "counts": {
            "connections opened": 12
          },
          "dropped_by_the_generator": 0,
          "failed": {
            "timeout": 1
          },
          "failures": {
            "count": 1,
            "histogram": null,
            "max_ms": 5000.0,
            "mean_ms": 5000.0,
            "p50_ms": 5000.0,
            "p90_ms": 5000.0,
            "p99_9_ms": 5000.0,
            "p99_ms": 5000.0
          },
          "goodput": {
            "count": 979,
            "per_second": 97.9
          },
          "lateness": {
            "count": 1000,
            "histogram": null,
            "max_ms": 0.02,
            "mean_ms": 0.02,
            "p50_ms": 0.02,
            "p90_ms": 0.02,
            "p99_9_ms": 0.02,
            "p99_ms": 0.02
          },
          "load": {
            "pattern": {
              "open": {
                "max_in_flight": 4096,
                "rate": 100.0
              }
            },
            "seconds": 10.0,
            "seed": 1,
            "threads": 1,
            "timeout_seconds": 5.0,
            "warm_up_seconds": 2.0
          },
          "refusals": {
            "count": 10,
            "histogram": null,
            "max_ms": 1.0,
            "mean_ms": 1.0,
            "p50_ms": 1.0,
            "p90_ms": 1.0,
            "p99_9_ms": 1.0,
            "p99_ms": 1.0
          },
          "refused": {
            "HTTP 503": 10
          },
          "sent": 1000,
          "sent_in_window": {
            "count": 1000,
            "per_second": 100.0
          },
          "target": {
            "model": "mlp"
          },
          "warnings": []
        }"#]]
    .assert_eq(&json);
}

#[test]
fn writes_every_call() {
    let mut csv = Vec::new();
    let recorder = recorder(20);
    write_samples(&recorder.samples.unwrap(), &mut csv).unwrap();
    let csv = String::from_utf8(csv).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 1001);
    assert_eq!(
        [lines[0], lines[1], lines[51], lines[52]],
        [
            "arrived_us,latency_us,outcome",
            "0,20000,\"answered\"",
            "500000,1000,\"refused: HTTP 503\"",
            "510000,5000000,\"failed: timeout\"",
        ]
    );
}
