//! `cargo xtask stock`: hosts that know nothing of Tensorlet, and a component of a user's own, for tests and benches.
//!
//! ```text
//! tests/stock-http ─── cargo ─► target/release/tensorlet-stock-http, which handles requests as Spin does
//! tests/spin-handler ─ cargo ─► target/stock/wasm32-wasip2/release/spin_handler.wasm, which asks a model
//! ```
//!
//! Both are workspaces of their own. Wasmtime's own host is found where the tests look for it: on the path, or where set-up puts it.

use anyhow::Result;
use xshell::{Cmd, Shell, cmd};

use crate::setup::{self, Piece, handler_target};

/// The host, from the root.
pub(crate) const STOCK_HTTP: &str = "target/release/tensorlet-stock-http";

const HOST_MANIFEST: &str = "tests/stock-http/Cargo.toml";
const HANDLER_MANIFEST: &str = "tests/spin-handler/Cargo.toml";

/// Where cargo works on the handler.
const HANDLER_DIR: &str = "target/stock";

/// What is needed to build them, and what runs beside them.
pub(crate) const PIECES: &[Piece] = &[Piece::Cc, Piece::HandlerTarget, Piece::WasmtimeServe];

/// What to do with them.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run clippy on them instead, which checks another Wasmtime for minutes
    #[arg(long)]
    clippy: bool,
}

/// Sets up, and builds both.
pub(crate) fn run(sh: &Shell, options: &Options) -> Result<()> {
    setup::run(sh, PIECES)?;
    match options.clippy {
        true => clippy(sh),
        false => build(sh),
    }
}

/// Builds the host, and the handler where its target is there.
pub(crate) fn build(sh: &Shell) -> Result<()> {
    host(sh, "build").run()?;
    match handler_target::is_there(sh) {
        true => handler(sh, "build").run()?,
        false => println!(
            "skipped: the handler of tests/spin-handler, which needs the target {}",
            handler_target::TARGET
        ),
    }
    Ok(())
}

/// Formats nothing, and fails if either is not formatted.
pub(crate) fn check_format(sh: &Shell) -> Result<()> {
    for manifest in [HOST_MANIFEST, HANDLER_MANIFEST] {
        cmd!(sh, "cargo fmt --manifest-path {manifest} -- --check").run()?;
    }
    Ok(())
}

/// Runs clippy on both.
fn clippy(sh: &Shell) -> Result<()> {
    let deny = ["--", "-D", "warnings"];
    host(sh, "clippy").args(deny).run()?;
    if handler_target::is_there(sh) {
        handler(sh, "clippy").args(deny).run()?;
    }
    Ok(())
}

fn host<'a>(sh: &'a Shell, command: &str) -> Cmd<'a> {
    let options = ["--release", "--locked", "--target-dir", "target"];
    cmd!(
        sh,
        "cargo {command} {options...} --manifest-path {HOST_MANIFEST}"
    )
}

fn handler<'a>(sh: &'a Shell, command: &str) -> Cmd<'a> {
    let target = handler_target::TARGET;
    let options = ["--release", "--locked", "--target", target];
    cmd!(
        sh,
        "cargo {command} {options...} --target-dir {HANDLER_DIR} --manifest-path {HANDLER_MANIFEST}"
    )
}
