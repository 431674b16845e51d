//! Medians, ratios, and the raw figures they come from.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::contender::Contender;
use super::crossing::{self, Crossing};
use super::machine::Machine;
use super::statistics::{median, ratio};
use crate::models::{Case, Figures};
use crate::table::{Table, mb, ms};

/// All that was measured in one run.
#[derive(Serialize)]
pub(crate) struct Report {
    /// When, in UTC.
    pub(crate) date: String,
    pub(crate) machine: Machine,
    pub(crate) rounds: u32,
    pub(crate) cases: Vec<Measured>,
}

/// A case, and the figures of each contender in the order of the rounds.
#[derive(Serialize)]
pub(crate) struct Measured {
    model: &'static str,
    input: &'static str,
    iterations: u32,
    runs: BTreeMap<Contender, Vec<Figures>>,
    crossings: Vec<Crossing>,
}

impl Measured {
    pub(crate) fn new(case: &Case) -> Self {
        Self {
            model: case.model,
            input: case.input,
            iterations: case.iterations,
            runs: BTreeMap::new(),
            crossings: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, contender: Contender, figures: Figures) {
        self.runs.entry(contender).or_default().push(figures);
    }

    pub(crate) fn push_crossing(&mut self, crossing: Crossing) {
        self.crossings.push(crossing);
    }

    fn median(&self, contender: Contender, figure: impl Fn(&Figures) -> f64) -> f64 {
        let runs = self.runs.get(&contender).map_or(&[][..], Vec::as_slice);
        median(runs.iter().map(figure).collect())
    }

    /// Returns the median, over the rounds, of the median of calls.
    fn time(&self, contender: Contender) -> f64 {
        self.median(contender, |run| run.median_ms)
    }

    fn label(&self) -> String {
        format!("{}, {}", self.model, self.input)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { cpu, cores, .. } = &self.machine;
        writeln!(f, "{cpu}, {cores} cores, medians of {} rounds", self.rounds)?;
        writeln!(
            f,
            "\nSteady predict, one thread; a ratio is of the column to its left\n"
        )?;
        write!(f, "{}", self.on_one())?;
        let is_on_two = |case: &Measured| case.runs.contains_key(&Contender::OffloadedOnTwo);
        if self.cases.iter().any(is_on_two) {
            writeln!(
                f,
                "\nSteady predict, two threads; × is how many times as fast as one thread\n"
            )?;
            write!(f, "{}", self.on_two())?;
        }
        writeln!(
            f,
            "\nOne call, one thread: crossing is offloaded − executor, fresh instance is fresh − offloaded. All take turns in"
        )?;
        writeln!(
            f,
            "one process. Medians of the differences of turns, and differences of the least times; copied once: after another call\n"
        )?;
        let crossings = self
            .cases
            .iter()
            .map(|case| (case.label(), case.crossings.as_slice()));
        write!(f, "{}", crossing::table(crossings))?;
        writeln!(
            f,
            "\nStart, tail and memory; a component is loaded from the cache of compiled code\n"
        )?;
        write!(f, "{}", self.start())
    }
}

impl Report {
    fn on_one(&self) -> Table {
        use Contender::{Executor, Fresh, Guest, Native, Offloaded, Tract, Web};
        let mut header = vec!["model, input"];
        header.extend([Web, Guest].map(Contender::label));
        header.push("÷ Web");
        header.extend([Tract, Native, Executor].map(Contender::label));
        header.extend(["÷ ORT", Offloaded.label(), "÷ ORT", Fresh.label()]);
        let mut table = Table::new(&header);
        for case in &self.cases {
            let time = |contender| ms(case.time(contender));
            let ratio = |ours, peer| ratio(case.time(ours), case.time(peer));
            table.row(vec![
                case.label(),
                time(Web),
                time(Guest),
                ratio(Guest, Web),
                time(Tract),
                time(Native),
                time(Executor),
                ratio(Executor, Native),
                time(Offloaded),
                ratio(Offloaded, Native),
                time(Fresh),
            ]);
        }
        table
    }

    fn on_two(&self) -> Table {
        use Contender::{Executor, ExecutorOnTwo, Native, NativeOnTwo, Offloaded, OffloadedOnTwo};
        let mut table = Table::new(&[
            "model, input",
            NativeOnTwo.label(),
            "×",
            ExecutorOnTwo.label(),
            "×",
            "÷ ORT",
            OffloadedOnTwo.label(),
            "×",
            "÷ ORT",
        ]);
        for case in &self.cases {
            let time = |contender| ms(case.time(contender));
            let ratio = |one, other| ratio(case.time(one), case.time(other));
            table.row(vec![
                case.label(),
                time(NativeOnTwo),
                ratio(Native, NativeOnTwo),
                time(ExecutorOnTwo),
                ratio(Executor, ExecutorOnTwo),
                ratio(ExecutorOnTwo, NativeOnTwo),
                time(OffloadedOnTwo),
                ratio(Offloaded, OffloadedOnTwo),
                ratio(OffloadedOnTwo, NativeOnTwo),
            ]);
        }
        table
    }

    fn start(&self) -> Table {
        let mut table = Table::new(&[
            "model, input",
            "",
            "load",
            "first predict",
            "p99",
            "resident memory",
        ]);
        for case in &self.cases {
            let measured = |contender: &Contender| case.runs.contains_key(contender);
            for contender in Contender::ON_ONE.into_iter().filter(measured) {
                let median = |figure: fn(&Figures) -> f64| case.median(contender, figure);
                table.row(vec![
                    if contender == Contender::ON_ONE[0] {
                        case.label()
                    } else {
                        String::new()
                    },
                    contender.label().to_owned(),
                    ms(median(|run| {
                        run.load_ms + run.instantiate_ms.unwrap_or(0.0)
                    })),
                    ms(median(|run| run.first_ms)),
                    ms(median(|run| run.p99_ms)),
                    mb(median(|run| run.rss_bytes as f64) as u64),
                ]);
            }
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::crossing::tests::crossing;
    use super::*;
    use crate::models::CASES;

    fn figures(median_ms: f64) -> Figures {
        Figures {
            load_ms: 1.0,
            instantiate_ms: None,
            first_ms: median_ms + 0.5,
            min_ms: median_ms,
            median_ms,
            p99_ms: median_ms * 2.0,
            rss_bytes: 50_000_000,
            offloaded: None,
        }
    }

    fn report(times: &[(Contender, f64)]) -> Report {
        let mut measured = Measured::new(&CASES[0]);
        for factor in [1.0, 100.0, 1.1] {
            for &(contender, time) in times {
                measured.push(contender, figures(time * factor));
            }
            measured.push_crossing(crossing(4000.0));
        }
        Report {
            date: String::new(),
            machine: Machine::of("A CPU", 2),
            rounds: 3,
            cases: vec![measured],
        }
    }

    #[test]
    fn tells_medians_and_ratios() {
        let on_one = [
            (Contender::Web, 60.0),
            (Contender::Guest, 30.0),
            (Contender::Native, 5.0),
            (Contender::Executor, 4.0),
            (Contender::Offloaded, 4.1),
            (Contender::Fresh, 4.2),
        ];
        let on_two = [
            (Contender::NativeOnTwo, 3.0),
            (Contender::ExecutorOnTwo, 2.1),
            (Contender::OffloadedOnTwo, 2.2),
        ];
        let report = report(&[&on_one[..], &on_two].concat());
        expect![[r#"
            A CPU, 2 cores, medians of 3 rounds

            Steady predict, one thread; a ratio is of the column to its left

            model, input                      ORT Web  in guest  ÷ Web  tract       ORT  executor  ÷ ORT  offloaded  ÷ ORT     fresh
            ───────────────────────────────  ────────  ────────  ─────  ─────  ────────  ────────  ─────  ─────────  ─────  ────────
            efficientnet-lite0, 1×3×224×224  66.00 ms  33.00 ms   0.50      –  5.500 ms  4.400 ms   0.80   4.510 ms   0.82  4.620 ms

            Steady predict, two threads; × is how many times as fast as one thread

            model, input                          ORT     ×  executor     ×  ÷ ORT  offloaded     ×  ÷ ORT
            ───────────────────────────────  ────────  ────  ────────  ────  ─────  ─────────  ────  ─────
            efficientnet-lite0, 1×3×224×224  3.300 ms  1.67  2.310 ms  1.90   0.70   2.420 ms  1.86   0.73

            One call, one thread: crossing is offloaded − executor, fresh instance is fresh − offloaded. All take turns in
            one process. Medians of the differences of turns, and differences of the least times; copied once: after another call

            model, input                     inputs, outputs  copied once  crossing  by least times  fresh instance  by least times
            ───────────────────────────────  ───────────────  ───────────  ────────  ──────────────  ──────────────  ──────────────
            efficientnet-lite0, 1×3×224×224           602 kB      11.0 µs   22.0 µs         20.0 µs         33.0 µs         30.0 µs

            Start, tail and memory; a component is loaded from the cache of compiled code

            model, input                                    load  first predict       p99  resident memory
            ───────────────────────────────  ─────────  ────────  ─────────────  ────────  ───────────────
            efficientnet-lite0, 1×3×224×224    ORT Web  1.000 ms       66.50 ms  132.0 ms          50.0 MB
                                              in guest  1.000 ms       33.50 ms  66.00 ms          50.0 MB
                                                   ORT  1.000 ms       6.000 ms  11.00 ms          50.0 MB
                                              executor  1.000 ms       4.900 ms  8.800 ms          50.0 MB
                                             offloaded  1.000 ms       5.010 ms  9.020 ms          50.0 MB
                                                 fresh  1.000 ms       5.120 ms  9.240 ms          50.0 MB
        "#]].assert_eq(&report.to_string());
    }

    #[test]
    fn tells_nothing_of_two_threads_on_one_core() {
        let report = report(&[(Contender::Offloaded, 4.1)]).to_string();
        assert!(!report.contains("two threads"), "{report}");
    }
}
