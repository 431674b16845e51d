//! `cargo xtask ci`: all that CI runs, in the order of how soon it can fail.
//!
//! Two configurations are built: the release profile, checked and compiled, and the guest. Clippy, docs and tests
//! cover the same packages, so that they agree on features and share the dependencies.

use std::time::Instant;

use anyhow::{Context as _, Result};
use xshell::{Shell, cmd};

use crate::setup::{self, Piece};
use crate::{guest, stock, test, tidy};

const STEPS: &[Step] = &[
    Step {
        name: "set-up",
        run: set_up,
    },
    Step {
        name: "format",
        run: format,
    },
    Step {
        name: "tidy",
        run: tidy::run,
    },
    Step {
        name: "guest",
        run: guest::build,
    },
    Step {
        name: "clippy",
        run: clippy,
    },
    Step {
        name: "docs",
        run: docs,
    },
    Step {
        name: "deny",
        run: deny,
    },
    Step {
        name: "tests",
        run: test::run,
    },
];

struct Step {
    name: &'static str,
    run: fn(&Shell) -> Result<()>,
}

/// What clippy, docs and tests cover: all but the predictor, which compiles for its own target only. Clippy on the workspaces of their own, the
/// stock host and the handler, would check another Wasmtime for minutes: `cargo xtask stock --clippy` does it.
const PACKAGES: [&str; 3] = ["--workspace", "--exclude", "tensorlet-predictor"];

/// Runs every check and stops at the first that fails.
#[expect(
    clippy::disallowed_methods,
    reason = "CI has a limit, so its steps tell what they took"
)]
pub(crate) fn run(sh: &Shell) -> Result<()> {
    let start = Instant::now();
    for Step { name, run } in STEPS {
        println!("\n== {name} ==");
        let step_start = Instant::now();
        run(sh).with_context(|| format!("{name} failed"))?;
        println!("{name}: {:.0} s", step_start.elapsed().as_secs_f64());
    }
    println!(
        "\nci: all in order, {:.1} minutes",
        start.elapsed().as_secs_f64() / 60.0
    );
    Ok(())
}

fn set_up(sh: &Shell) -> Result<()> {
    let pieces = [test::PIECES, &[Piece::Rustfmt, Piece::Clippy]].concat();
    setup::run(sh, &pieces)
}

fn format(sh: &Shell) -> Result<()> {
    cmd!(sh, "cargo fmt --all -- --check").run()?;
    stock::check_format(sh)
}

fn clippy(sh: &Shell) -> Result<()> {
    guest::clippy(sh)?;
    let options = ["--release", "--all-targets"];
    cmd!(sh, "cargo clippy {options...} {PACKAGES...} -- -D warnings").run()?;
    Ok(())
}

fn docs(sh: &Shell) -> Result<()> {
    let options = ["--release", "--no-deps", "--document-private-items"];
    cmd!(sh, "cargo doc {options...} {PACKAGES...}")
        .env("RUSTDOCFLAGS", "-D warnings")
        .run()?;
    Ok(())
}

/// Runs cargo-deny where there is one. `tidy` has checked licences, sources and duplicates against `deny.toml`.
fn deny(sh: &Shell) -> Result<()> {
    if cmd!(sh, "cargo deny --version")
        .quiet()
        .ignore_stderr()
        .read()
        .is_err()
    {
        println!("skipped: cargo deny is not installed, and tidy has checked what deny.toml says");
        return Ok(());
    }
    cmd!(sh, "cargo deny check bans licenses sources").run()?;
    Ok(())
}
