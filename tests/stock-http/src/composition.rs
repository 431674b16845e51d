//! Joins a component with one that it depends on, by the library that Spin does it with.

use std::fs;
use std::path::Path;

use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions, PackageId, plug};
use wasmtime::error::Context as _;
use wasmtime::{Result, format_err};

/// Writes the component that has of `dependency` what it imports, and exports what it did.
///
/// # Errors
/// If one cannot be read, or does not fit the other.
pub(crate) fn compose(component: &Path, dependency: &Path, output: &Path) -> Result<()> {
    let mut graph = CompositionGraph::new();
    let socket = register(&mut graph, "component", component)?;
    let dependency = register(&mut graph, "dependency", dependency)?;
    plug(&mut graph, vec![dependency], socket)
        .context("expected a dependency that exports what the component imports")?;
    let composed = graph
        .encode(EncodeOptions::default())
        .context("the components cannot be joined")?;
    fs::write(output, composed).with_context(|| format!("cannot write {}", output.display()))
}

fn register(graph: &mut CompositionGraph, name: &str, path: &Path) -> Result<PackageId> {
    let shown = path.display();
    let bytes = fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    let package = Package::from_bytes(name, None, bytes, graph.types_mut())
        .map_err(|error| format_err!("{shown}: expected a component: {error:#}"))?;
    graph
        .register_package(package)
        .with_context(|| format!("{shown}: expected another component than the other one"))
}
