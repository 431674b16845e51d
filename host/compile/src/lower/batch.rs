//! Decides whether the rows of a batch are computed one by one.
//!
//! Where rows are independent, a plan can be run once a row instead of once for all. Then the tensors between steps are small
//! and stay in the caches, but weights are read again for each row. So it pays for networks of convolutions over many
//! positions, whose tensors are larger than their weights, and not for others.

use tensorlet_plan::kernel::{Gather, NormaliseKind};
use tensorlet_plan::{DimExpr, Kernel, SymbolId};

use crate::graph::dims::{matching_axes, same};
use crate::graph::{Graph, Node, Op, ValueId};

/// With this batch, tensors between steps that all fit here are no reason to go row by row: what a core's own cache has.
const BATCH: f64 = 8.0;
const CACHE_BYTES: f64 = (1 << 20) as f64;

/// The size that symbols other than the batch are taken to have.
const EXAMPLE_SIZE: u32 = 64;

/// Returns the symbol of the batch, if rows are independent and best computed one by one.
pub(super) fn row_symbol(graph: &Graph) -> Option<SymbolId> {
    let symbol = batch_symbol(graph)?;
    (rows_are_independent(graph, symbol) && rows_pay(graph, symbol)).then_some(symbol)
}

/// Returns the symbol that is axis 0 of every input and output, and stands at no other.
fn batch_symbol(graph: &Graph) -> Option<SymbolId> {
    let symbol = graph.dims(*graph.inputs.first()?)?.first()?.as_symbol()?;
    let mut callers = graph.inputs.iter().chain(&graph.outputs);
    callers
        .all(|&id| counts_rows(graph, id, symbol) == Some(true))
        .then_some(symbol)
}

/// Reports whether axis 0 of a value counts rows and no other axis does; `None` if rows are counted in another way.
fn counts_rows(graph: &Graph, id: ValueId, symbol: SymbolId) -> Option<bool> {
    let dims = graph.dims(id)?;
    let (first, rest) = match dims.split_first() {
        Some(split) => split,
        None => return Some(false),
    };
    if rest.iter().any(|dim| dim.mentions(symbol)) {
        return None;
    }
    match first.as_symbol() == Some(symbol) {
        true => Some(true),
        false => (!first.mentions(symbol)).then_some(false),
    }
}

/// Reports whether every node computes each row of its outputs of the same row of its inputs.
fn rows_are_independent(graph: &Graph, symbol: SymbolId) -> bool {
    graph
        .nodes
        .iter()
        .all(|node| keeps_rows_apart(graph, node, symbol) == Some(true))
}

fn keeps_rows_apart(graph: &Graph, node: &Node, symbol: SymbolId) -> Option<bool> {
    let has_rows = |ids: &[ValueId]| -> Option<Vec<bool>> {
        ids.iter()
            .map(|&id| counts_rows(graph, id, symbol))
            .collect()
    };
    let (inputs, outputs) = (has_rows(&node.inputs)?, has_rows(&node.outputs)?);
    let kernel = match &node.op {
        Op::Kernel(kernel) => kernel,
        Op::Reshape => return Some(keeps_axis(graph, node, &inputs, &outputs)),
        Op::Subgraph(subgraph) => {
            let all = inputs.iter().chain(&outputs).all(|&has| has);
            return Some(subgraph.one_row && all);
        }
        Op::Onnx(_) => return Some(false),
    };
    if !inputs.contains(&true) {
        // What is the same for all rows, or repeated for each.
        let is_expand = matches!(kernel, Kernel::Expand);
        return Some(is_expand || !outputs.contains(&true));
    }
    if outputs.contains(&false) {
        return Some(false);
    }
    let rank = |id: ValueId| graph.rank(id).unwrap_or(0);
    let only_first = || inputs[0] && !inputs[1..].contains(&true);
    Some(match kernel {
        Kernel::Conv(_) | Kernel::ConvTranspose(_) => inputs[0] && !inputs[1],
        Kernel::MatMul(_) | Kernel::Attention(_) => {
            // Rows are matrices or their rows, but not what is summed up.
            let output_rank = rank(node.outputs[0]);
            let summed = |slot: usize| inputs[slot] && rank(node.inputs[slot]) < 3;
            let aligned = |slot: usize| !inputs[slot] || rank(node.inputs[slot]) == output_rank;
            (0..node.inputs.len()).all(aligned)
                && (1..node.inputs.len().min(3)).all(|slot| !summed(slot))
        }
        Kernel::Recurrent(_) => false,
        Kernel::Unary(_)
        | Kernel::Cast
        | Kernel::ToBlocked
        | Kernel::FromBlocked
        | Kernel::Pool(_) => true,
        Kernel::Binary(_) | Kernel::Where | Kernel::Expand => {
            // What has rows must have them at the same axis of the output.
            let output_rank = rank(node.outputs[0]);
            let pairs = node.inputs.iter().zip(&inputs);
            pairs
                .into_iter()
                .all(|(&id, &has)| !has || rank(id) == output_rank)
        }
        Kernel::Reduce(reduce) => !reduce.axes.contains(&0),
        Kernel::ArgReduce { axis, .. }
        | Kernel::Softmax { axis, .. }
        | Kernel::CumSum { axis, .. }
        | Kernel::Concat { axis } => *axis != 0 && !inputs.contains(&false),
        Kernel::Normalise(normalise) => {
            let apart = match normalise.kind {
                NormaliseKind::Layer { axis }
                | NormaliseKind::Axis { axis }
                | NormaliseKind::RootMeanSquare { axis } => axis != 0,
                NormaliseKind::Group { .. } => true,
            };
            apart && only_first()
        }
        Kernel::Lrn { .. } | Kernel::Resize(_) | Kernel::Trilu { .. } => true,
        Kernel::Transpose { permutation } => permutation.first() == Some(&0),
        Kernel::Copy => keeps_axis(graph, node, &inputs, &outputs),
        Kernel::Slice(slice) => slice.starts.first() == Some(&0) && slice.steps.first() == Some(&1),
        Kernel::Pad(pad) => pad.before.first() == Some(&0),
        Kernel::Tile => true,
        Kernel::Gather(Gather::Slices { axis, .. }) => match (inputs[0], inputs[1]) {
            // A look-up in what is the same for all rows.
            (false, true) => *axis == 0,
            (true, false) => *axis != 0,
            _ => false,
        },
        Kernel::Gather(Gather::Elements { axis }) => *axis != 0 && inputs[0] && inputs[1],
        Kernel::TopK(top) => top.axis != 0,
        Kernel::OneHot { axis } => *axis != 0 && only_first(),
        Kernel::Gather(Gather::Nd { .. })
        | Kernel::Scatter(_)
        | Kernel::Dims { .. }
        | Kernel::Tract(_) => false,
    })
}

/// Reports whether a reshape leaves the rows at axis 0 as they are.
fn keeps_axis(graph: &Graph, node: &Node, inputs: &[bool], outputs: &[bool]) -> bool {
    if !inputs[0] && !outputs[0] {
        return true;
    }
    let (Some(from), Some(to)) = (graph.dims(node.inputs[0]), graph.dims(node.outputs[0])) else {
        return false;
    };
    let both = inputs[0] && outputs[0];
    let first = matching_axes(from, to).and_then(|runs| runs.into_iter().next());
    both && first == Some((0..1, 0..1)) && same(&from[0], &to[0])
}

/// Reports whether less memory is read and written row by row: the tensors of a batch do not stay in the caches, and are
/// larger than the weights.
fn rows_pay(graph: &Graph, symbol: SymbolId) -> bool {
    let mut symbols = vec![EXAMPLE_SIZE; graph.symbols.len()];
    symbols[symbol.0 as usize] = 1;
    let bytes = |id: ValueId| -> f64 {
        let value = graph.value(id);
        let size = |dim: &DimExpr| f64::from(dim.evaluate(&symbols).unwrap_or(EXAMPLE_SIZE));
        let dims = value.dims.as_deref().unwrap_or_default();
        dims.iter().map(size).product::<f64>() * value.datum_type.width_bytes() as f64
    };
    let is_constant = |id: &ValueId| graph.value(*id).constant.is_some();
    let (mut weights, mut tensors, mut largest) = (0.0, 0.0, 0.0f64);
    let mut convolutions = false;
    for node in &graph.nodes {
        convolutions |= matches!(
            node.op,
            Op::Kernel(Kernel::Conv(_) | Kernel::ConvTranspose(_))
        );
        if matches!(node.op, Op::Reshape) {
            continue;
        }
        let (constants, others): (Vec<ValueId>, Vec<ValueId>) =
            node.inputs.iter().partition(|id| is_constant(id));
        let touched: f64 = others
            .iter()
            .chain(&node.outputs)
            .map(|&id| bytes(id))
            .sum();
        tensors += touched;
        largest = largest.max(touched);
        if !matches!(node.op, Op::Kernel(Kernel::Gather(_))) {
            weights += constants.into_iter().map(bytes).sum::<f64>();
        }
    }
    convolutions && largest * BATCH > CACHE_BYTES && tensors > weights
}

#[cfg(test)]
mod tests {
    use tensorlet_plan::kernel::{BinaryOp, Reduce, ReduceOp};

    use super::*;
    use crate::graph::testing::{Builder, conv};

    fn independent(build: impl FnOnce(&mut Builder, ValueId) -> ValueId) -> bool {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 4, 6]");
        let y = build(&mut graph, x);
        let graph = graph.finish(&[y]);
        batch_symbol(&graph).is_some_and(|symbol| rows_are_independent(&graph, symbol))
    }

    #[test]
    fn rows_that_never_meet_are_independent() {
        assert!(independent(|graph, x| {
            let w = graph.constant("w", &[6, 5]);
            let y = graph.matmul("y", x, w, "f32[N, 4, 5]");
            let y = graph.reshape("flat", y, "f32[N, 20]");
            let bias = graph.constant("bias", &[20]);
            graph.binary("biased", BinaryOp::Add, y, bias, "f32[N, 20]")
        }));
        assert!(independent(|graph, x| {
            let t = graph.transpose("t", &[0, 2, 1], x, "f32[N, 6, 4]");
            graph.matmul("y", x, t, "f32[N, 4, 4]")
        }));
    }

    #[test]
    fn rows_that_meet_are_not() {
        assert!(!independent(|graph, x| {
            let sum = Kernel::Reduce(Reduce {
                op: ReduceOp::Sum,
                axes: vec![0],
            });
            let sum = graph.kernel("sum", sum, &[x], "f32[1, 4, 6]");
            graph.binary("y", BinaryOp::Add, x, sum, "f32[N, 4, 6]")
        }));
        assert!(!independent(|graph, x| {
            let y = graph.reshape("y", x, "f32[4, N, 6]");
            graph.reshape("z", y, "f32[N, 4, 6]")
        }));
        assert!(!independent(|graph, x| {
            let y = graph.reshape("flat", x, "f32[N, 24]");
            let t = graph.transpose("t", &[1, 0], y, "f32[24, N]");
            let y = graph.matmul("y", t, y, "f32[24, 24]");
            let w = graph.constant("w", &[24, 24]);
            let x = graph.reshape("again", x, "f32[N, 24]");
            let y = graph.matmul("z", y, w, "f32[24, 24]");
            graph.matmul("u", x, y, "f32[N, 24]")
        }));
        assert!(!independent(|graph, x| {
            graph.kernel(
                "softmax",
                Kernel::Softmax {
                    axis: 0,
                    log: false,
                },
                &[x],
                "f32[N, 4, 6]",
            )
        }));
    }

    #[test]
    fn it_pays_for_convolutions_over_many_positions() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 16, 112, 112]");
        let w = graph.constant("w", &[16, 16, 3, 3]);
        let y = graph.kernel(
            "y",
            conv(&[3, 3], &[1, 1], 1),
            &[x, w],
            "f32[N, 16, 112, 112]",
        );
        assert_eq!(row_symbol(&graph.finish(&[y])), Some(SymbolId(0)));

        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 784]");
        let w = graph.constant("w", &[784, 512]);
        let y = graph.matmul("y", x, w, "f32[N, 512]");
        assert_eq!(row_symbol(&graph.finish(&[y])), None);
    }
}
