//! The toolchain that compiles the guest.
//!
//! The target of the pinned toolchain, if rustup has it or can fetch it. Where it cannot, Debian 12 has a newer
//! toolchain in packages of its own, without a standard library for WebAssembly, which cargo then builds from source.
//! The variable `TENSORLET_GUEST_TOOLCHAIN`, `rustup` or `debian`, forces one of them.

use std::fmt;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use xshell::{Cmd, Shell, cmd};

/// The target that the guest is compiled for.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

const VARIABLE: &str = "TENSORLET_GUEST_TOOLCHAIN";

/// The compiler, cargo, the standard library's sources, and the linker `rust-lld`.
const DEBIAN_PACKAGES: [&str; 5] = [
    "rustc-web",
    "cargo-web",
    "rust-web-src",
    "rust-web-llvm",
    "lld-22",
];

/// A file of each package, in the same order.
const DEBIAN_FILES: [&str; 5] = [
    "/usr/bin/rustc",
    "/usr/bin/cargo",
    "/usr/lib/rustlib/src/rust/library/std/Cargo.toml",
    "/usr/bin/rust-lld",
    "/usr/bin/lld-22",
];

/// The oldest release that compiles this project, its minor number.
const RUST_MINOR: u32 = 95;

/// Where the compiler for the guest comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Toolchain {
    /// The pinned toolchain, with the target added.
    Rustup,
    /// Debian's.
    Debian,
}

impl Toolchain {
    /// Chooses, among those that are there.
    pub(crate) fn find(sh: &Shell) -> Result<Self> {
        let forced = forced()?;
        let has_rustup = forced != Some(Self::Debian) && rustup_has_target(sh);
        let has_debian = forced != Some(Self::Rustup) && missing_debian().is_empty();
        match (has_rustup, has_debian) {
            (true, _) => Ok(Self::Rustup),
            (false, true) => Ok(Self::Debian),
            (false, false) => bail!(
                "expected a toolchain for {TARGET}, found none; `cargo xtask setup` installs one"
            ),
        }
    }

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

    /// Where cargo works, one place each so that neither undoes the other's work.
    pub(crate) fn target_dir(self) -> &'static str {
        match self {
            Self::Rustup => "target/guest",
            Self::Debian => "target/guest-debian",
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

/// Adds the target by rustup if need be and possible; else names Debian's packages that are missing.
pub(super) fn missing_packages(sh: &Shell) -> Result<Vec<&'static str>> {
    let forced = forced()?;
    if forced != Some(Toolchain::Debian) {
        if rustup_has_target(sh) {
            return Ok(Vec::new());
        }
        println!("setup: adding the target {TARGET} to the toolchain");
        let added = cmd!(sh, "rustup target add {TARGET}").run();
        if added.is_ok() && rustup_has_target(sh) {
            return Ok(Vec::new());
        }
        if forced == Some(Toolchain::Rustup) {
            bail!("expected rustup to provide the target {TARGET}, as {VARIABLE} asks for it");
        }
        println!("setup: rustup cannot provide {TARGET}; using Debian's packages");
    }
    Ok(missing_debian())
}

/// Checks that there is a toolchain, of an age that can compile the project.
pub(super) fn check(sh: &Shell) -> Result<()> {
    if Toolchain::find(sh)? == Toolchain::Debian {
        let version = cmd!(sh, "/usr/bin/rustc --version")
            .quiet()
            .env_remove("LD_LIBRARY_PATH")
            .read()?;
        let minor =
            minor(&version).with_context(|| format!("expected `rustc 1.…`, found `{version}`"))?;
        if minor < RUST_MINOR {
            bail!(
                "expected /usr/bin/rustc to be 1.{RUST_MINOR} or newer (package rustc-web), found `{version}`"
            );
        }
    }
    Ok(())
}

fn forced() -> Result<Option<Toolchain>> {
    match std::env::var(VARIABLE).as_deref() {
        Err(_) | Ok("") => Ok(None),
        Ok("rustup") => Ok(Some(Toolchain::Rustup)),
        Ok("debian") => Ok(Some(Toolchain::Debian)),
        Ok(other) => bail!("{VARIABLE}: expected `rustup` or `debian`, found `{other}`"),
    }
}

fn rustup_has_target(sh: &Shell) -> bool {
    let libraries = cmd!(sh, "rustc --print target-libdir --target {TARGET}")
        .quiet()
        .ignore_stderr()
        .read();
    libraries.is_ok_and(|path| Path::new(&path).is_dir())
}

fn missing_debian() -> Vec<&'static str> {
    let missing = DEBIAN_PACKAGES
        .iter()
        .zip(DEBIAN_FILES)
        .filter(|(_, file)| !Path::new(file).exists());
    missing.map(|(package, _)| *package).collect()
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

    #[test]
    fn toolchains_share_no_directory() {
        assert_ne!(
            Toolchain::Rustup.target_dir(),
            Toolchain::Debian.target_dir()
        );
    }
}
