//! Lets convolutions pad with zeros themselves.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{Conv, Pad, PadMode};
use tensorlet_tensor::DatumType;

use crate::graph::dims::difference;
use crate::graph::edit::Editor;
use crate::graph::{Graph, Op, ValueId};

/// Folds padding of the spatial axes with zeros into the convolution behind.
pub(super) fn fold_padding(graph: &mut Graph) -> bool {
    let mut editor = Editor::new(graph);
    for index in 0..editor.len() {
        let Some(Kernel::Conv(conv)) = editor.kernel(index).cloned() else {
            continue;
        };
        let mut node = editor.node(index).expect("it has a kernel").clone();
        let Some((_, Kernel::Pad(pad), &[x])) = editor.made_by(node.inputs[0]) else {
            continue;
        };
        if let Some(conv) = padded(editor.values(), conv, pad, x, node.inputs[0]) {
            node.inputs[0] = x;
            node.op = Op::Kernel(Kernel::Conv(conv));
            editor.replace(index, [node]);
        }
    }
    editor.finish()
}

/// Returns the convolution that pads as `pad` does, if there is one.
fn padded(graph: &Graph, mut conv: Conv, pad: &Pad, x: ValueId, y: ValueId) -> Option<Conv> {
    if pad.mode != PadMode::Constant(0.0) || graph.value(x).datum_type != DatumType::F32 {
        return None;
    }
    let (from, to) = (graph.dims(x)?, graph.dims(y)?);
    for (axis, (from, to)) in from.iter().zip(to).enumerate() {
        let before = *pad.before.get(axis)?;
        let after = difference(to, from)?.checked_sub(before)?;
        let (before, after) = (u32::try_from(before).ok()?, u32::try_from(after).ok()?);
        match axis.checked_sub(2) {
            Some(axis) => {
                let slot = conv.pads_before.get_mut(axis)?;
                *slot = slot.checked_add(before)?;
                let slot = conv.pads_after.get_mut(axis)?;
                *slot = slot.checked_add(after)?;
            }
            None if before == 0 && after == 0 => {}
            None => return None,
        }
    }
    Some(conv)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::graph::testing::{Builder, check, conv};

    fn graph(value: f64, before: [i64; 4]) -> Graph {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 4, 5, N]");
        let w = graph.constant("w", &[4, 4, 3, 3]);
        let pad = Kernel::Pad(Pad {
            mode: PadMode::Constant(value),
            before: before.to_vec(),
        });
        let padded = graph.kernel("padded", pad, &[x], "f32[N, 4, 7, N+3]");
        let y = conv(&[3, 3], &[0, 0], 1);
        let y = graph.kernel("y", y, &[padded, w], "f32[N, 4, 5, N+1]");
        graph.finish(&[y])
    }

    #[test]
    fn zeros_are_padded_by_the_convolution() {
        check(
            graph(0.0, [0, 0, 0, 1]),
            fold_padding,
            &expect![[r#"
            inputs x: f32[N, 4, 5, N]
            padded: f32[N, 4, 7, N+3] = pad(0.0 before 0, 0, 0, 1)(x)
            y: f32[N, 4, 5, N+1] = conv(3x3)(padded, w: f32[4, 4, 3, 3])
            outputs y
            =>
            inputs x: f32[N, 4, 5, N]
            y: f32[N, 4, 5, N+1] = conv(3x3 p0x1..2x2)(x, w: f32[4, 4, 3, 3])
            outputs y"#]],
        );
    }

    #[test]
    fn other_numbers_are_not() {
        assert!(!fold_padding(&mut graph(1.0, [0, 0, 0, 1])));
        assert!(!fold_padding(&mut graph(0.0, [0, 0, -1, 1])));
    }
}
