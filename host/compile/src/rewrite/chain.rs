//! Writes shapes with symbols in the one form that tract follows.
//!
//! ```text
//! dims[2*N, 3] = Concat(Mul(Gather(Shape(x), [0]), [2]), [3])
//! ```
//!
//! All of it is i64. tract keeps `Shape`, and what is computed from it in i64, as expressions; a cast to
//! another type and back loses them.

use std::collections::HashSet;

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto};
use tract_onnx::prelude::TDim;

use super::facts::Facts;
use super::graph::{definitions, new_node};
use super::tensors::new_i64;

/// How the names of values made here begin. Equal names hold equal shapes.
const PREFIX: &str = "tensorlet/";

/// Reports whether a value is of the form made here.
pub(super) fn is_canonical(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// Makes nodes and initializers for shapes, each once.
pub(super) struct Chain<'a> {
    facts: &'a Facts,
    defined: HashSet<String>,
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
}

impl<'a> Chain<'a> {
    pub(super) fn new(graph: &GraphProto, facts: &'a Facts) -> Self {
        let defined = definitions(graph)
            .filter(|name| is_canonical(name))
            .map(str::to_owned);
        Self {
            facts,
            defined: defined.collect(),
            nodes: vec![],
            initializers: vec![],
        }
    }

    /// Returns the name of an i64 vector of these elements, if it can be made.
    pub(super) fn vector(&mut self, dims: &[TDim]) -> Option<String> {
        let texts: Vec<String> = dims
            .iter()
            .map(|dim| self.text(dim))
            .collect::<Option<_>>()?;
        let name = format!("{PREFIX}dims[{}]", texts.join(", "));
        let numbers: Option<Vec<i64>> = dims.iter().map(|dim| dim.as_i64()).collect();
        if let Some(numbers) = numbers {
            return Some(self.initializer(name, &[numbers.len()], &numbers));
        }
        if let [dim] = dims {
            return self.element(dim, name);
        }
        let mut parts: Vec<String> = vec![];
        for run in dims.chunk_by(|a, b| a.as_i64().is_some() && b.as_i64().is_some()) {
            parts.push(self.vector(run)?);
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let mut concat = new_node("Concat", &parts, &name);
        concat.attribute.push(AttributeProto {
            name: "axis".into(),
            r#type: AttributeType::Int as i32,
            ..AttributeProto::default()
        });
        Some(self.node(concat))
    }

    /// Returns the name of an i64 scalar, if it can be made.
    pub(super) fn scalar(&mut self, dim: &TDim) -> Option<String> {
        let name = format!("{PREFIX}dim {}", self.text(dim)?);
        if let Some(number) = dim.as_i64() {
            return Some(self.initializer(name, &[], &[number]));
        }
        let vector = self.vector(std::slice::from_ref(dim))?;
        let first = self.initializer(format!("{PREFIX}dim 0"), &[], &[0]);
        Some(self.node(new_node("Gather", &[&vector, &first], &name)))
    }

    /// Adds what was made. The nodes are in order among themselves.
    pub(super) fn finish(self, graph: &mut GraphProto) {
        graph.initializer.extend(self.initializers);
        graph.node.splice(0..0, self.nodes);
    }

    /// Makes an i64 vector of one element.
    fn element(&mut self, dim: &TDim, name: String) -> Option<String> {
        match dim {
            TDim::Val(number) => Some(self.initializer(name, &[1], &[*number])),
            TDim::Sym(symbol) => {
                let home = self.facts.home(&symbol.to_string())?;
                let shape = self.node(new_node(
                    "Shape",
                    &[&home.value],
                    &format!("{PREFIX}shape of {}", home.value),
                ));
                let axis = self.vector(&[home.axis.into()])?;
                Some(self.node(new_node("Gather", &[&shape, &axis], &name)))
            }
            TDim::Add(terms) => self.fold("Add", terms, name),
            TDim::Mul(factors) => self.fold("Mul", factors, name),
            TDim::MulInt(factor, dim) => {
                self.fold("Mul", &[(**dim).clone(), (*factor).into()], name)
            }
            TDim::Div(dim, divisor) => self.fold(
                "Div",
                &[(**dim).clone(), TDim::from(i64::try_from(*divisor).ok()?)],
                name,
            ),
            TDim::Min(dims) => self.fold("Min", dims, name),
            // Sizes that are broadcast are equal, or 1.
            TDim::Max(dims) | TDim::Broadcast(dims) => self.fold("Max", dims, name),
            TDim::Ge(..) | TDim::Eq(..) => None,
        }
    }

    fn fold(&mut self, op_type: &str, dims: &[TDim], name: String) -> Option<String> {
        let parts: Vec<String> = dims
            .iter()
            .map(|dim| self.vector(std::slice::from_ref(dim)))
            .collect::<Option<_>>()?;
        let (last, rest) = parts.split_last()?;
        let mut result = rest.first()?.clone();
        for (count, part) in rest.iter().enumerate().skip(1) {
            result = self.node(new_node(
                op_type,
                &[&result, part],
                &format!("{name} {count}"),
            ));
        }
        Some(self.node(new_node(op_type, &[&result, last], &name)))
    }

    fn node(&mut self, node: NodeProto) -> String {
        let name = node.output[0].clone();
        if self.defined.insert(name.clone()) {
            self.nodes.push(node);
        }
        name
    }

    fn initializer(&mut self, name: String, dims: &[usize], elements: &[i64]) -> String {
        if self.defined.insert(name.clone()) {
            self.initializers.push(new_i64(&name, dims, elements));
        }
        name
    }

    /// Writes an expression. Symbols that are not the caller's are written as the axis they are the size of,
    /// as tract numbers them anew each time it reads a model.
    fn text(&self, dim: &TDim) -> Option<String> {
        let mut text = dim.to_string();
        for symbol in dim.symbols() {
            let home = self.facts.home(&symbol.to_string())?;
            if !home.is_input {
                text = text.replace(
                    &symbol.to_string(),
                    &format!("{}.{}", home.value, home.axis),
                );
            }
        }
        Some(text)
    }
}
