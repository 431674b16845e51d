//! The target that the guest is compiled for, which needs a toolchain and a linker.

use anyhow::Result;
use xshell::Shell;

use super::apt::Package;
use super::toolchain::Target;

pub(crate) use super::toolchain::Toolchain;

/// The target that the guest is compiled for.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

const GUEST: Target = Target {
    triple: TARGET,
    debian_linker: &[
        Package {
            name: "rust-web-llvm",
            file: "/usr/bin/rust-lld",
        },
        Package {
            name: "lld-22",
            file: "/usr/bin/lld-22",
        },
    ],
};

/// What the guest asks of its toolchain.
impl Toolchain {
    /// Chooses one for the guest, among those that are there.
    pub(crate) fn find(sh: &Shell) -> Result<Self> {
        GUEST.toolchain(sh)
    }

    /// Where cargo works on the guest, one place each so that neither undoes the other's work.
    pub(crate) fn target_dir(self) -> &'static str {
        match self {
            Self::Rustup => "target/guest",
            Self::Debian => "target/guest-debian",
        }
    }
}

/// Adds the target by rustup if need be and possible; else names Debian's packages that are missing.
pub(super) fn missing_packages(sh: &Shell) -> Result<Vec<&'static str>> {
    GUEST.missing_packages(sh)
}

/// Checks that there is a toolchain, of an age that can compile the project.
pub(super) fn check(sh: &Shell) -> Result<()> {
    GUEST.check(sh)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toolchains_share_no_directory() {
        assert_ne!(
            Toolchain::Rustup.target_dir(),
            Toolchain::Debian.target_dir()
        );
    }
}
