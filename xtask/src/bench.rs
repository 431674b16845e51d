//! `cargo xtask bench`: components and the native executor against ONNX Runtime and tract, one thread each.
//!
//! `cargo xtask bench --kernels` measures single kernels instead, against the peak of the core.
//!
//! Every figure is measured in a fresh process that loads the model, predicts once, warms up and predicts a number of
//! times. The contenders take turns, round by round, so that whatever else the machine does meets them alike.

mod contender;
mod report;

use anyhow::{Result, bail};
use xshell::{Shell, cmd};

use self::contender::Contender;
use self::report::{Machine, Measured, Report};
use crate::build;
use crate::models::{self, CASES, Case};
use crate::setup::{self, Piece};

const DIR: &str = "target/bench";

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Models under models/ to measure; all by default
    models: Vec<String>,
    /// Measure kernels instead, in GFLOP/s, for the shapes of efficientnet-lite0 and others
    #[arg(long, conflicts_with = "models")]
    kernels: bool,
    /// How often each contender is measured, in turns
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
}

/// Measures, prints a table, and keeps the raw figures.
pub(crate) fn run(sh: &Shell, options: &Options) -> Result<()> {
    if options.kernels {
        let options = ["--package", "tensorlet-kernels", "--target-dir", "target"];
        cmd!(sh, "cargo bench {options...}").run()?;
        return Ok(());
    }
    let cases = choose(CASES, &options.models)?;
    build::run(sh)?;
    contender::build(sh)?;
    setup::run(sh, &[Piece::OnnxRuntime, Piece::OnnxRuntimeWeb])?;

    let mut compiled: Vec<&str> = Vec::new();
    let mut measured = Vec::new();
    for case in cases {
        if !compiled.contains(&case.model) {
            models::compile(sh, case.model, DIR)?;
            compiled.push(case.model);
        }
        measured.push(measure(sh, case, options.rounds)?);
    }
    let date = cmd!(sh, "date -u +%Y-%m-%dT%H-%M-%SZ").quiet().read()?;
    let report = Report {
        machine: Machine::find(sh)?,
        rounds: options.rounds,
        date,
        cases: measured,
    };
    let raw = format!("{DIR}/{}-raw.json", report.date);
    sh.write_file(&raw, serde_json::to_string_pretty(&report)?)?;

    println!("\n{report}\nraw figures: {raw}");
    Ok(())
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

fn measure(sh: &Shell, case: &Case, rounds: u32) -> Result<Measured> {
    // Fills the cache of compiled code and those of the system; not counted.
    for contender in Contender::ALL {
        contender.measure(sh, case, 1)?;
    }
    let mut measured = Measured::new(case);
    for round in 1..=rounds {
        println!(
            "bench: {}, {}, round {round} of {rounds}",
            case.model, case.input
        );
        for contender in Contender::ALL {
            if let Some(figures) = contender.measure(sh, case, case.iterations)? {
                measured.push(contender, figures);
            }
        }
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
