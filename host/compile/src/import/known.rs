//! What importers are told about the values of a model.

use std::collections::{HashMap, HashSet};

use tensorlet_tensor::DatumType;
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};
use tract_onnx::prelude::TDim;

use super::constants;
use crate::rewrite::facts::Facts;
use crate::rewrite::graph::{initializers, node_name, reads};

/// The initializers of a graph by name, and the values that something reads.
pub(crate) struct Sources<'a> {
    pub(super) tensors: HashMap<&'a str, &'a TensorProto>,
    pub(super) read: HashSet<&'a str>,
}

impl<'a> Sources<'a> {
    /// Looks through a graph; initializers of the graph around it can be read too.
    pub(crate) fn of(graph: &'a GraphProto, outer: Option<&Self>) -> Self {
        let mut tensors = outer.map_or_else(HashMap::new, |outer| outer.tensors.clone());
        tensors.extend(initializers(graph));
        let outputs = graph.output.iter().map(|output| output.name.as_str());
        let read = graph.node.iter().flat_map(reads).chain(outputs);
        Self {
            read: read.collect(),
            tensors,
        }
    }
}

/// What is known about the values of a graph.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) sources: &'a Sources<'a>,
    pub(crate) opset: i64,
}

impl Known<'_> {
    /// Returns the dims of a value, if all are known.
    pub(super) fn dims(&self, name: &str) -> Option<Vec<TDim>> {
        self.facts.shape(name)?.into_iter().collect()
    }

    /// Returns the datum type of a value.
    pub(super) fn datum_type(&self, name: &str) -> Option<DatumType> {
        self.facts.element_type(name)
    }

    /// Returns small integers, each a number or an expression.
    pub(super) fn sizes(&self, name: &str) -> Option<Vec<TDim>> {
        self.facts.value(name)?.expressions()
    }

    /// Returns integers that are numbers.
    pub(super) fn integers(&self, name: &str) -> Option<Vec<i64>> {
        match self.facts.value(name).and_then(|value| value.integers()) {
            Some(integers) => Some(integers),
            None => constants::integers(self.sources.tensors.get(name)?),
        }
    }

    /// Reports whether something reads a value.
    pub(super) fn is_read(&self, name: &str) -> bool {
        !name.is_empty() && self.sources.read.contains(name)
    }

    /// Reports whether a value is a size that depends on symbols: tract must compute it where it uses it.
    pub(super) fn is_size(&self, name: &str) -> bool {
        let value = self.facts.value(name);
        value.is_some_and(|value| value.integers().is_none() && value.expressions().is_some())
    }
}

/// Returns the name that values made for a node are derived from.
pub(super) fn stem(node: &NodeProto) -> &str {
    let named = node.output.iter().find(|name| !name.is_empty());
    named.map_or_else(|| node_name(node), String::as_str)
}
