//! What each node can compute in.

use tensorlet_kernels::tensor_type::BLOCK;
use tensorlet_plan::kernel::{BinaryOp, Conv, ConvWeights, UnaryOp};
use tensorlet_plan::{DimExpr, Kernel};
use tensorlet_tensor::DatumType;

use crate::graph::{Graph, Node, Op, ValueId};

/// The most input channels with which a convolution reads a row-major tensor as it is.
const MAX_PLAIN_CHANNELS: usize = 8;

/// The most groups that are joined to one: so many times more is computed then.
const MAX_JOINED_GROUPS: usize = 8;

/// What a node can compute in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Role {
    /// Row-major tensors.
    Plain,
    /// A convolution with packed weights, which writes blocks.
    Conv {
        /// How its weights are packed. `PlainInput` reads either layout.
        weights: ConvWeights,
    },
    /// Either, the same for all of its tensors.
    Either,
}

/// Returns what a node can compute in.
pub(super) fn role(graph: &Graph, node: &Node) -> Role {
    let Op::Kernel(kernel) = &node.op else {
        return Role::Plain;
    };
    if let Kernel::Conv(conv) = kernel {
        let weights = conv_weights(graph, conv, node);
        return weights.map_or(Role::Plain, |weights| Role::Conv { weights });
    }
    let takes_either = match kernel {
        Kernel::Unary(op) => keeps_f32(*op),
        Kernel::Binary(op) => is_arithmetic(*op) && are_operands(graph, node),
        Kernel::Pool(_) | Kernel::Resize(_) => true,
        Kernel::Reduce(reduce) => {
            let rank = graph.rank(node.inputs[0]).unwrap_or(0) as u32;
            reduce.axes.iter().copied().eq(2..rank)
                && graph.rank(node.outputs[0]) == Some(rank as usize)
        }
        Kernel::Concat { axis } => joins_blocks(graph, node, *axis as usize),
        _ => false,
    };
    let values = node.inputs.iter().chain(&node.outputs);
    let mut computed = values.filter(|&&value| graph.value(value).constant.is_none());
    match takes_either && computed.all(|&value| can_be_blocked(graph, value)) {
        true => Role::Either,
        false => Role::Plain,
    }
}

fn can_be_blocked(graph: &Graph, value: ValueId) -> bool {
    graph.value(value).datum_type == DatumType::F32
        && graph.rank(value).is_some_and(|rank| rank >= 3)
}

/// Returns how the weights of a convolution can be packed; `None` if they cannot.
fn conv_weights(graph: &Graph, conv: &Conv, node: &Node) -> Option<ConvWeights> {
    let weights = node.inputs[1];
    let value = graph.value(weights);
    let bias_is_constant = !conv.epilogue.bias || graph.constant_f32(node.inputs[2]).is_some();
    if value.datum_type != DatumType::F32 || value.constant.is_none() || !bias_is_constant {
        return None;
    }
    let dims = graph.fixed_dims(weights)?;
    let (group, out, channels) = (conv.group as usize, dims[0], *dims.get(1)?);
    if !matches!(dims.len(), 3 | 4) || group == 0 {
        return None;
    }
    let whole_blocks = |channels: usize| channels.is_multiple_of(BLOCK);
    match group {
        1 if channels <= MAX_PLAIN_CHANNELS => Some(ConvWeights::PlainInput),
        1 => Some(ConvWeights::Blocked),
        _ if channels == 1 && out == group => Some(ConvWeights::Depthwise),
        _ if whole_blocks(channels) && whole_blocks(out / group) => Some(ConvWeights::Blocked),
        _ => None,
    }
}

fn keeps_f32(op: UnaryOp) -> bool {
    !matches!(
        op,
        UnaryOp::Not | UnaryOp::BitwiseNot | UnaryOp::IsNan | UnaryOp::IsInf { .. }
    )
}

fn is_arithmetic(op: BinaryOp) -> bool {
    use BinaryOp::{Add, Div, Fmod, Max, Min, Mod, Mul, PRelu, Pow, Sub};
    matches!(
        op,
        Add | Sub | Mul | Div | Pow | Max | Min | Mod | Fmod | PRelu
    )
}

/// Reports whether operands can be broadcast in blocks: with the same axes and channels, or as one element.
fn are_operands(graph: &Graph, node: &Node) -> bool {
    let Some([_, channels, ..]) = graph.dims(node.outputs[0]) else {
        return false;
    };
    let rank = graph.rank(node.outputs[0]).unwrap_or(0);
    let fits = |value: ValueId| {
        if graph.constant_scalar(value).is_some() {
            return graph.rank(value).is_some_and(|found| found <= rank);
        }
        let is_constant = graph.value(value).constant.is_some();
        let dims = graph.dims(value).unwrap_or_default();
        let Some(missing) = rank.checked_sub(dims.len()).filter(|&missing| missing <= 1) else {
            return false;
        };
        let is_f32 = graph.value(value).datum_type == DatumType::F32;
        is_f32 && (is_constant || missing == 0) && dims.get(1 - missing) == Some(channels)
    };
    node.inputs.iter().all(|&input| fits(input))
}

/// Reports whether tensors can be joined in blocks.
fn joins_blocks(graph: &Graph, node: &Node, axis: usize) -> bool {
    let whole = |&value: &ValueId| {
        let channels = graph.dims(value).and_then(|dims| dims.get(1)?.as_number());
        channels.is_some_and(|channels| channels % BLOCK as i64 == 0)
    };
    let computed = |&value: &ValueId| graph.value(value).constant.is_none();
    let leading = node
        .inputs
        .split_last()
        .map_or(&[][..], |(_, leading)| leading);
    node.inputs.iter().all(computed) && (axis != 1 || leading.iter().all(whole))
}

/// Joins groups of few channels until they are blocks of 16, with zeros where they do not belong together.
///
/// More is computed then, but by vectors.
pub(super) fn join_groups(graph: &mut Graph) {
    for index in 0..graph.nodes.len() {
        let Op::Kernel(Kernel::Conv(conv)) = &graph.nodes[index].op else {
            continue;
        };
        let conv = conv.clone();
        if let Some((weights, group)) = joined(graph, &conv, &graph.nodes[index].inputs.clone()) {
            let node = &mut graph.nodes[index];
            node.inputs[1] = weights;
            node.op = Op::Kernel(Kernel::Conv(Conv { group, ..conv }));
        }
    }
}

fn joined(graph: &mut Graph, conv: &Conv, inputs: &[ValueId]) -> Option<(ValueId, u32)> {
    let dims = graph.fixed_dims(inputs[1])?;
    let (group, [out, channels, kernel @ ..]) = (conv.group as usize, dims.as_slice()) else {
        return None;
    };
    let (out, channels) = (*out, *channels);
    if group < 2 || (channels == 1 && out == group) || out % group != 0 {
        return None;
    }
    let group_out = out / group;
    let whole = |count: usize| {
        (count * channels).is_multiple_of(BLOCK) && (count * group_out).is_multiple_of(BLOCK)
    };
    let count = (1..=MAX_JOINED_GROUPS.min(group)).find(|&count| whole(count) || count == group)?;
    if count == 1 || group % count != 0 {
        return None;
    }
    let weights = graph.constant_f32(inputs[1])?;
    let taps: usize = kernel.iter().product();
    let row = channels * taps;
    let mut joined = vec![0.0; out * count * row];
    for (channel, weights) in weights.chunks_exact(row.max(1)).enumerate() {
        let begin = channel * count * row + channel / group_out % count * row;
        joined[begin..begin + row].copy_from_slice(weights);
    }
    let mut dims = dims.clone();
    dims[1] = channels * count;
    let name = format!("{}_joined", graph.value(inputs[1]).name);
    let weights = graph.add_f32(name, &dims, &joined);
    Some((weights, (group / count) as u32))
}

/// Returns how many numbers a value has, for some sizes of the symbols, and how many it has in blocks.
pub(super) fn lens(graph: &Graph, value: ValueId) -> (f64, f64) {
    const EXAMPLE_SIZE: u32 = 32;
    let symbols = vec![EXAMPLE_SIZE; graph.symbols.len()];
    let Some(dims) = graph.dims(value) else {
        return (0.0, 0.0);
    };
    let size = |dim: &DimExpr| f64::from(dim.evaluate(&symbols).unwrap_or(EXAMPLE_SIZE));
    let len: f64 = dims.iter().map(size).product();
    let channels = dims.get(1).map_or(1.0, size).max(1.0);
    (
        len,
        len / channels * (channels / BLOCK as f64).ceil() * BLOCK as f64,
    )
}
