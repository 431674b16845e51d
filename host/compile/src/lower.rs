//! Lowers a rewritten graph to a plan.

use std::borrow::Cow;
use std::collections::BTreeMap;

use prost::Message;
use tensorlet_plan::{Description, Plan, Step, SubgraphFormat, TractStep, ValueId};
use tensorlet_tensor::Signature;
use tract_onnx::pb::{GraphProto, ModelProto};

/// Makes a plan of one tract step, the whole graph.
pub(crate) fn lower(
    description: Description,
    subgraph: &ModelProto,
    one_row: bool,
    operators: BTreeMap<String, u32>,
) -> Plan<'static> {
    let Signature {
        inputs, outputs, ..
    } = &description.signature;
    let constants = subgraph.encode_to_vec();
    let ids = |begin: usize, len: usize| {
        (begin..begin + len)
            .map(|index| ValueId(index as u32))
            .collect()
    };
    let step = TractStep {
        format: SubgraphFormat::Onnx,
        subgraph: 0..constants.len() as u64,
        one_row,
        inputs: ids(0, inputs.len()),
        outputs: ids(inputs.len(), outputs.len()),
        operators,
    };
    let values = inputs.iter().chain(outputs).cloned().collect();
    Plan {
        description,
        values,
        steps: vec![Step::Tract(step)],
        constants: Cow::Owned(constants),
    }
}

/// Counts the operators of a model, those of its sub-graphs included.
///
/// Operators outside of ONNX's default domain are counted as `domain.Operator`.
pub(crate) fn count_operators(model: &ModelProto) -> BTreeMap<String, u32> {
    let mut operators = BTreeMap::new();
    if let Some(graph) = &model.graph {
        count_in_graph(graph, &mut operators);
    }
    operators
}

fn count_in_graph(graph: &GraphProto, operators: &mut BTreeMap<String, u32>) {
    for node in &graph.node {
        let name = match node.domain.as_str() {
            "" | "ai.onnx" => node.op_type.clone(),
            domain => format!("{domain}.{}", node.op_type),
        };
        *operators.entry(name).or_default() += 1;
        for attribute in &node.attribute {
            for graph in attribute.g.iter().chain(&attribute.graphs) {
                count_in_graph(graph, operators);
            }
        }
    }
}
