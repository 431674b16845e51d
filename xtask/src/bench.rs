//! `cargo xtask bench`: components, offloaded and not, and the native executor against ONNX Runtime and tract.
//!
//! Every figure is measured in a fresh process that loads the model, predicts once, warms up and predicts a number of
//! times. The contenders take turns, round by round, so that whatever else the machine does meets them alike. What a call
//! through a component costs is less than what processes differ by, and is measured in one process ([`crossing`]).
//!
//! `cargo xtask bench --density` measures what instances take ([`density`]); `cargo xtask bench --http` measures components that handle
//! requests on other hosts ([`http`]); `cargo xtask bench --kernels` measures single kernels, against the peak of the core.

mod contender;
mod crossing;
mod density;
mod http;
pub(crate) mod machine;
mod report;
mod statistics;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use xshell::{Shell, cmd};

use self::contender::Contender;
use self::density::Density;
use self::machine::Machine;
use self::report::{Measured, Report};
use crate::build;
use crate::models::{self, CASES, Case};
use crate::setup::{self, Piece};

const DIR: &str = "target/bench";

/// Where components compiled for this machine are kept, but for those that the CLI loads.
const CACHE_DIR: &str = "target/bench/cache";

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Models under models/ to measure; all by default
    models: Vec<String>,
    /// Measure kernels instead, in GFLOP/s, for the shapes of efficientnet-lite0 and others
    #[arg(long, conflicts_with = "models")]
    kernels: bool,
    /// Measure what memory 1 to 200 instances of a model take instead
    #[arg(
        long,
        value_name = "MODEL",
        num_args = 0..=1,
        default_missing_value = "efficientnet-lite0",
        conflicts_with_all = ["models", "kernels", "rounds"]
    )]
    density: Option<String>,
    /// Measure components that handle HTTP requests, on hosts such as Spin, instead: magika and efficientnet-lite0, or the models that are named
    #[arg(long, conflicts_with_all = ["kernels", "density"])]
    http: bool,
    /// How often each contender is measured, in turns
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
}

/// Measures, prints tables, and keeps the raw figures.
pub(crate) fn run(sh: &Shell, options: &Options) -> Result<()> {
    if options.kernels {
        let options = ["--package", "tensorlet-kernels", "--target-dir", "target"];
        cmd!(sh, "cargo bench {options...}").run()?;
        return Ok(());
    }
    if options.http {
        return http::measure(sh, &options.models, options.rounds);
    }
    match &options.density {
        Some(model) => measure_density(sh, model),
        None => measure_time(sh, options),
    }
}

fn measure_time(sh: &Shell, options: &Options) -> Result<()> {
    let cases = choose(CASES, &options.models)?;
    prepare(sh, &[Piece::OnnxRuntime, Piece::OnnxRuntimeWeb])?;

    let machine = Machine::find(sh)?;
    let mut contenders = Contender::ON_ONE.to_vec();
    if machine.cores >= 2 {
        contenders.extend(Contender::ON_TWO);
    }
    let mut compiled: Vec<&str> = Vec::new();
    let mut measured = Vec::new();
    for case in cases {
        if !compiled.contains(&case.model) {
            models::compile(sh, case.model, DIR)?;
            compiled.push(case.model);
        }
        measured.push(measure(sh, case, &contenders, options.rounds)?);
    }
    let report = Report {
        machine,
        rounds: options.rounds,
        date: date(sh)?,
        cases: measured,
    };
    let raw = keep(sh, &format!("{}-raw", report.date), &report)?;
    println!("\n{report}\nraw figures: {raw}");
    Ok(())
}

fn measure_density(sh: &Shell, model: &str) -> Result<()> {
    let cases = choose(CASES, &[model.to_owned()])?;
    let case = cases.first().context("a model has a case")?;
    prepare(sh, &[Piece::OnnxRuntime])?;
    models::compile(sh, case.model, DIR)?;
    let density = Density::measure(sh, case, date(sh)?)?;
    let raw = keep(sh, &format!("{}-density-raw", density.date), &density)?;
    println!("\n{density}\nraw figures: {raw}");
    Ok(())
}

fn prepare(sh: &Shell, peers: &[Piece]) -> Result<()> {
    build::run(sh)?;
    contender::build(sh)?;
    setup::run(sh, peers)
}

fn date(sh: &Shell) -> Result<String> {
    Ok(cmd!(sh, "date -u +%Y-%m-%dT%H-%M-%SZ").quiet().read()?)
}

/// Writes raw figures to a file; returns its path.
fn keep(sh: &Shell, name: &str, figures: &impl Serialize) -> Result<String> {
    let path = format!("{DIR}/{name}.json");
    sh.write_file(&path, serde_json::to_string_pretty(figures)?)?;
    Ok(path)
}

/// Returns the path of a model's component.
fn component(model: &str) -> String {
    format!("{DIR}/{model}.wasm")
}

/// Returns the path of a model's ONNX file.
fn model_file(model: &str) -> String {
    format!("models/{model}/model.onnx")
}

fn choose<'a>(cases: &'a [Case], models: &[String]) -> Result<Vec<&'a Case>> {
    if let Some(unknown) = models
        .iter()
        .find(|model| cases.iter().all(|case| case.model != *model))
    {
        let mut known: Vec<_> = cases.iter().map(|case| case.model).collect();
        known.dedup();
        bail!(
            "expected a model out of {}, found `{unknown}`",
            known.join(", ")
        );
    }
    Ok(cases
        .iter()
        .filter(|case| models.is_empty() || models.iter().any(|model| model == case.model))
        .collect())
}

fn measure(sh: &Shell, case: &Case, contenders: &[Contender], rounds: u32) -> Result<Measured> {
    // Fills the cache of compiled code and those of the system; not counted.
    for contender in contenders {
        contender.measure(sh, case, 1)?;
    }
    let mut measured = Measured::new(case);
    for round in 1..=rounds {
        println!(
            "bench: {}, {}, round {round} of {rounds}",
            case.model, case.input
        );
        for &contender in contenders {
            if let Some(figures) = contender.measure(sh, case, case.iterations)? {
                measured.push(contender, figures);
            }
        }
        measured.push_crossing(crossing::measure(sh, case)?);
    }
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chooses_models_by_name() {
        assert_eq!(choose(CASES, &[]).unwrap().len(), CASES.len());
        let chosen = choose(CASES, &["magika".into()]).unwrap();
        assert!(chosen.iter().all(|case| case.model == "magika") && !chosen.is_empty());
        let error = choose(CASES, &["nonesuch".into()]).unwrap_err().to_string();
        assert!(
            error.starts_with("expected a model out of efficientnet-lite0, magika, ppocr-cls"),
            "{error}"
        );
        assert!(error.ends_with("found `nonesuch`"), "{error}");
    }
}
