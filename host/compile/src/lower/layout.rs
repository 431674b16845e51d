//! Decides which tensors lie in blocks of channels, and converts between the layouts.
//!
//! Dense and depthwise convolutions want blocks, most other kernels row-major tensors, and some take both. What those compute
//! in is chosen so that as few numbers as possible are converted:
//!
//! ```text
//! roles: what each node can compute in ─► choice: where it can choose ─► conversions, one for each value at most
//! ```

mod choice;
mod roles;

use std::collections::HashMap;

use tensorlet_plan::kernel::ConvWeights;
use tensorlet_plan::{Kernel, Layout};

use crate::graph::interpret::{Bytes, interpret_node};
use crate::graph::{Graph, Node, Op, ValueId};
use roles::Role;

/// Chooses the layout of every value, sets the algorithm of every convolution, and inserts conversions.
///
/// Weights stay as they are, but for groups of few channels that are joined.
pub(super) fn assign_layouts(graph: &mut Graph) {
    roles::join_groups(graph);
    let roles: Vec<Role> = graph
        .nodes
        .iter()
        .map(|node| roles::role(graph, node))
        .collect();
    let blocked = choice::choose(graph, &roles);
    let mut converter = Converter {
        graph,
        nodes: vec![],
        converted: HashMap::new(),
    };
    let nodes = std::mem::take(&mut converter.graph.nodes);
    for ((node, role), blocked) in nodes.into_iter().zip(roles).zip(blocked) {
        converter.place(node, role, blocked);
    }
    for index in 0..converter.graph.outputs.len() {
        let output = converter.graph.outputs[index];
        converter.graph.outputs[index] = converter.converted(output, Layout::Plain);
    }
    converter.graph.nodes = converter.nodes;
}

/// Returns how many numbers a value has in memory, for some sizes of the symbols.
pub(super) fn stored_len(graph: &Graph, value: ValueId) -> f64 {
    let (len, blocked_len) = roles::lens(graph, value);
    match graph.value(value).layout {
        Layout::Plain => len,
        Layout::Blocked => blocked_len,
    }
}

/// Rewrites nodes one by one.
struct Converter<'g> {
    graph: &'g mut Graph,
    nodes: Vec<Node>,
    /// Values in the layout that they were not made in.
    converted: HashMap<ValueId, ValueId>,
}

impl Converter<'_> {
    /// Adds a node, and before it what converts its inputs.
    fn place(&mut self, mut node: Node, role: Role, blocked: bool) {
        if let (Role::Conv { weights, .. }, Op::Kernel(Kernel::Conv(conv))) = (role, &mut node.op) {
            conv.weights = weights;
            if weights == ConvWeights::PlainInput && self.layout(node.inputs[0]) == Layout::Blocked
            {
                conv.weights = ConvWeights::Blocked;
            }
        }
        let slots: Vec<usize> = match (role, &node.op) {
            (Role::Conv { .. }, Op::Kernel(Kernel::Conv(conv))) => {
                let residual = conv.epilogue.residual.then(|| node.inputs.len() - 1);
                let x = (conv.weights != ConvWeights::PlainInput).then_some(0);
                x.into_iter().chain(residual).collect()
            }
            _ if blocked => (0..node.inputs.len()).collect(),
            _ => vec![],
        };
        for slot in 0..node.inputs.len() {
            let input = node.inputs[slot];
            node.inputs[slot] = if !slots.contains(&slot) {
                self.converted(input, Layout::Plain)
            } else if self.graph.value(input).constant.is_some() {
                self.blocked_constant(input, node.outputs[0])
            } else {
                self.converted(input, Layout::Blocked)
            };
        }
        if blocked {
            for output in &node.outputs {
                self.graph.values[output.index()].layout = Layout::Blocked;
            }
        }
        self.nodes.push(node);
    }

    fn layout(&self, value: ValueId) -> Layout {
        self.graph.value(value).layout
    }

    /// Returns a value in a layout.
    fn converted(&mut self, value: ValueId, layout: Layout) -> ValueId {
        if self.layout(value) == layout {
            return value;
        }
        if let Some(&converted) = self.converted.get(&value) {
            return converted;
        }
        let original = self.graph.value(value).clone();
        let (suffix, kernel) = match layout {
            Layout::Blocked => ("blocked", Kernel::ToBlocked),
            Layout::Plain => ("plain", Kernel::FromBlocked),
        };
        let name = format!("{}_{suffix}", original.name);
        let converted = self
            .graph
            .add_value(&name, original.datum_type, original.dims);
        self.graph.values[converted.index()].layout = layout;
        self.nodes
            .push(Node::kernel(name, kernel, &[value], converted));
        self.converted.insert(value, converted);
        converted
    }

    /// Returns a constant that is broadcast to `output` in blocks; one element is the same in any layout.
    fn blocked_constant(&mut self, constant: ValueId, output: ValueId) -> ValueId {
        if self.graph.constant_scalar(constant).is_some() {
            return self.one_element(constant);
        }
        if let Some(&converted) = self.converted.get(&constant) {
            return converted;
        }
        let value = self.graph.value(constant).clone();
        let dims = self.graph.fixed_dims(constant).unwrap_or_default();
        let rank = self.graph.rank(output).unwrap_or_default();
        let mut aligned = vec![1; rank - dims.len()];
        aligned.extend(dims);
        let bytes = value.constant.unwrap_or_default();
        let plain = self
            .graph
            .add_constant(&value.name, value.datum_type, &aligned, bytes.clone());
        let name = format!("{}_blocked", value.name);
        let blocked = self
            .graph
            .add_constant(name, value.datum_type, &aligned, []);
        self.graph.values[blocked.index()].layout = Layout::Blocked;
        let node = Node::kernel(value.name, Kernel::ToBlocked, &[plain], blocked);
        let stored = interpret_node(self.graph, &node, &[], &[&Bytes::new(&bytes)])
            .expect("`role` lets only constants of f32 and rank 3 or more pass");
        self.graph.values[blocked.index()].constant = Some(stored[0].to_vec().into());
        self.converted.insert(constant, blocked);
        blocked
    }

    /// Returns a constant, all of whose elements are equal, as one element.
    fn one_element(&mut self, constant: ValueId) -> ValueId {
        let value = self.graph.value(constant).clone();
        let bytes = value.constant.unwrap_or_default();
        let width = value.datum_type.width_bytes();
        if bytes.len() == width {
            return constant;
        }
        self.graph
            .add_constant(value.name, value.datum_type, &[], &bytes[..width])
    }
}

#[cfg(test)]
mod tests;
