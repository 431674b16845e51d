//! Folds factors and summands that are constant along a channel into the weights and bias of a convolution or product.
//!
//! A batch normalisation is such a factor and summand. Before a convolution, a summand must not meet padding.

use std::sync::Arc;

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{Activation, BinaryOp, Epilogue, MatMulRhs};

use crate::graph::edit::Editor;
use crate::graph::{Graph, Node, Op, ValueId};

/// The largest weights that may become several, because several nodes read them.
const MAX_COPIED_BYTES: usize = 64 << 10;

/// Folds constant factors and summands into weights and biases.
pub(super) fn fold_affine(graph: &mut Graph) -> bool {
    let mut editor = Editor::new(graph);
    for index in 0..editor.len() {
        match editor.kernel(index) {
            Some(Kernel::Binary(op @ (BinaryOp::Mul | BinaryOp::Add))) => {
                let op = *op;
                let _ = fold_behind(&mut editor, index, op);
            }
            Some(Kernel::Conv(_) | Kernel::MatMul(_)) => {
                let _ = fold_before(&mut editor, index);
            }
            _ => {}
        }
    }
    editor.finish()
}

/// A convolution or product, as far as its channels are concerned.
struct Linear {
    kernel: Kernel,
    inputs: Vec<ValueId>,
    /// The axis of channels of input and output.
    axis: usize,
    channels_out: usize,
    group: usize,
    /// Whether zeros that stand nowhere in the input are summed up too.
    padded: bool,
}

impl Linear {
    /// Reads a node; `None` if it is something else.
    fn of(graph: &Graph, kernel: &Kernel, inputs: &[ValueId], output: ValueId) -> Option<Self> {
        let rank = graph.rank(output)?;
        let (axis, group, padded) = match kernel {
            Kernel::Conv(conv) => {
                let mut pads = conv.pads_before.iter().chain(&conv.pads_after);
                (1, conv.group as usize, pads.any(|&pad| pad != 0))
            }
            Kernel::ConvTranspose(conv) => (1, conv.group as usize, true),
            Kernel::MatMul(matmul) if matmul.rhs != MatMulRhs::Packed => (rank - 1, 1, false),
            _ => return None,
        };
        let channels_out = graph.dims(output)?.get(axis)?.as_number()?;
        Some(Self {
            kernel: kernel.clone(),
            inputs: inputs.to_vec(),
            axis,
            channels_out: usize::try_from(channels_out).ok()?,
            group,
            padded,
        })
    }

    fn epilogue(&self) -> Epilogue {
        match &self.kernel {
            Kernel::Conv(conv) => conv.epilogue,
            Kernel::ConvTranspose(conv) => conv.epilogue,
            Kernel::MatMul(matmul) => matmul.epilogue,
            _ => Epilogue::default(),
        }
    }

    fn set_has_bias(&mut self) {
        match &mut self.kernel {
            Kernel::Conv(conv) => conv.epilogue.bias = true,
            Kernel::ConvTranspose(conv) => conv.epilogue.bias = true,
            Kernel::MatMul(matmul) => matmul.epilogue.bias = true,
            _ => {}
        }
    }

    /// Returns the dims and elements of weights that may be changed.
    fn weights(&self, editor: &Editor<'_>) -> Option<(Vec<usize>, Vec<f32>)> {
        let graph = editor.values();
        let weights = self.inputs[1];
        let bytes: &Arc<[u8]> = graph.value(weights).constant.as_ref()?;
        let may_change = editor.is_read_once(weights) || bytes.len() <= MAX_COPIED_BYTES;
        let dims = graph.fixed_dims(weights).filter(|_| may_change)?;
        if let Kernel::MatMul(matmul) = &self.kernel
            && (matmul.rhs != MatMulRhs::Plain || dims.len() != 2)
        {
            return None;
        }
        Some((dims, graph.constant_f32(weights)?))
    }

    /// Returns the channel of the output, and that of the input, which an element of the weights belongs to.
    fn channels(&self, dims: &[usize], index: usize) -> (usize, usize) {
        let inner: usize = dims[2..].iter().product();
        let (first, second) = (index / inner / dims[1], index / inner % dims[1]);
        match self.kernel {
            Kernel::Conv(_) => {
                let per_group = dims[0] / self.group;
                (first, first / per_group * dims[1] + second)
            }
            Kernel::ConvTranspose(_) => {
                let per_group = dims[0] / self.group;
                (first / per_group * dims[1] + second, first)
            }
            _ => (second, first),
        }
    }

    fn bias(&self, graph: &Graph) -> Option<Vec<f32>> {
        if !self.epilogue().bias {
            return Some(vec![0.0; self.channels_out]);
        }
        let bias = graph.constant_f32(self.inputs[2])?;
        (bias.len() == self.channels_out).then_some(bias)
    }

    fn set_weights(&mut self, editor: &mut Editor<'_>, dims: &[usize], elements: &[f32]) {
        let name = editor.values().value(self.inputs[1]).name.clone();
        self.inputs[1] = editor.graph().add_f32(name, dims, elements);
    }

    fn set_bias(&mut self, editor: &mut Editor<'_>, elements: &[f32]) {
        if self.epilogue().bias {
            let name = editor.values().value(self.inputs[2]).name.clone();
            self.inputs[2] = editor.graph().add_f32(name, &[elements.len()], elements);
        } else {
            let name = format!("{}_bias", editor.values().value(self.inputs[1]).name);
            let bias = editor.graph().add_f32(name, &[elements.len()], elements);
            self.inputs.insert(2, bias);
            self.set_has_bias();
        }
    }
}

/// Folds `y op constant` into what makes `y`; `None` if nothing changed.
fn fold_behind(editor: &mut Editor<'_>, index: usize, op: BinaryOp) -> Option<()> {
    let node = editor.node(index)?.clone();
    let (output, &[y, constant]) = (node.outputs[0], node.inputs.as_slice()) else {
        return None;
    };
    let (maker, kernel, inputs) = editor.made_by(y)?;
    let name = editor.node(maker)?.name.clone();
    let graph = editor.values();
    let mut linear = Linear::of(graph, kernel, inputs, y)?;
    let epilogue = linear.epilogue();
    let is_last = !epilogue.residual && epilogue.activation == Activation::None;
    if !is_last || !editor.is_read_once(y) || !graph.same_type(y, output) {
        return None;
    }
    let rank = graph.rank(y)?;
    let parameters = graph.constant_along(constant, rank, linear.axis, linear.channels_out)?;
    let mut bias = linear.bias(graph)?;
    match op {
        BinaryOp::Mul => {
            let (dims, mut elements) = linear.weights(editor)?;
            for (index, element) in elements.iter_mut().enumerate() {
                *element *= parameters[linear.channels(&dims, index).0];
            }
            linear.set_weights(editor, &dims, &elements);
            bias.iter_mut()
                .zip(&parameters)
                .for_each(|(x, factor)| *x *= factor);
            if epilogue.bias {
                linear.set_bias(editor, &bias);
            }
        }
        _ => {
            bias.iter_mut()
                .zip(&parameters)
                .for_each(|(x, summand)| *x += summand);
            linear.set_bias(editor, &bias);
        }
    }
    let Linear { kernel, inputs, .. } = linear;
    editor.replace(index, [Node::kernel(name, kernel, &inputs, output)]);
    Some(())
}

/// Folds `x op constant`, which only this node reads, into the node, or its scale; `None` if nothing changed.
fn fold_before(editor: &mut Editor<'_>, index: usize) -> Option<()> {
    let kernel = editor.kernel(index)?;
    let node = editor.node(index)?;
    let mut linear = Linear::of(editor.values(), kernel, &node.inputs, node.outputs[0])?;
    if let Kernel::MatMul(matmul) = &mut linear.kernel
        && matmul.scale != 1.0
    {
        let scale = std::mem::replace(&mut matmul.scale, 1.0);
        let (dims, mut elements) = linear.weights(editor)?;
        elements.iter_mut().for_each(|element| *element *= scale);
        linear.set_weights(editor, &dims, &elements);
        return put(editor, index, linear);
    }
    let x = linear.inputs[0];
    let (op, inner, constant) = editor.binary(x)?;
    let graph = editor.values();
    if !editor.is_read_once(x) || !graph.same_type(inner, x) {
        return None;
    }
    let (rank, dims) = (graph.rank(x)?, graph.dims(x)?);
    let channels_in = usize::try_from(dims.get(linear.axis)?.as_number()?).ok()?;
    let parameters = graph.constant_along(constant, rank, linear.axis, channels_in)?;
    let (dims, mut elements) = linear.weights(editor)?;
    match op {
        BinaryOp::Mul => {
            for (index, element) in elements.iter_mut().enumerate() {
                *element *= parameters[linear.channels(&dims, index).1];
            }
            linear.set_weights(editor, &dims, &elements);
        }
        BinaryOp::Add if !linear.padded => {
            let mut bias: Vec<f64> = linear.bias(graph)?.into_iter().map(f64::from).collect();
            for (index, element) in elements.iter().enumerate() {
                let (channel_out, channel_in) = linear.channels(&dims, index);
                bias[channel_out] += f64::from(*element) * f64::from(parameters[channel_in]);
            }
            let bias: Vec<f32> = bias.into_iter().map(|x| x as f32).collect();
            linear.set_bias(editor, &bias);
        }
        _ => return None,
    }
    linear.inputs[0] = inner;
    put(editor, index, linear)
}

fn put(editor: &mut Editor<'_>, index: usize, linear: Linear) -> Option<()> {
    let node = editor.node(index)?.clone();
    let node = Node {
        op: Op::Kernel(linear.kernel),
        inputs: linear.inputs,
        ..node
    };
    editor.replace(index, [node]);
    Some(())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use tensorlet_plan::kernel::{ConvTranspose, UnaryOp};

    use super::*;
    use crate::graph::testing::{Builder, check, conv};

    #[test]
    fn a_batch_normalisation_behind_a_convolution() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 4, 5, 5]");
        let w = graph.constant("w", &[6, 2, 3, 3]);
        let (scale, shift) = (
            graph.constant("scale", &[6, 1, 1]),
            graph.constant("shift", &[1, 6, 1, 1]),
        );
        let kernel = conv(&[3, 3], &[1, 1], 2);
        let y = graph.kernel("y", kernel, &[x, w], "f32[N, 6, 5, 5]");
        let y = graph.binary("scaled", BinaryOp::Mul, y, scale, "f32[N, 6, 5, 5]");
        let y = graph.binary("shifted", BinaryOp::Add, y, shift, "f32[N, 6, 5, 5]");
        let y = graph.unary(
            "relu",
            UnaryOp::Clip {
                low: 0.0,
                high: 6.0,
            },
            y,
        );
        check(
            graph.finish(&[y]),
            fold_affine,
            &expect![[r#"
            inputs x: f32[N, 4, 5, 5]
            y: f32[N, 6, 5, 5] = conv(3x3 p1 g2)(x, w: f32[6, 2, 3, 3])
            scaled: f32[N, 6, 5, 5] = mul(y, scale: f32[6, 1, 1])
            shifted: f32[N, 6, 5, 5] = add(scaled, shift: f32[1, 6, 1, 1])
            relu: f32[N, 6, 5, 5] = clip(low 0.0, high 6.0)(shifted)
            outputs relu
            =>
            inputs x: f32[N, 4, 5, 5]
            shifted: f32[N, 6, 5, 5] = conv(3x3 p1 g2 +bias)(x, w: f32[6, 2, 3, 3], w_bias: f32[6])
            relu: f32[N, 6, 5, 5] = clip(low 0.0, high 6.0)(shifted)
            outputs relu"#]],
        );
    }

    #[test]
    fn before_a_convolution_only_factors_meet_padding() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 4, 5, 5]");
        let w = graph.constant("w", &[6, 2, 3, 3]);
        let v = graph.constant("v", &[6, 4, 1, 1]);
        let (scale, shift) = (
            graph.constant("scale", &[4, 1, 1]),
            graph.constant("shift", &[4, 1, 1]),
        );
        let z = graph.binary("a_shifted", BinaryOp::Add, x, shift, "f32[N, 4, 5, 5]");
        let z = graph.binary("a_scaled", BinaryOp::Mul, z, scale, "f32[N, 4, 5, 5]");
        let padded = graph.kernel("a", conv(&[3, 3], &[1, 1], 2), &[z, w], "f32[N, 6, 5, 5]");
        let z = graph.binary("b_scaled", BinaryOp::Mul, x, scale, "f32[N, 4, 5, 5]");
        let z = graph.binary("b_shifted", BinaryOp::Add, z, shift, "f32[N, 4, 5, 5]");
        let pointwise = graph.kernel("b", conv(&[1, 1], &[0, 0], 1), &[z, v], "f32[N, 6, 5, 5]");
        check(
            graph.finish(&[padded, pointwise]),
            fold_affine,
            &expect![[r#"
            inputs x: f32[N, 4, 5, 5]
            a_shifted: f32[N, 4, 5, 5] = add(x, shift: f32[4, 1, 1])
            a_scaled: f32[N, 4, 5, 5] = mul(a_shifted, scale: f32[4, 1, 1])
            a: f32[N, 6, 5, 5] = conv(3x3 p1 g2)(a_scaled, w: f32[6, 2, 3, 3])
            b_scaled: f32[N, 4, 5, 5] = mul(x, scale: f32[4, 1, 1])
            b_shifted: f32[N, 4, 5, 5] = add(b_scaled, shift: f32[4, 1, 1])
            b: f32[N, 6, 5, 5] = conv(1x1)(b_shifted, v: f32[6, 4, 1, 1])
            outputs a, b
            =>
            inputs x: f32[N, 4, 5, 5]
            a_shifted: f32[N, 4, 5, 5] = add(x, shift: f32[4, 1, 1])
            a: f32[N, 6, 5, 5] = conv(3x3 p1 g2)(a_shifted, w: f32[6, 2, 3, 3])
            b: f32[N, 6, 5, 5] = conv(1x1 +bias)(x, v: f32[6, 4, 1, 1], v_bias: f32[6])
            outputs a, b"#]],
        );
    }

    #[test]
    fn products_and_transposed_convolutions() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 3, 4]");
        let w = graph.constant("w", &[4, 5]);
        let (before, behind) = (
            graph.constant("before", &[4]),
            graph.constant("behind", &[5]),
        );
        let y = graph.binary("y_before", BinaryOp::Add, x, before, "f32[N, 3, 4]");
        let y = graph.matmul("y", y, w, "f32[N, 3, 5]");
        let y = graph.binary("y_behind", BinaryOp::Mul, y, behind, "f32[N, 3, 5]");
        let y = graph.binary("y_bias", BinaryOp::Add, y, behind, "f32[N, 3, 5]");
        let image = graph.input("image", "f32[N, 4, 2, 2]");
        let w = graph.constant("wt", &[4, 3, 2, 2]);
        let channels = graph.constant("channels", &[6, 1, 1]);
        let transposed = Kernel::ConvTranspose(ConvTranspose {
            group: 2,
            kernel: vec![2, 2],
            strides: vec![2, 2],
            dilations: vec![1, 1],
            pads_before: vec![0, 0],
            epilogue: Epilogue::default(),
        });
        let z = graph.kernel("z", transposed, &[image, w], "f32[N, 6, 4, 4]");
        let z = graph.binary("z_scaled", BinaryOp::Mul, z, channels, "f32[N, 6, 4, 4]");
        let z = graph.binary("z_bias", BinaryOp::Add, z, channels, "f32[N, 6, 4, 4]");
        check(
            graph.finish(&[y, z]),
            fold_affine,
            &expect![[r#"
            inputs x: f32[N, 3, 4], image: f32[N, 4, 2, 2]
            y_before: f32[N, 3, 4] = add(x, [0.7317641, 0.9592432, 0.099505305, 0.24321628])
            y: f32[N, 3, 5] = matmul(y_before, w: f32[4, 5])
            y_behind: f32[N, 3, 5] = mul(y, behind: f32[5])
            y_bias: f32[N, 3, 5] = add(y_behind, behind: f32[5])
            z: f32[N, 6, 4, 4] = conv_transpose(2x2 s2 g2)(image, wt: f32[4, 3, 2, 2])
            z_scaled: f32[N, 6, 4, 4] = mul(z, channels: f32[6, 1, 1])
            z_bias: f32[N, 6, 4, 4] = add(z_scaled, channels: f32[6, 1, 1])
            outputs y_bias, z_bias
            =>
            inputs x: f32[N, 3, 4], image: f32[N, 4, 2, 2]
            y_bias: f32[N, 3, 5] = matmul(+bias)(x, w: f32[4, 5], w_bias: f32[5])
            z_bias: f32[N, 6, 4, 4] = conv_transpose(2x2 s2 g2 +bias)(image, wt: f32[4, 3, 2, 2], wt_bias: f32[6])
            outputs y_bias, z_bias"#]],
        );
    }

    #[test]
    fn what_is_read_elsewhere_stays() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 4, 5, 5]");
        let w = graph.constant("w", &[6, 4, 1, 1]);
        let scale = graph.constant("scale", &[6, 1, 1]);
        let y = graph.kernel("y", conv(&[1, 1], &[0, 0], 1), &[x, w], "f32[N, 6, 5, 5]");
        let z = graph.binary("z", BinaryOp::Mul, y, scale, "f32[N, 6, 5, 5]");
        let mut graph = graph.finish(&[y, z]);
        assert!(!fold_affine(&mut graph));
    }
}
