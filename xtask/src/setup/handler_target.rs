//! The target that handlers for Spin are compiled for, which rustup has and Debian does not.

use anyhow::{Result, bail};
use xshell::{Shell, cmd};

use super::toolchain::Target;

/// What compilers call the target.
pub(crate) const TARGET: &str = "wasm32-wasip2";

const HANDLER: Target = Target {
    triple: TARGET,
    debian_linker: &[],
};

/// Reports whether the pinned toolchain has it.
pub(crate) fn is_there(sh: &Shell) -> bool {
    HANDLER.rustup_has(sh)
}

/// Adds it to the pinned toolchain.
pub(super) fn add(sh: &Shell) -> Result<()> {
    if is_there(sh) {
        return Ok(());
    }
    println!("setup: adding the target {TARGET} to the toolchain");
    // What rustup says is printed; whether it was done is looked at.
    let _ = cmd!(sh, "rustup target add {TARGET}").run();
    match is_there(sh) {
        true => Ok(()),
        false => bail!("expected rustup to provide the target {TARGET}"),
    }
}
