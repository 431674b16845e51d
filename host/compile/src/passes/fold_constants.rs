//! Computes what depends on constants alone.

use std::sync::Arc;

use tensorlet_plan::kernel::Gather;
use tensorlet_plan::{DimExpr, Kernel};
use tensorlet_tensor::DatumType;

use crate::graph::edit::Editor;
use crate::graph::interpret::{Bytes, interpret_node};
use crate::graph::{Graph, Node, Op, ValueId};

/// The most bytes of a result that is larger than what it is computed of.
const MAX_GROWN_BYTES: usize = 256 << 10;

/// Replaces nodes whose inputs are constants by what they compute, unless that is large and larger than the inputs, or weights
/// that kernels read as f16.
pub(super) fn fold_constants(graph: &mut Graph) -> bool {
    let mut editor = Editor::new(graph);
    for index in 0..editor.len() {
        let Some(node) = editor.node(index).cloned() else {
            continue;
        };
        if keeps_half(&editor, &node) {
            continue;
        }
        if let Some(results) = fold(editor.values(), &node) {
            for (&output, bytes) in node.outputs.iter().zip(results) {
                editor.make_constant(output, bytes);
            }
        }
    }
    editor.finish()
}

/// Reports whether a node converts weights of f16 that are stored and read as such: those of products, and tables.
fn keeps_half(editor: &Editor<'_>, node: &Node) -> bool {
    if !matches!(node.op, Op::Kernel(Kernel::Cast)) {
        return false;
    }
    let graph = editor.values();
    let (x, y) = (graph.value(node.inputs[0]), graph.value(node.outputs[0]));
    let types = (x.datum_type, y.datum_type);
    let bytes = x.constant.as_ref().map_or(0, |bytes| bytes.len());
    types == (DatumType::F16, DatumType::F32)
        && bytes > MAX_GROWN_BYTES
        && are_weights(editor, node.outputs[0])
}

/// Reports whether a value is read as the right-hand side of products, and as a table, only.
fn are_weights(editor: &Editor<'_>, value: ValueId) -> bool {
    let reads = |reader: usize| {
        let inputs = editor.node(reader).map_or(&[][..], |node| &node.inputs);
        let slots: Vec<usize> = (0..inputs.len())
            .filter(|&slot| inputs[slot] == value)
            .collect();
        match editor.kernel(reader) {
            Some(Kernel::MatMul(_)) => slots == [1],
            Some(Kernel::Gather(Gather::Slices { .. })) => slots == [0],
            _ => false,
        }
    };
    !editor.is_output(value) && editor.readers(value).into_iter().all(reads)
}

fn fold(graph: &Graph, node: &Node) -> Option<Vec<Arc<[u8]>>> {
    if let Op::Kernel(Kernel::Dims { begin }) = node.op {
        let dims = graph.dims(node.inputs[0])?.get(begin as usize..)?;
        let len = graph.fixed_dims(node.outputs[0])?.into_iter().product();
        let sizes = dims.get(..len)?.iter().map(DimExpr::as_number);
        let sizes: Vec<i64> = sizes.collect::<Option<_>>()?;
        return Some(vec![sizes.into_iter().flat_map(i64::to_le_bytes).collect()]);
    }
    let constant = |&input: &ValueId| graph.value(input).constant.as_ref();
    let inputs: Vec<&Arc<[u8]>> = node.inputs.iter().map(constant).collect::<Option<_>>()?;
    let mut output_bytes = 0usize;
    for &output in &node.outputs {
        let dims = graph.fixed_dims(output)?;
        let width = graph.value(output).datum_type.width_bytes();
        let bytes = dims
            .iter()
            .try_fold(width, |product, &dim| product.checked_mul(dim))?;
        output_bytes = output_bytes.checked_add(bytes)?;
    }
    let input_bytes = inputs.iter().map(|bytes| bytes.len()).sum::<usize>();
    // Weights of f16 that are not kept are needed as f32.
    let is_cast = matches!(node.op, Op::Kernel(Kernel::Cast));
    if output_bytes > input_bytes.max(MAX_GROWN_BYTES) && !is_cast {
        return None;
    }
    if matches!(node.op, Op::Reshape) {
        return Some(vec![inputs[0].clone()]);
    }
    let inputs: Vec<Bytes> = inputs.iter().map(|bytes| Bytes::new(bytes)).collect();
    let inputs: Vec<&Bytes> = inputs.iter().collect();
    // What cannot be computed now, such as a look-up out of range, fails when a call comes.
    let outputs = interpret_node(graph, node, &[], &inputs).ok()?;
    Some(outputs.iter().map(|bytes| Arc::from(&**bytes)).collect())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use tensorlet_plan::kernel::{BinaryOp, UnaryOp};

    use super::*;
    use crate::graph::testing::{Builder, check};

    #[test]
    fn constants_are_computed() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 2]");
        let c = graph.floats("c", &[2], &[1.0, -4.0]);
        let c = graph.unary("c_abs", UnaryOp::Abs, c);
        let c = graph.reshape("c_row", c, "f32[1, 2]");
        let dims = graph.kernel("dims", Kernel::Dims { begin: 1 }, &[x], "i64[1]");
        let y = graph.binary("y", BinaryOp::Add, x, c, "f32[N, 2]");
        check(
            graph.finish(&[y, dims]),
            fold_constants,
            &expect![[r#"
                inputs x: f32[N, 2]
                c_abs: f32[2] = abs([1.0, -4.0])
                c_row: f32[1, 2] = reshape(c_abs)
                dims: i64[1] = dims(begin 1)(x)
                y: f32[N, 2] = add(x, c_row)
                outputs y, dims
                =>
                inputs x: f32[N, 2]
                y: f32[N, 2] = add(x, c_row: f32[1, 2])
                outputs y, 2"#]],
        );
    }

    #[test]
    fn weights_of_f16_stay_where_they_are_read_as_such() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 512]");
        let cast = |graph: &mut Builder, name: &str| {
            let half = graph.graph.add_constant(
                "half",
                DatumType::F16,
                &[512, 512],
                vec![0; 512 * 512 * 2],
            );
            graph.kernel(name, Kernel::Cast, &[half], "f32[512, 512]")
        };
        let (weights, other) = (cast(&mut graph, "weights"), cast(&mut graph, "other"));
        let y = graph.matmul("y", x, weights, "f32[N, 512]");
        let mut graph = graph.finish(&[y, other]);
        fold_constants(&mut graph);
        let names: Vec<&str> = graph.nodes.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["weights", "y"]);
    }

    #[test]
    fn what_grows_large_is_not() {
        let mut graph = Builder::new();
        let c = graph.scalar(1.0);
        let small = graph.kernel("small", Kernel::Expand, &[c], "f32[4]");
        let large = graph.kernel("large", Kernel::Expand, &[c], "f32[1000, 1000]");
        let mut graph = graph.finish(&[small, large]);
        fold_constants(&mut graph);
        assert_eq!(graph.nodes.len(), 1);
        assert_eq!(
            graph
                .value(graph.outputs[0])
                .constant
                .as_ref()
                .unwrap()
                .len(),
            16
        );
    }
}
