//! The target that the kernels are tested for beside the host's and the guest's: 64-bit ARM, whose vectors are NEON.
//!
//! Programs for it are linked by a cross compiler and run by an emulator, both from Debian's packages. A machine that
//! is one itself needs none of this.

use anyhow::{Result, bail};
use xshell::Shell;

use super::apt::{self, Package};
use super::toolchain::{Target, Toolchain};

/// What compilers call the target.
pub(crate) const TARGET: &str = "aarch64-unknown-linux-gnu";

/// Links for the target.
pub(crate) const LINKER: &str = "aarch64-linux-gnu-gcc";

/// Runs a program for the target, with the target's C library.
pub(crate) const RUNNER: &str = "qemu-aarch64 -L /usr/aarch64-linux-gnu";

/// Whether this machine is of the target's kind.
pub(crate) const IS_NATIVE: bool = cfg!(target_arch = "aarch64");

const NEON: Target = Target {
    triple: TARGET,
    debian_linker: &[],
};

/// What is needed with either toolchain.
const PACKAGES: [Package; 3] = [
    Package {
        name: "gcc-aarch64-linux-gnu",
        file: "/usr/bin/aarch64-linux-gnu-gcc",
    },
    Package {
        name: "libc6-dev-arm64-cross",
        file: "/usr/aarch64-linux-gnu/lib/libc.so",
    },
    Package {
        name: "qemu-user",
        file: "/usr/bin/qemu-aarch64",
    },
];

/// Chooses a toolchain, among those that are there; fails where something is missing, and says what.
pub(crate) fn toolchain(sh: &Shell) -> Result<Toolchain> {
    let missing = apt::missing(&PACKAGES);
    if !missing.is_empty() {
        bail!("expected the Debian packages {}", missing.join(" "));
    }
    NEON.check(sh)?;
    NEON.toolchain(sh)
}

/// Adds the target by rustup if need be and possible, and names Debian's packages that are missing.
pub(super) fn missing_packages(sh: &Shell) -> Result<Vec<&'static str>> {
    if IS_NATIVE {
        return Ok(Vec::new());
    }
    Ok([apt::missing(&PACKAGES), NEON.missing_packages(sh)?].concat())
}

/// Checks that all is there.
pub(super) fn check(sh: &Shell) -> Result<()> {
    if !IS_NATIVE {
        toolchain(sh)?;
    }
    Ok(())
}
