//! Computes with the rows of a table instead of with what is looked up in it.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{BinaryOp, Gather};
use tensorlet_tensor::DatumType;

use crate::graph::edit::Editor;
use crate::graph::{Graph, Node, ValueId};

/// Moves functions of one element, and of one and a constant along the last axes, from looked-up rows to the table; and
/// conversions of the table to the rows.
pub(super) fn fold_into_tables(graph: &mut Graph) -> bool {
    let mut editor = Editor::new(graph);
    for index in 0..editor.len() {
        let _ = match editor.kernel(index) {
            Some(Kernel::Gather(_)) => look_up_first(&mut editor, index),
            _ => fold(&mut editor, index),
        };
    }
    editor.finish()
}

/// Looks up in a constant table before its elements are converted.
fn look_up_first(editor: &mut Editor<'_>, index: usize) -> Option<()> {
    let node = editor.node(index)?.clone();
    let (_, Kernel::Cast, &[table]) = editor.made_by(node.inputs[0])? else {
        return None;
    };
    let stored = editor.values().value(table).clone();
    stored.constant?;
    let output = editor.values().value(node.outputs[0]).clone();
    let name = format!("{}_stored", output.name);
    let looked_up = editor
        .graph()
        .add_value(&name, stored.datum_type, output.dims);
    let gather = Node {
        inputs: [&[table], &node.inputs[1..]].concat(),
        outputs: vec![looked_up],
        ..node.clone()
    };
    let cast = Node::kernel(name, Kernel::Cast, &[looked_up], node.outputs[0]);
    editor.replace(index, [gather, cast]);
    Some(())
}

fn fold(editor: &mut Editor<'_>, index: usize) -> Option<()> {
    let kernel = editor.kernel(index)?.clone();
    let node = editor.node(index)?.clone();
    let (looked_up, output) = (node.inputs[0], node.outputs[0]);
    let (
        _,
        &Kernel::Gather(Gather::Slices {
            axis: 0,
            out_of_range,
        }),
        &[table, indices],
    ) = editor.made_by(looked_up)?
    else {
        return None;
    };
    let graph = editor.values();
    let value = graph.value(table).clone();
    let is_f32 = value.datum_type == DatumType::F32 && value.constant.is_some();
    let fits = is_f32
        && editor.is_read_once(looked_up)
        && editor.is_read_once(table)
        && graph.same_type(looked_up, output);
    let inputs = match kernel {
        _ if !fits => return None,
        Kernel::Unary(_) => vec![table],
        Kernel::Binary(op) if op != BinaryOp::PRelu => {
            let constant = along_rows(editor, *node.inputs.get(1)?, table)?;
            vec![table, constant]
        }
        _ => return None,
    };
    // The new table depends on constants alone and is folded.
    let name = format!("{}_computed", value.name);
    let computed = editor.graph().add_value(&name, DatumType::F32, value.dims);
    let gather = Kernel::Gather(Gather::Slices {
        axis: 0,
        out_of_range,
    });
    let nodes = [
        Node::kernel(name, kernel, &inputs, computed),
        Node::kernel(node.name, gather, &[computed, indices], output),
    ];
    editor.replace(index, nodes);
    Some(())
}

/// Returns a constant that is the same for all rows with no more axes than a row has.
fn along_rows(editor: &mut Editor<'_>, constant: ValueId, table: ValueId) -> Option<ValueId> {
    let value = editor.values().value(constant).clone();
    let bytes = value.constant?;
    let dims = editor.values().fixed_dims(constant)?;
    let row_rank = editor.values().rank(table)?.checked_sub(1)?;
    let extra = dims.len().saturating_sub(row_rank);
    if extra == 0 {
        return Some(constant);
    }
    let (leading, row) = dims.split_at(extra);
    leading.iter().all(|&dim| dim == 1).then(|| {
        editor
            .graph()
            .add_constant(value.name, value.datum_type, row, bytes)
    })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use tensorlet_plan::kernel::{OutOfRange, UnaryOp};

    use super::*;
    use crate::graph::testing::{Builder, check};
    use crate::passes::fold_constants::fold_constants;

    fn pass(graph: &mut Graph) -> bool {
        fold_into_tables(graph) | fold_constants(graph)
    }

    #[test]
    fn rows_are_computed_before() {
        let mut graph = Builder::new();
        let x = graph.input("x", "i64[N, 5]");
        let table = graph.constant("table", &[4, 3]);
        let bias = graph.constant("bias", &[1, 1, 3]);
        let gather = Kernel::Gather(Gather::Slices {
            axis: 0,
            out_of_range: OutOfRange::Fail,
        });
        let y = graph.kernel("y", gather, &[table, x], "f32[N, 5, 3]");
        let y = graph.binary("sum", BinaryOp::Add, y, bias, "f32[N, 5, 3]");
        let y = graph.unary("gelu", UnaryOp::Gelu, y);
        check(
            graph.finish(&[y]),
            pass,
            &expect![[r#"
            inputs x: i64[N, 5]
            y: f32[N, 5, 3] = gather(0)(table: f32[4, 3], x)
            sum: f32[N, 5, 3] = add(y, bias: f32[1, 1, 3])
            gelu: f32[N, 5, 3] = gelu(sum)
            outputs gelu
            =>
            inputs x: i64[N, 5]
            gelu: f32[N, 5, 3] = gather(0)(table_computed_computed: f32[4, 3], x)
            outputs gelu"#]],
        );
    }

    #[test]
    fn rows_are_converted_after_they_are_looked_up() {
        let mut graph = Builder::new();
        let x = graph.input("x", "i64[N, 5]");
        let table = graph.integers("table", &[4, 3], &[1; 12]);
        let table = graph.kernel("converted", Kernel::Cast, &[table], "f32[4, 3]");
        let gather = Kernel::Gather(Gather::Slices {
            axis: 0,
            out_of_range: OutOfRange::Fail,
        });
        let y = graph.kernel("y", gather, &[table, x], "f32[N, 5, 3]");
        check(
            graph.finish(&[y]),
            fold_into_tables,
            &expect![[r#"
            inputs x: i64[N, 5]
            converted: f32[4, 3] = cast(table: i64[4, 3])
            y: f32[N, 5, 3] = gather(0)(converted, x)
            outputs y
            =>
            inputs x: i64[N, 5]
            y_stored: i64[N, 5, 3] = gather(0)(table: i64[4, 3], x)
            y: f32[N, 5, 3] = cast(y_stored)
            outputs y"#]],
        );
    }

    #[test]
    fn what_differs_by_position_stays() {
        let mut graph = Builder::new();
        let x = graph.input("x", "i64[N, 5]");
        let table = graph.constant("table", &[4, 3]);
        let positions = graph.constant("positions", &[5, 3]);
        let gather = Kernel::Gather(Gather::Slices {
            axis: 0,
            out_of_range: OutOfRange::Fail,
        });
        let y = graph.kernel("y", gather, &[table, x], "f32[N, 5, 3]");
        let y = graph.binary("sum", BinaryOp::Add, y, positions, "f32[N, 5, 3]");
        let mut graph = graph.finish(&[y]);
        assert!(!fold_into_tables(&mut graph));
    }
}
