//! Handles HTTP requests by a component, as Spin does: Wasmtime with `wasi:http`, and nothing of Tensorlet.
//!
//! - [`engine`] is Wasmtime, set up as Spin does.
//! - [`component`] reads components, compiled for this machine or not; [`composition`] joins two, as Spin does with a dependency.
//! - [`instances`] makes one for each request, or uses one for several.
//! - [`server`] accepts connections.
//!
//! What runs here runs on any host of `wasi:http`. The tests of `tensorlet build --http` run it, and so does `cargo xtask bench --http`.

#![deny(unsafe_code)]

mod component;
mod composition;
mod engine;
mod instances;
mod server;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use wasmtime::Result;
use wasmtime::error::Context as _;

use crate::instances::Instances;

/// Handles HTTP requests by a component, as Spin does
#[derive(Parser)]
#[command(name = "tensorlet-stock-http", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve a component until the process is ended; the first line of output says where
    Serve {
        /// Component, or what `compile` made of it
        component: PathBuf,
        /// Address and port; port 0 is any that is free
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: String,
        /// Requests that an instance handles; Spin has it handle one
        #[arg(long, value_name = "N", default_value = "1")]
        reuse: NonZeroU32,
    },
    /// Compile a component for this machine
    Compile {
        /// Component
        component: PathBuf,
        /// File to write
        #[arg(short, long)]
        output: PathBuf,
    },
    /// Give a component what it imports, as Spin does with `[component.x.dependencies]`
    Compose {
        /// Component that imports something
        component: PathBuf,
        /// Component that exports it
        dependency: PathBuf,
        /// File to write
        #[arg(short, long)]
        output: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(&Args::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<()> {
    let engine = engine::new().context("this machine cannot run components as Spin does")?;
    match command {
        Command::Serve {
            component,
            listen,
            reuse,
        } => {
            let component = component::load(&engine, component)?;
            let instances = Instances::new(&engine, &component, *reuse)?;
            engine::start_ticks(engine);
            tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .context("the runtime cannot start")?
                .block_on(server::serve(listen, instances))
        }
        Command::Compile { component, output } => component::compile(&engine, component, output),
        Command::Compose {
            component,
            dependency,
            output,
        } => composition::compose(component, dependency, output),
    }
}
