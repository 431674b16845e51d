//! Keeps integers that are data apart from sizes that are expressions.
//!
//! ```text
//! t = Gather(Shape(ids), 1)                 t = CastLike(tensorlet/dim T, i64)
//! y = Add(ids, t)                   ───►    y = Add(ids, t)
//! ```
//!
//! tract has a datum type of its own for sizes, to which it also casts what is cast to i64. In data it is slow, and
//! an expression that reaches an output has no value. `CastLike` is the one operator by which tract makes plain i64.

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto};
use tract_onnx::prelude::{DatumType, TDim};

use super::chain::{Chain, is_canonical};
use super::facts::Facts;
use super::graph::{Names, input, int, is_own_domain, new_node};
use super::tensors::new_i64;

/// An i64, for its datum type.
const LIKE: &str = "tensorlet/like i64";

/// Vectors of at most this length may be shapes.
const MAX_SHAPE_LEN: i64 = 16;

/// Separates what can be; returns whether anything could. The nodes must be sorted again afterwards.
pub(super) fn separate_integers(graph: &mut GraphProto, facts: &Facts) -> bool {
    let mut changed = false;
    let mut chain = Chain::new(graph, facts);
    let mut added = vec![];
    for node in graph
        .node
        .iter_mut()
        .filter(|node| is_own_domain(&node.domain))
    {
        changed |= cast_data(node, facts);
        changed |= read_sizes(node, facts, &mut chain, &mut added);
    }
    chain.finish(graph);
    let defined: Vec<String> = super::graph::definitions(graph)
        .map(str::to_owned)
        .collect();
    added.sort_by(|a: &NodeProto, b: &NodeProto| a.name.cmp(&b.name));
    added.dedup_by(|a, b| a.name == b.name);
    added.retain(|node| !defined.contains(&node.name));
    graph.node.append(&mut added);
    // Which outputs are expressions is known when nothing else changes any more.
    changed = changed || cast_outputs(graph, facts);
    if changed && !graph.initializer.iter().any(|tensor| tensor.name == LIKE) {
        graph.initializer.push(new_i64(LIKE, &[], &[0]));
    }
    changed
}

/// A cast to i64 of what is no shape stays plain.
fn cast_data(node: &mut NodeProto, facts: &Facts) -> bool {
    if node.op_type != "Cast" || int(node, "to") != Some(DataType::Int64 as i64) {
        return false;
    }
    let shape = node.output.first().and_then(|output| facts.shape(output));
    let small = |dim: &Option<TDim>| {
        dim.as_ref()
            .and_then(TDim::as_i64)
            .is_some_and(|size| size <= MAX_SHAPE_LEN)
    };
    let data = shape.is_some_and(|shape| shape.len() > 1 || shape.iter().any(|dim| !small(dim)));
    if data {
        *node = NodeProto {
            name: node.name.clone(),
            ..new_node("CastLike", &[&node.input[0], LIKE], &node.output[0])
        };
    }
    data
}

/// Operators that compute data read sizes as plain integers.
fn read_sizes(
    node: &mut NodeProto,
    facts: &Facts,
    chain: &mut Chain<'_>,
    added: &mut Vec<NodeProto>,
) -> bool {
    if reads_expressions(&node.op_type)
        || node
            .output
            .iter()
            .any(|output| facts.value(output).is_some())
    {
        return false;
    }
    let mut changed = false;
    for index in 0..node.input.len() {
        if let Some(plain) = plain(node, index, facts, chain) {
            node.input[index].clone_from(&plain.output[0]);
            added.push(plain);
            changed = true;
        }
    }
    changed
}

fn plain(
    node: &NodeProto,
    index: usize,
    facts: &Facts,
    chain: &mut Chain<'_>,
) -> Option<NodeProto> {
    let name = input(node, index).filter(|name| !is_canonical(name))?;
    let value = facts
        .value(name)
        .filter(|value| value.data_type() == DataType::Int64 && value.integers().is_none())?;
    let dims = value.expressions()?;
    let expression = match (value.dims(), dims.as_slice()) {
        ([], [dim]) => chain.scalar(dim)?,
        ([_], dims) => chain.vector(dims)?,
        _ => return None,
    };
    Some(new_node(
        "CastLike",
        &[&expression, LIKE],
        &format!("{expression} as i64"),
    ))
}

/// Operators whose operands are shapes, or that tract gives the value of a size.
fn reads_expressions(op_type: &str) -> bool {
    const OPERATORS: [&str; 17] = [
        "Reshape",
        "Expand",
        "Tile",
        "ConstantOfShape",
        "Slice",
        "Range",
        "Resize",
        "Pad",
        "Split",
        "TopK",
        "Trilu",
        "OneHot",
        "Cast",
        "CastLike",
        "Shape",
        "If",
        "Scan",
    ];
    OPERATORS.contains(&op_type)
}

/// Outputs that tract would give as expressions are cast.
fn cast_outputs(graph: &mut GraphProto, facts: &Facts) -> bool {
    let mut names = Names::of(graph);
    let outputs: Vec<String> = graph
        .output
        .iter()
        .map(|output| output.name.clone())
        .collect();
    let mut added = vec![];
    for node in graph
        .node
        .iter_mut()
        .filter(|node| node.op_type != "CastLike")
    {
        for output in &mut node.output {
            let known = facts
                .value(output)
                .is_some_and(|value| value.integers().is_some());
            if outputs.contains(output)
                && !known
                && facts.datum_type(output) == Some(DatumType::TDim)
            {
                let inner = names.fresh(&format!("{output} sizes"));
                added.push(new_node("CastLike", &[&inner, LIKE], output));
                *output = inner;
            }
        }
    }
    for node in &mut graph.node {
        for input in &mut node.input {
            if let Some(cast) = added.iter().find(|cast| cast.output[0] == *input) {
                input.clone_from(&cast.input[0]);
            }
        }
    }
    let changed = !added.is_empty();
    graph.node.append(&mut added);
    changed
}
