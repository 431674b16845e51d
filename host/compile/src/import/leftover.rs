//! Keeps the nodes that no kernel computes, for tract.
//!
//! Where tract is given a size to make a shape of, such as the target of a `Reshape`, it must see how that is computed: read
//! from outside, it would be a number like any other. So a node takes the nodes that compute its sizes along, as far up as
//! the `Shape` of a value, under names of its own.
//!
//! ```text
//! y = Reshape(f, dims)      ───►    dims for y = Concat(Shape(x) …)
//!                                   y = Reshape(f, dims for y)
//! ```

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{GraphProto, NodeProto};

use super::builder::Builder;
use super::known::stem;
use crate::graph::{Node, Op, ValueId};
use crate::rewrite::graph::{captures, node_name, subgraphs};

/// Adds nodes for tract to a graph.
pub(super) struct Leftovers<'a> {
    /// Which node makes a value.
    makers: HashMap<&'a str, &'a NodeProto>,
    /// The values of sizes that were copied for a node, by their new names.
    copies: HashMap<String, ValueId>,
}

impl<'a> Leftovers<'a> {
    pub(super) fn new(graph: &'a GraphProto) -> Self {
        let makers = graph
            .node
            .iter()
            .flat_map(|node| node.output.iter().map(move |name| (name.as_str(), node)))
            .filter(|(name, _)| !name.is_empty());
        Self {
            makers: makers.collect(),
            copies: HashMap::new(),
        }
    }

    /// Adds a node; `None` if a graph cannot hold a value that it reads or makes.
    pub(super) fn add(&mut self, builder: &mut Builder<'_>, node: &NodeProto) -> Option<()> {
        let for_node = format!(" for {}", stem(node));
        let mut node = node.clone();
        for name in &mut node.input {
            if !name.is_empty() && builder.known.is_size(name) {
                *name = self.copy(builder, &name.clone(), &for_node)?;
            }
        }
        for output in &mut node.output {
            let known = builder.known.datum_type(output).is_some();
            if !known && !builder.known.is_read(output) {
                output.clear();
            }
        }
        self.push(builder, node)
    }

    /// Adds the nodes that compute a size, and returns its name.
    fn copy(&mut self, builder: &mut Builder<'_>, name: &str, for_node: &str) -> Option<String> {
        let renamed = format!("{name}{for_node}");
        if self.copies.contains_key(&renamed) {
            return Some(renamed);
        }
        let Some(&maker) = self.makers.get(name) else {
            return Some(name.to_owned());
        };
        let mut node = maker.clone();
        for input in &mut node.input {
            if !input.is_empty() && builder.known.is_size(input) {
                *input = self.copy(builder, &input.clone(), for_node)?;
            }
        }
        for output in node.output.iter_mut().filter(|output| !output.is_empty()) {
            output.push_str(for_node);
        }
        node.name = format!("{}{for_node}", node_name(maker));
        let outputs: Vec<(String, String)> = maker
            .output
            .iter()
            .cloned()
            .zip(node.output.iter().cloned())
            .filter(|(name, _)| !name.is_empty())
            .collect();
        let inputs = self.inputs(builder, &node)?;
        let mut ids = vec![];
        for (old, new) in outputs {
            let datum_type = builder.known.datum_type(&old)?;
            let dims = builder.known.dims(&old);
            let id = builder.add_any(new.clone(), datum_type, dims);
            self.copies.insert(new, id);
            ids.push(id);
        }
        builder.graph.nodes.push(Node {
            name: node.name.clone(),
            op: Op::Onnx(Box::new(node)),
            inputs,
            outputs: ids,
        });
        Some(renamed)
    }

    fn push(&mut self, builder: &mut Builder<'_>, node: NodeProto) -> Option<()> {
        let inputs = self.inputs(builder, &node)?;
        let mut outputs = vec![];
        for name in node.output.iter().filter(|name| !name.is_empty()) {
            let datum_type = builder.known.datum_type(name)?;
            let dims = builder.known.dims(name);
            let id = builder.add_any(name.clone(), datum_type, dims);
            builder.define(name, datum_type, id);
            outputs.push(id);
        }
        builder.graph.nodes.push(Node {
            name: node_name(&node).to_owned(),
            op: Op::Onnx(Box::new(node)),
            inputs,
            outputs,
        });
        Some(())
    }

    /// Returns what a node reads, its sub-graphs included.
    fn inputs(&self, builder: &mut Builder<'_>, node: &NodeProto) -> Option<Vec<ValueId>> {
        let own = node.input.iter().map(String::as_str);
        let own: Vec<&str> = own.filter(|name| !name.is_empty()).collect();
        let mut seen: HashSet<&str> = own.iter().copied().collect();
        let captured = subgraphs(node).flat_map(captures);
        let captured: Vec<&str> = captured.filter(|name| seen.insert(name)).collect();
        own.into_iter()
            .chain(captured)
            .map(|name| match self.copies.get(name) {
                Some(&copy) => Some(copy),
                None => builder.stored(name),
            })
            .collect()
    }
}
