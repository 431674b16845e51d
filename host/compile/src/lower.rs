//! Lowers a rewritten graph to a plan.
//!
//! ```text
//! Graph ─ partition ─► without Onnx nodes ─ layout ─► blocks and conversions ─ pack ─► packed weights ─ order ─► Plan
//! ```
//!
//! - [`partition`] joins operators without kernel to sub-graphs for tract.
//! - [`batch`] finds out whether rows are best computed one by one.
//! - [`layout`] decides which tensors lie in blocks, [`pack`] packs weights, [`order`] saves memory.
//! - [`constants`] keeps bytes once, [`tiles`] lists the functions that the compiler writes for the plan.

mod batch;
mod constants;
mod layout;
mod order;
mod pack;
mod partition;
#[cfg(test)]
mod random;
mod tiles;
mod whole;

use std::borrow::Cow;

use tensorlet_plan::{
    Description, Kernel, Plan, Step, Storage, SubgraphFormat, TractStep, Value, ValueId,
};
use tract_onnx::pb::ModelProto;

use crate::graph::dims::Polynomial;
use crate::graph::{Graph, Node, Op};
use constants::Constants;
pub(crate) use partition::PartitionError;
pub(crate) use whole::{count_operators, lower_whole};

/// Makes a plan of a graph. `model` is where its operators without kernel come from.
///
/// # Errors
/// If those operators cannot be left to tract; the whole model perhaps can, see [`lower_whole`].
pub(crate) fn lower(
    mut graph: Graph,
    description: Description,
    model: &ModelProto,
) -> Result<Plan<'static>, PartitionError> {
    partition::partition(&mut graph, model)?;
    let row_symbol = batch::row_symbol(&graph);
    layout::assign_layouts(&mut graph);
    pack::pack_weights(&mut graph);
    order::order_nodes(&mut graph);
    let mut plan = Writer::new(&graph).write(description);
    plan.row_symbol = row_symbol;
    plan.tiles = tiles::tiles(&plan);
    Ok(plan)
}

/// Writes a graph down as a plan.
struct Writer<'g> {
    graph: &'g Graph,
    constants: Constants,
    values: Vec<Value>,
    /// The plan's value for each of the graph's that has one.
    ids: Vec<Option<ValueId>>,
}

impl<'g> Writer<'g> {
    fn new(graph: &'g Graph) -> Self {
        Self {
            graph,
            constants: Constants::default(),
            values: vec![],
            ids: vec![None; graph.values.len()],
        }
    }

    fn write(mut self, description: Description) -> Plan<'static> {
        for &input in &self.graph.inputs {
            self.add(input, Storage::Input);
        }
        let mut steps = vec![];
        for node in &self.graph.nodes {
            steps.extend(self.step(node));
        }
        let outputs = self
            .graph
            .outputs
            .iter()
            .map(|&output| self.id(output))
            .collect();
        Plan {
            description,
            symbols: self.graph.symbols.clone(),
            row_symbol: None,
            values: self.values,
            steps,
            outputs,
            tiles: vec![],
            constants: Cow::Owned(self.constants.into_bytes()),
        }
    }

    /// Writes a node as a step; a reshape is none.
    fn step(&mut self, node: &Node) -> Option<Step> {
        let inputs: Vec<ValueId> = node.inputs.iter().map(|&input| self.id(input)).collect();
        let kernel = match &node.op {
            Op::Reshape if self.has_same_len(node) => {
                self.add(node.outputs[0], Storage::Alias(inputs[0]));
                return None;
            }
            // Whether it fits is known when the sizes are.
            Op::Reshape => Kernel::Copy,
            Op::Kernel(kernel) => kernel.clone(),
            Op::Subgraph(subgraph) => Kernel::Tract(TractStep {
                format: SubgraphFormat::Onnx,
                subgraph: self.constants.add(&subgraph.model),
                one_row: subgraph.one_row,
                operators: subgraph.operators.clone(),
            }),
            Op::Onnx(_) => unreachable!("`partition` left none"),
        };
        let outputs = node
            .outputs
            .iter()
            .map(|&output| self.add(output, Storage::Buffer));
        Some(Step {
            name: node.name.clone(),
            kernel,
            outputs: outputs.collect(),
            inputs,
        })
    }

    /// Reports whether input and output certainly have equally many elements.
    fn has_same_len(&self, node: &Node) -> bool {
        let len = |id: ValueId| self.graph.dims(id).and_then(Polynomial::product);
        let (x, y) = (len(node.inputs[0]), len(node.outputs[0]));
        x.is_some() && x == y
    }

    /// Returns the plan's value for one of the graph's that was written, or is constant.
    fn id(&mut self, id: ValueId) -> ValueId {
        if let Some(known) = self.ids[id.index()] {
            return known;
        }
        let bytes = self.graph.value(id).constant.as_ref();
        let range = self
            .constants
            .add(bytes.expect("nodes stand after those that write what they read"));
        self.add(id, Storage::Constant(range))
    }

    fn add(&mut self, id: ValueId, storage: Storage) -> ValueId {
        let value = self.graph.value(id);
        let new = ValueId(self.values.len() as u32);
        self.values.push(Value {
            name: value.name.clone(),
            datum_type: value.datum_type,
            dims: value.dims.clone(),
            layout: value.layout,
            storage,
        });
        self.ids[id.index()] = Some(new);
        new
    }
}

#[cfg(test)]
mod tests;
