//! `cargo xtask guest`: what models are made of, compiled to WebAssembly and made components.
//!
//! ```text
//! guest/predictor ── cargo, without tract ─► core module ─ wit-component ─► target/guest/lean.wasm
//!                 └─ cargo, with tract ────► core module ─ wit-component ─► target/guest/predictor.wasm
//! guest/answerer ─── cargo, one feature ───► core module ─ wit-component ─► target/guest/answerer-{picture,bytes,audio}.wasm
//! guest/http ─────── cargo ────────────────► core module ─ wit-component ─► target/guest/http.wasm
//! guest/no-offload ─ wat ──────────────────► core module ─ wit-component ─► target/guest/no-offload.wasm
//! guest/no-answer ── wat ──────────────────► core module ─ wit-component ─► target/guest/no-answer.wasm
//! ```
//!
//! The target is `wasm32-unknown-unknown`: such a component imports nothing of a system but what it is written for, so it can reach
//! nothing else, and runs in any WASI host all the same. Its rustflags are in `.cargo/config.toml`.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use wit_component::{ComponentEncoder, DecodedWasm, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;
use xshell::{Cmd, Shell, cmd};

use crate::setup::guest_target::{TARGET, Toolchain};
use crate::setup::{self, Piece};

/// What is compiled, in the order in which it is: what takes long comes last.
const COMPONENTS: [Component; 6] = [
    Component {
        component: "target/guest/lean.wasm",
        package: "tensorlet-predictor",
        features: &["--no-default-features"],
        folder: "/lean",
        imports: OFFLOAD,
    },
    Component {
        component: "target/guest/http.wasm",
        package: "tensorlet-http",
        features: &[],
        folder: "/lean",
        imports: &[
            "tensorlet:model/answer@",
            "tensorlet:model/predict@",
            "tensorlet:model/tensor@",
            "wasi:http/types@0.2.0",
            "wasi:io/error@0.2.0",
            "wasi:io/poll@0.2.0",
            "wasi:io/streams@0.2.0",
        ],
    },
    Component {
        component: "target/guest/answerer-bytes.wasm",
        package: "tensorlet-answerer",
        features: &["--no-default-features", "--features", "bytes"],
        folder: "/lean",
        imports: PREDICT,
    },
    Component {
        component: "target/guest/answerer-audio.wasm",
        package: "tensorlet-answerer",
        features: &["--no-default-features", "--features", "audio"],
        folder: "/audio",
        imports: PREDICT,
    },
    Component {
        component: "target/guest/answerer-picture.wasm",
        package: "tensorlet-answerer",
        features: &["--no-default-features", "--features", "picture"],
        folder: "",
        imports: PREDICT,
    },
    Component {
        component: "target/guest/predictor.wasm",
        package: "tensorlet-predictor",
        features: &[],
        folder: "",
        imports: OFFLOAD,
    },
];

/// What is written in text.
const STUBS: [Stub; 2] = [
    Stub {
        component: "target/guest/no-offload.wasm",
        source: "guest/no-offload/no-offload.wat",
        world: "no-offload",
    },
    Stub {
        component: "target/guest/no-answer.wasm",
        source: "guest/no-answer/no-answer.wat",
        world: "no-answer",
    },
];

/// What a predictor may import: the compiler plugs it.
const OFFLOAD: &[&str] = &["tensorlet:model/offload@"];

/// What an answerer may import, likewise.
const PREDICT: &[&str] = &["tensorlet:model/predict@", "tensorlet:model/tensor@"];

/// A component that `host/cli` embeds.
struct Component {
    /// What is made, from the root.
    component: &'static str,
    package: &'static str,
    /// What cargo is told.
    features: &'static [&'static str],
    /// Where cargo works, within the toolchain's directory: modules of one package in two ways have the same name. Others share a
    /// folder, and so what they depend on.
    folder: &'static str,
    /// How the names begin of what it may import.
    imports: &'static [&'static str],
}

/// A component that is written in text.
struct Stub {
    /// What is made, from the root.
    component: &'static str,
    source: &'static str,
    /// Its world in `wit/`.
    world: &'static str,
}

/// What to build.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Leave out the predictor with tract, which takes minutes
    #[arg(long)]
    lean: bool,
}

/// Sets up for the guest and builds it.
pub(crate) fn run(sh: &Shell, options: &Options) -> Result<()> {
    setup::run(sh, &[Piece::Cc, Piece::GuestTarget])?;
    match options.lean {
        true => build_all(sh, COMPONENTS.split_last().expect("there are some").1),
        false => build(sh),
    }
}

/// Builds the components. Cargo decides what has to be compiled anew; a component that stays the same is not touched.
pub(crate) fn build(sh: &Shell) -> Result<()> {
    build_all(sh, &COMPONENTS)
}

fn build_all(sh: &Shell, components: &[Component]) -> Result<()> {
    let toolchain = Toolchain::find(sh)?;
    println!("guest: building with {toolchain}; from nothing this takes minutes");
    STUBS.iter().try_for_each(|stub| stub.build(sh))?;
    components
        .iter()
        .try_for_each(|component| component.build(sh, toolchain))
}

/// Runs clippy on the components, of which little is compiled for other targets.
pub(crate) fn clippy(sh: &Shell) -> Result<()> {
    let toolchain = Toolchain::find(sh)?;
    if toolchain == Toolchain::Debian {
        println!("skipped: clippy on the components, which needs rustup's {TARGET}");
        return Ok(());
    }
    // The directories are those of the builds, for their build scripts.
    COMPONENTS.iter().try_for_each(|component| {
        let clippy = component.cargo(sh, toolchain, "clippy");
        clippy.args(["--", "-D", "warnings"]).run()?;
        Ok(())
    })
}

impl Component {
    fn build(&self, sh: &Shell, toolchain: Toolchain) -> Result<()> {
        self.cargo(sh, toolchain, "build").run()?;
        let module = sh.current_dir().join(format!(
            "{}/{TARGET}/guest/{}.wasm",
            self.target_dir(toolchain),
            self.package.replace('-', "_")
        ));
        let module = fs::read(&module)
            .with_context(|| format!("expected {} at {}", self.package, module.display()))?;
        let component = encode(&module, self.imports)
            .with_context(|| format!("expected {} to become a component", self.package))?;
        write(sh, self.component, &component)
    }

    fn target_dir(&self, toolchain: Toolchain) -> String {
        format!("{}{}", toolchain.target_dir(), self.folder)
    }

    fn cargo<'a>(&self, sh: &'a Shell, toolchain: Toolchain, command: &str) -> Cmd<'a> {
        let target_dir = self.target_dir(toolchain);
        let options = [
            "--profile",
            "guest",
            "--target-dir",
            &target_dir,
            "--package",
            self.package,
        ];
        let arguments = [&[command][..], &options, self.features].concat();
        cargo(sh, toolchain, &arguments)
    }
}

fn cargo<'a>(sh: &'a Shell, toolchain: Toolchain, arguments: &[&str]) -> Cmd<'a> {
    let cargo = toolchain.cargo();
    let extra = toolchain.arguments();
    let cmd = cmd!(sh, "{cargo} {arguments...} {extra...} --target {TARGET}");
    // These would take the place of the rustflags in `.cargo/config.toml`.
    let cmd = cmd
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_RUSTFLAGS");
    toolchain.set_variables(cmd)
}

/// Makes a component of the module. It must import nothing but `imports`: that is what keeps it in its sandbox on every host.
fn encode(module: &[u8], imports: &[&str]) -> Result<Vec<u8>> {
    let component = ComponentEncoder::default()
        .validate(true)
        .module(module)?
        .encode()?;
    let DecodedWasm::Component(resolve, world) = wit_component::decode(&component)? else {
        bail!("expected a component, found a WIT package");
    };
    let others: Vec<_> = resolve.worlds[world]
        .imports
        .keys()
        .map(|key| resolve.name_world_key(key))
        .filter(|name| !imports.iter().any(|import| name.starts_with(import)))
        .collect();
    if !others.is_empty() {
        bail!(
            "expected imports of nothing but {}, found imports of {}",
            imports.join("…, "),
            others.join(", ")
        );
    }
    Ok(component)
}

impl Stub {
    fn build(&self, sh: &Shell) -> Result<()> {
        let mut module = wat::parse_file(sh.current_dir().join(self.source))?;
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_path(sh.current_dir().join("wit"))?;
        let world = resolve.select_world(&[package], Some(self.world))?;
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
        let component = encode(&module, &[])
            .with_context(|| format!("expected {} to become a component", self.source))?;
        write(sh, self.component, &component)
    }
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
        assert!(encode(b"not wasm", &[]).is_err());
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
