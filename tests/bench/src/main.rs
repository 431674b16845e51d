//! Measures an ONNX model in native code, on one thread: one process, one model, one size of inputs.
//!
//! ```text
//! tensorlet-native-bench executor|tract MODEL.onnx ITERATIONS NAME:TYPE[DIMS][=VALUE]...
//! ```
//!
//! `executor` runs the plan that `tensorlet build` would put into a component, by the same kernels compiled for this machine;
//! `tract` runs the model by tract. Prints the figures of `tensorlet bench --json` as one line of JSON. `cargo xtask bench` calls it.

#![forbid(unsafe_code)]

mod executor;
mod figures;
mod input;
mod tract;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

use crate::figures::Figures;
use crate::input::Input;

/// Measure an ONNX model in native code, on one thread
#[derive(Debug, Parser)]
struct Args {
    /// Who computes
    engine: Engine,
    /// The model
    model: PathBuf,
    /// How many calls are measured
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    iterations: u32,
    /// What the calls give
    inputs: Vec<Input>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Engine {
    /// Tensorlet's plan and kernels
    Executor,
    /// tract
    Tract,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let figures = match args.engine {
        Engine::Executor => executor::measure(&args.model, &args.inputs, args.iterations),
        Engine::Tract => tract::measure(&args.model, &args.inputs, args.iterations),
    };
    let figures: Figures = figures.with_context(|| args.model.display().to_string())?;
    #[expect(clippy::print_stdout, reason = "this is what the program is for")]
    {
        println!("{}", serde_json::to_string(&figures)?);
    }
    Ok(())
}
