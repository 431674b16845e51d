//! `cargo xtask guest`: the predictor, compiled to WebAssembly and made a component.
//!
//! ```text
//! guest/predictor ─ cargo ─► core module ─ wit-component ─► target/guest/predictor.wasm
//! ```
//!
//! The target is `wasm32-unknown-unknown`: such a component imports nothing, so it can reach nothing, and runs in any
//! WASI host all the same. Its rustflags are in `.cargo/config.toml`.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use wit_component::{ComponentEncoder, DecodedWasm};
use xshell::{Cmd, Shell, cmd};

use crate::setup::guest_target::{TARGET, Toolchain};
use crate::setup::{self, Piece};

/// The component that `host/cli` embeds, from the root.
const COMPONENT: &str = "target/guest/predictor.wasm";

/// Sets up for the guest and builds it.
pub(crate) fn run(sh: &Shell) -> Result<()> {
    setup::run(sh, &[Piece::Cc, Piece::GuestTarget])?;
    build(sh)
}

/// Builds the component. Cargo decides what has to be compiled anew; a component that stays the same is not touched.
pub(crate) fn build(sh: &Shell) -> Result<()> {
    let toolchain = Toolchain::find(sh)?;
    let target_dir = toolchain.target_dir();
    println!("guest: building with {toolchain}; from nothing this takes minutes");
    cargo(
        sh,
        toolchain,
        &["build", "--profile", "guest", "--target-dir", target_dir],
    )
    .run()?;

    let module = sh.current_dir().join(format!(
        "{target_dir}/{TARGET}/guest/tensorlet_predictor.wasm"
    ));
    let module = fs::read(&module)
        .with_context(|| format!("expected the predictor at {}", module.display()))?;
    let component = encode(&module).context("expected a predictor that can be made a component")?;
    let is_new = write_if_changed(&sh.current_dir().join(COMPONENT), &component)?;
    let state = if is_new { "written" } else { "up to date" };
    println!(
        "guest: {COMPONENT}, {:.1} MB, {state}",
        component.len() as f64 / 1e6
    );
    Ok(())
}

/// Runs clippy on the predictor, which compiles for its own target only.
pub(crate) fn clippy(sh: &Shell) -> Result<()> {
    let toolchain = Toolchain::find(sh)?;
    if toolchain == Toolchain::Debian {
        println!("skipped: clippy on the predictor, which needs rustup's {TARGET}");
        return Ok(());
    }
    // The directory is that of the build, for its build scripts.
    let clippy = cargo(
        sh,
        toolchain,
        &[
            "clippy",
            "--profile",
            "guest",
            "--target-dir",
            toolchain.target_dir(),
        ],
    );
    clippy.args(["--", "-D", "warnings"]).run()?;
    Ok(())
}

fn cargo<'a>(sh: &'a Shell, toolchain: Toolchain, arguments: &[&str]) -> Cmd<'a> {
    let cargo = toolchain.cargo();
    let extra = toolchain.arguments();
    let cmd = cmd!(
        sh,
        "{cargo} {arguments...} {extra...} --package tensorlet-predictor --target {TARGET}"
    );
    // These would take the place of the rustflags in `.cargo/config.toml`.
    let cmd = cmd
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_RUSTFLAGS");
    toolchain.set_variables(cmd)
}

/// Makes a component of the module. It must import nothing: that is what keeps it in its sandbox on every host.
fn encode(module: &[u8]) -> Result<Vec<u8>> {
    let component = ComponentEncoder::default()
        .validate(true)
        .module(module)?
        .encode()?;
    let DecodedWasm::Component(resolve, world) = wit_component::decode(&component)? else {
        bail!("expected a component, found a WIT package");
    };
    let imports: Vec<_> = resolve.worlds[world]
        .imports
        .keys()
        .map(|key| resolve.name_world_key(key))
        .collect();
    if !imports.is_empty() {
        bail!(
            "expected a predictor that imports nothing, found imports of {}",
            imports.join(", ")
        );
    }
    Ok(component)
}

/// Writes a file unless it has these bytes already; returns whether it did.
///
/// What embeds the file is compiled anew only when the file was written.
fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<bool> {
    if fs::read(path).is_ok_and(|found| found == bytes) {
        return Ok(false);
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("expected to make {}", folder.display()))?;
    }
    let partial = path.with_extension("partial");
    fs::write(&partial, bytes)
        .with_context(|| format!("expected to write {}", partial.display()))?;
    fs::rename(&partial, path).with_context(|| format!("expected to write {}", path.display()))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_no_module() {
        assert!(encode(b"not wasm").is_err());
    }

    #[test]
    fn touches_a_file_only_to_change_it() {
        let sh = Shell::new().unwrap();
        let dir = sh.create_temp_dir().unwrap();
        let path = dir.path().join("new/x.wasm");

        assert!(
            write_if_changed(&path, b"one").unwrap(),
            "a new file must be written"
        );
        assert!(
            !write_if_changed(&path, b"one").unwrap(),
            "the same bytes must not be written"
        );
        assert!(
            write_if_changed(&path, b"two").unwrap(),
            "other bytes must be written"
        );
        assert_eq!(fs::read(&path).unwrap(), b"two");
    }
}
