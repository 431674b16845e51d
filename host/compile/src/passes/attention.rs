//! Recognises attention: `softmax(q · kᵀ × scale + mask) · v`.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{Attention, BinaryOp, Epilogue, MatMul, MatMulRhs};
use tensorlet_tensor::DatumType;

use crate::graph::dims::{is_one, same, same_dims};
use crate::graph::edit::Editor;
use crate::graph::{Graph, Node, ValueId};

/// Replaces two products with a softmax between by one node.
pub(super) fn find_attention(graph: &mut Graph) -> bool {
    let mut editor = Editor::new(graph);
    for index in 0..editor.len() {
        if !matches!(editor.kernel(index), Some(Kernel::MatMul(_))) {
            continue;
        }
        let output = editor.node(index).expect("it has a kernel").outputs[0];
        if let Some((attention, inputs)) = find(&editor, index, output) {
            let name = editor.node(index).expect("it has a kernel").name.clone();
            let kernel = Kernel::Attention(attention);
            editor.replace(index, [Node::kernel(name, kernel, &inputs, output)]);
        }
    }
    editor.finish()
}

fn find(editor: &Editor<'_>, index: usize, output: ValueId) -> Option<(Attention, Vec<ValueId>)> {
    let graph = editor.values();
    let (outer, weights, v) = product(editor, output)?;
    if outer.rhs != MatMulRhs::Plain || outer.scale != 1.0 {
        return None;
    }
    let (_, &Kernel::Softmax { axis, log: false }, &[scores]) = editor.made_by(weights)? else {
        return None;
    };
    if axis as usize + 1 != graph.rank(scores)? {
        return None;
    }
    let mut inner = vec![weights, scores];
    let (products, mask) = match editor.binary(scores) {
        Some((BinaryOp::Add, a, b)) => {
            let is_product = |value| product(editor, value).is_some();
            let (products, mask) = if is_product(a) { (a, b) } else { (b, a) };
            inner.push(products);
            (products, Some(mask))
        }
        _ => (scores, None),
    };
    let (scored, q, k) = product(editor, products)?;
    let transposed_k = match scored.rhs {
        MatMulRhs::Transposed => false,
        MatMulRhs::Plain => true,
        MatMulRhs::Packed => return None,
    };
    let fits = graph.same_dims(products, scores)
        && leading_are_equal(graph, &[q, k, v, scores, output])
        && [q, k, v]
            .iter()
            .chain(&mask)
            .all(|&value| graph.value(value).datum_type == DatumType::F32)
        && mask.is_none_or(|mask| is_broadcast(graph, mask, scores))
        && editor.are_private(&inner, index);
    let attention = Attention {
        scale: scored.scale,
        mask: mask.is_some(),
        transposed_k,
    };
    fits.then(|| (attention, [q, k, v].into_iter().chain(mask).collect()))
}

/// Returns a product without epilogue, and its operands.
fn product<'e>(editor: &'e Editor<'_>, value: ValueId) -> Option<(&'e MatMul, ValueId, ValueId)> {
    match editor.made_by(value)? {
        (_, Kernel::MatMul(matmul), &[a, b]) if matmul.epilogue == Epilogue::default() => {
            Some((matmul, a, b))
        }
        _ => None,
    }
}

fn leading_are_equal(graph: &Graph, values: &[ValueId]) -> bool {
    let leading = |&value: &ValueId| {
        let dims = graph.dims(value)?;
        dims.get(..dims.len().checked_sub(2)?)
    };
    let Some(first) = leading(&values[0]) else {
        return false;
    };
    values
        .iter()
        .all(|value| leading(value).is_some_and(|dims| same_dims(dims, first)))
}

/// Reports whether a mask is broadcast to the dims of the scores.
fn is_broadcast(graph: &Graph, mask: ValueId, scores: ValueId) -> bool {
    let (Some(mask), Some(scores)) = (graph.dims(mask), graph.dims(scores)) else {
        return false;
    };
    let pairs = mask.iter().rev().zip(scores.iter().rev());
    mask.len() <= scores.len() && pairs.into_iter().all(|(m, s)| is_one(m) || same(m, s))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::graph::Op;
    use crate::graph::testing::{Builder, check};

    fn graph(masked: bool) -> Graph {
        let mut graph = Builder::new();
        let q = graph.input("q", "f32[N, 2, 3, 4]");
        let k = graph.input("k", "f32[N, 2, 5, 4]");
        let v = graph.input("v", "f32[N, 2, 5, 6]");
        let mask = graph.input("mask", "f32[N, 1, 1, 5]");
        let product = Kernel::MatMul(MatMul {
            rhs: MatMulRhs::Transposed,
            scale: 0.5,
            epilogue: Epilogue::default(),
        });
        let softmax = Kernel::Softmax {
            axis: 3,
            log: false,
        };
        let mut scores = graph.kernel("scores", product, &[q, k], "f32[N, 2, 3, 5]");
        if masked {
            scores = graph.binary("masked", BinaryOp::Add, scores, mask, "f32[N, 2, 3, 5]");
        }
        let weights = graph.kernel("weights", softmax, &[scores], "f32[N, 2, 3, 5]");
        let y = graph.matmul("y", weights, v, "f32[N, 2, 3, 6]");
        graph.finish(&[y])
    }

    #[test]
    fn with_mask() {
        check(
            graph(true),
            find_attention,
            &expect![[r#"
            inputs q: f32[N, 2, 3, 4], k: f32[N, 2, 5, 4], v: f32[N, 2, 5, 6], mask: f32[N, 1, 1, 5]
            scores: f32[N, 2, 3, 5] = matmul(transposed scale 0.5)(q, k)
            masked: f32[N, 2, 3, 5] = add(scores, mask)
            weights: f32[N, 2, 3, 5] = softmax(3)(masked)
            y: f32[N, 2, 3, 6] = matmul(weights, v)
            outputs y
            =>
            inputs q: f32[N, 2, 3, 4], k: f32[N, 2, 5, 4], v: f32[N, 2, 5, 6], mask: f32[N, 1, 1, 5]
            y: f32[N, 2, 3, 6] = attention(scale 0.5 mask)(q, k, v, mask)
            outputs y"#]],
        );
    }

    #[test]
    fn without_mask() {
        check(
            graph(false),
            find_attention,
            &expect![[r#"
            inputs q: f32[N, 2, 3, 4], k: f32[N, 2, 5, 4], v: f32[N, 2, 5, 6], mask: f32[N, 1, 1, 5]
            scores: f32[N, 2, 3, 5] = matmul(transposed scale 0.5)(q, k)
            weights: f32[N, 2, 3, 5] = softmax(3)(scores)
            y: f32[N, 2, 3, 6] = matmul(weights, v)
            outputs y
            =>
            inputs q: f32[N, 2, 3, 4], k: f32[N, 2, 5, 4], v: f32[N, 2, 5, 6], mask: f32[N, 1, 1, 5]
            y: f32[N, 2, 3, 6] = attention(scale 0.5)(q, k, v)
            outputs y"#]],
        );
    }

    #[test]
    fn weights_that_are_an_output_stay() {
        let mut graph = graph(false);
        let weights = graph.nodes[1].outputs[0];
        assert!(matches!(
            graph.nodes[1].op,
            Op::Kernel(Kernel::Softmax { .. })
        ));
        graph.outputs.push(weights);
        assert!(!find_attention(&mut graph));
    }
}
