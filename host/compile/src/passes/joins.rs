//! Parts of parts, joints of joints, and parts of joints.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::Slice;

use crate::graph::dims::same_dims;
use crate::graph::edit::Editor;
use crate::graph::{Graph, Node, Op, ValueId};

/// Merges slices of slices and concatenations of concatenations, and reads the operand of a concatenation that a slice takes.
pub(super) fn simplify_joins(graph: &mut Graph) -> bool {
    let mut editor = Editor::new(graph);
    for index in 0..editor.len() {
        let _ = match editor.kernel(index).cloned() {
            Some(Kernel::Concat { axis }) => flatten(&mut editor, index, axis),
            Some(Kernel::Slice(slice)) => simplify_slice(&mut editor, index, &slice),
            _ => None,
        };
    }
    editor.finish()
}

/// Joins at once what is joined along the same axis before.
fn flatten(editor: &mut Editor<'_>, index: usize, axis: u32) -> Option<()> {
    let node = editor.node(index)?.clone();
    let inner = |&value: &ValueId| match editor.made_by(value) {
        Some((_, Kernel::Concat { axis: inner }, inputs))
            if *inner == axis && editor.is_read_once(value) =>
        {
            Some(inputs.to_vec())
        }
        _ => None,
    };
    if !node.inputs.iter().any(|value| inner(value).is_some()) {
        return None;
    }
    let inputs = node
        .inputs
        .iter()
        .flat_map(|value| inner(value).unwrap_or(vec![*value]));
    let inputs = inputs.collect();
    editor.replace(index, [Node { inputs, ..node }]);
    Some(())
}

fn simplify_slice(editor: &mut Editor<'_>, index: usize, slice: &Slice) -> Option<()> {
    let node = editor.node(index)?.clone();
    let (x, output) = (node.inputs[0], node.outputs[0]);
    if let Some(operand) = operand_of_concat(editor, slice, x, output) {
        editor.substitute(output, operand);
        return Some(());
    }
    let (_, Kernel::Slice(inner), &[inner_x]) = editor.made_by(x)? else {
        return None;
    };
    let forward = |starts: &[i64]| starts.iter().all(|&start| start >= 0);
    let simple = inner.steps.iter().all(|&step| step == 1);
    if !simple || !forward(&inner.starts) || !forward(&slice.starts) {
        return None;
    }
    let starts = inner.starts.iter().zip(&slice.starts);
    let starts = starts
        .map(|(a, b)| a.checked_add(*b))
        .collect::<Option<_>>()?;
    let op = Op::Kernel(Kernel::Slice(Slice {
        starts,
        steps: slice.steps.clone(),
    }));
    let inputs = vec![inner_x];
    editor.replace(index, [Node { op, inputs, ..node }]);
    Some(())
}

/// Returns the operand of a concatenation that a slice takes out again.
fn operand_of_concat(
    editor: &Editor<'_>,
    slice: &Slice,
    x: ValueId,
    output: ValueId,
) -> Option<ValueId> {
    let (_, Kernel::Concat { axis }, inputs) = editor.made_by(x)? else {
        return None;
    };
    let (axis, graph) = (*axis as usize, editor.values());
    if slice.steps.iter().any(|&step| step != 1) {
        return None;
    }
    let mut begin = 0;
    for &input in inputs {
        let dims = graph.dims(input)?;
        let starts_here = slice
            .starts
            .iter()
            .enumerate()
            .all(|(index, &start)| start == if index == axis { begin } else { 0 });
        if starts_here && same_dims(dims, graph.dims(output)?) {
            return Some(input);
        }
        begin += dims.get(axis)?.as_number()?;
    }
    None
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use tensorlet_plan::kernel::UnaryOp;

    use super::*;
    use crate::graph::testing::{Builder, check};

    fn slice(starts: &[i64], steps: &[i64]) -> Kernel {
        Kernel::Slice(Slice {
            starts: starts.to_vec(),
            steps: steps.to_vec(),
        })
    }

    #[test]
    fn joints_and_parts() {
        let mut graph = Builder::new();
        let a = graph.input("a", "f32[N, 4]");
        let b = graph.input("b", "f32[N, 6]");
        let concat = Kernel::Concat { axis: 1 };
        let ab = graph.kernel("ab", concat.clone(), &[a, b], "f32[N, 10]");
        let aba = graph.kernel("aba", concat.clone(), &[ab, a], "f32[N, 14]");
        let ba = graph.kernel("ba", concat, &[b, a], "f32[N, 10]");
        let b2 = graph.kernel("b2", slice(&[0, 0], &[1, 1]), &[ba], "f32[N, 6]");
        let b2 = graph.unary("b2_exp", UnaryOp::Exp, b2);
        let part = graph.kernel("part", slice(&[0, 2], &[1, 1]), &[b], "f32[N, 4]");
        let part = graph.kernel("part2", slice(&[0, 1], &[1, 2]), &[part], "f32[N, 2]");
        check(
            graph.finish(&[aba, b2, part]),
            simplify_joins,
            &expect![[r#"
            inputs a: f32[N, 4], b: f32[N, 6]
            ab: f32[N, 10] = concat(1)(a, b)
            aba: f32[N, 14] = concat(1)(ab, a)
            ba: f32[N, 10] = concat(1)(b, a)
            b2: f32[N, 6] = slice(0, 0)(ba)
            b2_exp: f32[N, 6] = exp(b2)
            part: f32[N, 4] = slice(0, 2)(b)
            part2: f32[N, 2] = slice(0, 1 by 1, 2)(part)
            outputs aba, b2_exp, part2
            =>
            inputs a: f32[N, 4], b: f32[N, 6]
            aba: f32[N, 14] = concat(1)(a, b, a)
            b2_exp: f32[N, 6] = exp(b)
            part2: f32[N, 2] = slice(0, 3 by 1, 2)(b)
            outputs aba, b2_exp, part2"#]],
        );
    }
}
