//! `cargo xtask build`: the optimised CLI.

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::guest;
use crate::setup::{self, Piece};

/// Where the CLI is, from the root.
pub(crate) const CLI: &str = "target/release/tensorlet";

/// Builds the guest component, then the CLI that embeds it.
pub(crate) fn run(sh: &Shell) -> Result<()> {
    setup::run(sh, &[Piece::Cc, Piece::GuestTarget])?;
    guest::build(sh)?;
    // The packages are those that are tested: so cargo comes to the same features, and compiles nothing twice.
    let packages = ["--workspace", "--exclude", "tensorlet-predictor"];
    let options = ["--release", "--target-dir", "target"];
    cmd!(sh, "cargo build {options...} {packages...} --bin tensorlet").run()?;
    println!("{CLI} is ready");
    Ok(())
}
