//! What was measured, for people and for programs.

mod table;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::{Serializer as _, V2DeflateSerializer};
use serde::Serialize;
use serde_json::Value;

use self::table::{align, ms};
use crate::load::{Config, Pattern};
use crate::recorder::{Recorder, Sample, Times};

/// A generator that is later than this for one call in a hundred has not made the load that it was asked for.
const LATE: Duration = Duration::from_millis(1);

/// One run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// What was called, for people.
    #[serde(skip)]
    title: String,
    /// What was called, as it was typed.
    target: Value,
    load: Config,
    /// What makes the figures doubtful.
    warnings: Vec<String>,
    /// Calls that arrived, sent or not.
    arrived: Rate,
    /// Calls that arrived and were sent.
    sent: u64,
    /// Calls that were sent while it was measured.
    sent_in_window: Rate,
    /// Calls that were not sent: too many were under way, or it was too late.
    dropped_by_the_generator: u64,
    /// Answers that came while it was measured.
    goodput: Rate,
    /// What became of the calls that were sent.
    answered: u64,
    refused: BTreeMap<Cow<'static, str>, u64>,
    failed: BTreeMap<Cow<'static, str>, u64>,
    counts: BTreeMap<&'static str, u64>,
    /// From arrival to answer.
    answers: Latency,
    /// From arrival to refusal.
    refusals: Latency,
    /// From arrival to failure.
    failures: Latency,
    /// From arrival to when a call was sent.
    lateness: Latency,
    /// What the host has counted, if it is in this process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server: Option<Value>,
    /// What became of calls to other models.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) beside: Vec<Report>,
}

/// A count, and what it is a second.
#[derive(Clone, Copy, Debug, Serialize)]
struct Rate {
    count: u64,
    per_second: f64,
}

/// Times of calls. All are `None` if there were no calls.
#[derive(Debug, Serialize)]
struct Latency {
    count: u64,
    mean_ms: Option<f64>,
    p50_ms: Option<f64>,
    p90_ms: Option<f64>,
    p99_ms: Option<f64>,
    p99_9_ms: Option<f64>,
    max_ms: Option<f64>,
    /// All of them, in nanoseconds: HdrHistogram V2, compressed, as base64.
    histogram: String,
}

impl Report {
    /// Sums up what was recorded. `title` names the target for people, `target` for programs.
    pub(crate) fn new(
        title: String,
        target: Value,
        load: &Config,
        recorder: &Recorder,
    ) -> Result<Self> {
        let rate = |count| Rate {
            count,
            per_second: count as f64 / load.seconds,
        };
        Ok(Self {
            title,
            target,
            load: load.clone(),
            warnings: warnings(load, recorder),
            arrived: rate(recorder.sent() + recorder.dropped),
            sent: recorder.sent(),
            sent_in_window: rate(recorder.sent_in_window),
            dropped_by_the_generator: recorder.dropped,
            goodput: rate(recorder.answered_in_window),
            answered: recorder.answers.len(),
            refused: recorder.refused.clone(),
            failed: recorder.failed.clone(),
            counts: recorder.counts.clone(),
            answers: Latency::new(&recorder.answers)?,
            refusals: Latency::new(&recorder.refusals)?,
            failures: Latency::new(&recorder.failures)?,
            lateness: Latency::new(&recorder.lateness)?,
            server: None,
            beside: Vec::new(),
        })
    }

    fn pattern(&self) -> String {
        let Config {
            pattern,
            warm_up_seconds,
            seconds,
            timeout_seconds,
            seed,
            threads,
            ..
        } = &self.load;
        let pattern = match pattern {
            Pattern::Open { rate, .. } => format!("open loop, Poisson arrivals at {rate} calls/s"),
            Pattern::Closed { callers } => format!("closed loop, {callers} callers"),
        };
        format!(
            "{pattern}, seed {seed}; {seconds} s after {warm_up_seconds} s of warm-up, timeout {timeout_seconds} s, threads {threads}"
        )
    }

    fn write_counts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |name: &str, count: u64, per_second: Option<f64>| {
            let per_second = per_second.map_or_else(String::new, |rate| format!("{rate:.1}"));
            vec![name.to_owned(), count.to_string(), per_second]
        };
        let mut rows = vec![
            vec!["".into(), "calls".into(), "calls/s".into()],
            row("arrived", self.arrived.count, Some(self.arrived.per_second)),
            row(
                "sent meanwhile",
                self.sent_in_window.count,
                Some(self.sent_in_window.per_second),
            ),
            row(
                "answered meanwhile (goodput)",
                self.goodput.count,
                Some(self.goodput.per_second),
            ),
            row(
                "dropped by the generator",
                self.dropped_by_the_generator,
                None,
            ),
            row("answered", self.answered, None),
        ];
        for (outcome, kinds) in [("refused", &self.refused), ("failed", &self.failed)] {
            rows.push(row(outcome, kinds.values().sum(), None));
            for (kind, &count) in kinds {
                rows.push(row(&format!("  {kind}"), count, None));
            }
        }
        for (name, &count) in &self.counts {
            rows.push(row(name, count, None));
        }
        f.write_str(&align(&rows))
    }

    fn write_latencies(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = ["", "p50", "p90", "p99", "p99.9", "max"];
        let mut rows = vec![header.map(str::to_owned).to_vec()];
        for (name, latency) in [
            ("answers", &self.answers),
            ("refusals", &self.refusals),
            ("failures", &self.failures),
            ("generator late by", &self.lateness),
        ] {
            let times = [
                latency.p50_ms,
                latency.p90_ms,
                latency.p99_ms,
                latency.p99_9_ms,
                latency.max_ms,
            ];
            let cells = times.map(ms);
            rows.push([&[name.to_owned()], &cells[..]].concat());
        }
        f.write_str(&align(&rows))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n", self.title, self.pattern())?;
        for warning in &self.warnings {
            writeln!(f, "WARNING: {warning}\n")?;
        }
        self.write_counts(f)?;
        writeln!(f, "\nTime from arrival\n")?;
        self.write_latencies(f)?;
        if let Some(server) = &self.server {
            writeln!(f, "\nThe host: {server}")?;
        }
        self.beside
            .iter()
            .try_for_each(|beside| write!(f, "\nBeside it: {beside}"))
    }
}

impl Latency {
    fn new(times: &Times) -> Result<Self> {
        let ms = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1e3);
        let quantile = |quantile| ms(times.quantile(quantile));
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(times.histogram(), &mut bytes)?;
        Ok(Self {
            count: times.len(),
            mean_ms: ms(times.mean()),
            p50_ms: quantile(0.5),
            p90_ms: quantile(0.9),
            p99_ms: quantile(0.99),
            p99_9_ms: quantile(0.999),
            max_ms: ms(times.longest()),
            histogram: STANDARD.encode(bytes),
        })
    }
}

fn warnings(load: &Config, recorder: &Recorder) -> Vec<String> {
    let mut warnings = Vec::new();
    if let (1.., Pattern::Open { max_in_flight, .. }) = (recorder.dropped, load.pattern) {
        warnings.push(format!(
            "{} calls were dropped by the generator, as {max_in_flight} were under way, or as it was too late to send \
             them. They are in no latency: raise --max-in-flight, or lower --rate",
            recorder.dropped
        ));
    }
    if let Some(late) = recorder.lateness.quantile(0.99).filter(|&late| late > LATE) {
        warnings.push(format!(
            "the generator was late by {} at p99, which is part of all latencies: give it a core, or more --threads",
            ms(Some(late.as_secs_f64() * 1e3))
        ));
    }
    if recorder.answers.len() == 0 {
        warnings.push("no call was answered".into());
    }
    warnings
}

/// Writes every call as a line of CSV.
pub(crate) fn write_samples(samples: &[Sample], mut file: impl Write) -> io::Result<()> {
    writeln!(file, "arrived_us,latency_us,outcome")?;
    for sample in samples {
        let us = |time: Duration| time.as_nanos() as f64 / 1e3;
        // Kinds may hold what a server has said.
        let outcome = sample.outcome.text().replace('"', "\"\"");
        let (arrived, latency) = (us(sample.arrived), us(sample.latency));
        writeln!(file, "{arrived},{latency},\"{outcome}\"")?;
    }
    file.flush()
}

#[cfg(test)]
mod tests;
