//! Products of matrices take scales and transposes upon themselves.

use tensorlet_plan::kernel::{Activation, BinaryOp, MatMul, MatMulRhs};
use tensorlet_plan::{DimExpr, Kernel};

use super::transposes::transposed;
use crate::graph::edit::Editor;
use crate::graph::{Graph, Node, Op, ValueId};

/// Absorbs transposes of the right-hand side, and factors of one element before and behind.
pub(super) fn simplify_products(graph: &mut Graph) -> bool {
    let mut editor = Editor::new(graph);
    for index in 0..editor.len() {
        match editor.kernel(index).cloned() {
            Some(Kernel::MatMul(matmul)) => {
                let _ = scaled_operand(&mut editor, index, &matmul)
                    || transposed_rhs(&mut editor, index, &matmul)
                    || constant_rhs(&mut editor, index, &matmul);
            }
            Some(Kernel::Binary(BinaryOp::Mul)) => scaled_result(&mut editor, index),
            _ => {}
        }
    }
    editor.finish()
}

/// Returns what is multiplied by a constant of one element, and that.
fn scaled(editor: &Editor<'_>, value: ValueId) -> Option<(ValueId, f32)> {
    let (BinaryOp::Mul, x, factor) = editor.binary(value)? else {
        return None;
    };
    let factor = editor.values().constant_scalar(factor)?;
    let fits = factor.is_finite() && editor.values().same_type(x, value);
    fits.then_some((x, factor))
}

/// `(a × c) · b` becomes `a · b × c`.
fn scaled_operand(editor: &mut Editor<'_>, index: usize, matmul: &MatMul) -> bool {
    let node = editor.node(index).expect("it has a kernel").clone();
    for slot in [0, 1] {
        if let Some((x, factor)) = scaled(editor, node.inputs[slot]) {
            let mut node = node.clone();
            node.inputs[slot] = x;
            node.op = Op::Kernel(Kernel::MatMul(MatMul {
                scale: matmul.scale * factor,
                ..matmul.clone()
            }));
            editor.replace(index, [node]);
            return true;
        }
    }
    false
}

/// `a · b × c` takes the factor into the product.
fn scaled_result(editor: &mut Editor<'_>, index: usize) {
    let node = editor.node(index).expect("it has a kernel").clone();
    let Some((x, factor)) = scaled(editor, node.outputs[0]) else {
        return;
    };
    let Some((maker, Kernel::MatMul(matmul), inputs)) = editor.made_by(x) else {
        return;
    };
    let epilogue = &matmul.epilogue;
    if epilogue.residual || epilogue.activation != Activation::None || !editor.is_read_once(x) {
        return;
    }
    let (mut matmul, mut inputs) = (matmul.clone(), inputs.to_vec());
    if epilogue.bias {
        let bias = inputs[2];
        let Some(elements) = editor.values().constant_f32(bias) else {
            return;
        };
        let elements: Vec<f32> = elements.iter().map(|x| x * factor).collect();
        let name = format!("{}_scaled", editor.values().value(bias).name);
        inputs[2] = editor.graph().add_f32(name, &[elements.len()], &elements);
    }
    matmul.scale *= factor;
    let name = editor.node(maker).expect("it has a kernel").name.clone();
    let product = Node::kernel(name, Kernel::MatMul(matmul), &inputs, node.outputs[0]);
    editor.replace(index, [product]);
}

/// Reads a transposed right-hand side as it was before, if rows then lie in one piece.
fn transposed_rhs(editor: &mut Editor<'_>, index: usize, matmul: &MatMul) -> bool {
    let mut node = editor.node(index).expect("it has a kernel").clone();
    let Some((x, permutation)) = transposed(editor, node.inputs[1]) else {
        return false;
    };
    let rhs = match matmul.rhs {
        MatMulRhs::Plain => MatMulRhs::Transposed,
        MatMulRhs::Transposed => MatMulRhs::Plain,
        MatMulRhs::Packed => return false,
    };
    let last = permutation.len().wrapping_sub(1);
    let mut swapped = permutation.clone();
    // A transposed constant is folded.
    if editor.values().value(x).constant.is_some() {
        return false;
    }
    if last == 0 || permutation[last] as usize == last {
        return false;
    }
    swapped.swap(last - 1, last);
    if swapped[last] as usize != last {
        return false;
    }
    if swapped.is_sorted() {
        node.inputs[1] = x;
    } else {
        let value = editor.values().value(node.inputs[1]).clone();
        let Some(mut dims) = value.dims else {
            return false;
        };
        dims.swap(last - 1, last);
        let name = format!("{}_rows", value.name);
        let rows = editor
            .graph()
            .add_value(&name, value.datum_type, Some(dims));
        let permutation = swapped;
        let transpose = Node::kernel(name, Kernel::Transpose { permutation }, &[x], rows);
        editor.insert_before(index, transpose);
        node.inputs[1] = rows;
    }
    node.op = Op::Kernel(Kernel::MatMul(MatMul {
        rhs,
        ..matmul.clone()
    }));
    editor.replace(index, [node]);
    true
}

/// Brings a constant right-hand side to the dims `[K, N]`, in which it can be packed. It may be the conversion of one of f16.
fn constant_rhs(editor: &mut Editor<'_>, index: usize, matmul: &MatMul) -> bool {
    let mut node = editor.node(index).expect("it has a kernel").clone();
    let cast = node.inputs[1];
    let b = match editor.made_by(cast) {
        Some((_, Kernel::Cast, &[x])) => x,
        _ => cast,
    };
    let value = editor.values().value(b).clone();
    let (Some(bytes), Some(dims)) = (value.constant, editor.values().fixed_dims(b)) else {
        return false;
    };
    let Some(leading) = dims.len().checked_sub(2) else {
        return false;
    };
    let mut rhs = if matmul.rhs == MatMulRhs::Transposed {
        let permutation = (0..leading as u32)
            .chain([leading as u32 + 1, leading as u32])
            .collect();
        let mut plain: Vec<DimExpr> = value.dims.unwrap_or_default();
        plain.swap(leading, leading + 1);
        let name = format!("{}_plain", value.name);
        let y = editor
            .graph()
            .add_value(&name, value.datum_type, Some(plain));
        let transpose = Node::kernel(name, Kernel::Transpose { permutation }, &[b], y);
        editor.insert_before(index, transpose);
        y
    } else if leading > 0 && dims[..leading].iter().all(|&dim| dim == 1) {
        // The left-hand side must have all the axes of the result then.
        if editor.values().rank(node.inputs[0]) != editor.values().rank(node.outputs[0]) {
            return false;
        }
        editor
            .graph()
            .add_constant(value.name, value.datum_type, &dims[leading..], bytes)
    } else {
        return false;
    };
    if cast != b {
        let converted = editor.values().value(cast).clone();
        let dims = editor.values().value(rhs).dims.clone();
        let y = editor
            .graph()
            .add_value(&converted.name, converted.datum_type, dims);
        editor.insert_before(index, Node::kernel(converted.name, Kernel::Cast, &[rhs], y));
        rhs = y;
    }
    node.inputs[1] = rhs;
    node.op = Op::Kernel(Kernel::MatMul(MatMul {
        rhs: MatMulRhs::Plain,
        ..matmul.clone()
    }));
    editor.replace(index, [node]);
    true
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::graph::testing::{Builder, check};

    #[test]
    fn factors_become_the_scale() {
        let mut graph = Builder::new();
        let a = graph.input("a", "f32[N, 3, 4]");
        let b = graph.input("b", "f32[N, 4, 5]");
        let (half, third) = (graph.scalar(0.5), graph.scalar(3.0));
        let left = graph.binary("left", BinaryOp::Mul, a, half, "f32[N, 3, 4]");
        let right = graph.binary("right", BinaryOp::Mul, b, half, "f32[N, 4, 5]");
        let y = graph.matmul("y", left, right, "f32[N, 3, 5]");
        let y = graph.binary("y_scaled", BinaryOp::Mul, y, third, "f32[N, 3, 5]");
        check(
            graph.finish(&[y]),
            simplify_products,
            &expect![[r#"
            inputs a: f32[N, 3, 4], b: f32[N, 4, 5]
            left: f32[N, 3, 4] = mul(a, 0.5)
            right: f32[N, 4, 5] = mul(b, 0.5)
            y: f32[N, 3, 5] = matmul(left, right)
            y_scaled: f32[N, 3, 5] = mul(y, 3.0)
            outputs y_scaled
            =>
            inputs a: f32[N, 3, 4], b: f32[N, 4, 5]
            y_scaled: f32[N, 3, 5] = matmul(scale 0.75)(a, b)
            outputs y_scaled"#]],
        );
    }

    #[test]
    fn transposes_are_read_through() {
        let mut graph = Builder::new();
        let a = graph.input("a", "f32[N, 2, 3, 4]");
        let b = graph.input("b", "f32[N, 2, 5, 4]");
        let k = graph.input("k", "f32[N, 5, 2, 4]");
        let bt = graph.transpose("bt", &[0, 1, 3, 2], b, "f32[N, 2, 4, 5]");
        let y = graph.matmul("y", a, bt, "f32[N, 2, 3, 5]");
        let kt = graph.transpose("kt", &[0, 2, 3, 1], k, "f32[N, 2, 4, 5]");
        let z = graph.matmul("z", a, kt, "f32[N, 2, 3, 5]");
        check(
            graph.finish(&[y, z]),
            simplify_products,
            &expect![[r#"
            inputs a: f32[N, 2, 3, 4], b: f32[N, 2, 5, 4], k: f32[N, 5, 2, 4]
            bt: f32[N, 2, 4, 5] = transpose(0, 1, 3, 2)(b)
            y: f32[N, 2, 3, 5] = matmul(a, bt)
            kt: f32[N, 2, 4, 5] = transpose(0, 2, 3, 1)(k)
            z: f32[N, 2, 3, 5] = matmul(a, kt)
            outputs y, z
            =>
            inputs a: f32[N, 2, 3, 4], b: f32[N, 2, 5, 4], k: f32[N, 5, 2, 4]
            y: f32[N, 2, 3, 5] = matmul(transposed)(a, b)
            kt_rows: f32[N, 2, 5, 4] = transpose(0, 2, 1, 3)(k)
            z: f32[N, 2, 3, 5] = matmul(transposed)(a, kt_rows)
            outputs y, z"#]],
        );
    }

    #[test]
    fn constants_are_brought_to_two_axes() {
        let mut graph = Builder::new();
        let a = graph.input("a", "f32[N, 3, 4]");
        let b = graph.constant("b", &[1, 5, 4]);
        let transposed = Kernel::MatMul(MatMul {
            rhs: MatMulRhs::Transposed,
            scale: 1.0,
            epilogue: Default::default(),
        });
        let y = graph.kernel("y", transposed, &[a, b], "f32[N, 3, 5]");
        check(
            graph.finish(&[y]),
            simplify_products,
            &expect![[r#"
            inputs a: f32[N, 3, 4]
            y: f32[N, 3, 5] = matmul(transposed)(a, b: f32[1, 5, 4])
            outputs y
            =>
            inputs a: f32[N, 3, 4]
            b_plain: f32[1, 4, 5] = transpose(0, 2, 1)(b: f32[1, 5, 4])
            y: f32[N, 3, 5] = matmul(a, b_plain)
            outputs y"#]],
        );
    }
}
