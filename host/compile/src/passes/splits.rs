//! Computes the parts of a convolution or product, where only parts of it are read.
//!
//! ```text
//! y = conv(x, w), y[0..8], y[8..24]    ───►    conv(x, w[0..8]), conv(x, w[8..24])
//! ```

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{ConvWeights, Epilogue, MatMulRhs};

use crate::graph::edit::Editor;
use crate::graph::{Graph, Node, ValueId};

/// Divides convolutions and products with constant weights between the slices of channels or columns that alone read them.
pub(super) fn split_producers(graph: &mut Graph) -> bool {
    let mut editor = Editor::new(graph);
    for index in 0..editor.len() {
        let Some(producer) = Producer::of(&editor, index) else {
            continue;
        };
        let Some(parts) = parts(&editor, &producer) else {
            continue;
        };
        for part in parts {
            producer.compute(&mut editor, &part);
        }
    }
    editor.finish()
}

/// A convolution or product whose outputs depend on one part of the weights each.
struct Producer {
    node: Node,
    kernel: Kernel,
    /// The axis of channels or columns, in the output and in the weights.
    axis: usize,
    weights_axis: usize,
}

/// A slice of what a producer computes.
struct Part {
    slice: usize,
    begin: usize,
    end: usize,
}

impl Producer {
    fn of(editor: &Editor<'_>, index: usize) -> Option<Self> {
        let (node, kernel) = (editor.node(index)?, editor.kernel(index)?);
        let graph = editor.values();
        let (axis, weights_axis) = match kernel {
            Kernel::Conv(conv) if conv.group == 1 && conv.weights == ConvWeights::Plain => (1, 0),
            Kernel::MatMul(matmul) if matmul.rhs == MatMulRhs::Plain => {
                (graph.rank(node.outputs[0])?.checked_sub(1)?, 1)
            }
            _ => return None,
        };
        let Epilogue { bias, residual, .. } = match kernel {
            Kernel::Conv(conv) => conv.epilogue,
            Kernel::MatMul(matmul) => matmul.epilogue,
            _ => return None,
        };
        let is_constant = |slot: usize| graph.constant_f32(node.inputs[slot]).is_some();
        let rank_fits = weights_axis == 0 || graph.rank(node.inputs[1]) == Some(2);
        let fits = rank_fits && !residual && is_constant(1) && (!bias || is_constant(2));
        fits.then(|| Self {
            node: node.clone(),
            kernel: kernel.clone(),
            axis,
            weights_axis,
        })
    }

    /// Puts the computation of a part in the place of its slice.
    fn compute(&self, editor: &mut Editor<'_>, part: &Part) {
        let Some(slice) = editor.node(part.slice).cloned() else {
            return;
        };
        let mut inputs = self.node.inputs.clone();
        inputs[1] = cut(editor.graph(), inputs[1], self.weights_axis, part);
        if let Some(bias) = inputs.get_mut(2) {
            *bias = cut(editor.graph(), *bias, 0, part);
        }
        let name = format!("{}[{}..{}]", self.node.name, part.begin, part.end);
        let node = Node::kernel(name, self.kernel.clone(), &inputs, slice.outputs[0]);
        editor.replace(part.slice, [node]);
    }
}

/// Returns the slices that read a producer, if nothing else does and they do not overlap.
fn parts(editor: &Editor<'_>, producer: &Producer) -> Option<Vec<Part>> {
    let y = producer.node.outputs[0];
    let readers = editor.readers(y);
    if editor.is_output(y) || readers.is_empty() {
        return None;
    }
    let part = |&slice: &usize| part(editor, producer, slice);
    let mut parts: Vec<Part> = readers.iter().map(part).collect::<Option<_>>()?;
    parts.sort_by_key(|part| part.begin);
    let apart = parts.windows(2).all(|pair| pair[0].end <= pair[1].begin);
    apart.then_some(parts)
}

/// Reads a node as a slice along the producer's axis.
fn part(editor: &Editor<'_>, producer: &Producer, index: usize) -> Option<Part> {
    let Kernel::Slice(slice) = editor.kernel(index)? else {
        return None;
    };
    let graph = editor.values();
    let (x, y) = (producer.node.outputs[0], editor.node(index)?.outputs[0]);
    let len = |id: ValueId| usize::try_from(graph.dims(id)?.get(producer.axis)?.as_number()?).ok();
    let begin = usize::try_from(*slice.starts.get(producer.axis)?).ok()?;
    let end = begin
        .checked_add(len(y)?)
        .filter(|&end| Some(end) <= len(x))?;
    let whole_elsewhere = slice.steps.iter().all(|&step| step == 1)
        && (0..slice.starts.len()).all(|axis| axis == producer.axis || slice.starts[axis] == 0)
        && graph
            .dims(x)?
            .iter()
            .zip(graph.dims(y)?)
            .enumerate()
            .all(|(axis, (x, y))| axis == producer.axis || crate::graph::dims::same(x, y));
    (whole_elsewhere && end > begin).then_some(Part {
        slice: index,
        begin,
        end,
    })
}

/// Cuts a part out of a constant along an axis.
fn cut(graph: &mut Graph, constant: ValueId, axis: usize, part: &Part) -> ValueId {
    let mut dims = graph.fixed_dims(constant).unwrap_or_default();
    let elements = graph.constant_f32(constant).unwrap_or_default();
    let inner: usize = dims[axis + 1..].iter().product();
    let lines = elements.chunks_exact((dims[axis] * inner).max(1));
    let cut: Vec<f32> = lines
        .flat_map(|line| &line[part.begin * inner..part.end * inner])
        .copied()
        .collect();
    dims[axis] = part.end - part.begin;
    let name = format!(
        "{}[{}..{}]",
        graph.value(constant).name,
        part.begin,
        part.end
    );
    graph.add_f32(name, &dims, &cut)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use tensorlet_plan::kernel::{Slice, UnaryOp};

    use super::*;
    use crate::graph::testing::{Builder, check, conv};

    fn slice(starts: &[i64]) -> Kernel {
        Kernel::Slice(Slice {
            starts: starts.to_vec(),
            steps: vec![1; starts.len()],
        })
    }

    #[test]
    fn parts_are_computed_each() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 3, 4]");
        let (w, m) = (
            graph.constant("w", &[5, 3, 1]),
            graph.constant("m", &[4, 6]),
        );
        let y = graph.kernel("y", conv(&[1], &[0], 1), &[x, w], "f32[N, 5, 4]");
        let a = graph.kernel("a", slice(&[0, 0, 0]), &[y], "f32[N, 2, 4]");
        let b = graph.kernel("b", slice(&[0, 2, 0]), &[y], "f32[N, 3, 4]");
        let z = graph.matmul("z", x, m, "f32[N, 3, 6]");
        let c = graph.kernel("c", slice(&[0, 0, 3]), &[z], "f32[N, 3, 3]");
        check(
            graph.finish(&[a, b, c]),
            split_producers,
            &expect![[r#"
            inputs x: f32[N, 3, 4]
            y: f32[N, 5, 4] = conv(1)(x, w: f32[5, 3, 1])
            a: f32[N, 2, 4] = slice(0, 0, 0)(y)
            b: f32[N, 3, 4] = slice(0, 2, 0)(y)
            z: f32[N, 3, 6] = matmul(x, m: f32[4, 6])
            c: f32[N, 3, 3] = slice(0, 0, 3)(z)
            outputs a, b, c
            =>
            inputs x: f32[N, 3, 4]
            a: f32[N, 2, 4] = conv(1)(x, w[0..2]: f32[2, 3, 1])
            b: f32[N, 3, 4] = conv(1)(x, w[2..5]: f32[3, 3, 1])
            c: f32[N, 3, 3] = matmul(x, m[3..6]: f32[4, 3])
            outputs a, b, c"#]],
        );
    }

    #[test]
    fn overlapping_parts_and_other_axes_are_left_alone() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 3, 4]");
        let w = graph.constant("w", &[5, 3, 1]);
        let y = graph.kernel("y", conv(&[1], &[0], 1), &[x, w], "f32[N, 5, 4]");
        let a = graph.kernel("a", slice(&[0, 0, 0]), &[y], "f32[N, 3, 4]");
        let b = graph.kernel("b", slice(&[0, 2, 0]), &[y], "f32[N, 3, 4]");
        let mut overlapping = graph.finish(&[a, b]);
        assert!(!split_producers(&mut overlapping));

        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 3, 4]");
        let y = graph.kernel("y", conv(&[1], &[0], 1), &[x, w], "f32[N, 5, 4]");
        let a = graph.kernel("a", slice(&[0, 0, 2]), &[y], "f32[N, 5, 2]");
        let b = graph.unary("b", UnaryOp::Exp, y);
        let mut graph = graph.finish(&[a, b]);
        assert!(!split_producers(&mut graph));
    }
}
