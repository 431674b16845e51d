//! What was measured, for people.

use std::fmt;

use serde::Serialize;

use super::super::machine::Machine;
use super::super::statistics::median;
use super::{Figures, Measured, OnHost, Start};
use crate::table::{Table, ms};

/// All that was measured.
#[derive(Serialize)]
pub(in crate::bench) struct Report {
    pub(super) date: String,
    pub(super) machine: Machine,
    pub(super) rounds: u32,
    pub(super) cases: Vec<Measured>,
}

fn of(figures: &[Figures], choose: fn(&Figures) -> f64) -> f64 {
    median(figures.iter().map(choose).collect())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { cpu, cores, .. } = &self.machine;
        writeln!(
            f,
            "{cpu}, {cores} cores; medians of {} rounds\n",
            self.rounds
        )?;
        let mut table = Table::new(&[
            "model, input, host",
            "one caller: p50",
            "p99",
            "÷ predict",
            &format!("{cores} callers: a second"),
            "p50",
            "p99",
        ]);
        for case in &self.cases {
            let predict_ms = median(case.predict_ms.clone());
            let none = || "–".to_owned();
            let mut predict = vec![format!("{}, predict", case.label), ms(predict_ms)];
            predict.resize_with(7, none);
            table.row(predict);
            for on_host in &case.hosts {
                let OnHost {
                    kind,
                    one_caller,
                    all_cores,
                } = on_host;
                let p50_ms = of(one_caller, |figures| figures.p50_ms);
                table.row(vec![
                    format!("  {}", kind.label()),
                    ms(p50_ms),
                    ms(of(one_caller, |figures| figures.p99_ms)),
                    format!("{:.2}", p50_ms / predict_ms),
                    format!("{:.1}", of(all_cores, |figures| figures.per_second)),
                    ms(of(all_cores, |figures| figures.p50_ms)),
                    ms(of(all_cores, |figures| figures.p99_ms)),
                ]);
            }
        }
        writeln!(f, "{table}")?;
        writeln!(
            f,
            "predict: the component called directly, computing by itself, on one instance.\n"
        )?;
        let mut table = Table::new(&[
            "from a compiled component",
            "listens",
            "first request",
            "second",
        ]);
        for case in &self.cases {
            let of =
                |choose: fn(&Start) -> f64| ms(median(case.starts.iter().map(choose).collect()));
            table.row(vec![
                case.label.clone(),
                of(|start| start.listens_ms),
                of(|start| start.first_ms),
                of(|start| start.second_ms),
            ]);
        }
        write!(f, "{table}")
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::host::Kind;
    use super::*;

    #[test]
    fn tells_what_hosts_add() {
        let figures = |ms: f64| Figures {
            per_second: 1000.0 / ms,
            p50_ms: ms,
            p99_ms: ms * 2.0,
        };
        let on_host = |kind, ms: f64| OnHost {
            kind,
            one_caller: vec![figures(ms), figures(ms), figures(ms * 9.0)],
            all_cores: vec![figures(ms * 2.0)],
        };
        let report = Report {
            date: String::new(),
            machine: Machine::of("A CPU", 2),
            rounds: 3,
            cases: vec![Measured {
                label: "magika, 1×2048 i32".into(),
                predict_ms: vec![11.0, 10.0, 12.0],
                hosts: vec![
                    on_host(Kind::Stock, 12.1),
                    on_host(Kind::StockReusing, 11.5),
                ],
                starts: vec![Start {
                    listens_ms: 5.0,
                    first_ms: 30.0,
                    second_ms: 12.0,
                }],
            }],
        };
        expect![[r#"
            A CPU, 2 cores; medians of 3 rounds

            model, input, host               one caller: p50       p99  ÷ predict  2 callers: a second       p50       p99
            ───────────────────────────────  ───────────────  ────────  ─────────  ───────────────────  ────────  ────────
            magika, 1×2048 i32, predict             11.00 ms         –          –                    –         –         –
              as Spin does                          12.10 ms  24.20 ms       1.10                 41.3  24.20 ms  48.40 ms
              as Spin, instances used again         11.50 ms  23.00 ms       1.05                 43.5  23.00 ms  46.00 ms

            predict: the component called directly, computing by itself, on one instance.

            from a compiled component   listens  first request    second
            ─────────────────────────  ────────  ─────────────  ────────
            magika, 1×2048 i32         5.000 ms       30.00 ms  12.00 ms
        "#]].assert_eq(&report.to_string());
    }
}
