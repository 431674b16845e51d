//! Components, compiled for this machine or not.

use std::fs;
use std::path::Path;

use wasmtime::Engine;
use wasmtime::Result;
use wasmtime::component::Component;
use wasmtime::error::Context as _;

/// How WebAssembly begins.
const MAGIC: &[u8] = b"\0asm";

/// Compiles a component, or maps one that [`compile`] wrote.
///
/// # Errors
/// If it cannot be read, or is neither.
pub(crate) fn load(engine: &Engine, path: &Path) -> Result<Component> {
    let shown = path.display();
    let bytes = fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    if bytes.starts_with(MAGIC) {
        return Component::new(engine, bytes)
            .with_context(|| format!("{shown}: expected a component"));
    }
    #[expect(
        unsafe_code,
        reason = "compiled code is what this host is asked to run"
    )]
    // SAFETY: whoever starts this host names a file that `compile` wrote. It is for tests and benches, which do.
    let component = unsafe { Component::deserialize_file(engine, path) };
    component
        .with_context(|| format!("{shown}: expected a component, or one compiled by this host"))
}

/// Compiles a component for this machine.
///
/// # Errors
/// If it cannot be read, is none, or nothing can be written to `output`.
pub(crate) fn compile(engine: &Engine, path: &Path, output: &Path) -> Result<()> {
    let shown = path.display();
    let bytes = fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    let compiled = engine
        .precompile_component(&bytes)
        .with_context(|| format!("{shown}: expected a component"))?;
    fs::write(output, compiled).with_context(|| format!("cannot write {}", output.display()))
}
