//! Recognises activations that are spelled out: sigmoid, SiLU, hard sigmoid, hard swish, softplus and Mish.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{BinaryOp, UnaryOp};

use super::product::{Product, affine_base, close, cubic, is_scaled, product, replace_by_unary};
use crate::graph::edit::Editor;
use crate::graph::{Graph, ValueId};

/// An activation that was found: `scale × op(x)`, and the values that are not needed then.
struct Found {
    op: UnaryOp,
    x: ValueId,
    scale: f32,
    inner: Vec<ValueId>,
}

/// Replaces activations that are spelled out by functions of one element.
pub(super) fn find_activations(graph: &mut Graph) -> bool {
    let mut editor = Editor::new(graph);
    for index in 0..editor.len() {
        let Some(node) = editor.node(index) else {
            continue;
        };
        let output = node.outputs[0];
        let found = match editor.kernel(index) {
            Some(Kernel::Binary(BinaryOp::Mul)) => gated(&editor, output),
            Some(Kernel::Binary(BinaryOp::Div)) => silu_as_quotient(&editor, output),
            Some(Kernel::Unary(UnaryOp::Clip { low: 0.0, high })) if close(*high, 1.0) => {
                hard_sigmoid(&editor, output, 1.0)
            }
            Some(Kernel::Unary(UnaryOp::Reciprocal)) => {
                let denominator = editor.node(index).map(|node| node.inputs[0]);
                denominator.and_then(|value| sigmoid(&editor, value))
            }
            Some(Kernel::Unary(UnaryOp::Log)) => softplus(&editor, output),
            _ => None,
        };
        let Some(found) = found else { continue };
        let fits = editor.values().same_type(found.x, output);
        if fits && editor.are_private(&found.inner, index) {
            replace_by_unary(&mut editor, index, found.op, found.x, found.scale);
        }
    }
    editor.finish()
}

/// The sigmoid of which `1 + exp(-x)` is the reciprocal.
fn sigmoid(editor: &Editor<'_>, denominator: ValueId) -> Option<Found> {
    let (exp, t) = one_plus_exp(editor, denominator)?;
    let x = match editor.unary(t) {
        Some((UnaryOp::Neg, x)) => x,
        _ => affine_base(editor, t),
    };
    let minus = cubic(editor, t, x)?;
    let inner = [vec![denominator, exp], minus.inner].concat();
    (minus.coefficients == [0.0, -1.0, 0.0, 0.0]).then_some(Found {
        op: UnaryOp::Sigmoid,
        x,
        scale: 1.0,
        inner,
    })
}

/// Returns `exp(t)` and `t` of `exp(t) + 1`.
fn one_plus_exp(editor: &Editor<'_>, sum: ValueId) -> Option<(ValueId, ValueId)> {
    let (BinaryOp::Add, exp, one) = editor.binary(sum)? else {
        return None;
    };
    let (UnaryOp::Exp, t) = editor.unary(exp)? else {
        return None;
    };
    (editor.values().constant_scalar(one)? == 1.0).then_some((exp, t))
}

fn silu_as_quotient(editor: &Editor<'_>, output: ValueId) -> Option<Found> {
    let (_, x, denominator) = editor.binary(output)?;
    let found = sigmoid(editor, denominator)?;
    (found.x == x).then_some(Found {
        op: UnaryOp::Silu,
        ..found
    })
}

fn softplus(editor: &Editor<'_>, output: ValueId) -> Option<Found> {
    let (_, sum) = editor.unary(output)?;
    let (exp, x) = one_plus_exp(editor, sum)?;
    Some(Found {
        op: UnaryOp::Softplus,
        x,
        scale: 1.0,
        inner: vec![sum, exp],
    })
}

/// A product of a number and a function of it, or of such a function and a constant.
fn gated(editor: &Editor<'_>, output: ValueId) -> Option<Found> {
    if is_scaled(editor, output) {
        return None;
    }
    let Product {
        scalar,
        factors,
        mut inner,
    } = product(editor, output);
    let found = match *factors.as_slice() {
        [gate] => {
            let found = hard_sigmoid(editor, gate, scalar)?;
            inner.push(gate);
            found
        }
        [a, b] => gate(editor, a, b, scalar).or_else(|| gate(editor, b, a, scalar))?,
        _ => return None,
    };
    inner.extend(&found.inner);
    Some(Found { inner, ..found })
}

/// `scalar × x × gate`.
fn gate(editor: &Editor<'_>, x: ValueId, gate: ValueId, scalar: f32) -> Option<Found> {
    let found = |op, scale, inner| {
        Some(Found {
            op,
            x,
            scale,
            inner,
        })
    };
    match editor.unary(gate)? {
        (UnaryOp::Sigmoid, y) if y == x => found(UnaryOp::Silu, scalar, vec![gate]),
        (UnaryOp::HardSigmoid { alpha, beta }, y) if y == x && is_sixth(alpha, beta) => {
            found(UnaryOp::HardSwish, scalar, vec![gate])
        }
        (UnaryOp::Clip { low: 0.0, high }, _) => {
            // The clip ends where the gate is one.
            let mut whole = hard_sigmoid(editor, gate, high.recip())?;
            let UnaryOp::HardSigmoid { alpha, beta } = whole.op else {
                return None;
            };
            whole.inner.push(gate);
            let fits = whole.x == x && is_sixth(alpha, beta);
            fits.then(|| found(UnaryOp::HardSwish, scalar * high, whole.inner))?
        }
        (UnaryOp::Tanh, softplus) => match editor.unary(softplus)? {
            (UnaryOp::Softplus, y) if y == x => found(UnaryOp::Mish, scalar, vec![gate, softplus]),
            _ => None,
        },
        _ => None,
    }
}

fn is_sixth(alpha: f32, beta: f32) -> bool {
    close(alpha, 1.0 / 6.0) && close(beta, 0.5)
}

/// `scalar × clip(a × x + b)`, from 0 to 1.
fn hard_sigmoid(editor: &Editor<'_>, clip: ValueId, scalar: f32) -> Option<Found> {
    let (UnaryOp::Clip { low: 0.0, high }, inside) = editor.unary(clip)? else {
        return None;
    };
    let x = affine_base(editor, inside);
    if !close(high * scalar, 1.0) || x == inside {
        return None;
    }
    let line = cubic(editor, inside, x)?;
    let [b, a, _, _] = line.coefficients;
    Some(Found {
        op: UnaryOp::HardSigmoid {
            alpha: a * scalar,
            beta: b * scalar,
        },
        x,
        scale: 1.0,
        inner: line.inner,
    })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::graph::testing::{Builder, check};

    const TYPE: &str = "f32[N, 4]";
    const RELU6: UnaryOp = UnaryOp::Clip {
        low: 0.0,
        high: 6.0,
    };

    #[test]
    fn a_number_and_its_sigmoid_are_a_silu() {
        let mut graph = Builder::new();
        let x = graph.input("x", TYPE);
        let sigmoid = graph.unary("sigmoid", UnaryOp::Sigmoid, x);
        let y = graph.binary("y", BinaryOp::Mul, sigmoid, x, TYPE);
        check(
            graph.finish(&[y]),
            find_activations,
            &expect![[r#"
            inputs x: f32[N, 4]
            sigmoid: f32[N, 4] = sigmoid(x)
            y: f32[N, 4] = mul(sigmoid, x)
            outputs y
            =>
            inputs x: f32[N, 4]
            y: f32[N, 4] = silu(x)
            outputs y"#]],
        );
    }

    #[test]
    fn a_sigmoid_that_is_needed_stays() {
        let mut graph = Builder::new();
        let x = graph.input("x", TYPE);
        let sigmoid = graph.unary("sigmoid", UnaryOp::Sigmoid, x);
        let y = graph.binary("y", BinaryOp::Mul, sigmoid, x, TYPE);
        let mut graph = graph.finish(&[y, sigmoid]);
        assert!(!find_activations(&mut graph));
    }

    #[test]
    fn sigmoid_and_softplus_are_spelled_out() {
        let mut graph = Builder::new();
        let x = graph.input("x", TYPE);
        let one = graph.scalar(1.0);
        let minus = graph.unary("minus", UnaryOp::Neg, x);
        let exp = graph.unary("exp", UnaryOp::Exp, minus);
        let sum = graph.binary("sum", BinaryOp::Add, exp, one, TYPE);
        let sigmoid = graph.unary("sigmoid", UnaryOp::Reciprocal, sum);
        let exp = graph.unary("exp2", UnaryOp::Exp, x);
        let sum = graph.binary("sum2", BinaryOp::Add, exp, one, TYPE);
        let softplus = graph.unary("softplus", UnaryOp::Log, sum);
        let tanh = graph.unary("tanh", UnaryOp::Tanh, softplus);
        let mish = graph.binary("mish", BinaryOp::Mul, x, tanh, TYPE);
        check(
            graph.finish(&[sigmoid, mish]),
            find_activations,
            &expect![[r#"
            inputs x: f32[N, 4]
            minus: f32[N, 4] = neg(x)
            exp: f32[N, 4] = exp(minus)
            sum: f32[N, 4] = add(exp, 1.0)
            sigmoid: f32[N, 4] = reciprocal(sum)
            exp2: f32[N, 4] = exp(x)
            sum2: f32[N, 4] = add(exp2, 1.0)
            softplus: f32[N, 4] = log(sum2)
            tanh: f32[N, 4] = tanh(softplus)
            mish: f32[N, 4] = mul(x, tanh)
            outputs sigmoid, mish
            =>
            inputs x: f32[N, 4]
            sigmoid: f32[N, 4] = sigmoid(x)
            mish: f32[N, 4] = mish(x)
            outputs sigmoid, mish"#]],
        );
    }

    #[test]
    fn hard_swish_in_several_orders() {
        let mut graph = Builder::new();
        let x = graph.input("x", TYPE);
        let (three, sixth) = (graph.scalar(3.0), graph.scalar(1.0 / 6.0));
        let mut outputs = vec![];
        // x × clip / 6
        let sum = graph.binary("a_sum", BinaryOp::Add, x, three, TYPE);
        let clip = graph.unary("a_clip", RELU6, sum);
        let product = graph.binary("a_product", BinaryOp::Mul, x, clip, TYPE);
        outputs.push(graph.binary("a", BinaryOp::Mul, product, sixth, TYPE));
        // (clip / 6) × x
        let sum = graph.binary("b_sum", BinaryOp::Add, x, three, TYPE);
        let clip = graph.unary("b_clip", RELU6, sum);
        let gate = graph.binary("b_gate", BinaryOp::Mul, clip, sixth, TYPE);
        outputs.push(graph.binary("b", BinaryOp::Mul, gate, x, TYPE));
        // x × hard_sigmoid
        let hard_sigmoid = UnaryOp::HardSigmoid {
            alpha: 1.0 / 6.0,
            beta: 0.5,
        };
        let gate = graph.unary("c_gate", hard_sigmoid, x);
        outputs.push(graph.binary("c", BinaryOp::Mul, x, gate, TYPE));
        // x × clip(x / 6 + 0.5)
        let half = graph.scalar(0.5);
        let product = graph.binary("d_product", BinaryOp::Mul, x, sixth, TYPE);
        let sum = graph.binary("d_sum", BinaryOp::Add, product, half, TYPE);
        let to_one = UnaryOp::Clip {
            low: 0.0,
            high: 1.0,
        };
        let gate = graph.unary("d_gate", to_one, sum);
        outputs.push(graph.binary("d", BinaryOp::Mul, x, gate, TYPE));
        check(
            graph.finish(&outputs),
            find_activations,
            &expect![[r#"
            inputs x: f32[N, 4]
            a_sum: f32[N, 4] = add(x, 3.0)
            a_clip: f32[N, 4] = clip(low 0.0, high 6.0)(a_sum)
            a_product: f32[N, 4] = mul(x, a_clip)
            a: f32[N, 4] = mul(a_product, 0.16666667)
            b_sum: f32[N, 4] = add(x, 3.0)
            b_clip: f32[N, 4] = clip(low 0.0, high 6.0)(b_sum)
            b_gate: f32[N, 4] = mul(b_clip, 0.16666667)
            b: f32[N, 4] = mul(b_gate, x)
            c_gate: f32[N, 4] = hard_sigmoid(alpha 0.16666667, beta 0.5)(x)
            c: f32[N, 4] = mul(x, c_gate)
            d_product: f32[N, 4] = mul(x, 0.16666667)
            d_sum: f32[N, 4] = add(d_product, 0.5)
            d_gate: f32[N, 4] = clip(low 0.0, high 1.0)(d_sum)
            d: f32[N, 4] = mul(x, d_gate)
            outputs a, b, c, d
            =>
            inputs x: f32[N, 4]
            a: f32[N, 4] = hard_swish(x)
            b: f32[N, 4] = hard_swish(x)
            c: f32[N, 4] = hard_swish(x)
            d: f32[N, 4] = hard_swish(x)
            outputs a, b, c, d"#]],
        );
    }
}
