//! Writes nodes without kernel as a model of their own.

use std::collections::HashSet;

use prost::Message;
use tensorlet_plan::DimExpr;
use tensorlet_tensor::Dim;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};

use crate::graph::{Graph, Op, ValueId};
use crate::inputs::{datum_type_to_onnx, fix_symbol, tensor_type};
use crate::rewrite::graph::{captures, new_node, subgraphs};
use crate::rewrite::{RewriteError, rewrite};
use crate::rows;

/// Returns the model of some nodes, as tract takes it, and whether it computes one row.
///
/// # Errors
/// If tract does not take it.
pub(super) fn write(
    graph: &Graph,
    source: &ModelProto,
    nodes: &[usize],
    inputs: &[ValueId],
    outputs: &[ValueId],
) -> Result<(Vec<u8>, bool), RewriteError> {
    let mut model = ModelProto {
        ir_version: source.ir_version,
        opset_import: source.opset_import.clone(),
        functions: source.functions.clone(),
        graph: Some(write_graph(graph, nodes, inputs, outputs)),
        ..ModelProto::default()
    };
    let rewritten = rewrite(model.clone())?;
    if let Some(symbol) = batch_symbol(graph, inputs, outputs)
        && rows::are_independent(&rewritten.model, &symbol)
        && let Some(graph) = &mut model.graph
    {
        fix_symbol(graph, &symbol, 1);
        if let Ok(one_row) = rewrite(model) {
            return Ok((one_row.model.encode_to_vec(), true));
        }
    }
    Ok((rewritten.model.encode_to_vec(), false))
}

/// Returns the symbol that is axis 0 of all inputs and outputs and stands at no other.
fn batch_symbol(graph: &Graph, inputs: &[ValueId], outputs: &[ValueId]) -> Option<String> {
    let first = graph.dims(*inputs.first()?)?.first()?.as_symbol()?;
    let counts_rows = |&value: &ValueId| {
        graph
            .dims(value)
            .and_then(<[DimExpr]>::split_first)
            .is_some_and(|(axis, rest)| {
                axis.as_symbol() == Some(first) && !rest.iter().any(|dim| dim.mentions(first))
            })
    };
    let counted = inputs.iter().chain(outputs).all(counts_rows);
    counted.then(|| graph.symbols[first.0 as usize].clone())
}

fn write_graph(
    graph: &Graph,
    nodes: &[usize],
    inputs: &[ValueId],
    outputs: &[ValueId],
) -> GraphProto {
    let mut written = GraphProto {
        name: "subgraph".into(),
        input: inputs
            .iter()
            .map(|&id| value_info(graph, id, true))
            .collect(),
        output: outputs
            .iter()
            .map(|&id| value_info(graph, id, false))
            .collect(),
        ..GraphProto::default()
    };
    let mut known: HashSet<ValueId> = HashSet::new();
    let mut renamed: HashSet<String> = HashSet::new();
    for &index in nodes {
        let node = &graph.nodes[index];
        let Op::Onnx(proto) = &node.op else {
            continue;
        };
        for &input in &node.inputs {
            if graph.value(input).constant.is_some() && known.insert(input) {
                written.initializer.extend(tensor(graph, input));
            }
        }
        // What is taken from around a node's sub-graphs keeps the name that these know.
        for (name, &value) in captured_names(proto).zip(&node.inputs[own_inputs(proto)..]) {
            if renamed.insert(name.to_owned()) {
                written
                    .node
                    .push(new_node("Identity", &[&name_of(value)], name));
            }
        }
        let mut proto = (**proto).clone();
        rename(&mut proto.input, &node.inputs);
        rename(&mut proto.output, &node.outputs);
        proto.name = format!("{}#{index}", node.name);
        written.node.push(proto);
    }
    written
}

/// The name of a value in the written model: its own need not be unique.
fn name_of(value: ValueId) -> String {
    format!("#{}", value.0)
}

fn own_inputs(node: &NodeProto) -> usize {
    node.input.iter().filter(|name| !name.is_empty()).count()
}

/// Returns the names that the sub-graphs of a node read from outside, as the node's further inputs have them.
fn captured_names(node: &NodeProto) -> impl Iterator<Item = &str> {
    let mut seen: HashSet<&str> = node.input.iter().map(String::as_str).collect();
    let names = subgraphs(node).flat_map(captures);
    names.filter(move |name| seen.insert(name))
}

fn rename(names: &mut [String], values: &[ValueId]) {
    let there = names.iter_mut().filter(|name| !name.is_empty());
    for (name, &value) in there.zip(values) {
        *name = name_of(value);
    }
}

fn value_info(graph: &Graph, id: ValueId, typed: bool) -> ValueInfoProto {
    let value = graph.value(id);
    let dim = |dim: &DimExpr| match dim.as_number().and_then(|size| u32::try_from(size).ok()) {
        Some(size) => Dim::Fixed(size),
        None => Dim::Symbol(dim.text(&graph.symbols)),
    };
    let dims = value.dims.as_ref().filter(|_| typed);
    let dims: Option<Vec<Dim>> = dims.map(|dims| dims.iter().map(dim).collect());
    ValueInfoProto {
        name: name_of(id),
        r#type: dims.map(|dims| tensor_type(value.datum_type, &dims)),
        ..ValueInfoProto::default()
    }
}

fn tensor(graph: &Graph, id: ValueId) -> Option<TensorProto> {
    let value = graph.value(id);
    Some(TensorProto {
        name: name_of(id),
        dims: graph
            .fixed_dims(id)?
            .into_iter()
            .map(|dim| dim as i64)
            .collect(),
        data_type: datum_type_to_onnx(value.datum_type) as i32,
        raw_data: value.constant.as_ref()?.to_vec(),
        ..TensorProto::default()
    })
}
