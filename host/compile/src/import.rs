//! Makes kernels of a model's operators.
//!
//! ```text
//! ModelProto + Facts ─► each node: importer ─► kernels that bind? ─► Graph
//!                                    └─ no ─► Op::Onnx, for tract
//! ```
//!
//! - [`registry`] says which operators have an importer. One module a family holds these: [`activations`] and so on.
//! - [`context`] is what an importer works with, [`builder`] the graph that grows, [`dims`] and [`constants`] what they compute with.
//! - [`support`] asks the kernels; [`leftover`] keeps what is for tract.
//!
//! The same importers tell the types of values while a model is rewritten ([`types_of`]): an operator's sizes are said once.

mod activations;
mod arithmetic;
mod attention;
mod builder;
mod casts;
mod constants;
mod context;
mod convolutions;
mod dims;
mod einsum;
mod gathers;
mod joins;
mod known;
mod leftover;
mod losses;
mod matrices;
mod normalisations;
mod pads;
mod pools;
mod quantisation;
mod ranks;
mod recurrent;
mod reductions;
mod registry;
mod resize;
mod shapes;
mod slices;
mod support;

use tensorlet_tensor::DatumType;
use tract_onnx::pb::{GraphProto, NodeProto};
use tract_onnx::prelude::TDim;

use crate::graph::Graph;
use crate::rewrite::Analysed;
use crate::rewrite::facts::Facts;
use crate::rewrite::graph::opset;
use crate::rewrite::guard::guarded;
use builder::Builder;
use context::Context;
pub(crate) use known::{Known, Sources};
use leftover::Leftovers;
use registry::importer;
pub(crate) use registry::is_known;
use support::Samples;

/// Makes a graph of a model whose types are known.
///
/// Returns `None` if a value is of a type that a graph cannot hold; tract may still compute such a model as a whole.
pub(crate) fn import(analysed: &Analysed) -> Option<Graph> {
    let graph = analysed.model.graph.as_ref()?;
    import_graph(graph, &analysed.facts, opset(&analysed.model))
}

fn import_graph(graph: &GraphProto, facts: &Facts, opset: i64) -> Option<Graph> {
    let sources = Sources::of(graph, None);
    let known = Known {
        facts,
        sources: &sources,
        opset,
    };
    let mut builder = Builder::new(known, false);
    let inputs = graph.input.iter().map(|input| input.name.as_str());
    let inputs = inputs.filter(|name| !sources.tensors.contains_key(name));
    for name in inputs {
        for dim in known.dims(name)? {
            for symbol in dim.symbols() {
                builder.graph.symbol(&symbol.to_string());
            }
        }
        builder.add_input(name)?;
    }
    let samples = Samples::new(builder.graph.symbols.len());
    let mut leftovers = Leftovers::new(graph);
    for node in &graph.node {
        if import_node(&mut builder, node, &samples).is_none() {
            leftovers.add(&mut builder, node)?;
        }
    }
    for output in &graph.output {
        let id = builder.stored(&output.name)?;
        builder.graph.outputs.push(id);
    }
    Some(pruned(builder.graph))
}

/// Adds the kernels of a node, if there are some for all of it.
fn import_node(builder: &mut Builder<'_>, node: &NodeProto, samples: &Samples) -> Option<()> {
    let importer = importer(node)?;
    let mark = builder.mark();
    // Attributes may be anything; what they lead to is no worse than a node without a kernel.
    let imported = guarded(|| {
        let mut context = Context::new(builder, node);
        let done = importer.import(&mut context);
        Ok(done.and_then(|()| context.finish()))
    });
    let binds = |builder: &Builder<'_>| {
        let nodes = &builder.graph.nodes[mark.nodes..];
        nodes
            .iter()
            .all(|node| samples.check(&builder.graph, node).is_ok())
    };
    if imported.is_ok_and(|types| types.is_some()) && binds(builder) {
        return Some(());
    }
    builder.go_back(&mark);
    None
}

/// Returns datum types and dims of a node's outputs, as far as its importer can tell.
pub(crate) fn types_of(node: &NodeProto, known: Known<'_>) -> Vec<Option<(DatumType, Vec<TDim>)>> {
    let types = || {
        let mut builder = Builder::new(known, true);
        let mut context = Context::new(&mut builder, node);
        let importer = importer(node)?;
        importer.import(&mut context)?;
        context.finish()
    };
    guarded(|| Ok(types())).ok().flatten().unwrap_or_default()
}

/// Removes nodes and values that no output needs.
fn pruned(mut graph: Graph) -> Graph {
    let mut needed = vec![false; graph.values.len()];
    for id in graph.inputs.iter().chain(&graph.outputs) {
        needed[id.index()] = true;
    }
    let mut nodes = std::mem::take(&mut graph.nodes);
    nodes.reverse();
    nodes.retain(|node| {
        let wanted = node.outputs.iter().any(|id| needed[id.index()]);
        if wanted {
            for id in node.inputs.iter().chain(&node.outputs) {
                needed[id.index()] = true;
            }
        }
        wanted
    });
    nodes.reverse();
    let mut kept = 0;
    let places: Vec<u32> = needed
        .iter()
        .map(|&needed| {
            kept += u32::from(needed);
            kept.saturating_sub(1)
        })
        .collect();
    let mut needed = needed.into_iter();
    graph.values.retain(|_| needed.next().unwrap_or(false));
    let nodes_ids = nodes
        .iter_mut()
        .flat_map(|node| node.inputs.iter_mut().chain(&mut node.outputs));
    for id in nodes_ids.chain(&mut graph.inputs).chain(&mut graph.outputs) {
        id.0 = places[id.index()];
    }
    graph.nodes = nodes;
    graph
}

#[cfg(test)]
mod tests;
