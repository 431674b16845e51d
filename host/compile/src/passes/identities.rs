//! Removes what changes nothing.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{BinaryOp, UnaryOp};
use tensorlet_tensor::DatumType;

use crate::graph::dims::is_one;
use crate::graph::edit::Editor;
use crate::graph::{Graph, Node, Op, ValueId};

/// Removes nodes that return what they are given, and makes those that only change dims reshapes.
pub(super) fn remove_identities(graph: &mut Graph) -> bool {
    let mut editor = Editor::new(graph);
    for index in 0..editor.len() {
        let Some(node) = editor.node(index) else {
            continue;
        };
        let (&[output], Some(input)) = (node.outputs.as_slice(), unchanged(&editor, node)) else {
            continue;
        };
        if editor.values().value(input).datum_type != editor.values().value(output).datum_type {
            continue;
        }
        if editor.values().same_dims(input, output) {
            editor.substitute(output, input);
        } else if !matches!(node.op, Op::Reshape) && keeps_len(&node.op) {
            let reshape = Node::new(node.name.clone(), Op::Reshape, &[input], output);
            editor.replace(index, [reshape]);
        }
    }
    editor.finish()
}

/// Returns the input whose elements the output has in the same order, unless the output is larger.
fn unchanged(editor: &Editor<'_>, node: &Node) -> Option<ValueId> {
    let graph = editor.values();
    let first = *node.inputs.first()?;
    let same_dims = || {
        graph
            .same_dims(first, *node.outputs.first()?)
            .then_some(first)
    };
    let Op::Kernel(kernel) = &node.op else {
        return matches!(node.op, Op::Reshape).then_some(first);
    };
    match kernel {
        Kernel::Cast | Kernel::Copy => Some(first),
        Kernel::Concat { .. } if node.inputs.len() == 1 => Some(first),
        Kernel::Expand | Kernel::Tile => same_dims(),
        Kernel::Transpose { permutation } => {
            let mut axes = permutation.iter().zip(0..);
            axes.all(|(&from, to)| from == to).then_some(first)
        }
        Kernel::Slice(slice) => slice.steps.iter().all(|&step| step == 1).then(same_dims)?,
        Kernel::Pad(pad) => pad.before.iter().all(|&count| count == 0).then(same_dims)?,
        // A window of one element, moved by one, at the same place.
        Kernel::Pool(pool) => {
            use tensorlet_plan::kernel::PoolKind::{Average, Max};
            let ones = |sizes: &[u32]| sizes.iter().all(|&size| size == 1);
            let mut pads = pool.pads_before.iter().chain(&pool.pads_after);
            let moves = matches!(pool.kind, Max | Average { .. })
                && ones(&pool.kernel)
                && ones(&pool.strides)
                && pads.all(|&pad| pad == 0);
            moves.then_some(first)
        }
        Kernel::Reduce(reduce) => {
            use tensorlet_plan::kernel::ReduceOp::{Max, Mean, Min, Product, Sum};
            let dims = graph.dims(first)?;
            let mut axes = reduce.axes.iter().map(|&axis| dims.get(axis as usize));
            let one_each = axes.all(|dim| dim.is_some_and(is_one));
            let keeps = matches!(reduce.op, Max | Mean | Min | Product | Sum);
            (one_each && keeps).then_some(first)
        }
        Kernel::Unary(UnaryOp::Clip { low, high }) => {
            let all = *low == f32::NEG_INFINITY && *high == f32::INFINITY;
            all.then_some(first)
        }
        Kernel::Binary(op) => neutral(graph, *op, first, *node.inputs.get(1)?),
        _ => None,
    }
}

/// Returns the operand that is the result, because the other is neutral.
fn neutral(graph: &Graph, op: BinaryOp, a: ValueId, b: ValueId) -> Option<ValueId> {
    let is = |id: ValueId, number: f32| match graph.value(id).datum_type {
        DatumType::F32 => graph.constant_scalar(id) == Some(number),
        _ => graph.constant_integers(id).is_some_and(|elements| {
            !elements.is_empty() && elements.iter().all(|&element| element == number as i64)
        }),
    };
    // That the other does not make it larger, the caller sees from the output's dims.
    match op {
        BinaryOp::Add if is(b, 0.0) => Some(a),
        BinaryOp::Add if is(a, 0.0) => Some(b),
        BinaryOp::Sub if is(b, 0.0) => Some(a),
        BinaryOp::Mul if is(b, 1.0) => Some(a),
        BinaryOp::Mul if is(a, 1.0) => Some(b),
        BinaryOp::Div | BinaryOp::Pow if is(b, 1.0) => Some(a),
        _ => None,
    }
}

/// Reports whether the output certainly has as many elements as the input, so that a reshape can stand for it.
fn keeps_len(op: &Op) -> bool {
    match op {
        Op::Kernel(Kernel::Binary(_) | Kernel::Expand | Kernel::Tile) => false,
        Op::Kernel(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use tensorlet_plan::kernel::{Reduce, ReduceOp, Slice};

    use super::*;
    use crate::graph::testing::{Builder, check};

    #[test]
    fn what_changes_nothing_goes() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 3, 4]");
        let one = graph.scalar(1.0);
        let zeros = graph.floats("zeros", &[4], &[0.0; 4]);
        let y = graph.binary("mul", BinaryOp::Mul, one, x, "f32[N, 3, 4]");
        let y = graph.binary("add", BinaryOp::Add, y, zeros, "f32[N, 3, 4]");
        let y = graph.kernel("cast", Kernel::Cast, &[y], "f32[N, 3, 4]");
        let slice = Kernel::Slice(Slice {
            starts: vec![0; 3],
            steps: vec![1; 3],
        });
        let y = graph.kernel("slice", slice, &[y], "f32[N, 3, 4]");
        let y = graph.transpose("transpose", &[0, 1, 2], y, "f32[N, 3, 4]");
        let y = graph.kernel("expand", Kernel::Expand, &[y], "f32[N, 3, 4]");
        let y = graph.kernel("concat", Kernel::Concat { axis: 1 }, &[y], "f32[N, 3, 4]");
        let clip = UnaryOp::Clip {
            low: f32::NEG_INFINITY,
            high: f32::INFINITY,
        };
        let y = graph.unary("clip", clip, y);
        let y = graph.reshape("reshape", y, "f32[N, 3, 4]");
        let y = graph.unary("exp", UnaryOp::Exp, y);
        check(
            graph.finish(&[y]),
            remove_identities,
            &expect![[r#"
            inputs x: f32[N, 3, 4]
            mul: f32[N, 3, 4] = mul(1.0, x)
            add: f32[N, 3, 4] = add(mul, [0.0, 0.0, 0.0, 0.0])
            cast: f32[N, 3, 4] = cast(add)
            slice: f32[N, 3, 4] = slice(0, 0, 0)(cast)
            transpose: f32[N, 3, 4] = transpose(0, 1, 2)(slice)
            expand: f32[N, 3, 4] = expand(transpose)
            concat: f32[N, 3, 4] = concat(1)(expand)
            clip: f32[N, 3, 4] = clip(low -inf, high inf)(concat)
            reshape: f32[N, 3, 4] = reshape(clip)
            exp: f32[N, 3, 4] = exp(reshape)
            outputs exp
            =>
            inputs x: f32[N, 3, 4]
            exp: f32[N, 3, 4] = exp(x)
            outputs exp"#]],
        );
    }

    #[test]
    fn what_changes_dims_is_a_reshape() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 1, 4]");
        let sum = Kernel::Reduce(Reduce {
            op: ReduceOp::Sum,
            axes: vec![1],
        });
        let y = graph.kernel("sum", sum, &[x], "f32[N, 4]");
        check(
            graph.finish(&[y]),
            remove_identities,
            &expect![[r#"
            inputs x: f32[N, 1, 4]
            sum: f32[N, 4] = reduce(sum 1)(x)
            outputs sum
            =>
            inputs x: f32[N, 1, 4]
            sum: f32[N, 4] = reshape(x)
            outputs sum"#]],
        );
    }

    #[test]
    fn what_broadcasts_or_converts_stays() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 1]");
        let ones = graph.floats("ones", &[4], &[1.0; 4]);
        let y = graph.binary("y", BinaryOp::Mul, x, ones, "f32[N, 4]");
        let z = graph.kernel("z", Kernel::Cast, &[y], "i64[N, 4]");
        let mut graph = graph.finish(&[z]);
        assert!(!remove_identities(&mut graph));
    }
}
