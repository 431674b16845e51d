//! Parts of the toolchain that rustup provides.

use anyhow::{Result, bail};
use xshell::{Shell, cmd};

/// Sees to it that `cargo <command>` works, by adding the component `name`.
pub(crate) fn component(sh: &Shell, name: &str, command: &str) -> Result<()> {
    let is_there = || {
        cmd!(sh, "cargo {command} --version")
            .quiet()
            .ignore_stderr()
            .read()
            .is_ok()
    };
    if is_there() {
        return Ok(());
    }
    println!("setup: adding {name} to the toolchain");
    let added = cmd!(sh, "rustup component add {name}").run();
    if added.is_err() || !is_there() {
        bail!(
            "expected rustup to provide the component `{name}` of the toolchain in rust-toolchain.toml"
        );
    }
    Ok(())
}
