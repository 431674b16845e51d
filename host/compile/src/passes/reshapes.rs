//! Moves reshapes behind functions of one element, where they meet others and vanish.
//!
//! A reshape costs nothing, but it stands between a product and what could be computed with it.

use tensorlet_plan::kernel::BinaryOp;
use tensorlet_plan::{DimExpr, Kernel};

use crate::graph::dims::matching_axes;
use crate::graph::edit::Editor;
use crate::graph::{Graph, Node, Op, ValueId};

/// Merges reshapes of reshapes, and moves them behind functions of one and two elements.
pub(super) fn sink_reshapes(graph: &mut Graph) -> bool {
    let mut editor = Editor::new(graph);
    for index in 0..editor.len() {
        let Some(node) = editor.node(index).cloned() else {
            continue;
        };
        let before = node
            .inputs
            .first()
            .and_then(|&input| editor.reshaped(input));
        match (&node.op, before) {
            (Op::Reshape, Some(x)) => {
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
            _ => {}
        }
    }
    editor.finish()
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
    let name = format!("{}_unshaped", editor.values().value(output).name);
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
    match (editor.reshaped(a), editor.reshaped(b)) {
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
    let name = format!("{}_unshaped", value.name);
    Some(
        editor
            .graph()
            .add_constant(name, value.datum_type, &new_dims, bytes),
    )
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use tensorlet_plan::kernel::UnaryOp;

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
        check(graph.finish(&[y]), sink_reshapes, &expect![[r#"
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
            outputs flat"#]]);
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
    fn operands_of_the_same_reshape_are_joined_before() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 24]");
        let y = graph.input("y", "f32[N, 24]");
        let a = graph.reshape("a", x, "f32[N, 6, 4]");
        let b = graph.reshape("b", y, "f32[N, 6, 4]");
        let y = graph.binary("add", BinaryOp::Add, a, b, "f32[N, 6, 4]");
        check(graph.finish(&[y]), sink_reshapes, &expect![[r#"
            inputs x: f32[N, 24], y: f32[N, 24]
            a: f32[N, 6, 4] = reshape(x)
            b: f32[N, 6, 4] = reshape(y)
            add: f32[N, 6, 4] = add(a, b)
            outputs add
            =>
            inputs x: f32[N, 24], y: f32[N, 24]
            add_unshaped: f32[N, 24] = add(x, y)
            add: f32[N, 6, 4] = reshape(add_unshaped)
            outputs add"#]]);
    }
}
