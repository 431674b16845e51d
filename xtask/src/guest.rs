//! `cargo xtask guest`: what models are made of, compiled to WebAssembly and made components.
//!
//! ```text
//! guest/predictor ─ cargo, without tract ─► core module ─ wit-component ─► target/guest/lean.wasm
//!                 └ cargo, with tract ────► core module ─ wit-component ─► target/guest/predictor.wasm
//! guest/no-offload ─ wat ─────────────────► core module ─ wit-component ─► target/guest/no-offload.wasm
//! ```
//!
//! The target is `wasm32-unknown-unknown`: such a component imports nothing of a system, so it can reach nothing, and runs in any
//! WASI host all the same. Its rustflags are in `.cargo/config.toml`.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use wit_component::{ComponentEncoder, DecodedWasm, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;
use xshell::{Cmd, Shell, cmd};

use crate::setup::guest_target::{TARGET, Toolchain};
use crate::setup::{self, Piece};

/// The components that `host/cli` embeds, the one that is built sooner first.
const PREDICTORS: [Predictor; 2] = [
    Predictor {
        component: "target/guest/lean.wasm",
        features: &["--no-default-features"],
        folder: "/lean",
    },
    Predictor {
        component: "target/guest/predictor.wasm",
        features: &[],
        folder: "",
    },
];

/// One way to build the predictor.
struct Predictor {
    /// What is made, from the root.
    component: &'static str,
    /// What cargo is told.
    features: &'static [&'static str],
    /// Where cargo works, within the toolchain's directory: modules of two ways have the same name.
    folder: &'static str,
}

/// What to build.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Build the lean predictor alone, which takes a minute
    #[arg(long)]
    lean: bool,
}

/// Sets up for the guest and builds it.
pub(crate) fn run(sh: &Shell, options: &Options) -> Result<()> {
    setup::run(sh, &[Piece::Cc, Piece::GuestTarget])?;
    match options.lean {
        true => {
            build_no_offload(sh)?;
            PREDICTORS[0].build(sh, Toolchain::find(sh)?)
        }
        false => build(sh),
    }
}

/// Builds the components. Cargo decides what has to be compiled anew; a component that stays the same is not touched.
pub(crate) fn build(sh: &Shell) -> Result<()> {
    let toolchain = Toolchain::find(sh)?;
    println!("guest: building with {toolchain}; from nothing this takes minutes");
    build_no_offload(sh)?;
    PREDICTORS
        .iter()
        .try_for_each(|predictor| predictor.build(sh, toolchain))
}

/// Runs clippy on the predictor, which compiles for its own target only.
pub(crate) fn clippy(sh: &Shell) -> Result<()> {
    let toolchain = Toolchain::find(sh)?;
    if toolchain == Toolchain::Debian {
        println!("skipped: clippy on the predictor, which needs rustup's {TARGET}");
        return Ok(());
    }
    // The directories are those of the builds, for their build scripts.
    PREDICTORS.iter().try_for_each(|predictor| {
        let clippy = predictor.cargo(sh, toolchain, "clippy");
        clippy.args(["--", "-D", "warnings"]).run()?;
        Ok(())
    })
}

impl Predictor {
    fn build(&self, sh: &Shell, toolchain: Toolchain) -> Result<()> {
        self.cargo(sh, toolchain, "build").run()?;
        let module = sh.current_dir().join(format!(
            "{}/{TARGET}/guest/tensorlet_predictor.wasm",
            self.target_dir(toolchain)
        ));
        let module = fs::read(&module)
            .with_context(|| format!("expected the predictor at {}", module.display()))?;
        let component =
            encode(&module).context("expected a predictor that can be made a component")?;
        write(sh, self.component, &component)
    }

    fn target_dir(&self, toolchain: Toolchain) -> String {
        format!("{}{}", toolchain.target_dir(), self.folder)
    }

    fn cargo<'a>(&self, sh: &'a Shell, toolchain: Toolchain, command: &str) -> Cmd<'a> {
        let target_dir = self.target_dir(toolchain);
        let options = ["--profile", "guest", "--target-dir", &target_dir];
        let arguments = [&[command][..], &options, self.features].concat();
        cargo(sh, toolchain, &arguments)
    }
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

/// What a predictor may import: the compiler plugs it.
const IMPORT: &str = "tensorlet:model/offload@";

/// Makes a component of the module. It must import nothing else: that is what keeps it in its sandbox on every host.
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
        .filter(|name| !name.starts_with(IMPORT))
        .collect();
    if !imports.is_empty() {
        bail!(
            "expected a predictor that imports {IMPORT}…, found imports of {}",
            imports.join(", ")
        );
    }
    Ok(component)
}

/// Builds what declines every offload.
fn build_no_offload(sh: &Shell) -> Result<()> {
    let source = sh.current_dir().join("guest/no-offload/no-offload.wat");
    let mut module = wat::parse_file(&source)?;
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(sh.current_dir().join("wit"))?;
    let world = resolve.select_world(&[package], Some("no-offload"))?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    let component = encode(&module).context("expected a stub that can be made a component")?;
    write(sh, "target/guest/no-offload.wasm", &component)
}

/// Writes a component and tells so.
fn write(sh: &Shell, path: &str, component: &[u8]) -> Result<()> {
    let is_new = write_if_changed(&sh.current_dir().join(path), component)?;
    let state = if is_new { "written" } else { "up to date" };
    let megabytes = component.len() as f64 / 1e6;
    println!("guest: {path}, {megabytes:.1} MB, {state}");
    Ok(())
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
