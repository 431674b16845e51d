//! Looks up the rows of a table that a one-hot matrix would pick.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{BinaryOp, Epilogue, Gather, MatMulRhs, OutOfRange};
use tensorlet_tensor::DatumType;

use crate::graph::dims::is_one;
use crate::graph::edit::Editor;
use crate::graph::{Graph, Node, Op, ValueId};

/// Replaces the product of `cast(indices == [0, 1, …])` with a constant by a look-up.
///
/// The table gets one more row, of zeros, for indices that equal no number. All its numbers must be finite: zero times
/// infinity is no zero.
pub(super) fn find_look_ups(graph: &mut Graph) -> bool {
    let mut editor = Editor::new(graph);
    for index in 0..editor.len() {
        let _ = replace(&mut editor, index);
    }
    editor.finish()
}

fn replace(editor: &mut Editor<'_>, index: usize) -> Option<()> {
    let Kernel::MatMul(matmul) = editor.kernel(index)? else {
        return None;
    };
    let node = editor.node(index)?.clone();
    let (one_hot, table, output) = (node.inputs[0], *node.inputs.get(1)?, node.outputs[0]);
    let graph = editor.values();
    let mut elements = graph.constant_f32(table)?;
    let [rows, columns] = graph.fixed_dims(table)?[..] else {
        return None;
    };
    if matmul.rhs != MatMulRhs::Plain
        || matmul.epilogue != Epilogue::default()
        || !elements.iter().all(|x| x.is_finite())
        || graph.rank(output) != graph.rank(one_hot)
    {
        return None;
    }
    let scale = matmul.scale;
    let equal = cast_of(editor, one_hot)?;
    let (BinaryOp::Equal, a, b) = editor.binary(equal)? else {
        return None;
    };
    if !editor.are_private(&[one_hot, equal], index) {
        return None;
    }
    let indices = match (counts_to(graph, b, rows), counts_to(graph, a, rows)) {
        (true, _) => a,
        (_, true) => b,
        _ => return None,
    };
    let value = graph.value(indices);
    let (last, leading) = value.dims.as_ref()?.split_last()?;
    let fits = matches!(value.datum_type, DatumType::I32 | DatumType::I64)
        && is_one(last)
        && leading.len() + 1 == graph.rank(one_hot)?;
    let (datum_type, leading) = fits.then(|| (value.datum_type, leading.to_vec()))?;

    elements.iter_mut().for_each(|x| *x *= scale);
    elements.resize((rows + 1) * columns, 0.0);
    let table_name = graph.value(table).name.clone();
    let name = format!("{}_indices", value.name);
    let flat = editor.graph().add_value(&name, datum_type, Some(leading));
    let table = editor
        .graph()
        .add_f32(table_name, &[rows + 1, columns], &elements);
    let gather = Kernel::Gather(Gather::Slices {
        axis: 0,
        out_of_range: OutOfRange::Last,
    });
    let nodes = [
        Node::new(name, Op::Reshape, &[indices], flat),
        Node::kernel(node.name, gather, &[table, flat], output),
    ];
    editor.replace(index, nodes);
    Some(())
}

fn cast_of(editor: &Editor<'_>, value: ValueId) -> Option<ValueId> {
    match editor.made_by(value)? {
        (_, Kernel::Cast, &[x]) => Some(x),
        _ => None,
    }
}

/// Reports whether a constant is 0, 1, … up to `end`, along the last axis.
fn counts_to(graph: &Graph, id: ValueId, end: usize) -> bool {
    let elements = graph.constant_integers(id).unwrap_or_default();
    let dims = graph.fixed_dims(id).unwrap_or_default();
    dims.last() == Some(&end) && elements.len() == end && elements.into_iter().eq(0..end as i64)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::graph::testing::{Builder, check};

    fn graph(numbers: &[i64], table: &[f32]) -> Graph {
        let mut graph = Builder::new();
        let x = graph.input("x", "i64[N, 5, 1]");
        let numbers = graph.integers("numbers", &[1, 1, 3], numbers);
        let table = graph.floats("table", &[3, 2], table);
        let equal = graph.binary("equal", BinaryOp::Equal, x, numbers, "bool[N, 5, 3]");
        let one_hot = graph.kernel("one_hot", Kernel::Cast, &[equal], "f32[N, 5, 3]");
        let y = graph.matmul("y", one_hot, table, "f32[N, 5, 2]");
        graph.finish(&[y])
    }

    #[test]
    fn a_product_with_a_one_hot_matrix_is_a_look_up() {
        let graph = graph(&[0, 1, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        check(
            graph,
            find_look_ups,
            &expect![[r#"
            inputs x: i64[N, 5, 1]
            equal: bool[N, 5, 3] = equal(x, numbers: i64[1, 1, 3])
            one_hot: f32[N, 5, 3] = cast(equal)
            y: f32[N, 5, 2] = matmul(one_hot, table: f32[3, 2])
            outputs y
            =>
            inputs x: i64[N, 5, 1]
            x_indices: i64[N, 5] = reshape(x)
            y: f32[N, 5, 2] = gather(0 or last)(table: f32[4, 2], x_indices)
            outputs y"#]],
        );
    }

    #[test]
    fn infinities_and_other_numbers_stay() {
        let infinite = [1.0, 2.0, 3.0, f32::INFINITY, 5.0, 6.0];
        assert!(!find_look_ups(&mut graph(&[0, 1, 2], &infinite)));
        assert!(!find_look_ups(&mut graph(&[0, 2, 1], &[1.0; 6])));
    }
}
