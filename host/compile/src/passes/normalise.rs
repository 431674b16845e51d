//! Recognises normalisations that are spelled out, and gives them the scale and bias that follow.
//!
//! ```text
//! d = x - mean(x)        or         v = max(mean(x²) - mean(x)², 0)
//! v = mean(d²)
//! y = d × rsqrt(v + ε)   or   y = d × (rsqrt(v + ε) × scale)   or   y = x × a + (bias - mean(x) × a)
//! ```

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{BinaryOp, Normalise, NormaliseKind, ReduceOp, UnaryOp};

use crate::graph::edit::Editor;
use crate::graph::{Graph, Node, ValueId};

/// Replaces normalisations that are spelled out, and fuses scales and biases into others.
pub(super) fn find_normalisations(graph: &mut Graph) -> bool {
    let mut editor = Editor::new(graph);
    for index in 0..editor.len() {
        let Some(&Kernel::Binary(op)) = editor.kernel(index) else {
            continue;
        };
        let found = match op {
            BinaryOp::Mul => find(&mut editor, index),
            BinaryOp::Add => find_expanded(&mut editor, index),
            _ => continue,
        };
        if !found {
            fuse(&mut editor, index);
        }
    }
    editor.finish()
}

/// A factor `rsqrt(v + ε)`, or that times a constant, of the variance of `x`.
struct Deviation {
    x: ValueId,
    /// The mean of `x`; `None` if it is the mean of squares that is taken.
    mean: Option<ValueId>,
    axes: Vec<u32>,
    epsilon: f32,
    scale: Option<ValueId>,
}

/// Finds `d × deviation`.
fn find(editor: &mut Editor<'_>, index: usize) -> bool {
    let node = editor.node(index).expect("it has a kernel").clone();
    let (output, &[a, b]) = (node.outputs[0], node.inputs.as_slice()) else {
        return false;
    };
    for (centred, factor) in [(a, b), (b, a)] {
        let Some(deviation) = deviation(editor, factor) else {
            continue;
        };
        let is_centred = match deviation.mean {
            Some(mean) => editor.binary(centred) == Some((BinaryOp::Sub, deviation.x, mean)),
            None => centred == deviation.x,
        };
        if !is_centred || !editor.values().same_type(deviation.x, output) {
            continue;
        }
        if replace(editor, index, &node, &deviation, None) {
            return true;
        }
    }
    false
}

/// Finds `x × a + (bias - mean × a)`.
fn find_expanded(editor: &mut Editor<'_>, index: usize) -> bool {
    let node = editor.node(index).expect("it has a kernel").clone();
    let (output, &[left, right]) = (node.outputs[0], node.inputs.as_slice()) else {
        return false;
    };
    for (product, rest) in [(left, right), (right, left)] {
        let (Some((BinaryOp::Mul, x, a)), Some((BinaryOp::Sub, bias, shift))) =
            (editor.binary(product), editor.binary(rest))
        else {
            continue;
        };
        for (x, a) in [(x, a), (a, x)] {
            let Some(deviation) = deviation(editor, a) else {
                continue;
            };
            let Some(mean) = deviation.mean else {
                continue;
            };
            let shifts = [
                Some((BinaryOp::Mul, mean, a)),
                Some((BinaryOp::Mul, a, mean)),
            ];
            if x == deviation.x
                && shifts.contains(&editor.binary(shift))
                && editor.values().same_type(x, output)
                && replace(editor, index, &node, &deviation, Some(bias))
            {
                return true;
            }
        }
    }
    false
}

/// Puts a normalisation in a node's place, if there is one for these axes.
fn replace(
    editor: &mut Editor<'_>,
    index: usize,
    node: &Node,
    deviation: &Deviation,
    bias: Option<ValueId>,
) -> bool {
    let is_rms = deviation.mean.is_none();
    let Some(kind) = kind(editor.values(), deviation.x, &deviation.axes, is_rms) else {
        return false;
    };
    let mut inputs = vec![deviation.x];
    for parameter in [deviation.scale, bias].into_iter().flatten() {
        match parameter_along(editor, deviation.x, kind, parameter) {
            Some(parameter) => inputs.push(parameter),
            None => return false,
        }
    }
    let kernel = Kernel::Normalise(Normalise {
        kind,
        epsilon: deviation.epsilon,
        scale: deviation.scale.is_some(),
        bias: bias.is_some(),
    });
    editor.replace(
        index,
        [Node::kernel(&node.name, kernel, &inputs, node.outputs[0])],
    );
    true
}

/// Fuses a product with a constant, or the sum with one, into the normalisation before it.
fn fuse(editor: &mut Editor<'_>, index: usize) {
    let node = editor.node(index).expect("it has a kernel").clone();
    let &[a, parameter] = node.inputs.as_slice() else {
        return;
    };
    let Some((_, Kernel::Normalise(normalise), inputs)) = editor.made_by(a) else {
        return;
    };
    let mut fused = normalise.clone();
    let mut inputs = inputs.to_vec();
    let slot = match editor.kernel(index) {
        Some(Kernel::Binary(BinaryOp::Mul)) => &mut fused.scale,
        _ => &mut fused.bias,
    };
    if *slot || normalise.bias || !editor.is_read_once(a) {
        return;
    }
    *slot = true;
    let fits = editor.values().same_type(a, node.outputs[0]);
    let parameter = fits.then(|| parameter_along(editor, inputs[0], fused.kind, parameter));
    if let Some(parameter) = parameter.flatten() {
        inputs.push(parameter);
        let kernel = Kernel::Normalise(fused);
        editor.replace(
            index,
            [Node::kernel(&node.name, kernel, &inputs, node.outputs[0])],
        );
    }
}

/// Reads a factor as `rsqrt(variance + ε)`, perhaps times a constant.
fn deviation(editor: &Editor<'_>, factor: ValueId) -> Option<Deviation> {
    let (root, scale) = match editor.binary(factor) {
        Some((BinaryOp::Mul, root, scale)) => {
            editor.values().value(scale).constant.as_ref()?;
            (root, Some(scale))
        }
        _ => (factor, None),
    };
    let (UnaryOp::Rsqrt, sum) = editor.unary(root)? else {
        return None;
    };
    let (BinaryOp::Add, variance, epsilon) = editor.binary(sum)? else {
        return None;
    };
    let epsilon = editor.values().constant_scalar(epsilon)?;
    let (x, mean, axes) = variance_of(editor, variance)?;
    Some(Deviation {
        x,
        mean,
        axes,
        epsilon,
        scale,
    })
}

/// Returns what a value is the variance of, with the mean, or the mean of squares of, and over which axes.
fn variance_of(
    editor: &Editor<'_>,
    value: ValueId,
) -> Option<(ValueId, Option<ValueId>, Vec<u32>)> {
    if let Some((squared, axes)) = mean_of_square(editor, value) {
        if let Some((BinaryOp::Sub, x, mean)) = editor.binary(squared)
            && mean_of(editor, mean) == Some((x, axes.clone()))
        {
            return Some((x, Some(mean), axes));
        }
        return Some((squared, None, axes));
    }
    let value = match editor.unary(value) {
        Some((UnaryOp::Clip { low: 0.0, high }, value)) if high == f32::INFINITY => value,
        _ => value,
    };
    let (BinaryOp::Sub, mean_of_squares, square_of_mean) = editor.binary(value)? else {
        return None;
    };
    let (x, axes) = mean_of_square(editor, mean_of_squares)?;
    let mean = square_of(editor, square_of_mean)?;
    (mean_of(editor, mean)? == (x, axes.clone())).then_some((x, Some(mean), axes))
}

fn mean_of(editor: &Editor<'_>, value: ValueId) -> Option<(ValueId, Vec<u32>)> {
    match editor.made_by(value)? {
        (_, Kernel::Reduce(reduce), &[x]) if reduce.op == ReduceOp::Mean => {
            let keeps_axes = editor.values().rank(x) == editor.values().rank(value);
            keeps_axes.then(|| (x, reduce.axes.clone()))
        }
        _ => None,
    }
}

fn mean_of_square(editor: &Editor<'_>, value: ValueId) -> Option<(ValueId, Vec<u32>)> {
    let (square, axes) = mean_of(editor, value)?;
    Some((square_of(editor, square)?, axes))
}

fn square_of(editor: &Editor<'_>, value: ValueId) -> Option<ValueId> {
    match editor.binary(value)? {
        (BinaryOp::Mul, a, b) if a == b => Some(a),
        _ => None,
    }
}

/// Returns the kind of a normalisation over these axes, if there is a kernel for it.
fn kind(graph: &Graph, x: ValueId, axes: &[u32], is_rms: bool) -> Option<NormaliseKind> {
    let rank = graph.rank(x)? as u32;
    let (&first, &last) = (axes.first()?, axes.last()?);
    let trailing = last + 1 == rank && (first..).zip(axes).all(|(axis, &found)| axis == found);
    match (trailing, is_rms) {
        (true, true) => Some(NormaliseKind::RootMeanSquare { axis: first }),
        (true, false) if first == 2 && rank >= 4 => {
            let groups = graph.dims(x)?[1].as_number()?;
            Some(NormaliseKind::Group {
                groups: u32::try_from(groups).ok()?,
            })
        }
        (true, false) => Some(NormaliseKind::Layer { axis: first }),
        (false, false) if first == last => Some(NormaliseKind::Axis { axis: first }),
        _ => None,
    }
}

/// Returns a constant that is broadcast to `x` with the dims that scale and bias have.
fn parameter_along(
    editor: &mut Editor<'_>,
    x: ValueId,
    kind: NormaliseKind,
    constant: ValueId,
) -> Option<ValueId> {
    let graph = editor.values();
    let rank = graph.rank(x)?;
    let size = |axis: usize| usize::try_from(graph.dims(x)?.get(axis)?.as_number()?).ok();
    let (dims, elements) = match kind {
        NormaliseKind::Layer { axis } | NormaliseKind::RootMeanSquare { axis } => {
            let axes = axis as usize..rank;
            let dims: Vec<usize> = axes.map(size).collect::<Option<_>>()?;
            let elements = match graph.constant_scalar(constant) {
                Some(element) => {
                    graph.rank(constant).filter(|&found| found <= rank)?;
                    vec![element; dims.iter().product()]
                }
                None => {
                    let found = graph.fixed_dims(constant)?;
                    let longer = found.iter().position(|&dim| dim != 1)?;
                    let wanted = dims.iter().position(|&dim| dim != 1)?;
                    if found[longer..] != dims[wanted..] {
                        return None;
                    }
                    graph.constant_f32(constant)?
                }
            };
            (dims, elements)
        }
        NormaliseKind::Axis { axis } => {
            let (axis, len) = (axis as usize, size(axis as usize)?);
            (vec![len], graph.constant_along(constant, rank, axis, len)?)
        }
        NormaliseKind::Group { .. } => {
            let len = size(1)?;
            (vec![len], graph.constant_along(constant, rank, 1, len)?)
        }
    };
    let name = graph.value(constant).name.clone();
    Some(editor.graph().add_f32(name, &dims, &elements))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use tensorlet_plan::kernel::Reduce;

    use super::*;
    use crate::graph::testing::{Builder, check};

    fn mean(axes: &[u32]) -> Kernel {
        Kernel::Reduce(Reduce {
            op: ReduceOp::Mean,
            axes: axes.to_vec(),
        })
    }

    #[test]
    fn layer_norm_as_pytorch_writes_it() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 5, 8]");
        let epsilon = graph.scalar(1e-5);
        let (scale, bias) = (graph.constant("scale", &[8]), graph.constant("bias", &[8]));
        let m = graph.kernel("m", mean(&[2]), &[x], "f32[N, 5, 1]");
        let d = graph.binary("d", BinaryOp::Sub, x, m, "f32[N, 5, 8]");
        let square = graph.binary("square", BinaryOp::Mul, d, d, "f32[N, 5, 8]");
        let v = graph.kernel("v", mean(&[2]), &[square], "f32[N, 5, 1]");
        let v = graph.binary("v_epsilon", BinaryOp::Add, v, epsilon, "f32[N, 5, 1]");
        let root = graph.unary("root", UnaryOp::Rsqrt, v);
        let y = graph.binary("y", BinaryOp::Mul, d, root, "f32[N, 5, 8]");
        let y = graph.binary("y_scale", BinaryOp::Mul, y, scale, "f32[N, 5, 8]");
        let y = graph.binary("y_bias", BinaryOp::Add, y, bias, "f32[N, 5, 8]");
        check(
            graph.finish(&[y]),
            find_normalisations,
            &expect![[r#"
            inputs x: f32[N, 5, 8]
            m: f32[N, 5, 1] = reduce(mean 2)(x)
            d: f32[N, 5, 8] = sub(x, m)
            square: f32[N, 5, 8] = mul(d, d)
            v: f32[N, 5, 1] = reduce(mean 2)(square)
            v_epsilon: f32[N, 5, 1] = add(v, 1e-5)
            root: f32[N, 5, 1] = rsqrt(v_epsilon)
            y: f32[N, 5, 8] = mul(d, root)
            y_scale: f32[N, 5, 8] = mul(y, scale: f32[8])
            y_bias: f32[N, 5, 8] = add(y_scale, bias: f32[8])
            outputs y_bias
            =>
            inputs x: f32[N, 5, 8]
            y_bias: f32[N, 5, 8] = normalise(layer 2.. epsilon 1e-5 +scale +bias)(x, scale: f32[8], bias: f32[8])
            outputs y_bias"#]],
        );
    }

    #[test]
    fn over_a_middle_axis_by_mean_of_squares() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 5, 8]");
        let epsilon = graph.scalar(1e-5);
        let scale = graph.constant("scale", &[1, 5, 1]);
        let bias = graph.constant("bias", &[1, 5, 1]);
        let (all, one) = ("f32[N, 5, 8]", "f32[N, 1, 8]");
        let m = graph.kernel("m", mean(&[1]), &[x], one);
        let square = graph.binary("square", BinaryOp::Mul, x, x, all);
        let s = graph.kernel("s", mean(&[1]), &[square], one);
        let mm = graph.binary("mm", BinaryOp::Mul, m, m, one);
        let v = graph.binary("v", BinaryOp::Sub, s, mm, one);
        let above = UnaryOp::Clip {
            low: 0.0,
            high: f32::INFINITY,
        };
        let v = graph.unary("v_clip", above, v);
        let v = graph.binary("v_epsilon", BinaryOp::Add, v, epsilon, one);
        let root = graph.unary("root", UnaryOp::Rsqrt, v);
        let factor = graph.binary("factor", BinaryOp::Mul, root, scale, all);
        let d = graph.binary("d", BinaryOp::Sub, x, m, all);
        let y = graph.binary("y", BinaryOp::Mul, d, factor, all);
        let y = graph.binary("y_bias", BinaryOp::Add, y, bias, all);
        check(
            graph.finish(&[y]),
            find_normalisations,
            &expect![[r#"
            inputs x: f32[N, 5, 8]
            m: f32[N, 1, 8] = reduce(mean 1)(x)
            square: f32[N, 5, 8] = mul(x, x)
            s: f32[N, 1, 8] = reduce(mean 1)(square)
            mm: f32[N, 1, 8] = mul(m, m)
            v: f32[N, 1, 8] = sub(s, mm)
            v_clip: f32[N, 1, 8] = clip(low 0.0, high inf)(v)
            v_epsilon: f32[N, 1, 8] = add(v_clip, 1e-5)
            root: f32[N, 1, 8] = rsqrt(v_epsilon)
            factor: f32[N, 5, 8] = mul(root, scale: f32[1, 5, 1])
            d: f32[N, 5, 8] = sub(x, m)
            y: f32[N, 5, 8] = mul(d, factor)
            y_bias: f32[N, 5, 8] = add(y, bias: f32[1, 5, 1])
            outputs y_bias
            =>
            inputs x: f32[N, 5, 8]
            y_bias: f32[N, 5, 8] = normalise(axis 1 epsilon 1e-5 +scale +bias)(x, scale: f32[5], bias: f32[5])
            outputs y_bias"#]],
        );
    }

    #[test]
    fn as_tensorflow_writes_it() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 8]");
        let epsilon = graph.scalar(1e-5);
        let (scale, bias) = (graph.constant("scale", &[8]), graph.constant("bias", &[8]));
        let m = graph.kernel("m", mean(&[1]), &[x], "f32[N, 1]");
        let d = graph.binary("d", BinaryOp::Sub, x, m, "f32[N, 8]");
        let square = graph.binary("square", BinaryOp::Mul, d, d, "f32[N, 8]");
        let v = graph.kernel("v", mean(&[1]), &[square], "f32[N, 1]");
        let v = graph.binary("v_epsilon", BinaryOp::Add, v, epsilon, "f32[N, 1]");
        let root = graph.unary("root", UnaryOp::Rsqrt, v);
        let a = graph.binary("a", BinaryOp::Mul, root, scale, "f32[N, 8]");
        let scaled = graph.binary("scaled", BinaryOp::Mul, x, a, "f32[N, 8]");
        let shift = graph.binary("shift", BinaryOp::Mul, m, a, "f32[N, 8]");
        let rest = graph.binary("rest", BinaryOp::Sub, bias, shift, "f32[N, 8]");
        let y = graph.binary("y", BinaryOp::Add, scaled, rest, "f32[N, 8]");
        check(
            graph.finish(&[y]),
            find_normalisations,
            &expect![[r#"
            inputs x: f32[N, 8]
            m: f32[N, 1] = reduce(mean 1)(x)
            d: f32[N, 8] = sub(x, m)
            square: f32[N, 8] = mul(d, d)
            v: f32[N, 1] = reduce(mean 1)(square)
            v_epsilon: f32[N, 1] = add(v, 1e-5)
            root: f32[N, 1] = rsqrt(v_epsilon)
            a: f32[N, 8] = mul(root, scale: f32[8])
            scaled: f32[N, 8] = mul(x, a)
            shift: f32[N, 8] = mul(m, a)
            rest: f32[N, 8] = sub(bias: f32[8], shift)
            y: f32[N, 8] = add(scaled, rest)
            outputs y
            =>
            inputs x: f32[N, 8]
            y: f32[N, 8] = normalise(layer 1.. epsilon 1e-5 +scale +bias)(x, scale: f32[8], bias: f32[8])
            outputs y"#]],
        );
    }

    #[test]
    fn root_mean_square_and_instance() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 4, 3, 5]");
        let epsilon = graph.scalar(1e-5);
        let scale = graph.constant("scale", &[5]);
        let square = graph.binary("square", BinaryOp::Mul, x, x, "f32[N, 4, 3, 5]");
        let v = graph.kernel("v", mean(&[3]), &[square], "f32[N, 4, 3, 1]");
        let v = graph.binary("v_epsilon", BinaryOp::Add, v, epsilon, "f32[N, 4, 3, 1]");
        let root = graph.unary("root", UnaryOp::Rsqrt, v);
        let y = graph.binary("y", BinaryOp::Mul, x, root, "f32[N, 4, 3, 5]");
        let y = graph.binary("y_scale", BinaryOp::Mul, y, scale, "f32[N, 4, 3, 5]");

        let channels = graph.constant("channels", &[4, 1, 1]);
        let m = graph.kernel("m", mean(&[2, 3]), &[x], "f32[N, 4, 1, 1]");
        let d = graph.binary("d", BinaryOp::Sub, x, m, "f32[N, 4, 3, 5]");
        let square = graph.binary("square2", BinaryOp::Mul, d, d, "f32[N, 4, 3, 5]");
        let v = graph.kernel("v2", mean(&[2, 3]), &[square], "f32[N, 4, 1, 1]");
        let v = graph.binary("v2_epsilon", BinaryOp::Add, v, epsilon, "f32[N, 4, 1, 1]");
        let root = graph.unary("root2", UnaryOp::Rsqrt, v);
        let z = graph.binary("z", BinaryOp::Mul, d, root, "f32[N, 4, 3, 5]");
        let z = graph.binary("z_bias", BinaryOp::Add, z, channels, "f32[N, 4, 3, 5]");
        check(
            graph.finish(&[y, z]),
            find_normalisations,
            &expect![[r#"
            inputs x: f32[N, 4, 3, 5]
            square: f32[N, 4, 3, 5] = mul(x, x)
            v: f32[N, 4, 3, 1] = reduce(mean 3)(square)
            v_epsilon: f32[N, 4, 3, 1] = add(v, 1e-5)
            root: f32[N, 4, 3, 1] = rsqrt(v_epsilon)
            y: f32[N, 4, 3, 5] = mul(x, root)
            y_scale: f32[N, 4, 3, 5] = mul(y, scale: f32[5])
            m: f32[N, 4, 1, 1] = reduce(mean 2, 3)(x)
            d: f32[N, 4, 3, 5] = sub(x, m)
            square2: f32[N, 4, 3, 5] = mul(d, d)
            v2: f32[N, 4, 1, 1] = reduce(mean 2, 3)(square2)
            v2_epsilon: f32[N, 4, 1, 1] = add(v2, 1e-5)
            root2: f32[N, 4, 1, 1] = rsqrt(v2_epsilon)
            z: f32[N, 4, 3, 5] = mul(d, root2)
            z_bias: f32[N, 4, 3, 5] = add(z, channels: f32[4, 1, 1])
            outputs y_scale, z_bias
            =>
            inputs x: f32[N, 4, 3, 5]
            y_scale: f32[N, 4, 3, 5] = normalise(rms 3.. epsilon 1e-5 +scale)(x, scale: f32[5])
            z_bias: f32[N, 4, 3, 5] = normalise(groups 4 epsilon 1e-5 +bias)(x, [0.0010224581, 0.1078707, -0.8691615, 0.6794522])
            outputs y_scale, z_bias"#]],
        );
    }
}
