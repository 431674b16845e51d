//! Computes residual sums and activations where a convolution or product makes its numbers.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{Activation, BinaryOp, Epilogue, UnaryOp};
use tensorlet_tensor::DatumType;

use crate::graph::edit::Editor;
use crate::graph::{Graph, Node, Op, ValueId};

/// Fuses sums with tensors of the same dims, and functions of one element, into the convolution or product before them.
pub(super) fn fuse_epilogues(graph: &mut Graph) -> bool {
    let mut editor = Editor::new(graph);
    for index in 0..editor.len() {
        match editor.kernel(index) {
            Some(&Kernel::Unary(op)) => {
                let _ = fuse_activation(&mut editor, index, op);
            }
            Some(Kernel::Binary(BinaryOp::Add)) => {
                let _ = fuse_residual(&mut editor, index);
            }
            _ => {}
        }
    }
    editor.finish()
}

fn epilogue(kernel: &mut Kernel) -> Option<&mut Epilogue> {
    match kernel {
        Kernel::Conv(conv) => Some(&mut conv.epilogue),
        Kernel::ConvTranspose(conv) => Some(&mut conv.epilogue),
        Kernel::MatMul(matmul) => Some(&mut matmul.epilogue),
        _ => None,
    }
}

/// Returns the kernel that makes a value, if it has an epilogue whose activation is free and nothing else reads the value.
fn producer(editor: &Editor<'_>, value: ValueId) -> Option<(usize, Kernel, Vec<ValueId>)> {
    let (index, kernel, inputs) = editor.made_by(value)?;
    let (mut kernel, inputs) = (kernel.clone(), inputs.to_vec());
    let is_free = epilogue(&mut kernel)?.activation == Activation::None;
    (is_free && editor.is_read_once(value)).then_some((index, kernel, inputs))
}

fn fuse_activation(editor: &mut Editor<'_>, index: usize, op: UnaryOp) -> Option<()> {
    let node = editor.node(index)?.clone();
    let (x, output) = (node.inputs[0], node.outputs[0]);
    let (maker, mut kernel, inputs) = producer(editor, x)?;
    let both_f32 = [x, output]
        .iter()
        .all(|&id| editor.values().value(id).datum_type == DatumType::F32);
    if !both_f32 {
        return None;
    }
    epilogue(&mut kernel)?.activation = match op {
        UnaryOp::Clip { low, high } => Activation::Clamp { low, high },
        op => Activation::Unary(op),
    };
    let name = editor.node(maker)?.name.clone();
    editor.replace(index, [Node::kernel(name, kernel, &inputs, output)]);
    Some(())
}

fn fuse_residual(editor: &mut Editor<'_>, index: usize) -> Option<()> {
    let node = editor.node(index)?.clone();
    let (output, &[a, b]) = (node.outputs[0], node.inputs.as_slice()) else {
        return None;
    };
    let graph = editor.values();
    let fits = |value| graph.same_type(value, output) && graph.value(value).constant.is_none();
    if !fits(a) || !fits(b) {
        return None;
    }
    let candidates =
        [(a, b), (b, a)].map(|(sum, residual)| (takes_residual(editor, sum), residual));
    // Of two, the later one: the other's result is there by then.
    let chosen = candidates
        .into_iter()
        .filter_map(|(found, residual)| Some((found?, residual)));
    let (found, mut residual) = chosen.max_by_key(|(found, _)| editor.position(found.maker))?;
    let Producer {
        maker,
        mut kernel,
        mut inputs,
        sum,
    } = found;
    epilogue(&mut kernel)?.residual = true;
    let name = editor.node(maker)?.name.clone();
    if editor.values().same_dims(sum, output) {
        inputs.push(residual);
        editor.replace(index, [Node::kernel(name, kernel, &inputs, output)]);
        return Some(());
    }
    // The sum is reshaped; so is the residual then, the other way.
    let value = editor.values().value(sum).clone();
    let reshaped = format!("{}_residual", value.name);
    let shaped = editor
        .graph()
        .add_value(&reshaped, value.datum_type, value.dims.clone());
    let total = editor.graph().add_value(
        format!("{}_total", value.name),
        value.datum_type,
        value.dims,
    );
    let reshape = Node::new(reshaped, Op::Reshape, &[residual], shaped);
    residual = shaped;
    inputs.push(residual);
    let nodes = [
        reshape,
        Node::kernel(name, kernel, &inputs, total),
        Node::new(node.name, Op::Reshape, &[total], output),
    ];
    editor.replace(index, nodes);
    Some(())
}

/// A convolution or product that a residual can be added to.
struct Producer {
    maker: usize,
    kernel: Kernel,
    inputs: Vec<ValueId>,
    /// What it writes.
    sum: ValueId,
}

/// Looks for a convolution or product, perhaps behind a reshape.
fn takes_residual(editor: &Editor<'_>, value: ValueId) -> Option<Producer> {
    let sum = match editor.reshaped(value) {
        Some(sum) if editor.is_read_once(value) => sum,
        _ => value,
    };
    let (maker, mut kernel, inputs) = producer(editor, sum)?;
    let takes = match &mut kernel {
        Kernel::Conv(conv) => !conv.epilogue.residual,
        Kernel::MatMul(matmul) => !matmul.epilogue.residual,
        _ => false,
    };
    takes.then_some(Producer {
        maker,
        kernel,
        inputs,
        sum,
    })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::graph::testing::{Builder, check, conv};

    #[test]
    fn a_residual_and_an_activation() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 4, 5, 5]");
        let (v, w) = (
            graph.constant("v", &[4, 4, 1, 1]),
            graph.constant("w", &[4, 4, 3, 3]),
        );
        let a = graph.kernel("a", conv(&[1, 1], &[0, 0], 1), &[x, v], "f32[N, 4, 5, 5]");
        let b = graph.kernel("b", conv(&[3, 3], &[1, 1], 1), &[x, w], "f32[N, 4, 5, 5]");
        let y = graph.binary("sum", BinaryOp::Add, b, a, "f32[N, 4, 5, 5]");
        let relu = UnaryOp::Clip {
            low: 0.0,
            high: f32::INFINITY,
        };
        let y = graph.unary("relu", relu, y);
        check(
            graph.finish(&[y]),
            fuse_epilogues,
            &expect![[r#"
            inputs x: f32[N, 4, 5, 5]
            a: f32[N, 4, 5, 5] = conv(1x1)(x, v: f32[4, 4, 1, 1])
            b: f32[N, 4, 5, 5] = conv(3x3 p1)(x, w: f32[4, 4, 3, 3])
            sum: f32[N, 4, 5, 5] = add(b, a)
            relu: f32[N, 4, 5, 5] = clip(low 0.0, high inf)(sum)
            outputs relu
            =>
            inputs x: f32[N, 4, 5, 5]
            a: f32[N, 4, 5, 5] = conv(1x1)(x, v: f32[4, 4, 1, 1])
            relu: f32[N, 4, 5, 5] = conv(3x3 p1 +residual relu)(x, w: f32[4, 4, 3, 3], a)
            outputs relu"#]],
        );
    }

    #[test]
    fn what_is_read_twice_is_not_fused() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 4, 5, 5]");
        let v = graph.constant("v", &[4, 4, 1, 1]);
        let a = graph.kernel("a", conv(&[1, 1], &[0, 0], 1), &[x, v], "f32[N, 4, 5, 5]");
        let y = graph.unary("y", UnaryOp::Sigmoid, a);
        let mut graph = graph.finish(&[a, y]);
        assert!(!fuse_epilogues(&mut graph));
    }

    #[test]
    fn a_residual_of_a_reshaped_product() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 4]");
        let r = graph.input("r", "f32[N, 2, 3]");
        let w = graph.constant("w", &[4, 6]);
        let y = graph.matmul("y", x, w, "f32[N, 6]");
        let y = graph.reshape("reshape", y, "f32[N, 2, 3]");
        let y = graph.binary("sum", BinaryOp::Add, r, y, "f32[N, 2, 3]");
        check(
            graph.finish(&[y]),
            fuse_epilogues,
            &expect![[r#"
            inputs x: f32[N, 4], r: f32[N, 2, 3]
            y: f32[N, 6] = matmul(x, w: f32[4, 6])
            reshape: f32[N, 2, 3] = reshape(y)
            sum: f32[N, 2, 3] = add(r, reshape)
            outputs sum
            =>
            inputs x: f32[N, 4], r: f32[N, 2, 3]
            y_residual: f32[N, 6] = reshape(r)
            y_total: f32[N, 6] = matmul(+residual)(x, w: f32[4, 6], y_residual)
            sum: f32[N, 2, 3] = reshape(y_total)
            outputs sum"#]],
        );
    }

    #[test]
    fn bools_are_not() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 4]");
        let w = graph.constant("w", &[4, 6]);
        let y = graph.matmul("y", x, w, "f32[N, 6]");
        let is_nan = Kernel::Unary(UnaryOp::IsNan);
        let y = graph.kernel("nan", is_nan, &[y], "bool[N, 6]");
        let mut graph = graph.finish(&[y]);
        assert!(!fuse_epilogues(&mut graph));
    }
}
