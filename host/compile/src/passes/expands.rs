//! Leaves broadcasting to those who broadcast anyway.

use tensorlet_plan::kernel::BinaryOp;
use tensorlet_plan::{DimExpr, Kernel};

use crate::graph::dims::{is_one, same};
use crate::graph::edit::Editor;
use crate::graph::{Graph, Node, ValueId};

/// Lets functions of two or three elements, and expansions, read what was expanded for them.
pub(super) fn drop_expands(graph: &mut Graph) -> bool {
    let mut editor = Editor::new(graph);
    for index in 0..editor.len() {
        let Some(kernel) = editor.kernel(index).cloned() else {
            continue;
        };
        let node = editor.node(index).expect("it has a kernel").clone();
        match kernel {
            Kernel::Binary(BinaryOp::PRelu) => {}
            Kernel::Binary(_) | Kernel::Where => drop_inputs(&mut editor, index, &node),
            Kernel::Expand => {
                if let Some(x) = expanded(&editor, node.inputs[0]) {
                    let node = Node::kernel(&node.name, Kernel::Expand, &[x], node.outputs[0]);
                    editor.replace(index, [node]);
                }
            }
            Kernel::Tile if expands(&editor, node.inputs[0], node.outputs[0]) => {
                let (x, y) = (node.inputs[0], node.outputs[0]);
                editor.replace(index, [Node::kernel(&node.name, Kernel::Expand, &[x], y)]);
            }
            _ => {}
        }
    }
    editor.finish()
}

fn drop_inputs(editor: &mut Editor<'_>, index: usize, node: &Node) {
    let mut inputs = node.inputs.clone();
    for slot in 0..inputs.len() {
        let Some(x) = expanded(editor, inputs[slot]) else {
            continue;
        };
        let mut candidate = inputs.clone();
        candidate[slot] = x;
        if broadcast_to(editor.values(), &candidate, node.outputs[0]) {
            inputs = candidate;
        }
    }
    if inputs != node.inputs {
        let node = Node {
            inputs,
            ..node.clone()
        };
        editor.replace(index, [node]);
    }
}

fn expanded(editor: &Editor<'_>, value: ValueId) -> Option<ValueId> {
    match editor.made_by(value)? {
        (_, Kernel::Expand, &[x]) => Some(x),
        _ => None,
    }
}

/// Reports whether values are broadcast to just the dims of another.
fn broadcast_to(graph: &Graph, values: &[ValueId], to: ValueId) -> bool {
    let Some(to) = graph.dims(to) else {
        return false;
    };
    let dims: Option<Vec<&[DimExpr]>> = values.iter().map(|&value| graph.dims(value)).collect();
    let Some(dims) = dims.filter(|dims| dims.iter().any(|dims| dims.len() == to.len())) else {
        return false;
    };
    (1..=to.len()).all(|from_end| {
        let wanted = &to[to.len() - from_end];
        let mut sizes = dims
            .iter()
            .filter_map(|dims| dims.get(dims.len().checked_sub(from_end)?));
        is_one(wanted) || sizes.any(|size| same(size, wanted))
    })
}

/// Reports whether a tile repeats axes of one element only.
fn expands(editor: &Editor<'_>, x: ValueId, y: ValueId) -> bool {
    let graph = editor.values();
    let (Some(x), Some(y)) = (graph.dims(x), graph.dims(y)) else {
        return false;
    };
    x.len() == y.len() && x.iter().zip(y).all(|(x, y)| is_one(x) || same(x, y))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::graph::testing::{Builder, check};

    #[test]
    fn what_broadcasts_reads_the_smaller_tensor() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 1]");
        let y = graph.input("y", "f32[N, 4]");
        let tile = graph.kernel("tile", Kernel::Tile, &[x], "f32[N, 4]");
        let sum = graph.binary("sum", BinaryOp::Sub, y, tile, "f32[N, 4]");
        let expand = graph.kernel("expand", Kernel::Expand, &[x], "f32[3, N, 4]");
        let again = graph.kernel("again", Kernel::Expand, &[expand], "f32[2, 3, N, 4]");
        let needed = graph.binary("needed", BinaryOp::Add, expand, y, "f32[3, N, 4]");
        check(
            graph.finish(&[sum, again, needed]),
            drop_expands,
            &expect![[r#"
                inputs x: f32[N, 1], y: f32[N, 4]
                tile: f32[N, 4] = tile(x)
                sum: f32[N, 4] = sub(y, tile)
                expand: f32[3, N, 4] = expand(x)
                again: f32[2, 3, N, 4] = expand(expand)
                needed: f32[3, N, 4] = add(expand, y)
                outputs sum, again, needed
                =>
                inputs x: f32[N, 1], y: f32[N, 4]
                sum: f32[N, 4] = sub(y, x)
                expand: f32[3, N, 4] = expand(x)
                again: f32[2, 3, N, 4] = expand(x)
                needed: f32[3, N, 4] = add(expand, y)
                outputs sum, again, needed"#]],
        );
    }
}
