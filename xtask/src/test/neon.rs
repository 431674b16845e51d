//! The kernels' own tests, compiled for 64-bit ARM and run by an emulator.
//!
//! ```text
//! guest/kernels ─ cargo, aarch64-linux-gnu-gcc ─► test program ─ qemu-aarch64 ─► results
//! ```
//!
//! Each test compares every instruction set that its machine has with plain loops. NEON is the one that servers have
//! and x86-64 lacks.

use anyhow::{Result, bail};
use xshell::{Cmd, Shell, cmd};

use crate::setup::neon_target::{self, IS_NATIVE, LINKER, RUNNER, TARGET};
use crate::setup::toolchain::Toolchain;

/// Runs the tests, unless the machine lacks what that takes.
pub(super) fn run(sh: &Shell) -> Result<()> {
    if IS_NATIVE {
        println!("skipped: the kernels under emulation, as this machine has NEON itself");
        return Ok(());
    }
    let toolchain = match neon_target::toolchain(sh) {
        Ok(toolchain) => toolchain,
        Err(error) => {
            println!("skipped: the kernels with NEON: {error:#}");
            return Ok(());
        }
    };
    println!("neon: testing the kernels with {toolchain}; from nothing this takes minutes");
    // A run of no tests passes, so that they are there is asked first.
    let list = cargo_test(sh, toolchain).args(["--", "--list"]).read()?;
    let count = tests_in(&list);
    if count == 0 {
        bail!("expected tests of the kernels for {TARGET}, found none");
    }
    println!("neon: running {count} tests");
    cargo_test(sh, toolchain).run()?;
    Ok(())
}

fn cargo_test(sh: &Shell, toolchain: Toolchain) -> Cmd<'_> {
    let cargo = toolchain.cargo();
    let extra = toolchain.arguments();
    let target_dir = target_dir(toolchain);
    let options = ["--release", "--lib", "--package", "tensorlet-kernels"];
    let cmd = cmd!(
        sh,
        "{cargo} test {options...} {extra...} --target {TARGET} --target-dir {target_dir}"
    );
    // Those for this machine's processor would not fit.
    let cmd = cmd
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_RUSTFLAGS");
    let cmd = cmd
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", LINKER)
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", RUNNER);
    toolchain.set_variables(cmd)
}

/// Where cargo works, one place each so that neither undoes the other's work.
fn target_dir(toolchain: Toolchain) -> &'static str {
    match toolchain {
        Toolchain::Rustup => "target/neon",
        Toolchain::Debian => "target/neon-debian",
    }
}

/// Counts the tests in what a test program lists.
fn tests_in(list: &str) -> usize {
    list.lines().filter(|line| line.ends_with(": test")).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_tests_in_a_list() {
        let list = "a::tests::adds: test\na::tests::times: benchmark\nb::tests::names: test\n\n\
            2 tests, 1 benchmark\n";
        assert_eq!(tests_in(list), 2);
        assert_eq!(tests_in("0 tests, 0 benchmarks\n"), 0);
        assert_eq!(tests_in(""), 0);
    }

    #[test]
    fn toolchains_share_no_directory() {
        assert_ne!(target_dir(Toolchain::Rustup), target_dir(Toolchain::Debian));
    }
}
