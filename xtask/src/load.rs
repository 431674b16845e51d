//! `cargo xtask load`: how a host of many models behaves under load.
//!
//! Each scenario is a folder of models, and runs of the load generator (`tests/load`) over it: a process of its own that makes calls in an
//! open loop, either to the library inside of it, or by HTTP to `tensorlet serve`. What is compared takes turns. All raw
//! runs are kept.

mod folder;
mod generator;
mod scenarios;
#[path = "../../host/repository/tests/it/toy.rs"]
#[expect(
    dead_code,
    clippy::unwrap_used,
    reason = "tests use more of it, and fail by it"
)]
mod toy;

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::bench::machine::Machine;
use crate::build;
use crate::load::generator::Transport;
pub(crate) use crate::load::generator::{GENERATOR, build as build_generator};
use crate::load::scenarios::{ALL, Scenario};
use crate::table::Table;

/// Where everything is put.
const DIR: &str = "target/load";

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Scenarios; all but `soak` by default
    ///
    /// batching: saturation and p99 at half load, with calls joined and not. overload: twice the saturation. swaps: 100 swaps of
    /// versions under load. neighbours: a model beside hostile ones. soak: 80 % of the saturation for long.
    scenarios: Vec<Scenario>,
    /// Models under models/ to measure; by default mlp, efficientnet-lite0 and magika, and the first of them where one is enough
    #[arg(long = "model", value_name = "MODEL")]
    models: Vec<String>,
    /// Call `tensorlet serve` by HTTP, with binary tensors, rather than the library in the generator's process
    #[arg(long)]
    http: bool,
    /// How long each run measures; a soak takes sixty times as long
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    seconds: f64,
    /// How often what is compared is measured, in turns; the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
}

/// What a scenario needs to run.
pub(crate) struct Bench<'a> {
    sh: &'a Shell,
    transport: Transport,
    seconds: f64,
    rounds: u32,
    models: Vec<String>,
    /// Every run of the generator, as it reported it.
    raw: Vec<Value>,
    /// What is told in the end.
    figures: Vec<Figure>,
}

/// One line of the report.
#[derive(Serialize)]
struct Figure {
    scenario: &'static str,
    model: String,
    what: String,
    /// What is to be reached, if it is.
    asked: String,
    measured: String,
}

/// All there is to keep.
#[derive(Serialize)]
struct Report<'a> {
    machine: Machine,
    date: String,
    transport: Transport,
    figures: &'a [Figure],
    runs: &'a [Value],
}

/// Measures, prints a table, and keeps the raw runs.
pub(crate) fn run(sh: &Shell, options: &Options) -> Result<()> {
    build::run(sh)?;
    generator::build(sh)?;
    let mut bench = Bench {
        sh,
        transport: match options.http {
            true => Transport::Http,
            false => Transport::Library,
        },
        seconds: options.seconds,
        rounds: options.rounds,
        models: match &options.models[..] {
            [] => ["mlp", "efficientnet-lite0", "magika"]
                .map(String::from)
                .to_vec(),
            models => models.to_vec(),
        },
        raw: Vec::new(),
        figures: Vec::new(),
    };
    let scenarios = match &options.scenarios[..] {
        [] => ALL
            .iter()
            .filter(|scenario| **scenario != Scenario::Soak)
            .copied()
            .collect(),
        scenarios => scenarios.to_vec(),
    };
    for scenario in scenarios {
        scenario.measure(&mut bench)?;
    }
    bench.finish()
}

impl Bench<'_> {
    /// Keeps a line of the report, and shows it at once.
    fn figure(
        &mut self,
        scenario: &'static str,
        model: &str,
        what: &str,
        asked: &str,
        measured: String,
    ) {
        println!("{scenario}, {model}: {what}: {measured}");
        self.figures.push(Figure {
            scenario,
            model: model.into(),
            what: what.into(),
            asked: asked.into(),
            measured,
        });
    }

    fn finish(self) -> Result<()> {
        let mut table = Table::new(&["scenario", "model", "figure", "asked", "measured"]);
        for figure in &self.figures {
            let Figure {
                scenario,
                model,
                what,
                asked,
                measured,
            } = figure;
            table.row(vec![
                (*scenario).into(),
                model.clone(),
                what.clone(),
                asked.clone(),
                measured.clone(),
            ]);
        }
        let date = cmd!(self.sh, "date -u +%Y-%m-%dT%H-%M-%SZ")
            .quiet()
            .read()?;
        let path = format!("{DIR}/{date}-raw.json");
        let report = Report {
            machine: Machine::find(self.sh)?,
            date,
            transport: self.transport,
            figures: &self.figures,
            runs: &self.raw,
        };
        self.sh.write_file(&path, serde_json::to_string(&report)?)?;
        let Machine {
            cpu, cores, system, ..
        } = &report.machine;
        println!(
            "\n{cpu}, {cores} cores, {system}; {:?}\n\n{table}\nraw runs: {path}",
            self.transport
        );
        Ok(())
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number")?;
    match seconds {
        0.5..=86_400.0 => Ok(seconds),
        _ => Err("expected 0.5 to 86400 seconds".into()),
    }
}
