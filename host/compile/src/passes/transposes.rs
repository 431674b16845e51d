//! Moves transposes behind other nodes, where they meet others and vanish.

use tensorlet_plan::kernel::{BinaryOp, Reduce};
use tensorlet_plan::{DimExpr, Kernel};

use crate::graph::dims::is_one;
use crate::graph::edit::Editor;
use crate::graph::{Graph, Node, Op, ValueId};

/// Merges transposes, replaces those that move no elements by reshapes, and moves others behind what computes element by
/// element.
pub(super) fn sink_transposes(graph: &mut Graph) -> bool {
    let mut editor = Editor::new(graph);
    for index in 0..editor.len() {
        let (Some(node), Some(kernel)) =
            (editor.node(index).cloned(), editor.kernel(index).cloned())
        else {
            continue;
        };
        match kernel {
            Kernel::Transpose { permutation } => {
                simplify(&mut editor, index, &node, &permutation);
            }
            Kernel::Unary(_) | Kernel::Cast => {
                if let Some((x, permutation)) = moved_once(&editor, node.inputs[0]) {
                    sink(&mut editor, index, &node, vec![x], &permutation);
                }
            }
            Kernel::Binary(op) if op != BinaryOp::PRelu => {
                if let Some((inputs, permutation)) = operands(&mut editor, &node) {
                    sink(&mut editor, index, &node, inputs, &permutation);
                }
            }
            Kernel::Concat { axis } => concat(&mut editor, index, &node, axis),
            Kernel::Reduce(reduce) => {
                let keeps_axes =
                    editor.values().rank(node.inputs[0]) == editor.values().rank(node.outputs[0]);
                let moved = moved_once(&editor, node.inputs[0]).filter(|_| keeps_axes);
                if let Some((x, permutation)) = moved {
                    let mut axes: Vec<u32> = reduce
                        .axes
                        .iter()
                        .map(|&axis| permutation[axis as usize])
                        .collect();
                    axes.sort_unstable();
                    let op = Op::Kernel(Kernel::Reduce(Reduce {
                        op: reduce.op,
                        axes,
                    }));
                    sink(
                        &mut editor,
                        index,
                        &Node { op, ..node },
                        vec![x],
                        &permutation,
                    );
                }
            }
            _ => {}
        }
    }
    editor.finish()
}

/// Returns what is transposed to a value, and how.
pub(super) fn transposed(editor: &Editor<'_>, value: ValueId) -> Option<(ValueId, Vec<u32>)> {
    match editor.made_by(value)? {
        (_, Kernel::Transpose { permutation }, &[x]) => Some((x, permutation.clone())),
        _ => None,
    }
}

/// As `transposed`, for a value that is read once.
fn moved_once(editor: &Editor<'_>, value: ValueId) -> Option<(ValueId, Vec<u32>)> {
    transposed(editor, value).filter(|_| editor.is_read_once(value))
}

fn simplify(editor: &mut Editor<'_>, index: usize, node: &Node, permutation: &[u32]) {
    let (x, y) = (node.inputs[0], node.outputs[0]);
    if let Some((x, inner)) = transposed(editor, x) {
        let permutation = permutation
            .iter()
            .map(|&axis| inner[axis as usize])
            .collect();
        let kernel = Kernel::Transpose { permutation };
        editor.replace(index, [Node::kernel(&node.name, kernel, &[x], y)]);
        return;
    }
    let Some(dims) = editor.values().dims(x) else {
        return;
    };
    let longer = |axis: &&u32| dims.get(**axis as usize).is_some_and(|dim| !is_one(dim));
    if permutation.iter().filter(longer).is_sorted() {
        editor.replace(index, [Node::new(&node.name, Op::Reshape, &[x], y)]);
    }
}

/// Lets a node compute with `inputs`, and transposes its result.
fn sink(
    editor: &mut Editor<'_>,
    index: usize,
    node: &Node,
    inputs: Vec<ValueId>,
    permutation: &[u32],
) {
    let output = node.outputs[0];
    let value = editor.values().value(output).clone();
    let Some(dims) = value.dims.filter(|dims| dims.len() == permutation.len()) else {
        return;
    };
    let mut moved_back: Vec<DimExpr> = dims.clone();
    for (dim, &axis) in dims.into_iter().zip(permutation) {
        moved_back[axis as usize] = dim;
    }
    let name = editor.values().derived_name(output, "untransposed");
    let y = editor
        .graph()
        .add_value(name, value.datum_type, Some(moved_back));
    let inner = Node {
        inputs,
        outputs: vec![y],
        ..node.clone()
    };
    let permutation = permutation.to_vec();
    let kernel = Kernel::Transpose { permutation };
    let transpose = Node::kernel(format!("{}_transpose", node.name), kernel, &[y], output);
    editor.replace(index, [inner, transpose]);
}

/// Returns what a function of two elements can read instead of transposed tensors.
fn operands(editor: &mut Editor<'_>, node: &Node) -> Option<(Vec<ValueId>, Vec<u32>)> {
    let &[a, b] = node.inputs.as_slice() else {
        return None;
    };
    if a == b {
        let (x, permutation) = transposed(editor, a)?;
        let both = editor.readers(a).len() == 2 && !editor.is_output(a);
        return both.then(|| (vec![x, x], permutation));
    }
    match (moved_once(editor, a), moved_once(editor, b)) {
        (Some((x, permutation)), Some((y, other))) => {
            (permutation == other).then(|| (vec![x, y], permutation))
        }
        (Some((x, permutation)), None) => {
            let b = untransposed_constant(editor, b, &permutation)?;
            Some((vec![x, b], permutation))
        }
        (None, Some((y, permutation))) => {
            let a = untransposed_constant(editor, a, &permutation)?;
            Some((vec![a, y], permutation))
        }
        (None, None) => None,
    }
}

/// Gives a constant of one long axis at most the dims that it has before the transpose.
fn untransposed_constant(
    editor: &mut Editor<'_>,
    constant: ValueId,
    permutation: &[u32],
) -> Option<ValueId> {
    let value = editor.values().value(constant).clone();
    let (bytes, dims) = (value.constant?, editor.values().fixed_dims(constant)?);
    let mut aligned = vec![1; permutation.len().checked_sub(dims.len())?];
    aligned.extend(dims);
    if aligned.iter().filter(|&&size| size != 1).count() > 1 {
        return None;
    }
    let mut new_dims = vec![1; permutation.len()];
    for (size, &axis) in aligned.into_iter().zip(permutation) {
        new_dims[axis as usize] = size;
    }
    let name = editor.values().derived_name(constant, "untransposed");
    Some(
        editor
            .graph()
            .add_constant(name, value.datum_type, &new_dims, bytes),
    )
}

/// Joins before the transpose what was transposed in the same way.
fn concat(editor: &mut Editor<'_>, index: usize, node: &Node, axis: u32) {
    let moved: Option<Vec<_>> = node
        .inputs
        .iter()
        .map(|&input| moved_once(editor, input))
        .collect();
    let Some(moved) = moved else { return };
    let permutation = moved[0].1.clone();
    if moved.iter().any(|(_, other)| *other != permutation) {
        return;
    }
    let axis = permutation[axis as usize];
    let op = Op::Kernel(Kernel::Concat { axis });
    let inputs = moved.into_iter().map(|(x, _)| x).collect();
    sink(
        editor,
        index,
        &Node { op, ..node.clone() },
        inputs,
        &permutation,
    );
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use tensorlet_plan::kernel::{ReduceOp, UnaryOp};

    use super::*;
    use crate::graph::testing::{Builder, check};

    #[test]
    fn transposes_move_and_merge() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 6, 4]");
        let bias = graph.constant("bias", &[6]);
        let y = graph.transpose("there", &[0, 2, 1], x, "f32[N, 4, 6]");
        let y = graph.unary("exp", UnaryOp::Exp, y);
        let y = graph.binary("add", BinaryOp::Add, y, bias, "f32[N, 4, 6]");
        let y = graph.transpose("back", &[0, 2, 1], y, "f32[N, 6, 4]");
        check(
            graph.finish(&[y]),
            sink_transposes,
            &expect![[r#"
            inputs x: f32[N, 6, 4]
            there: f32[N, 4, 6] = transpose(0, 2, 1)(x)
            exp: f32[N, 4, 6] = exp(there)
            add: f32[N, 4, 6] = add(exp, bias: f32[6])
            back: f32[N, 6, 4] = transpose(0, 2, 1)(add)
            outputs back
            =>
            inputs x: f32[N, 6, 4]
            exp_untransposed: f32[N, 6, 4] = exp(x)
            add_untransposed: f32[N, 6, 4] = add(exp_untransposed, bias_untransposed: f32[1, 6, 1])
            back: f32[N, 6, 4] = reshape(add_untransposed)
            outputs back"#]],
        );
    }

    #[test]
    fn what_moves_no_element_is_a_reshape() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 1, 4]");
        let y = graph.transpose("y", &[1, 0, 2], x, "f32[1, N, 4]");
        check(
            graph.finish(&[y]),
            sink_transposes,
            &expect![[r#"
            inputs x: f32[N, 1, 4]
            y: f32[1, N, 4] = transpose(1, 0, 2)(x)
            outputs y
            =>
            inputs x: f32[N, 1, 4]
            y: f32[1, N, 4] = reshape(x)
            outputs y"#]],
        );
    }

    #[test]
    fn operands_and_reductions() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 6, 4]");
        let z = graph.input("z", "f32[N, 6, 4]");
        let a = graph.transpose("a", &[2, 0, 1], x, "f32[4, N, 6]");
        let b = graph.transpose("b", &[2, 0, 1], z, "f32[4, N, 6]");
        let y = graph.binary("add", BinaryOp::Add, a, b, "f32[4, N, 6]");
        let sum = Kernel::Reduce(Reduce {
            op: ReduceOp::Sum,
            axes: vec![0, 2],
        });
        let y = graph.kernel("sum", sum, &[y], "f32[1, N, 1]");
        let c = graph.transpose("c", &[2, 0, 1], x, "f32[4, N, 6]");
        let d = graph.transpose("d", &[2, 0, 1], z, "f32[4, N, 6]");
        let joined = graph.kernel(
            "joined",
            Kernel::Concat { axis: 2 },
            &[c, d],
            "f32[4, N, 12]",
        );
        check(
            graph.finish(&[y, joined]),
            sink_transposes,
            &expect![[r#"
            inputs x: f32[N, 6, 4], z: f32[N, 6, 4]
            a: f32[4, N, 6] = transpose(2, 0, 1)(x)
            b: f32[4, N, 6] = transpose(2, 0, 1)(z)
            add: f32[4, N, 6] = add(a, b)
            sum: f32[1, N, 1] = reduce(sum 0, 2)(add)
            c: f32[4, N, 6] = transpose(2, 0, 1)(x)
            d: f32[4, N, 6] = transpose(2, 0, 1)(z)
            joined: f32[4, N, 12] = concat(2)(c, d)
            outputs sum, joined
            =>
            inputs x: f32[N, 6, 4], z: f32[N, 6, 4]
            add_untransposed: f32[N, 6, 4] = add(x, z)
            sum_untransposed: f32[N, 1, 1] = reduce(sum 1, 2)(add_untransposed)
            sum: f32[1, N, 1] = reshape(sum_untransposed)
            joined_untransposed: f32[N, 12, 4] = concat(1)(x, z)
            joined: f32[4, N, 12] = transpose(2, 0, 1)(joined_untransposed)
            outputs sum, joined"#]],
        );
    }
}
