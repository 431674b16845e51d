//! Measures a model in one process: the native peers of a component, what a call through a component costs, and what instances take.
//!
//! ```text
//! tensorlet-native-bench executor MODEL.onnx ITERATIONS [--threads N] INPUT...
//! tensorlet-native-bench tract    MODEL.onnx ITERATIONS INPUT...
//! tensorlet-native-bench crossing MODEL.onnx COMPONENT.wasm CACHE_DIR INPUT...
//! tensorlet-native-bench density  COMPONENT.wasm CACHE_DIR [--no-offload] --counts N,N,... INPUT...
//! ```
//!
//! An INPUT is `NAME:TYPE[DIMS]`, or `NAME:TYPE[DIMS]=VALUE`. `executor` runs the plan that `tensorlet build` would put into a component, by
//! the same kernels compiled for this machine; `tract` runs the model by tract. Both print the figures of `tensorlet bench --json`. All
//! print one line of JSON. `cargo xtask bench` calls them.

#![forbid(unsafe_code)]

mod component;
mod crossing;
mod density;
mod executor;
mod figures;
mod input;
mod memory;
mod tract;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use serde::Serialize;

use crate::input::Input;

/// Measure a model in one process
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tensorlet's plan and kernels, in native code
    Executor {
        #[command(flatten)]
        calls: Calls,
        /// How many threads compute
        #[arg(long, default_value_t = 1)]
        threads: usize,
    },
    /// tract, in native code
    Tract(Calls),
    /// What a call through a component costs, beside the executor
    Crossing {
        /// The model
        model: PathBuf,
        /// The component that was built from it
        component: PathBuf,
        /// Where compiled components are kept
        cache_dir: PathBuf,
        /// What the calls give
        inputs: Vec<Input>,
    },
    /// What instances of a component take
    Density {
        /// The component
        component: PathBuf,
        /// Where compiled components are kept
        cache_dir: PathBuf,
        /// What the calls give
        inputs: Vec<Input>,
        /// How many instances there are when memory is read
        #[arg(long, value_delimiter = ',', required = true)]
        counts: Vec<u32>,
        /// Compute inside of the component
        #[arg(long)]
        no_offload: bool,
    },
}

/// Calls to a native peer.
#[derive(Debug, clap::Args)]
struct Calls {
    /// The model
    model: PathBuf,
    /// How many calls are measured
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    iterations: u32,
    /// What the calls give
    inputs: Vec<Input>,
}

fn main() -> Result<()> {
    match Args::parse().command {
        Command::Executor { calls, threads } => print(executor::measure(
            &calls.model,
            &calls.inputs,
            calls.iterations,
            threads,
        )),
        Command::Tract(calls) => print(tract::measure(
            &calls.model,
            &calls.inputs,
            calls.iterations,
        )),
        Command::Crossing {
            model,
            component,
            cache_dir,
            inputs,
        } => print(crossing::measure(&model, &component, &cache_dir, &inputs)),
        Command::Density {
            component,
            cache_dir,
            inputs,
            counts,
            no_offload,
        } => print(density::measure(
            &component, &cache_dir, &inputs, &counts, no_offload,
        )),
    }
}

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn print(measured: Result<impl Serialize>) -> Result<()> {
    let measured = measured.context("cannot measure")?;
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}
