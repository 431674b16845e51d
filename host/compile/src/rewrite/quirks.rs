//! Writes out what ONNX leaves implicit and tract reads in another way.
//!
//! ```text
//! z = ConstantOfShape(s)        ───►   z = ConstantOfShape(s) {value: f32[1] = 0}
//! y, h = LSTM(x, w, r)          ───►   zeros = Expand(zero, dims[1, N, 8])
//!                                      y, h = LSTM(x, w, r, , , zeros, zeros)
//! a = If(c) {then: -> x, …}     ───►   a = If(c) {then: x copy = Identity(x); -> x copy, …}
//! u = Resize(x, , , sizes)      ───►   u = Resize(x, , scales)
//! ```

use std::collections::HashSet;

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto};
use tract_onnx::prelude::TDim;
use tract_onnx::tract_core::internal::DimLike;

use super::chain::Chain;
use super::error::{RewriteError, RewriteErrorKind};
use super::facts::Facts;
use super::graph::{Names, attribute, definitions, input, int, new_node, node_name, subgraphs_mut};
use super::tensors::new_i64;

/// `ConstantOfShape` without a value is of f32; tract makes it of f64.
pub(super) fn write_fill_values(graph: &mut GraphProto) {
    for node in &mut graph.node {
        if node.op_type == "ConstantOfShape" && attribute(node, "value").is_none() {
            node.attribute.push(AttributeProto {
                name: "value".into(),
                r#type: AttributeType::Tensor as i32,
                t: Some(new_f32("", &[1], &[0.0])),
                ..AttributeProto::default()
            });
        }
        subgraphs_mut(node).for_each(write_fill_values);
    }
}

/// An output of a subgraph that is a value from around it goes through a node; tract finds no other.
pub(super) fn copy_captured_outputs(graph: &mut GraphProto) {
    let mut names = Names::of(graph);
    for subgraph in graph.node.iter_mut().flat_map(subgraphs_mut) {
        let own: HashSet<String> = definitions(subgraph).map(str::to_owned).collect();
        for output in &mut subgraph.output {
            if !own.contains(&output.name) {
                let copy = names.fresh(&format!("{} copy", output.name));
                subgraph
                    .node
                    .push(new_node("Identity", &[&output.name], &copy));
                output.name = copy;
            }
        }
        copy_captured_outputs(subgraph);
    }
}

/// Recurrent operators start from zeros unless told otherwise; tract makes these only for a batch that is a
/// number. Returns whether any was added.
pub(super) fn write_initial_states(graph: &mut GraphProto, facts: &Facts) -> bool {
    let mut chain = Chain::new(graph, facts);
    let mut zeros = vec![];
    let mut nodes = Vec::with_capacity(graph.node.len());
    for mut node in graph.node.drain(..) {
        if let Some((zero, expand)) = initial_state(&node, facts, &mut chain) {
            let states = if node.op_type == "LSTM" { 2 } else { 1 };
            node.input
                .resize(node.input.len().max(5 + states), String::new());
            let missing = node.input[5..5 + states]
                .iter_mut()
                .filter(|input| input.is_empty());
            missing.for_each(|input| input.clone_from(&expand.output[0]));
            zeros.push(zero);
            nodes.push(expand);
        }
        nodes.push(node);
    }
    graph.node = nodes;
    let changed = !zeros.is_empty();
    graph.initializer.extend(zeros);
    chain.finish(graph);
    changed
}

/// Makes the zeros for a node that lacks some and whose batch is not a number.
fn initial_state(
    node: &NodeProto,
    facts: &Facts,
    chain: &mut Chain<'_>,
) -> Option<(TensorProto, NodeProto)> {
    let states = match node.op_type.as_str() {
        "LSTM" => 2,
        "GRU" | "RNN" => 1,
        _ => return None,
    };
    let complete = (5..5 + states).all(|index| input(node, index).is_some());
    let batch_first = int(node, "layout").unwrap_or(0) == 1;
    let (x, r) = (facts.shape(input(node, 0)?)?, facts.shape(input(node, 2)?)?);
    let batch = x.get(usize::from(!batch_first))?.clone()?;
    if complete || batch.as_i64().is_some() {
        return None;
    }
    let (directions, hidden) = (r.first()?.clone()?, r.get(2)?.clone()?);
    let dims = if batch_first {
        [batch, directions, hidden]
    } else {
        [directions, batch, hidden]
    };
    let shape = chain.vector(&dims)?;
    let name = format!("{} initial state", node_name(node));
    let zero = new_f32(&format!("{name} zero"), &[1, 1, 1], &[0.0]);
    let expand = new_node("Expand", &[&zero.name, &shape], &name);
    Some((zero, expand))
}

/// tract resizes to sizes that are numbers, or by scales. Where the sizes with symbols are in proportion to
/// those of the input, they are scales. Returns whether any was changed.
pub(super) fn write_scales(graph: &mut GraphProto, facts: &Facts, opset: i64) -> bool {
    let mut made = vec![];
    let resizes = graph
        .node
        .iter_mut()
        .filter(|node| node.op_type == "Resize" && opset >= 11);
    for node in resizes {
        let Some(scales) = scales(node, facts) else {
            continue;
        };
        let name = format!("{} scales", node_name(node));
        made.push(new_f32(&name, &[scales.len()], &scales));
        node.input[2] = name;
        node.input.truncate(3);
    }
    let changed = !made.is_empty();
    graph.initializer.extend(made);
    changed
}

fn scales(node: &NodeProto, facts: &Facts) -> Option<Vec<f32>> {
    let sizes = facts.value(input(node, 3)?)?.expressions()?;
    let stretches =
        attribute(node, "keep_aspect_ratio_policy").is_none_or(|policy| policy.s == b"stretch");
    if !stretches || sizes.iter().all(|size| size.as_i64().is_some()) {
        return None;
    }
    let old = facts.shape(input(node, 0)?)?;
    let axes: Vec<usize> = match super::graph::ints(node, "axes") {
        Some(axes) => axes
            .iter()
            .map(|&axis| {
                usize::try_from(if axis < 0 {
                    axis + old.len() as i64
                } else {
                    axis
                })
                .ok()
            })
            .collect::<Option<_>>()?,
        None => (0..old.len()).collect(),
    };
    let pairs = axes
        .iter()
        .map(|&axis| old.get(axis).cloned().flatten())
        .zip(&sizes);
    pairs.map(|(old, new)| scale(&old?, new)).collect()
}

/// Returns the scale from one size to the other, if it is the same for all symbols. tract rounds the product down.
fn scale(old: &TDim, new: &TDim) -> Option<f32> {
    if let (Some(old), Some(new)) = (old.as_i64(), new.as_i64()) {
        let mut scale = new as f32 / old as f32;
        while ((old as f32 * scale) as i64) < new && scale.is_finite() {
            scale = scale.next_up();
        }
        return Some(scale).filter(|scale| scale.is_finite());
    }
    let (quotient, divisor) = new.maybe_div(old).ok()?;
    let quotient = quotient.as_i64().filter(|_| divisor == 1)?;
    Some(quotient as f32)
}

/// Refuses what tract takes, and then fails on in every call.
///
/// # Errors
/// If a `Resize` is to sizes with symbols.
pub(super) fn check_resizes(
    graph: &GraphProto,
    facts: &Facts,
    opset: i64,
) -> Result<(), RewriteError> {
    for node in graph
        .node
        .iter()
        .filter(|node| node.op_type == "Resize" && opset >= 11)
    {
        let sizes = input(node, 3).and_then(|name| facts.value(name));
        if let (Some(data), Some(sizes)) = (
            input(node, 0),
            sizes.filter(|sizes| sizes.integers().is_none()),
        ) {
            let sizes = sizes.elements().iter().map(|size| {
                size.as_ref()
                    .and_then(|size| size.as_dim())
                    .map_or("?".into(), TDim::to_string)
            });
            let found = format!(
                "{} to [{}]",
                facts.describe(data),
                sizes.collect::<Vec<_>>().join(", ")
            );
            let message = format!(
                "node `{}` (Resize, opset {opset}): expected sizes that are numbers or multiples of the input's, found {found}",
                node_name(node)
            );
            return Err(RewriteError::new(RewriteErrorKind::Unsupported, message));
        }
    }
    Ok(())
}

fn new_f32(name: &str, dims: &[usize], elements: &[f32]) -> TensorProto {
    TensorProto {
        data_type: DataType::Float as i32,
        raw_data: elements
            .iter()
            .flat_map(|element| element.to_le_bytes())
            .collect(),
        ..new_i64(name, dims, &[])
    }
}
