//! Moves reshapes behind functions of one element, where they meet others and vanish.
//!
//! A reshape costs nothing, but it stands between a product and what could be computed with it.

use tensorlet_plan::kernel::{BinaryOp, Reduce};
use tensorlet_plan::{DimExpr, Kernel};

use crate::graph::dims::{is_one, matching_axes};
use crate::graph::edit::Editor;
use crate::graph::{Graph, Node, Op, ValueId};

/// Merges reshapes of reshapes, and moves them behind functions of one and two elements, and behind reductions of whole axes.
///
/// A reshape stays where anything else reads what it makes: it would then be needed at both places.
pub(super) fn sink_reshapes(graph: &mut Graph) -> bool {
    let mut editor = Editor::new(graph);
    for index in 0..editor.len() {
        let Some(node) = editor.node(index).cloned() else {
            continue;
        };
        let input = node.inputs.first();
        let reshaped = input.and_then(|&input| editor.reshaped(input));
        let before = input.and_then(|&input| movable(&editor, input));
        match (&node.op, before) {
            (Op::Reshape, _) => {
                let Some(x) = reshaped else { continue };
                let node = Node::new(&node.name, Op::Reshape, &[x], node.outputs[0]);
                editor.replace(index, [node]);
            }
            (Op::Kernel(Kernel::Unary(_) | Kernel::Cast), Some(x)) => {
                sink(&mut editor, index, &node, vec![x]);
            }
            (Op::Kernel(Kernel::Binary(op)), _) if *op != BinaryOp::PRelu => {
                if let Some(inputs) = unshaped_operands(&mut editor, &node) {
                    sink(&mut editor, index, &node, inputs);
                }
            }
            (Op::Kernel(Kernel::Reduce(reduce)), Some(x)) => {
                if let Some(axes) = unshaped_axes(&editor, &node, &reduce.axes, x) {
                    let op = reduce.op;
                    let op = Op::Kernel(Kernel::Reduce(Reduce { op, axes }));
                    sink_reduction(&mut editor, index, &Node { op, ..node }, x);
                }
            }
            _ => {}
        }
    }
    editor.finish()
}

/// Returns what is reshaped to a value, if all that read it can read that instead.
fn movable(editor: &Editor<'_>, value: ValueId) -> Option<ValueId> {
    let x = editor.reshaped(value)?;
    let readers = editor.readers(value);
    let moves = |&reader: &usize| {
        let op = editor.node(reader).map(|node| &node.op);
        match op {
            Some(Op::Reshape) => true,
            Some(Op::Kernel(Kernel::Unary(_) | Kernel::Cast | Kernel::Binary(_))) => true,
            Some(Op::Kernel(Kernel::Reduce(_))) => readers.len() == 1,
            _ => false,
        }
    };
    (!editor.is_output(value) && readers.iter().all(moves)).then_some(x)
}

/// Returns the axes of `x` that are reduced when `axes` of its reshaped form are, if they are whole ones.
fn unshaped_axes(editor: &Editor<'_>, node: &Node, axes: &[u32], x: ValueId) -> Option<Vec<u32>> {
    let graph = editor.values();
    let (from, to) = (graph.dims(x)?, graph.dims(node.inputs[0])?);
    if graph.rank(node.outputs[0]) != Some(to.len()) {
        return None;
    }
    let mut reduced = vec![];
    for (from_axes, to_axes) in matching_axes(from, to)? {
        let mut long = to_axes.filter(|&axis| !is_one(&to[axis])).peekable();
        if long.peek().is_none() {
            continue;
        }
        let (inside, outside): (Vec<usize>, Vec<usize>) =
            long.partition(|&axis| axes.contains(&(axis as u32)));
        if !inside.is_empty() && !outside.is_empty() {
            return None;
        }
        if !inside.is_empty() {
            reduced.extend(from_axes.map(|axis| axis as u32));
        }
    }
    (!reduced.is_empty()).then_some(reduced)
}

/// Reduces before the reshape.
fn sink_reduction(editor: &mut Editor<'_>, index: usize, node: &Node, x: ValueId) {
    let Op::Kernel(Kernel::Reduce(reduce)) = &node.op else {
        return;
    };
    let value = editor.values().value(x).clone();
    let Some(mut dims) = value.dims else { return };
    for &axis in &reduce.axes {
        dims[axis as usize] = DimExpr::number(1);
    }
    let output = node.outputs[0];
    let name = editor.values().derived_name(output, "unshaped");
    let y = editor.graph().add_value(name, value.datum_type, Some(dims));
    let reshape = Node::new(format!("{}_reshape", node.name), Op::Reshape, &[y], output);
    let inner = Node {
        inputs: vec![x],
        outputs: vec![y],
        ..node.clone()
    };
    editor.replace(index, [inner, reshape]);
}

/// Lets a node compute with `inputs`, and reshapes its result.
fn sink(editor: &mut Editor<'_>, index: usize, node: &Node, inputs: Vec<ValueId>) {
    let output = node.outputs[0];
    let datum_type = editor.values().value(output).datum_type;
    // Of two operands, the constant may come first.
    let whole = inputs
        .iter()
        .find(|&&input| editor.values().value(input).constant.is_none());
    let Some(dims) = whole.map(|&input| editor.values().value(input).dims.clone()) else {
        return;
    };
    let name = editor.values().derived_name(output, "unshaped");
    let y = editor.graph().add_value(name, datum_type, dims);
    let inner = Node {
        inputs,
        outputs: vec![y],
        ..node.clone()
    };
    let reshape = Node::new(format!("{}_reshape", node.name), Op::Reshape, &[y], output);
    editor.replace(index, [inner, reshape]);
}

/// Returns what a function of two elements can read instead of reshaped tensors.
fn unshaped_operands(editor: &mut Editor<'_>, node: &Node) -> Option<Vec<ValueId>> {
    let &[a, b] = node.inputs.as_slice() else {
        return None;
    };
    let output = node.outputs[0];
    match (movable(editor, a), movable(editor, b)) {
        (Some(x), Some(y)) => {
            let graph = editor.values();
            let fits =
                graph.same_dims(x, y) && graph.same_dims(a, output) && graph.same_dims(b, output);
            fits.then(|| vec![x, y])
        }
        (Some(x), None) => {
            let fits = editor.values().same_dims(a, output);
            let b = fits.then(|| unshaped_constant(editor, b, a, x)).flatten()?;
            Some(vec![x, b])
        }
        (None, Some(y)) => {
            let fits = editor.values().same_dims(b, output);
            let a = fits.then(|| unshaped_constant(editor, a, b, y)).flatten()?;
            Some(vec![a, y])
        }
        (None, None) => None,
    }
}

/// Gives a constant that is broadcast to the dims of `shaped` the dims with which it is broadcast in the same way to those of
/// `unshaped`.
fn unshaped_constant(
    editor: &mut Editor<'_>,
    constant: ValueId,
    shaped: ValueId,
    unshaped: ValueId,
) -> Option<ValueId> {
    let graph = editor.values();
    let bytes = graph.value(constant).constant.clone()?;
    let (from, to) = (graph.dims(unshaped)?, graph.dims(shaped)?);
    let dims = graph.fixed_dims(constant)?;
    let mut aligned = vec![1; to.len().checked_sub(dims.len())?];
    aligned.extend(dims);
    let mut new_dims = vec![1; from.len()];
    for (from_axes, to_axes) in matching_axes(from, to)? {
        let sizes = &aligned[to_axes.clone()];
        if sizes.iter().all(|&size| size == 1) {
            continue;
        }
        let whole = |(size, dim): (&usize, &DimExpr)| dim.as_number() == i64::try_from(*size).ok();
        if !sizes.iter().zip(&to[to_axes]).all(whole) {
            return None;
        }
        for axis in from_axes {
            new_dims[axis] = usize::try_from(from[axis].as_number()?).ok()?;
        }
    }
    let value = graph.value(constant).clone();
    let name = graph.derived_name(constant, "unshaped");
    let graph = editor.graph();
    Some(graph.add_constant(name, value.datum_type, &new_dims, bytes))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use tensorlet_plan::kernel::{ReduceOp, UnaryOp};

    use super::*;
    use crate::graph::testing::{Builder, check};

    #[test]
    fn reshapes_move_behind_functions_of_elements() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 6, 4, 1]");
        let bias = graph.constant("bias", &[1, 6, 1]);
        let table = graph.constant("table", &[4]);
        let y = graph.reshape("reshape", x, "f32[N, 6, 4]");
        let y = graph.unary("exp", UnaryOp::Exp, y);
        let y = graph.binary("add", BinaryOp::Add, y, bias, "f32[N, 6, 4]");
        let y = graph.binary("mul", BinaryOp::Mul, table, y, "f32[N, 6, 4]");
        let y = graph.reshape("flat", y, "f32[N, 24]");
        check(
            graph.finish(&[y]),
            sink_reshapes,
            &expect![[r#"
            inputs x: f32[N, 6, 4, 1]
            reshape: f32[N, 6, 4] = reshape(x)
            exp: f32[N, 6, 4] = exp(reshape)
            add: f32[N, 6, 4] = add(exp, bias: f32[1, 6, 1])
            mul: f32[N, 6, 4] = mul([0.1078707, -0.8691615, 0.6794522, -0.60311997], add)
            flat: f32[N, 24] = reshape(mul)
            outputs flat
            =>
            inputs x: f32[N, 6, 4, 1]
            exp_unshaped: f32[N, 6, 4, 1] = exp(x)
            add_unshaped: f32[N, 6, 4, 1] = add(exp_unshaped, bias_unshaped: f32[1, 6, 1, 1])
            mul_unshaped: f32[N, 6, 4, 1] = mul(table_unshaped: f32[1, 1, 4, 1], add_unshaped)
            flat: f32[N, 24] = reshape(mul_unshaped)
            outputs flat"#]],
        );
    }

    #[test]
    fn constants_that_mix_axes_keep_the_reshape() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 24]");
        let y = graph.reshape("reshape", x, "f32[N, 6, 4]");
        let bias = graph.constant("bias", &[6, 1]);
        let y = graph.binary("add", BinaryOp::Add, y, bias, "f32[N, 6, 4]");
        let mut graph = graph.finish(&[y]);
        assert!(!sink_reshapes(&mut graph));
    }

    #[test]
    fn reductions_of_whole_axes_come_first() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 6, 4, 1]");
        let y = graph.reshape("y", x, "f32[N, 6, 4]");
        let max = Kernel::Reduce(Reduce {
            op: ReduceOp::Max,
            axes: vec![2],
        });
        let y = graph.kernel("max", max, &[y], "f32[N, 6, 1]");
        let z = graph.reshape("z", x, "f32[N, 12, 2]");
        let part = Kernel::Reduce(Reduce {
            op: ReduceOp::Max,
            axes: vec![2],
        });
        let z = graph.kernel("part", part, &[z], "f32[N, 12, 1]");
        check(
            graph.finish(&[y, z]),
            sink_reshapes,
            &expect![[r#"
            inputs x: f32[N, 6, 4, 1]
            y: f32[N, 6, 4] = reshape(x)
            max: f32[N, 6, 1] = reduce(max 2)(y)
            z: f32[N, 12, 2] = reshape(x)
            part: f32[N, 12, 1] = reduce(max 2)(z)
            outputs max, part
            =>
            inputs x: f32[N, 6, 4, 1]
            max_unshaped: f32[N, 6, 1, 1] = reduce(max 2)(x)
            max: f32[N, 6, 1] = reshape(max_unshaped)
            z: f32[N, 12, 2] = reshape(x)
            part: f32[N, 12, 1] = reduce(max 2)(z)
            outputs max, part"#]],
        );
    }

    #[test]
    fn what_is_read_by_others_keeps_the_reshape() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 6, 4]");
        let y = graph.reshape("y", x, "f32[N, 24]");
        let softmax = Kernel::Softmax {
            axis: 1,
            log: false,
        };
        let a = graph.kernel("a", softmax, &[y], "f32[N, 24]");
        let b = graph.unary("b", UnaryOp::Exp, y);
        let mut graph = graph.finish(&[a, b]);
        assert!(!sink_reshapes(&mut graph));
    }

    #[test]
    fn operands_of_the_same_reshape_are_joined_before() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 24]");
        let y = graph.input("y", "f32[N, 24]");
        let a = graph.reshape("a", x, "f32[N, 6, 4]");
        let b = graph.reshape("b", y, "f32[N, 6, 4]");
        let y = graph.binary("add", BinaryOp::Add, a, b, "f32[N, 6, 4]");
        check(
            graph.finish(&[y]),
            sink_reshapes,
            &expect![[r#"
            inputs x: f32[N, 24], y: f32[N, 24]
            a: f32[N, 6, 4] = reshape(x)
            b: f32[N, 6, 4] = reshape(y)
            add: f32[N, 6, 4] = add(a, b)
            outputs add
            =>
            inputs x: f32[N, 24], y: f32[N, 24]
            add_unshaped: f32[N, 24] = add(x, y)
            add: f32[N, 6, 4] = reshape(add_unshaped)
            outputs add"#]],
        );
    }
}
