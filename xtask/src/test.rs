//! `cargo xtask test`: every test.
//!
//! Tests run optimised: they compile and run models, and so share one build of the dependencies with the CLI.

mod neon;

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::setup::{self, Piece};
use crate::{guest, stock};

/// What the tests need.
pub(crate) const PIECES: &[Piece] = &[
    Piece::Cc,
    Piece::GuestTarget,
    Piece::NeonTarget,
    Piece::OnnxTests,
    Piece::HandlerTarget,
    Piece::WasmtimeServe,
];

/// Sets up, builds the guest component, and runs the tests of all crates, then those of the kernels with NEON.
///
/// The predictor has none of its own: it is tested as the component that it becomes.
pub(crate) fn run(sh: &Shell) -> Result<()> {
    setup::run(sh, PIECES)?;
    guest::build(sh)?;
    stock::build(sh)?;
    let options = [
        "--release",
        "--workspace",
        "--exclude",
        "tensorlet-predictor",
        "--no-fail-fast",
    ];
    cmd!(sh, "cargo test {options...}").run()?;
    neon::run(sh)
}
