//! Computes once what is computed twice.

use std::collections::HashMap;

use crate::graph::edit::Editor;
use crate::graph::{Graph, Op, ValueId};

/// Constants up to this many bytes are compared by content; larger ones are merged when they are packed.
const MAX_COMPARED_BYTES: usize = 4096;

/// Merges equal small constants, and nodes that compute the same of the same.
pub(super) fn merge_duplicates(graph: &mut Graph) -> bool {
    let mut editor = Editor::new(graph);
    merge_constants(&mut editor);
    let mut known: HashMap<(String, Vec<ValueId>), Vec<ValueId>> = HashMap::new();
    for index in 0..editor.len() {
        let Some(node) = editor.node(index) else {
            continue;
        };
        let graph = editor.values();
        let types = node.outputs.iter().map(|&id| graph.value(id));
        let types = types.map(|value| format!("{:?} {:?}", value.datum_type, value.dims));
        let op = match &node.op {
            Op::Kernel(kernel) => format!("{kernel:?}"),
            Op::Reshape => "reshape".into(),
            // It may be random.
            Op::Onnx(_) | Op::Subgraph(_) => continue,
        };
        let key = (op + &types.collect::<String>(), node.inputs.clone());
        let outputs = node.outputs.clone();
        // What data decides has dims that cannot be compared, but the same data decides the same.
        match known.get(&key).cloned() {
            Some(first) => {
                for (again, first) in outputs.into_iter().zip(first) {
                    editor.substitute(again, first);
                }
            }
            None => drop(known.insert(key, outputs)),
        }
    }
    editor.finish()
}

fn merge_constants(editor: &mut Editor<'_>) {
    let mut known: HashMap<_, ValueId> = HashMap::new();
    let mut pairs = vec![];
    for (index, value) in editor.values().values.iter().enumerate() {
        let id = ValueId(index as u32);
        let small = value
            .constant
            .as_ref()
            .filter(|bytes| bytes.len() <= MAX_COMPARED_BYTES);
        let Some(bytes) = small else {
            continue;
        };
        let key = (value.datum_type, value.dims.clone(), bytes.clone());
        match known.get(&key) {
            Some(&first) => pairs.push((id, first)),
            None => drop(known.insert(key, id)),
        }
    }
    for (again, first) in pairs {
        if !editor.readers(again).is_empty() {
            editor.substitute(again, first);
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use tensorlet_plan::kernel::{BinaryOp, UnaryOp};

    use super::*;
    use crate::graph::testing::{Builder, check};

    #[test]
    fn equal_nodes_become_one() {
        let mut graph = Builder::new();
        let x = graph.input("x", "f32[N, 4]");
        let (half, again) = (graph.scalar(0.5), graph.scalar(0.5));
        let a = graph.binary("a", BinaryOp::Mul, x, half, "f32[N, 4]");
        let b = graph.binary("b", BinaryOp::Mul, x, again, "f32[N, 4]");
        let c = graph.unary("c", UnaryOp::Exp, a);
        let d = graph.unary("d", UnaryOp::Exp, b);
        let e = graph.unary("e", UnaryOp::Log, b);
        let y = graph.binary("y", BinaryOp::Add, c, d, "f32[N, 4]");
        check(
            graph.finish(&[y, e]),
            merge_duplicates,
            &expect![[r#"
            inputs x: f32[N, 4]
            a: f32[N, 4] = mul(x, 0.5)
            b: f32[N, 4] = mul(x, 0.5)
            c: f32[N, 4] = exp(a)
            d: f32[N, 4] = exp(b)
            e: f32[N, 4] = log(b)
            y: f32[N, 4] = add(c, d)
            outputs y, e
            =>
            inputs x: f32[N, 4]
            a: f32[N, 4] = mul(x, 0.5)
            c: f32[N, 4] = exp(a)
            e: f32[N, 4] = log(a)
            y: f32[N, 4] = add(c, c)
            outputs y, e"#]],
        );
    }
}
