//! Looks for what is wrong with a model before tract sees it, as tract panics, guesses or asks for memory.

mod attributes;

use std::collections::HashSet;

use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto};

use super::error::{RewriteError, RewriteErrorKind};
use super::graph::{is_own_domain, node_name, opset, subgraphs};
use super::tensors;
use crate::import::is_known;

/// The versions of ONNX's own operators that are supported.
const OPSETS: std::ops::RangeInclusive<i64> = 7..=24;

/// Operators that mean the same in every earlier opset. Models of nothing else may be of any.
const UNCHANGED: [&str; 3] = ["Identity", "Not", "Transpose"];

/// The most nodes of a model, those in subgraphs counted.
const MAX_NODES: usize = 200_000;

/// The most subgraphs around a node.
const MAX_DEPTH: usize = 16;

/// Domains of the operators that tract has.
const DOMAINS: [&str; 4] = ["", "ai.onnx", "ai.onnx.ml", "com.microsoft"];

/// Who must know the operators of a model.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Engine {
    /// tract, for all of them.
    Tract,
    /// tract or our importers, for each.
    Any,
}

/// Checks a model.
///
/// # Errors
/// If the opset or an operator is not supported, or the graph contradicts itself.
pub(super) fn check(model: &ModelProto, engine: Engine) -> Result<(), RewriteError> {
    let Some(graph) = &model.graph else {
        return Err(RewriteError::invalid("expected a graph, found none"));
    };
    let opset = opset(model);
    let is_unchanged = |node: &NodeProto| {
        !is_own_domain(&node.domain) || UNCHANGED.contains(&node.op_type.as_str())
    };
    let is_early = opset < *OPSETS.start() && graph.node.iter().all(is_unchanged);
    if !OPSETS.contains(&opset) && !is_early {
        let (first, last) = OPSETS.into_inner();
        let message = format!("expected opset {first} to {last}, found {opset}");
        return Err(RewriteError::new(
            RewriteErrorKind::UnsupportedOpset,
            message,
        ));
    }
    let mut checker = Checker {
        operators: tract_onnx::onnx().op_register.0.into_keys().collect(),
        model,
        engine,
        opset,
        nodes: 0,
        scopes: vec![],
    };
    checker.graph(graph)
}

struct Checker<'a> {
    /// The operators that tract has.
    operators: HashSet<String>,
    model: &'a ModelProto,
    engine: Engine,
    opset: i64,
    /// Nodes seen so far.
    nodes: usize,
    /// The values defined in each graph around, the outermost first.
    scopes: Vec<HashSet<&'a str>>,
}

impl<'a> Checker<'a> {
    fn graph(&mut self, graph: &'a GraphProto) -> Result<(), RewriteError> {
        self.nodes += graph.node.len();
        if self.nodes > MAX_NODES || self.scopes.len() > MAX_DEPTH {
            let message = format!(
                "expected at most {MAX_NODES} nodes and {MAX_DEPTH} subgraphs inside each other, found more"
            );
            return Err(RewriteError::new(RewriteErrorKind::TooLarge, message));
        }
        if let Some(sparse) = graph.sparse_initializer.first() {
            let name = sparse.values.as_ref().map_or("", |values| &values.name);
            return Err(unsupported(format!(
                "initializer `{name}`: expected a dense tensor, found a sparse one"
            )));
        }
        graph
            .initializer
            .iter()
            .try_for_each(|tensor| check_tensor("initializer", &tensor.name, tensor))?;
        self.scopes.push(definitions(graph)?);
        for node in &graph.node {
            self.node(node)?;
        }
        for output in &graph.output {
            if !self.is_defined(&output.name) {
                return Err(RewriteError::invalid(format!(
                    "output `{}`: expected a node that makes it, found none",
                    output.name
                )));
            }
        }
        self.scopes.pop();
        Ok(())
    }

    fn node(&mut self, node: &'a NodeProto) -> Result<(), RewriteError> {
        self.operator(node)?;
        attributes::check_attributes(node)?;
        let mut inputs = node.input.iter().filter(|name| !name.is_empty());
        if let Some(unknown) = inputs.find(|name| !self.is_defined(name)) {
            return Err(RewriteError::invalid(format!(
                "node `{}`: expected inputs that something makes, found `{unknown}`",
                node_name(node)
            )));
        }
        for tensor in node
            .attribute
            .iter()
            .flat_map(|attribute| attribute.t.iter().chain(&attribute.tensors))
        {
            check_tensor("the tensor of node", node_name(node), tensor)?;
        }
        subgraphs(node).try_for_each(|graph| self.graph(graph))
    }

    fn operator(&self, node: &NodeProto) -> Result<(), RewriteError> {
        let (name, operator, domain) = (node_name(node), &node.op_type, &node.domain);
        let known = DOMAINS.contains(&domain.as_str());
        let imported = self.engine == Engine::Any && is_known(node);
        if known && (self.operators.contains(operator) || imported) {
            return Ok(());
        }
        let version = self
            .model
            .opset_import
            .iter()
            .find(|import| import.domain == *domain);
        let origin = match version {
            _ if is_own_domain(domain) => format!("opset {}", self.opset),
            Some(import) => format!("domain `{domain}`, version {}", import.version),
            None => format!("domain `{domain}`"),
        };
        Err(unsupported(format!(
            "node `{name}`: expected an operator that is supported, found `{operator}` ({origin})"
        )))
    }

    fn is_defined(&self, name: &str) -> bool {
        self.scopes.iter().any(|scope| scope.contains(name))
    }
}

/// Returns the values that a graph defines.
fn definitions(graph: &GraphProto) -> Result<HashSet<&str>, RewriteError> {
    let mut names: HashSet<&str> = HashSet::new();
    for input in &graph.input {
        if !names.insert(&input.name) {
            return Err(twice("input", &input.name));
        }
    }
    let mut stored: HashSet<&str> = HashSet::new();
    for tensor in &graph.initializer {
        if !stored.insert(&tensor.name) {
            return Err(twice("initializer", &tensor.name));
        }
    }
    // Old models list their initializers among the inputs too.
    names.extend(stored);
    for node in &graph.node {
        for output in node.output.iter().filter(|name| !name.is_empty()) {
            if !names.insert(output) {
                return Err(RewriteError::invalid(format!(
                    "node `{}`: expected outputs that nothing else makes, found `{output}`",
                    node_name(node)
                )));
            }
        }
    }
    Ok(names)
}

fn check_tensor(kind: &str, name: &str, tensor: &TensorProto) -> Result<(), RewriteError> {
    let dims: Vec<String> = tensor.dims.iter().map(i64::to_string).collect();
    let data_type = tensors::data_type(tensor).map_or("?", tensors::name);
    let type_text = format!("{data_type}[{}]", dims.join(", "));
    let count =
        tensors::element_count(&tensor.dims).filter(|_| tensors::size_bytes(tensor).is_some());
    let Some(count) = count else {
        return Err(RewriteError::invalid(format!(
            "{kind} `{name}`: expected dims whose product fits in memory, found {type_text}"
        )));
    };
    if !tensor.external_data.is_empty() {
        return Err(RewriteError::invalid(format!(
            "{kind} `{name}`: expected data in the model, found a reference to another file"
        )));
    }
    match tensors::stored_count(tensor) {
        Some(stored) if stored != count => Err(RewriteError::invalid(format!(
            "{kind} `{name}`: expected {count} elements for {type_text}, found {stored}"
        ))),
        Some(_) => Ok(()),
        None => Err(RewriteError::invalid(format!(
            "{kind} `{name}`: expected whole elements for {type_text}, found {} bytes",
            tensor.raw_data.len()
        ))),
    }
}

fn twice(kind: &str, name: &str) -> RewriteError {
    RewriteError::invalid(format!("{kind} `{name}`: expected it once, found it twice"))
}

fn unsupported(message: String) -> RewriteError {
    RewriteError::new(RewriteErrorKind::Unsupported, message)
}
