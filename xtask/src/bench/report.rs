//! Medians, ratios, and the raw figures they come from.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Result;
use serde::Serialize;
use xshell::{Shell, cmd};

use super::contender::Contender;
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

/// Where it was measured.
#[derive(Serialize)]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    system: String,
    commit: String,
}

/// A case, and the figures of each contender in the order of the rounds.
#[derive(Serialize)]
pub(crate) struct Measured {
    model: &'static str,
    input: &'static str,
    iterations: u32,
    runs: BTreeMap<Contender, Vec<Figures>>,
}

impl Machine {
    pub(crate) fn find(sh: &Shell) -> Result<Self> {
        let cpu_info = sh.read_file("/proc/cpuinfo").unwrap_or_default();
        Ok(Self {
            cpu: cpu_model(&cpu_info).unwrap_or("unknown").to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            system: cmd!(sh, "uname -srm").quiet().read()?,
            commit: cmd!(sh, "git describe --always --dirty")
                .quiet()
                .ignore_stderr()
                .read()
                .unwrap_or_default(),
        })
    }
}

fn cpu_model(cpu_info: &str) -> Option<&str> {
    let line = cpu_info
        .lines()
        .find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, model)| model.trim())
}

impl Measured {
    pub(crate) fn new(case: &Case) -> Self {
        Self {
            model: case.model,
            input: case.input,
            iterations: case.iterations,
            runs: BTreeMap::new(),
        }
    }

    pub(crate) fn push(&mut self, contender: Contender, figures: Figures) {
        self.runs.entry(contender).or_default().push(figures);
    }

    fn median(&self, contender: Contender, figure: impl Fn(&Figures) -> f64) -> f64 {
        let runs = self.runs.get(&contender).map_or(&[][..], Vec::as_slice);
        median(runs.iter().map(figure).collect())
    }

    fn label(&self) -> String {
        format!("{}, {}", self.model, self.input)
    }
}

/// Returns the middle value, or the mean of the two in the middle; NaN of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match (values.len(), values.len() / 2) {
        (0, _) => f64::NAN,
        (len, middle) if len % 2 == 1 => values[middle],
        (_, middle) => values[middle - 1].midpoint(values[middle]),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { cpu, cores, .. } = &self.machine;
        writeln!(
            f,
            "{cpu}, {cores} cores, one thread each, medians of {} rounds",
            self.rounds
        )?;
        writeln!(f, "\nSteady predict\n")?;
        write!(f, "{}", self.steady())?;
        writeln!(
            f,
            "\nStart, tail and memory; a component is loaded from the cache of compiled code\n"
        )?;
        write!(f, "{}", self.start())
    }
}

impl Report {
    fn steady(&self) -> Table {
        let mut header = vec!["model, input"];
        header.extend(Contender::ALL.map(Contender::label));
        header.extend(["component ÷ Web", "executor ÷ ORT"]);
        let mut table = Table::new(&header);
        for case in &self.cases {
            let time = |contender| case.median(contender, |run| run.median_ms);
            let ratio = |ours, peer| format!("{:.2}", time(ours) / time(peer));
            let mut row = vec![case.label()];
            row.extend(Contender::ALL.map(|contender| ms(time(contender))));
            row.push(ratio(Contender::Component, Contender::Web));
            row.push(ratio(Contender::Executor, Contender::Native));
            table.row(row);
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
            for contender in Contender::ALL {
                let median = |figure: fn(&Figures) -> f64| case.median(contender, figure);
                table.row(vec![
                    if contender == Contender::Component {
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
        }
    }

    #[test]
    fn tells_medians_and_ratios() {
        let mut measured = Measured::new(&CASES[0]);
        for factor in [1.0, 100.0, 1.1] {
            measured.push(Contender::Component, figures(30.0 * factor));
            measured.push(Contender::Web, figures(60.0 * factor));
            measured.push(Contender::Executor, figures(4.0 * factor));
            measured.push(Contender::Native, figures(5.0 * factor));
            measured.push(Contender::Tract, figures(20.0 * factor));
        }
        let machine = Machine {
            cpu: "A CPU".into(),
            cores: 2,
            system: String::new(),
            commit: String::new(),
        };
        let report = Report {
            date: String::new(),
            machine,
            rounds: 3,
            cases: vec![measured],
        };
        expect![[r#"
            A CPU, 2 cores, one thread each, medians of 3 rounds

            Steady predict

            model, input                     component   ORT Web  executor  ORT native  tract native  component ÷ Web  executor ÷ ORT
            ───────────────────────────────  ─────────  ────────  ────────  ──────────  ────────────  ───────────────  ──────────────
            efficientnet-lite0, 1×3×224×224   33.00 ms  66.00 ms  4.400 ms    5.500 ms      22.00 ms             0.50            0.80

            Start, tail and memory; a component is loaded from the cache of compiled code

            model, input                                       load  first predict       p99  resident memory
            ───────────────────────────────  ────────────  ────────  ─────────────  ────────  ───────────────
            efficientnet-lite0, 1×3×224×224     component  1.000 ms       33.50 ms  66.00 ms          50.0 MB
                                                  ORT Web  1.000 ms       66.50 ms  132.0 ms          50.0 MB
                                                 executor  1.000 ms       4.900 ms  8.800 ms          50.0 MB
                                               ORT native  1.000 ms       6.000 ms  11.00 ms          50.0 MB
                                             tract native  1.000 ms       22.50 ms  44.00 ms          50.0 MB
        "#]].assert_eq(&report.to_string());
    }

    #[test]
    fn takes_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn finds_the_cpu() {
        assert_eq!(
            cpu_model("processor : 0\nmodel name\t: AMD EPYC\n"),
            Some("AMD EPYC")
        );
        assert_eq!(cpu_model(""), None);
    }
}
