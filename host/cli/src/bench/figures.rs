//! What a bench finds.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use tensorlet_tensor::TensorSpec;

use crate::exit::Failure;
use crate::table::Table;
use crate::units::{ms, ms_text, size};

/// What a bench finds. As JSON, it is the output of `tensorlet bench --json`.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Figures {
    load_ms: f64,
    instantiate_ms: f64,
    first_ms: f64,
    min_ms: f64,
    median_ms: f64,
    p99_ms: f64,
    /// The memory of this process that is resident, compiled code and images included.
    rss_bytes: u64,
    /// Whether the host computed what it could.
    offloaded: bool,
    #[serde(skip)]
    calls: usize,
    #[serde(skip)]
    is_fresh: bool,
}

impl Figures {
    /// Sums up calls, of which there is at least one.
    ///
    /// # Errors
    /// If the host does not say how much memory is resident.
    pub(super) fn new(
        [load_ms, instantiate_ms, first_ms]: [f64; 3],
        mut calls: Vec<Duration>,
        (offloaded, is_fresh): (bool, bool),
    ) -> Result<Self> {
        calls.sort();
        let [min_ms, median_ms, p99_ms] =
            [0, 50, 99].map(|percent| ms(percentile(&calls, percent)));
        let [load_ms, instantiate_ms, first_ms, min_ms, median_ms, p99_ms] =
            [load_ms, instantiate_ms, first_ms, min_ms, median_ms, p99_ms].map(to_nanoseconds);
        let rss_bytes = rss_bytes()?;
        Ok(Self {
            load_ms,
            instantiate_ms,
            first_ms,
            min_ms,
            median_ms,
            p99_ms,
            rss_bytes,
            offloaded,
            calls: calls.len(),
            is_fresh,
        })
    }

    /// Returns a table for people.
    pub(super) fn table(&self, inputs: &[TensorSpec], from_cache: bool) -> Table {
        let mut table = Table::new(&["measured", "", "note"]);
        let load_note = if from_cache {
            "from the cache of compiled components"
        } else {
            "compiled anew, without a cache"
        };
        let inputs: Vec<String> = inputs.iter().map(TensorSpec::to_string).collect();
        for (what, value, note) in [
            ("load", ms_text(self.load_ms), load_note.to_owned()),
            (
                "instantiate",
                ms_text(self.instantiate_ms),
                "median of 11".into(),
            ),
            ("first predict", ms_text(self.first_ms), inputs.join("; ")),
            (
                "min predict",
                ms_text(self.min_ms),
                match self.is_fresh {
                    true => format!("of {} calls, an instance each", self.calls),
                    false => format!("of {} calls, one instance", self.calls),
                },
            ),
            (
                "median predict",
                ms_text(self.median_ms),
                match self.offloaded {
                    true => "computed by the host".into(),
                    false => "computed in the component".into(),
                },
            ),
            ("p99 predict", ms_text(self.p99_ms), String::new()),
            (
                "resident memory",
                size(self.rss_bytes),
                "of the whole process".into(),
            ),
        ] {
            table.row([what.into(), value, note]);
        }
        table
    }
}

/// Returns the least of the sorted values that `percent` of them do not exceed; 0 gives the least of all.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted[rank.saturating_sub(1)]
}

/// Rounds milliseconds to the nanosecond, so that JSON shows no digits that were not measured.
fn to_nanoseconds(ms: f64) -> f64 {
    (ms * 1e6).round() / 1e6
}

fn rss_bytes() -> Result<u64> {
    let status =
        fs::read_to_string("/proc/self/status").context("cannot read /proc/self/status")?;
    parse_rss(&status).ok_or_else(|| {
        Failure::host("expected VmRSS in kB in /proc/self/status, found none").into()
    })
}

fn parse_rss(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measured_values() {
        let times = |count: u64| (1..=count).map(Duration::from_millis).collect::<Vec<_>>();
        let all = |count| [0, 50, 99].map(|percent| percentile(&times(count), percent).as_millis());
        assert_eq!(all(1), [1, 1, 1]);
        assert_eq!(all(10), [1, 5, 10]);
        assert_eq!(all(100), [1, 50, 99]);
        assert_eq!(all(1000), [1, 500, 990]);
    }

    #[test]
    fn resident_memory_is_read() {
        assert_eq!(
            parse_rss("Name:\tx\nVmRSS:\t   12 kB\nVmSwap:\t 1 kB\n"),
            Some(12 << 10)
        );
        assert_eq!(parse_rss("Name:\tx\n"), None);
        assert!(rss_bytes().unwrap() > 1 << 20, "of this test");
    }

    #[test]
    fn json_has_the_fields_that_were_promised() {
        let figures = [1.5, 0.25, 3.0];
        let calls = vec![Duration::from_millis(2)];
        let figures = Figures::new(figures, calls, (true, false)).unwrap();
        let figures = Figures {
            rss_bytes: 4096,
            ..figures
        };
        let expected = r#"{"load_ms":1.5,"instantiate_ms":0.25,"first_ms":3.0,"min_ms":2.0,"median_ms":2.0,"p99_ms":2.0,"rss_bytes":4096,"offloaded":true}"#;
        assert_eq!(serde_json::to_string(&figures).unwrap(), expected);
    }
}
