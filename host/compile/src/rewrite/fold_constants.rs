//! Computes nodes that read nothing but initializers, and makes their results initializers.
//!
//! ```text
//! w: f32[8, 4]                          w_t: f32[4, 8]
//! w_t = Transpose(w)            ───►    y = MatMul(x, w_t)
//! y = MatMul(x, w_t)
//! ```
//!
//! tract would do the same while it loads the model, but later than the shapes are needed.

use std::collections::HashMap;

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use tract_onnx::prelude::{
    Framework, InferenceModelExt, IntoRunnable, IntoTensor, TVec, Tensor, TractResult,
};

use super::facts::{Facts, is_random};
use super::graph::{is_own_domain, subgraphs};
use super::guard::guarded;
use super::tensors;

/// A result of at most this many bytes is stored, a larger one only if it is not larger than its inputs.
const MAX_GROWTH_BYTES: u64 = 64 << 10;

/// Folds what can be; returns whether anything could. Expects and keeps sorted nodes.
pub(super) fn fold_constants(model: &mut ModelProto, facts: &Facts) -> bool {
    let Some(mut graph) = model.graph.take() else {
        return false;
    };
    let mut known: HashMap<String, TensorProto> = HashMap::new();
    for tensor in graph.initializer.drain(..) {
        known.insert(tensor.name.clone(), tensor);
    }
    let before = graph.node.len();
    graph
        .node
        .retain(|node| match fold(model, node, &known, facts) {
            Some(tensors) => {
                known.extend(
                    tensors
                        .into_iter()
                        .map(|tensor| (tensor.name.clone(), tensor)),
                );
                false
            }
            None => true,
        });
    let changed = graph.node.len() < before;
    graph.initializer = known.into_values().collect();
    graph.initializer.sort_by(|a, b| a.name.cmp(&b.name));
    model.graph = Some(graph);
    changed
}

fn fold(
    model: &ModelProto,
    node: &NodeProto,
    known: &HashMap<String, TensorProto>,
    facts: &Facts,
) -> Option<Vec<TensorProto>> {
    if node.op_type == "Constant" && is_own_domain(&node.domain) {
        return Some(vec![constant(node)?]);
    }
    let names = node.input.iter().filter(|name| !name.is_empty());
    let inputs: Vec<&TensorProto> = names.map(|name| known.get(name)).collect::<Option<_>>()?;
    if inputs.is_empty() || is_random(node) || subgraphs(node).next().is_some() {
        return None;
    }
    let input_bytes: u64 = inputs
        .iter()
        .filter_map(|tensor| tensors::size_bytes(tensor))
        .sum();
    let outputs = node.output.iter().filter(|name| !name.is_empty());
    let output_bytes = outputs
        .clone()
        .map(|name| facts.size_bytes(name))
        .try_fold(0u64, |sum, size| sum.checked_add(size?))?;
    if output_bytes > input_bytes.max(MAX_GROWTH_BYTES) {
        return None;
    }
    let results = guarded(|| compute(model, node, &inputs)).ok()?;
    outputs
        .zip(&results)
        .map(|(name, result)| tensors::from_tract(name, result, None))
        .collect()
}

/// Computes a node with the model's opsets.
pub(super) fn compute(
    model: &ModelProto,
    node: &NodeProto,
    inputs: &[&TensorProto],
) -> TractResult<Vec<Tensor>> {
    let outputs = node.output.iter().filter(|name| !name.is_empty());
    let mut initializer: Vec<TensorProto> = inputs.iter().copied().cloned().collect();
    initializer.dedup_by(|a, b| a.name == b.name);
    let graph = GraphProto {
        node: vec![node.clone()],
        initializer,
        output: outputs
            .map(|name| ValueInfoProto {
                name: name.clone(),
                ..ValueInfoProto::default()
            })
            .collect(),
        ..GraphProto::default()
    };
    let proto = ModelProto {
        ir_version: model.ir_version,
        opset_import: model.opset_import.clone(),
        graph: Some(graph),
        ..ModelProto::default()
    };
    let typed = tract_onnx::onnx()
        .model_for_proto_model(&proto)?
        .into_typed()?;
    let results = typed.into_runnable()?.run(TVec::new())?;
    Ok(results
        .into_iter()
        .map(|result| result.into_tensor())
        .collect())
}

/// Returns the tensor of a `Constant`.
fn constant(node: &NodeProto) -> Option<TensorProto> {
    let [attribute] = node.attribute.as_slice() else {
        return None;
    };
    let name = node.output.first()?;
    let floats = |dims: &[i64], elements: &[f32]| TensorProto {
        name: name.clone(),
        dims: dims.to_vec(),
        data_type: DataType::Float as i32,
        raw_data: elements
            .iter()
            .flat_map(|element| element.to_le_bytes())
            .collect(),
        ..TensorProto::default()
    };
    Some(match attribute.r#type() {
        AttributeType::Tensor => TensorProto {
            name: name.clone(),
            ..attribute.t.clone()?
        },
        AttributeType::Int => tensors::new_i64(name, &[], &[attribute.i]),
        AttributeType::Ints => tensors::new_i64(name, &[attribute.ints.len()], &attribute.ints),
        AttributeType::Float => floats(&[], &[attribute.f]),
        AttributeType::Floats => floats(&[attribute.floats.len() as i64], &attribute.floats),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::graph::prune;
    use super::super::text::print;
    use super::super::text::testing::{graph, model, node, ramp, vector};
    use super::*;

    fn folded(graph: GraphProto) -> String {
        let mut text = print(&graph);
        let mut model = model(13, graph);
        let facts = Facts::of(&model).unwrap();
        fold_constants(&mut model, &facts);
        let graph = model.graph.as_mut().unwrap();
        prune(graph);
        text.push_str("───►\n");
        text.push_str(&print(graph));
        text
    }

    #[test]
    fn what_reads_only_constants_is_computed() {
        let nodes = vec![
            node("Transpose", &["w"], &["t"]),
            node("Neg", &["t"], &["n"]),
            node("MatMul", &["x", "n"], &["y"]),
        ];
        let graph = graph(&["x:f32[N,3]"], nodes, vec![ramp("w", &[2, 3])], &["y"]);
        expect![[r#"
            x: f32[N, 3]
            w: f32[2, 3] = 0 0.125 0.25 0.375 0.5 0.625
            t = Transpose(w)
            n = Neg(t)
            y = MatMul(x, n)
            -> y
            ───►
            x: f32[N, 3]
            n: f32[3, 2] = 0 -0.375 -0.125 -0.5 -0.25 -0.625
            y = MatMul(x, n)
            -> y
        "#]]
        .assert_eq(&folded(graph));
    }

    #[test]
    fn constants_that_grow_too_much_are_left() {
        let nodes = vec![
            node("Expand", &["w", "k"], &["e"]),
            node("Add", &["x", "e"], &["y"]),
        ];
        let constants = vec![ramp("w", &[2]), vector("k", &[10_000, 2])];
        expect![[r#"
            x: f32[2]
            w: f32[2] = 0 0.125
            k: i64[2] = 10000 2
            e = Expand(w, k)
            y = Add(x, e)
            -> y
            ───►
            x: f32[2]
            k: i64[2] = 10000 2
            w: f32[2] = 0 0.125
            e = Expand(w, k)
            y = Add(x, e)
            -> y
        "#]]
        .assert_eq(&folded(graph(&["x:f32[2]"], nodes, constants, &["y"])));
    }

    #[test]
    fn random_numbers_are_left() {
        let nodes = vec![
            node("Dropout", &["w"], &["r"]),
            node("Add", &["x", "r"], &["y"]),
        ];
        expect![[r#"
            x: f32[2]
            w: f32[2] = 0 0.125
            r = Dropout(w)
            y = Add(x, r)
            -> y
            ───►
            x: f32[2]
            w: f32[2] = 0 0.125
            r = Dropout(w)
            y = Add(x, r)
            -> y
        "#]]
        .assert_eq(&folded(graph(
            &["x:f32[2]"],
            nodes,
            vec![ramp("w", &[2])],
            &["y"],
        )));
    }
}
