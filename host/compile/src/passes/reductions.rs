//! Writes reductions in one form: axes are kept with size 1, and a sum divided by how many there are is a mean.

use tensorlet_plan::kernel::{BinaryOp, Reduce, ReduceOp};
use tensorlet_plan::{DimExpr, Kernel};

use super::product::close;
use crate::graph::dims::is_one;
use crate::graph::edit::Editor;
use crate::graph::{Graph, Node, Op};

/// Keeps reduced axes, and finds means.
pub(super) fn simplify_reductions(graph: &mut Graph) -> bool {
    let mut editor = Editor::new(graph);
    for index in 0..editor.len() {
        match editor.kernel(index) {
            Some(Kernel::Reduce(reduce)) => {
                let reduce = reduce.clone();
                keep_axes(&mut editor, index, &reduce);
                include_ones(&mut editor, index, &reduce);
            }
            Some(Kernel::Binary(BinaryOp::Mul)) => find_mean(&mut editor, index),
            _ => {}
        }
    }
    editor.finish()
}

/// Lets a reduction that removes axes keep them, and reshapes its result.
fn keep_axes(editor: &mut Editor<'_>, index: usize, reduce: &Reduce) {
    let node = editor.node(index).expect("it has a kernel").clone();
    let (x, y) = (node.inputs[0], node.outputs[0]);
    let (Some(dims), Some(rank)) = (editor.values().dims(x), editor.values().rank(y)) else {
        return;
    };
    if dims.len() == rank {
        return;
    }
    let mut kept = dims.to_vec();
    for &axis in &reduce.axes {
        kept[axis as usize] = DimExpr::number(1);
    }
    let value = editor.values().value(y).clone();
    let name = editor.values().derived_name(y, "kept");
    let reduced = editor.graph().add_value(name, value.datum_type, Some(kept));
    let kernel = Kernel::Reduce(reduce.clone());
    let nodes = [
        Node::kernel(&node.name, kernel, &[x], reduced),
        Node::new(format!("{}_reshape", node.name), Op::Reshape, &[reduced], y),
    ];
    editor.replace(index, nodes);
}

/// Reduces spatial axes of one element too, where that makes it all of the spatial axes.
fn include_ones(editor: &mut Editor<'_>, index: usize, reduce: &Reduce) {
    let Some(node) = editor.node(index).cloned() else {
        return;
    };
    let graph = editor.values();
    let (Some(dims), Some(rank)) = (graph.dims(node.inputs[0]), graph.rank(node.outputs[0])) else {
        return;
    };
    let spatial: Vec<u32> = (2..dims.len() as u32).collect();
    let included = |axis: &u32| reduce.axes.contains(axis) || is_one(&dims[*axis as usize]);
    let fits =
        rank == dims.len() && spatial != reduce.axes && reduce.axes.iter().all(|&axis| axis >= 2);
    if fits && spatial.iter().all(included) {
        let op = Op::Kernel(Kernel::Reduce(Reduce {
            op: reduce.op,
            axes: spatial,
        }));
        editor.replace(index, [Node { op, ..node }]);
    }
}

/// Replaces `sum × 1/n` by a mean.
fn find_mean(editor: &mut Editor<'_>, index: usize) {
    let node = editor.node(index).expect("it has a kernel").clone();
    let &[sum, factor] = node.inputs.as_slice() else {
        return;
    };
    let graph = editor.values();
    let Some((_, Kernel::Reduce(reduce), &[x])) = editor.made_by(sum) else {
        return;
    };
    let (Some(factor), Some(dims)) = (graph.constant_scalar(factor), graph.dims(x)) else {
        return;
    };
    let sizes = reduce
        .axes
        .iter()
        .map(|&axis| dims[axis as usize].as_number());
    let Some(len) = sizes.product::<Option<i64>>().filter(|&len| len > 0) else {
        return;
    };
    let is_mean = reduce.op == ReduceOp::Sum
        && close(factor * len as f32, 1.0)
        && graph.same_dims(sum, node.outputs[0])
        && editor.is_read_once(sum);
    if is_mean {
        let kernel = Kernel::Reduce(Reduce {
            op: ReduceOp::Mean,
            axes: reduce.axes.clone(),
        });
        editor.replace(
            index,
            [Node::kernel(&node.name, kernel, &[x], node.outputs[0])],
        );
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::graph::testing::{Builder, check};

    #[test]
    fn reductions_have_one_form() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 6, 4]");
        let twelfth = graph.scalar(1.0 / 24.0);
        let reduce = |op| {
            Kernel::Reduce(Reduce {
                op,
                axes: vec![1, 2],
            })
        };
        let max = graph.kernel("max", reduce(ReduceOp::Max), &[x], "f32[N]");
        let sum = graph.kernel("sum", reduce(ReduceOp::Sum), &[x], "f32[N, 1, 1]");
        let mean = graph.binary("mean", BinaryOp::Mul, sum, twelfth, "f32[N, 1, 1]");
        let line = graph.input("line", "f32[N, 6, 4, 1]");
        let spatial = Kernel::Reduce(Reduce {
            op: ReduceOp::Max,
            axes: vec![2],
        });
        let spatial = graph.kernel("spatial", spatial, &[line], "f32[N, 6, 1, 1]");
        check(
            graph.finish(&[max, mean, spatial]),
            simplify_reductions,
            &expect![[r#"
                inputs x: f32[N, 6, 4], line: f32[N, 6, 4, 1]
                max: f32[N] = reduce(max 1, 2)(x)
                sum: f32[N, 1, 1] = reduce(sum 1, 2)(x)
                mean: f32[N, 1, 1] = mul(sum, 0.041666668)
                spatial: f32[N, 6, 1, 1] = reduce(max 2)(line)
                outputs max, mean, spatial
                =>
                inputs x: f32[N, 6, 4], line: f32[N, 6, 4, 1]
                max_kept: f32[N, 1, 1] = reduce(max 1, 2)(x)
                max: f32[N] = reshape(max_kept)
                mean: f32[N, 1, 1] = reduce(mean 1, 2)(x)
                spatial: f32[N, 6, 1, 1] = reduce(max 2, 3)(line)
                outputs max, mean, spatial"#]],
        );
    }
}
