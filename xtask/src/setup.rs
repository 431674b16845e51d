//! `cargo xtask setup`: what the other commands need.
//!
//! Two passes: first the Debian packages that are missing, all at once, as only they need root; then what is fetched
//! without root, into the toolchain and `target/`. What is there already is left alone, so a second run costs nothing.

mod apt;
pub(crate) mod guest_target;
pub(crate) mod handler_target;
pub(crate) mod neon_target;
mod node;
mod python;
mod rustup;
pub(crate) mod toolchain;

use anyhow::{Result, bail};
use xshell::{Shell, cmd};

pub(crate) use node::WEB_DIR;
pub(crate) use python::{VENV_DIR, WASMTIME};

/// One thing that a command may need.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Piece {
    /// A C compiler, which links programs and compiles the C in some dependencies.
    Cc,
    /// A toolchain for the guest.
    GuestTarget,
    /// A toolchain for 64-bit ARM, and an emulator.
    NeonTarget,
    /// `cargo fmt`.
    Rustfmt,
    /// `cargo clippy`.
    Clippy,
    /// The ONNX backend node tests.
    OnnxTests,
    /// ONNX Runtime, native.
    OnnxRuntime,
    /// ONNX Runtime Web, in node.
    OnnxRuntimeWeb,
    /// A target for handlers of one's own.
    HandlerTarget,
    /// Wasmtime's own host of HTTP handlers.
    WasmtimeServe,
}

impl Piece {
    /// All there are.
    pub(crate) const ALL: &[Self] = &[
        Self::Cc,
        Self::GuestTarget,
        Self::NeonTarget,
        Self::Rustfmt,
        Self::Clippy,
        Self::OnnxTests,
        Self::OnnxRuntime,
        Self::OnnxRuntimeWeb,
        Self::HandlerTarget,
        Self::WasmtimeServe,
    ];

    /// What it is and what it is for.
    fn purpose(self) -> &'static str {
        match self {
            Self::Cc => "a C compiler and linker",
            Self::GuestTarget => "a Rust toolchain for wasm32-unknown-unknown, for the guest",
            Self::NeonTarget => {
                "a Rust toolchain and an emulator for 64-bit ARM, for `cargo xtask test`"
            }
            Self::Rustfmt => "rustfmt, for `cargo xtask ci`",
            Self::Clippy => "clippy, for `cargo xtask ci`",
            Self::OnnxTests => "the ONNX backend node tests, for `cargo xtask test`",
            Self::OnnxRuntime => "ONNX Runtime, for `cargo xtask bench`",
            Self::OnnxRuntimeWeb => "ONNX Runtime Web, for `cargo xtask bench`",
            Self::HandlerTarget => "a Rust target for handlers for Spin, for `cargo xtask test`",
            Self::WasmtimeServe => "`wasmtime serve`, for `cargo xtask test`",
        }
    }

    /// Whether commands do their work without it, less a part that they name.
    fn is_optional(self) -> bool {
        matches!(
            self,
            Self::NeonTarget | Self::HandlerTarget | Self::WasmtimeServe
        )
    }

    /// Names the Debian packages that it lacks, having tried what does without them.
    fn missing_packages(self, sh: &Shell) -> Result<Vec<&'static str>> {
        Ok(match self {
            Self::Cc
                if cmd!(sh, "cc --version")
                    .quiet()
                    .ignore_stderr()
                    .read()
                    .is_err() =>
            {
                vec!["build-essential"]
            }
            Self::GuestTarget => guest_target::missing_packages(sh)?,
            Self::NeonTarget => neon_target::missing_packages(sh)?,
            Self::OnnxTests => python::packages_for_onnx(sh),
            Self::OnnxRuntime => python::packages_for_runtime(sh),
            Self::OnnxRuntimeWeb => node::missing_packages(sh),
            Self::WasmtimeServe => python::packages_for_wasmtime(sh),
            Self::Cc | Self::Rustfmt | Self::Clippy | Self::HandlerTarget => Vec::new(),
        })
    }

    /// Fetches the rest, given its Debian packages.
    fn fetch(self, sh: &Shell) -> Result<()> {
        match self {
            Self::Cc => Ok(()),
            Self::GuestTarget => guest_target::check(sh),
            Self::NeonTarget => neon_target::check(sh),
            Self::Rustfmt => rustup::component(sh, "rustfmt", "fmt"),
            Self::Clippy => rustup::component(sh, "clippy", "clippy"),
            Self::OnnxTests => python::onnx_tests(sh),
            Self::OnnxRuntime => python::onnx_runtime(sh),
            Self::OnnxRuntimeWeb => node::onnx_runtime_web(sh),
            Self::HandlerTarget => handler_target::add(sh),
            Self::WasmtimeServe => python::wasmtime(sh),
        }
    }
}

/// Sees to it that `pieces` are there.
pub(crate) fn run(sh: &Shell, pieces: &[Piece]) -> Result<()> {
    let mut needs = Vec::new();
    for &piece in pieces {
        let packages = piece.missing_packages(sh)?;
        if !packages.is_empty() {
            needs.push(apt::Need {
                purpose: piece.purpose(),
                packages,
                is_optional: piece.is_optional(),
            });
        }
    }
    apt::install(sh, &needs)?;

    for &piece in pieces {
        let purpose = piece.purpose();
        match piece.fetch(sh) {
            Ok(()) => println!("ready: {purpose}"),
            Err(error) if piece.is_optional() => println!("skipped: {purpose}: {error:#}"),
            Err(error) => bail!("set-up stopped at {purpose}: {error:#}"),
        }
    }
    Ok(())
}
