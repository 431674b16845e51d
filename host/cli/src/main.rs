//! `tensorlet`: compiles ONNX models into WASI components, and deploys, inspects, runs, measures and serves them.
//!
//! - [`args`] says what can be typed; [`settings`] what that and the environment mean for every command.
//! - [`build`], [`deploy`], [`inspect`], [`predict`], [`mod@bench`] and [`serve`] are the subcommands, each with what it alone needs below it.
//! - [`exit`] picks the exit status of an error; this file alone prints errors.
//! - [`tensor_file`] reads and writes `.npy`, `.npz` and JSON; [`elements`] shows what is in a tensor.
//! - [`json`], [`output_file`], [`progress`], [`table`], [`units`] and [`clock`] are how the program meets people and the host.
//!
//! What was asked for goes to standard output, and nothing else does: progress, notes and errors go to standard
//! error.

#![forbid(unsafe_code)]

mod args;
mod bench;
mod build;
mod clock;
mod deploy;
mod elements;
mod exit;
mod inspect;
mod json;
mod output_file;
mod predict;
mod progress;
mod serve;
mod settings;
mod table;
mod tensor_file;
mod units;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command, DeployCommand};
use crate::settings::Settings;
use crate::table::printable;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has seen enough, as in `tensorlet inspect x.wasm | head -1`.
        Err(error) if exit::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Without standard error there is nobody left to tell.
            let _ = writeln!(
                std::io::stderr(),
                "error: {}",
                printable(&format!("{error:#}"))
            );
            ExitCode::from(exit::of(&error) as u8)
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    let settings = Settings::resolve(&args.cache)?;
    match &args.command {
        Command::Build(args) => build::run(args, &settings),
        Command::Deploy(DeployCommand::Spin(args)) => deploy::spin(args, &settings),
        Command::Inspect(args) => inspect::run(args),
        Command::Predict(args) => predict::run(args, &settings),
        Command::Bench(args) => bench::run(args, &settings),
        Command::Serve(args) => serve::run(args, &settings),
    }
}
