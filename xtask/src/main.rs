//! The project's chores, one subcommand a module: `cargo xtask --help`.
//!
//! - [`setup`] installs what the other commands need, and says how to where it cannot.
//! - [`guest`] and [`build`] make the components that models are made of and the CLI that holds them; [`stock`] hosts that do not know them.
//! - [`demo`] shows the CLI at work; [`mod@bench`] compares it with ONNX Runtime; [`load`] measures hosts of models under load.
//! - [`mod@test`], [`tidy`] and [`ci`] check the project.
//!
//! Everything is called from the root of the repository, whatever the current directory is.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "these commands tell what they do")]

mod bench;
mod build;
mod ci;
mod demo;
mod guest;
mod load;
mod models;
mod setup;
mod stock;
mod table;
mod test;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use xshell::Shell;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Chores of the Tensorlet repository",
    version
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Installs what the other commands need; without root, prints the commands that need it
    ///
    /// The guest is compiled by rustup's toolchain, or by Debian's where rustup lacks the target
    /// wasm32-unknown-unknown. TENSORLET_GUEST_TOOLCHAIN=rustup or =debian forces one of them.
    Setup,
    /// Builds the predictor components, target/guest/lean.wasm and target/guest/predictor.wasm
    Guest(guest::Options),
    /// Builds a host that handles requests as Spin does, and a handler that asks a model; tests and benches run both
    Stock(stock::Options),
    /// Builds the optimised CLI, target/release/tensorlet, predictor included
    Build,
    /// Compiles the models under models/ and predicts with them on real files
    Demo,
    /// Runs every test
    Test,
    /// Runs all that CI runs: format, clippy, docs, tidy, tests
    Ci,
    /// Checks what the compiler does not: dependency directions, file sizes, links, versions, …
    Tidy,
    /// Compares components with ONNX Runtime, native and Web, on one thread and on two, and tells what instances take
    Bench(bench::Options),
    /// Puts load on hosts of models: batching, overload, swaps of versions, hostile neighbours, hours of it
    Load(load::Options),
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let sh = Shell::new().context("expected a current directory")?;
    sh.change_dir(root());
    match &arguments.command {
        Command::Setup => setup::run(&sh, setup::Piece::ALL),
        Command::Guest(options) => guest::run(&sh, options),
        Command::Stock(options) => stock::run(&sh, options),
        Command::Build => build::run(&sh),
        Command::Demo => demo::run(&sh),
        Command::Test => test::run(&sh),
        Command::Ci => ci::run(&sh),
        Command::Tidy => tidy::run(&sh),
        Command::Bench(options) => bench::run(&sh, options),
        Command::Load(options) => load::run(&sh, options),
    }
}

/// Returns the root of the repository.
fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().expect("xtask/ is in the root").to_owned()
}
