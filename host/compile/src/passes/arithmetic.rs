//! Writes arithmetic with constants in one form, so that patterns need to know one only.
//!
//! Constants stand on the right of sums and products; a difference or quotient by a constant becomes a sum or product;
//! small powers are products and roots; the larger or smaller of a number and a constant is a clip.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{BinaryOp, UnaryOp};
use tensorlet_tensor::DatumType;

use crate::graph::edit::Editor;
use crate::graph::{Graph, Node, ValueId};

/// Writes arithmetic with constants in one form.
pub(super) fn simplify_arithmetic(graph: &mut Graph) -> bool {
    let mut editor = Editor::new(graph);
    for index in 0..editor.len() {
        let Some(node) = editor.node(index).cloned() else {
            continue;
        };
        let &[output] = node.outputs.as_slice() else {
            continue;
        };
        if editor.values().value(output).datum_type != DatumType::F32 {
            continue;
        }
        match editor.kernel(index) {
            Some(&Kernel::Unary(op)) => unary(&mut editor, index, &node, op),
            Some(&Kernel::Binary(op)) => binary(&mut editor, index, &node, op),
            _ => {}
        }
    }
    editor.finish()
}

fn unary(editor: &mut Editor<'_>, index: usize, node: &Node, op: UnaryOp) {
    let Some((inner, x)) = editor.unary(node.inputs[0]) else {
        return;
    };
    if !editor.is_read_once(node.inputs[0]) {
        return;
    }
    let merged = match (op, inner) {
        (UnaryOp::Reciprocal, UnaryOp::Sqrt) => UnaryOp::Rsqrt,
        (
            UnaryOp::Clip { low, high },
            UnaryOp::Clip {
                low: inner_low,
                high: inner_high,
            },
        ) => UnaryOp::Clip {
            low: inner_low.max(low).min(high),
            high: inner_high.max(low).min(high),
        },
        _ => return,
    };
    let kernel = Kernel::Unary(merged);
    editor.replace(
        index,
        [Node::kernel(&node.name, kernel, &[x], node.outputs[0])],
    );
}

fn binary(editor: &mut Editor<'_>, index: usize, node: &Node, op: BinaryOp) {
    let &[a, b] = node.inputs.as_slice() else {
        return;
    };
    let graph = editor.values();
    let constant = |id: ValueId| graph.value(id).constant.is_some();
    use BinaryOp::{Add, Div, Max, Min, Mul, Pow, Sub};
    match op {
        Add | Mul | Max | Min if constant(a) && !constant(b) => {
            let kernel = Kernel::Binary(op);
            let swapped = Node::kernel(&node.name, kernel, &[b, a], node.outputs[0]);
            editor.replace(index, [swapped]);
        }
        Sub => replace_constant(editor, index, node, Add, |x| -x),
        Div if graph.constant_scalar(a) == Some(1.0) && graph.same_dims(b, node.outputs[0]) => {
            set_unary(editor, index, node, UnaryOp::Reciprocal, b);
        }
        Div if constant(b) => replace_constant(editor, index, node, Mul, f32::recip),
        Div => divide(editor, index, node, a, b),
        Pow | Max | Min | Mul | Add => {
            let Some(number) = graph.constant_scalar(b) else {
                return;
            };
            if !graph.same_dims(a, node.outputs[0]) {
                return;
            }
            match op {
                Pow => power(editor, index, node, number),
                Max | Min => {
                    let (low, high) = match op {
                        Max => (number, f32::INFINITY),
                        _ => (f32::NEG_INFINITY, number),
                    };
                    if !number.is_nan() {
                        set_unary(editor, index, node, UnaryOp::Clip { low, high }, a);
                    }
                }
                _ => merge_scalars(editor, index, node, op, number),
            }
        }
        _ => {}
    }
}

fn set_unary(editor: &mut Editor<'_>, index: usize, node: &Node, op: UnaryOp, x: ValueId) {
    let kernel = Kernel::Unary(op);
    editor.replace(
        index,
        [Node::kernel(&node.name, kernel, &[x], node.outputs[0])],
    );
}

/// Writes `a op b` with a constant `b` as `a new_op f(b)`, if all numbers stay ordinary ones.
fn replace_constant(
    editor: &mut Editor<'_>,
    index: usize,
    node: &Node,
    new_op: BinaryOp,
    f: fn(f32) -> f32,
) {
    let (a, b) = (node.inputs[0], node.inputs[1]);
    let graph = editor.graph();
    let (Some(elements), Some(dims)) = (graph.constant_f32(b), graph.fixed_dims(b)) else {
        return;
    };
    let ordinary = |x: f32| x.is_normal() || x == 0.0;
    let inverse: Vec<f32> = elements.into_iter().map(f).collect();
    if !inverse.iter().all(|&x| ordinary(x)) {
        return;
    }
    let name = format!("{}_inverse", graph.value(b).name);
    let inverse = graph.add_f32(name, &dims, &inverse);
    let kernel = Kernel::Binary(new_op);
    editor.replace(
        index,
        [Node::kernel(
            &node.name,
            kernel,
            &[a, inverse],
            node.outputs[0],
        )],
    );
}

/// Writes a quotient by a root as a product with its reciprocal.
fn divide(editor: &mut Editor<'_>, index: usize, node: &Node, a: ValueId, b: ValueId) {
    let Some((UnaryOp::Sqrt, x)) = editor.unary(b) else {
        return;
    };
    if !editor.is_read_once(b) {
        return;
    }
    let root = editor.graph().value(b).clone();
    let name = format!("{}_reciprocal", root.name);
    let rsqrt = editor.graph().add_value(&name, root.datum_type, root.dims);
    let nodes = [
        Node::kernel(&name, Kernel::Unary(UnaryOp::Rsqrt), &[x], rsqrt),
        Node::kernel(
            &node.name,
            Kernel::Binary(BinaryOp::Mul),
            &[a, rsqrt],
            node.outputs[0],
        ),
    ];
    editor.replace(index, nodes);
}

/// Writes small powers as products and roots.
fn power(editor: &mut Editor<'_>, index: usize, node: &Node, exponent: f32) {
    let x = node.inputs[0];
    let op = match exponent {
        0.5 => UnaryOp::Sqrt,
        -0.5 => UnaryOp::Rsqrt,
        -1.0 => UnaryOp::Reciprocal,
        2.0 | 3.0 => {
            let mul = Kernel::Binary(BinaryOp::Mul);
            let mut nodes = vec![];
            let mut product = x;
            if exponent == 3.0 {
                let value = editor.graph().value(x).clone();
                let name = format!("{}_square", node.name);
                product = editor
                    .graph()
                    .add_value(&name, value.datum_type, value.dims);
                nodes.push(Node::kernel(&name, mul.clone(), &[x, x], product));
            }
            nodes.push(Node::kernel(
                &node.name,
                mul,
                &[product, x],
                node.outputs[0],
            ));
            editor.replace(index, nodes);
            return;
        }
        _ => return,
    };
    set_unary(editor, index, node, op, x);
}

/// Writes `(x op c) op d` as `x op (c op d)`.
fn merge_scalars(editor: &mut Editor<'_>, index: usize, node: &Node, op: BinaryOp, number: f32) {
    let a = node.inputs[0];
    let Some((inner, x, c)) = editor.binary(a) else {
        return;
    };
    let graph = editor.values();
    let (Some(first), true) = (graph.constant_scalar(c), graph.same_dims(x, a)) else {
        return;
    };
    let merged = match op {
        BinaryOp::Add => first + number,
        _ => first * number,
    };
    if inner != op || !editor.is_read_once(a) || !(merged.is_normal() || merged == 0.0) {
        return;
    }
    let merged = editor
        .graph()
        .add_f32(format!("{}_merged", node.name), &[], &[merged]);
    let kernel = Kernel::Binary(op);
    editor.replace(
        index,
        [Node::kernel(
            &node.name,
            kernel,
            &[x, merged],
            node.outputs[0],
        )],
    );
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::graph::testing::{Builder, check};

    #[test]
    fn arithmetic_has_one_form() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 2]");
        let type_ = "f32[N, 2]";
        let numbers = [1.0, 2.0, 3.0, 4.0].map(|number| graph.scalar(number));
        let [one, two, three, four] = numbers;
        let mut outputs = vec![
            graph.binary("left", BinaryOp::Add, two, x, type_),
            graph.binary("difference", BinaryOp::Sub, x, two, type_),
            graph.binary("quotient", BinaryOp::Div, x, four, type_),
            graph.binary("reciprocal", BinaryOp::Div, one, x, type_),
            graph.binary("square", BinaryOp::Pow, x, two, type_),
            graph.binary("cube", BinaryOp::Pow, x, three, type_),
            graph.binary("max", BinaryOp::Max, two, x, type_),
            graph.binary("min", BinaryOp::Min, x, two, type_),
        ];
        let root = graph.unary("root", UnaryOp::Sqrt, x);
        outputs.push(graph.binary("by_root", BinaryOp::Div, x, root, type_));
        let root = graph.unary("root2", UnaryOp::Sqrt, x);
        outputs.push(graph.unary("rsqrt", UnaryOp::Reciprocal, root));
        let twice = graph.binary("twice", BinaryOp::Mul, x, two, type_);
        outputs.push(graph.binary("eight", BinaryOp::Mul, twice, four, type_));
        let clip = |low, high| UnaryOp::Clip { low, high };
        let clipped = graph.unary("clipped", clip(-1.0, 0.5), x);
        outputs.push(graph.unary("again", clip(0.0, 6.0), clipped));
        check(
            graph.finish(&outputs),
            simplify_arithmetic,
            &expect![[r#"
            inputs x: f32[N, 2]
            left: f32[N, 2] = add(2.0, x)
            difference: f32[N, 2] = sub(x, 2.0)
            quotient: f32[N, 2] = div(x, 4.0)
            reciprocal: f32[N, 2] = div(1.0, x)
            square: f32[N, 2] = pow(x, 2.0)
            cube: f32[N, 2] = pow(x, 3.0)
            max: f32[N, 2] = max(2.0, x)
            min: f32[N, 2] = min(x, 2.0)
            root: f32[N, 2] = sqrt(x)
            by_root: f32[N, 2] = div(x, root)
            root2: f32[N, 2] = sqrt(x)
            rsqrt: f32[N, 2] = reciprocal(root2)
            twice: f32[N, 2] = mul(x, 2.0)
            eight: f32[N, 2] = mul(twice, 4.0)
            clipped: f32[N, 2] = clip(low -1.0, high 0.5)(x)
            again: f32[N, 2] = clip(low 0.0, high 6.0)(clipped)
            outputs left, difference, quotient, reciprocal, square, cube, max, min, by_root, rsqrt, eight, again
            =>
            inputs x: f32[N, 2]
            left: f32[N, 2] = add(x, 2.0)
            difference: f32[N, 2] = add(x, -2.0)
            quotient: f32[N, 2] = mul(x, 0.25)
            reciprocal: f32[N, 2] = reciprocal(x)
            square: f32[N, 2] = mul(x, x)
            cube_square: f32[N, 2] = mul(x, x)
            cube: f32[N, 2] = mul(cube_square, x)
            max: f32[N, 2] = clip(low 2.0, high inf)(x)
            min: f32[N, 2] = clip(low -inf, high 2.0)(x)
            root_reciprocal: f32[N, 2] = rsqrt(x)
            by_root: f32[N, 2] = mul(x, root_reciprocal)
            rsqrt: f32[N, 2] = rsqrt(x)
            eight: f32[N, 2] = mul(x, 8.0)
            again: f32[N, 2] = clip(low 0.0, high 0.5)(x)
            outputs left, difference, quotient, reciprocal, square, cube, max, min, by_root, rsqrt, eight, again"#]],
        );
    }

    #[test]
    fn numbers_beyond_the_ordinary_stay() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 2]");
        let zero = graph.scalar(0.0);
        let tiny = graph.scalar(1e-45);
        let y = graph.binary("y", BinaryOp::Div, x, zero, "f32[N, 2]");
        let z = graph.binary("z", BinaryOp::Div, x, tiny, "f32[N, 2]");
        let mut graph = graph.finish(&[y, z]);
        assert!(!simplify_arithmetic(&mut graph));
    }

    #[test]
    fn integers_are_left_alone() {
        let mut graph = Builder::new();
        let x = graph.input("x", "i64[N]");
        let two = graph.integers("two", &[], &[2]);
        let y = graph.binary("y", BinaryOp::Div, x, two, "i64[N]");
        let mut graph = graph.finish(&[y]);
        assert!(!simplify_arithmetic(&mut graph));
    }
}
