//! Toolchains for targets other than the host's.
//!
//! The target of the pinned toolchain, if rustup has it or can fetch it. Where it cannot, Debian 12 has a newer
//! toolchain in packages of its own, without a standard library for other targets, which cargo then builds from source.
//! The variable `TENSORLET_GUEST_TOOLCHAIN`, `rustup` or `debian`, forces one of them.

use std::fmt;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use xshell::{Cmd, Shell, cmd};

use super::apt::{self, Package};

const VARIABLE: &str = "TENSORLET_GUEST_TOOLCHAIN";

/// Debian's compiler, its cargo, and the sources of the standard library.
const DEBIAN: [Package; 3] = [
    Package {
        name: "rustc-web",
        file: "/usr/bin/rustc",
    },
    Package {
        name: "cargo-web",
        file: "/usr/bin/cargo",
    },
    Package {
        name: "rust-web-src",
        file: "/usr/lib/rustlib/src/rust/library/std/Cargo.toml",
    },
];

/// The oldest release that compiles this project, its minor number.
const RUST_MINOR: u32 = 95;

/// A target other than the host's.
pub(super) struct Target {
    /// What compilers call it.
    pub(super) triple: &'static str,
    /// What Debian's toolchain links with, which rustup's brings itself.
    pub(super) debian_linker: &'static [Package],
}

/// Where a compiler comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Toolchain {
    /// The pinned toolchain, with the target added.
    Rustup,
    /// Debian's.
    Debian,
}

impl Target {
    /// Chooses a toolchain, among those that are there.
    pub(super) fn toolchain(&self, sh: &Shell) -> Result<Toolchain> {
        let forced = forced()?;
        let has_rustup = forced != Some(Toolchain::Debian) && self.rustup_has(sh);
        let has_debian = forced != Some(Toolchain::Rustup) && self.missing_debian().is_empty();
        match (has_rustup, has_debian) {
            (true, _) => Ok(Toolchain::Rustup),
            (false, true) => Ok(Toolchain::Debian),
            (false, false) => bail!(
                "expected a toolchain for {}, found none; `cargo xtask setup` installs one",
                self.triple
            ),
        }
    }

    /// Adds the target by rustup if need be and possible; else names Debian's packages that are missing.
    pub(super) fn missing_packages(&self, sh: &Shell) -> Result<Vec<&'static str>> {
        let forced = forced()?;
        let triple = self.triple;
        if forced != Some(Toolchain::Debian) {
            if self.rustup_has(sh) {
                return Ok(Vec::new());
            }
            println!("setup: adding the target {triple} to the toolchain");
            let added = cmd!(sh, "rustup target add {triple}").run();
            if added.is_ok() && self.rustup_has(sh) {
                return Ok(Vec::new());
            }
            if forced == Some(Toolchain::Rustup) {
                bail!("expected rustup to provide the target {triple}, as {VARIABLE} asks for it");
            }
            println!("setup: rustup cannot provide {triple}; using Debian's packages");
        }
        Ok(self.missing_debian())
    }

    /// Checks that there is a toolchain, of an age that can compile the project.
    pub(super) fn check(&self, sh: &Shell) -> Result<()> {
        if self.toolchain(sh)? == Toolchain::Debian {
            let version = cmd!(sh, "/usr/bin/rustc --version")
                .quiet()
                .env_remove("LD_LIBRARY_PATH")
                .read()?;
            let minor = minor(&version)
                .with_context(|| format!("expected `rustc 1.…`, found `{version}`"))?;
            if minor < RUST_MINOR {
                bail!(
                    "expected /usr/bin/rustc to be 1.{RUST_MINOR} or newer (package rustc-web), found `{version}`"
                );
            }
        }
        Ok(())
    }

    /// Reports whether rustup's toolchain has the target.
    pub(super) fn rustup_has(&self, sh: &Shell) -> bool {
        let triple = self.triple;
        let libraries = cmd!(sh, "rustc --print target-libdir --target {triple}")
            .quiet()
            .ignore_stderr()
            .read();
        libraries.is_ok_and(|path| Path::new(&path).is_dir())
    }

    fn missing_debian(&self) -> Vec<&'static str> {
        [apt::missing(&DEBIAN), apt::missing(self.debian_linker)].concat()
    }
}

impl Toolchain {
    /// The program to call as cargo.
    pub(crate) fn cargo(self) -> &'static str {
        match self {
            Self::Rustup => "cargo",
            Self::Debian => "/usr/bin/cargo",
        }
    }

    /// What cargo needs to be told.
    pub(crate) fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Rustup => &[],
            Self::Debian => &["-Zbuild-std=std,panic_abort"],
        }
    }

    /// Sets the variables that cargo needs, and removes those that the pinned toolchain's cargo set for itself.
    pub(crate) fn set_variables(self, mut cmd: Cmd<'_>) -> Cmd<'_> {
        if self == Self::Rustup {
            return cmd;
        }
        for name in [
            "CARGO",
            "LD_LIBRARY_PATH",
            "RUSTC_WRAPPER",
            "RUSTDOC",
            "RUSTUP_TOOLCHAIN",
        ] {
            cmd = cmd.env_remove(name);
        }
        // `-Zbuild-std` is for nightly toolchains; this says that we know.
        cmd.env("RUSTC", "/usr/bin/rustc")
            .env("RUSTC_BOOTSTRAP", "1")
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rustup => "rustup's toolchain",
            Self::Debian => "Debian's toolchain",
        })
    }
}

fn forced() -> Result<Option<Toolchain>> {
    match std::env::var(VARIABLE).as_deref() {
        Err(_) | Ok("") => Ok(None),
        Ok("rustup") => Ok(Some(Toolchain::Rustup)),
        Ok("debian") => Ok(Some(Toolchain::Debian)),
        Ok(other) => bail!("{VARIABLE}: expected `rustup` or `debian`, found `{other}`"),
    }
}

fn minor(version: &str) -> Option<u32> {
    version
        .strip_prefix("rustc 1.")?
        .split('.')
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_minor_version() {
        assert_eq!(
            minor("rustc 1.96.0 (built from a source tarball)"),
            Some(96)
        );
        assert_eq!(minor("rustc 1.63.0"), Some(63));
        assert_eq!(minor("command not found"), None);
    }
}
