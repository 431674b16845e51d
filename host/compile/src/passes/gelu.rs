//! Recognises GELU that is spelled out, by erf or by tanh.
//!
//! `x × 0.5 × (1 + erf(x / √2))` and `x × 0.5 × (1 + tanh(√(2/π) × (x + 0.044715 × x³)))`, in any order of factors and summands.

use std::f32::consts::FRAC_1_SQRT_2;

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{BinaryOp, UnaryOp};

use super::product::{affine_base, close, cubic, is_scaled, product, replace_by_unary};
use crate::graph::edit::Editor;
use crate::graph::{Graph, ValueId};

/// `√(2/π)`.
const SLOPE: f32 = 0.797_884_6;

/// The factor of x³ in relation to that of x.
const CUBE: f32 = 0.044_715;

/// Replaces GELU that is spelled out by one function.
pub(super) fn find_gelu(graph: &mut Graph) -> bool {
    let mut editor = Editor::new(graph);
    for index in 0..editor.len() {
        let Some(Kernel::Binary(BinaryOp::Mul)) = editor.kernel(index) else {
            continue;
        };
        let output = editor.node(index).expect("it has a kernel").outputs[0];
        if is_scaled(&editor, output) {
            continue;
        }
        let whole = product(&editor, output);
        let &[a, b] = whole.factors.as_slice() else {
            continue;
        };
        let found = gelu(&editor, a, b).or_else(|| gelu(&editor, b, a));
        let Some((x, op, scale, mut inner)) = found else {
            continue;
        };
        inner.extend(whole.inner);
        if editor.values().same_type(x, output) && editor.are_private(&inner, index) {
            replace_by_unary(&mut editor, index, op, x, scale * whole.scalar);
        }
    }
    editor.finish()
}

/// Finds `scale` so that `x × phi = scale × gelu(x)`.
fn gelu(
    editor: &Editor<'_>,
    x: ValueId,
    phi: ValueId,
) -> Option<(ValueId, UnaryOp, f32, Vec<ValueId>)> {
    let curve = affine_base(editor, phi);
    let sum = cubic(editor, phi, curve)?;
    let [b, a, _, _] = sum.coefficients;
    let (function, inside) = editor.unary(curve)?;
    let argument = cubic(editor, inside, x)?;
    let [none, slope, square, cube] = argument.coefficients;
    if !close(a, b) || none != 0.0 || square != 0.0 {
        return None;
    }
    let op = match function {
        UnaryOp::Erf if close(slope, FRAC_1_SQRT_2) && cube == 0.0 => UnaryOp::Gelu,
        UnaryOp::Tanh if close(slope, SLOPE) && close(cube, SLOPE * CUBE) => UnaryOp::GeluTanh,
        _ => return None,
    };
    let mut inner = sum.inner;
    inner.push(curve);
    inner.extend(argument.inner);
    Some((x, op, a / 0.5, inner))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::graph::testing::{Builder, check};

    const TYPE: &str = "f32[N, 4]";

    #[test]
    fn by_erf() {
        let mut graph = Builder::new();
        let x = graph.input("x", TYPE);
        let (half, one) = (graph.scalar(0.5), graph.scalar(1.0));
        let root = graph.scalar(0.707_106_77);
        // As PyTorch writes it.
        let scaled = graph.binary("scaled", BinaryOp::Mul, x, root, TYPE);
        let erf = graph.unary("erf", UnaryOp::Erf, scaled);
        let sum = graph.binary("sum", BinaryOp::Add, erf, one, TYPE);
        let product = graph.binary("product", BinaryOp::Mul, x, sum, TYPE);
        let y = graph.binary("y", BinaryOp::Mul, product, half, TYPE);
        // With the half inside, and without it.
        let scaled = graph.binary("scaled2", BinaryOp::Mul, x, root, TYPE);
        let erf = graph.unary("erf2", UnaryOp::Erf, scaled);
        let erf = graph.binary("half2", BinaryOp::Mul, erf, half, TYPE);
        let sum = graph.binary("sum2", BinaryOp::Add, erf, half, TYPE);
        let z = graph.binary("z", BinaryOp::Mul, sum, x, TYPE);
        let scaled = graph.binary("scaled3", BinaryOp::Mul, x, root, TYPE);
        let erf = graph.unary("erf3", UnaryOp::Erf, scaled);
        let sum = graph.binary("sum3", BinaryOp::Add, erf, one, TYPE);
        let twice = graph.binary("twice", BinaryOp::Mul, sum, x, TYPE);
        check(
            graph.finish(&[y, z, twice]),
            find_gelu,
            &expect![[r#"
            inputs x: f32[N, 4]
            scaled: f32[N, 4] = mul(x, 0.70710677)
            erf: f32[N, 4] = erf(scaled)
            sum: f32[N, 4] = add(erf, 1.0)
            product: f32[N, 4] = mul(x, sum)
            y: f32[N, 4] = mul(product, 0.5)
            scaled2: f32[N, 4] = mul(x, 0.70710677)
            erf2: f32[N, 4] = erf(scaled2)
            half2: f32[N, 4] = mul(erf2, 0.5)
            sum2: f32[N, 4] = add(half2, 0.5)
            z: f32[N, 4] = mul(sum2, x)
            scaled3: f32[N, 4] = mul(x, 0.70710677)
            erf3: f32[N, 4] = erf(scaled3)
            sum3: f32[N, 4] = add(erf3, 1.0)
            twice: f32[N, 4] = mul(sum3, x)
            outputs y, z, twice
            =>
            inputs x: f32[N, 4]
            y: f32[N, 4] = gelu(x)
            z: f32[N, 4] = gelu(x)
            twice_unscaled: f32[N, 4] = gelu(x)
            twice: f32[N, 4] = mul(twice_unscaled, 2.0)
            outputs y, z, twice"#]],
        );
    }

    #[test]
    fn by_tanh() {
        let mut graph = Builder::new();
        let x = graph.input("x", TYPE);
        let (half, one) = (graph.scalar(0.5), graph.scalar(1.0));
        let (slope, cube) = (graph.scalar(SLOPE), graph.scalar(CUBE));
        let mut mul = |name: &str, a, b| graph.binary(name, BinaryOp::Mul, a, b, TYPE);
        let scaled = mul("scaled", x, cube);
        let square = mul("square", x, scaled);
        let cube = mul("cube", x, square);
        let inside = graph.binary("inside", BinaryOp::Add, x, cube, TYPE);
        let inside = graph.binary("sloped", BinaryOp::Mul, inside, slope, TYPE);
        let tanh = graph.unary("tanh", UnaryOp::Tanh, inside);
        let sum = graph.binary("sum", BinaryOp::Add, tanh, one, TYPE);
        let halved = graph.binary("halved", BinaryOp::Mul, sum, half, TYPE);
        let y = graph.binary("y", BinaryOp::Mul, x, halved, TYPE);
        check(
            graph.finish(&[y]),
            find_gelu,
            &expect![[r#"
            inputs x: f32[N, 4]
            scaled: f32[N, 4] = mul(x, 0.044715)
            square: f32[N, 4] = mul(x, scaled)
            cube: f32[N, 4] = mul(x, square)
            inside: f32[N, 4] = add(x, cube)
            sloped: f32[N, 4] = mul(inside, 0.7978846)
            tanh: f32[N, 4] = tanh(sloped)
            sum: f32[N, 4] = add(tanh, 1.0)
            halved: f32[N, 4] = mul(sum, 0.5)
            y: f32[N, 4] = mul(x, halved)
            outputs y
            =>
            inputs x: f32[N, 4]
            y: f32[N, 4] = gelu_tanh(x)
            outputs y"#]],
        );
    }

    #[test]
    fn other_curves_are_left_alone() {
        let mut graph = Builder::new();
        let x = graph.input("x", TYPE);
        let (half, one) = (graph.scalar(0.5), graph.scalar(1.0));
        let scaled = graph.binary("scaled", BinaryOp::Mul, x, half, TYPE);
        let erf = graph.unary("erf", UnaryOp::Erf, scaled);
        let sum = graph.binary("sum", BinaryOp::Add, erf, one, TYPE);
        let y = graph.binary("y", BinaryOp::Mul, x, sum, TYPE);
        let mut graph = graph.finish(&[y]);
        assert!(!find_gelu(&mut graph));
    }
}
