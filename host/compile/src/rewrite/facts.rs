//! What is known about the values of a graph: types and shapes by our importers' rules and by tract's, small integers by ours.

mod exchange;
mod light;
mod limits;

use std::collections::{HashMap, HashSet};

use tract_onnx::model::ParseResult;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto};
use tract_onnx::prelude::{
    DatumType, InferenceFact, InferenceModel, OutletId, SymbolScope, TDim, TVec,
};
use tract_onnx::tract_hir::infer::{Factoid, ShapeFactoid};

use super::error::{RewriteError, RewriteErrorKind};
use super::evaluate::{Inputs, Shape, evaluate};
use super::graph::{captures, is_own_domain, opset, subgraphs};
use super::guard::guarded;
use super::tensors;
use super::value::Value;
use crate::import::{Known, Sources, types_of};
use exchange::{exported, imported, to_tract};
use light::{hide_nodes, light_model, symbols};

/// What is known about the values of a graph, by name.
pub(crate) struct Facts {
    facts: HashMap<String, InferenceFact>,
    /// Datum types that tract has none of its own for, or does not find.
    datum_types: HashMap<String, tensorlet_tensor::DatumType>,
    values: HashMap<String, Value>,
    /// Values that do not depend on the inputs.
    constants: HashSet<String>,
    /// Where each symbol is the size of an axis, the graph's inputs first.
    homes: HashMap<String, Home>,
    opset: i64,
    /// Symbols hold it weakly.
    scope: SymbolScope,
}

/// An axis whose size is a symbol.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Home {
    pub(crate) value: String,
    pub(crate) axis: usize,
    /// Whether the value is an input of the graph, so that the symbol is the caller's.
    pub(crate) is_input: bool,
}

impl Facts {
    /// Goes through the nodes of a model once, in their order.
    ///
    /// # Errors
    /// If tract cannot read the graph, or a constant is too large.
    pub(crate) fn of(model: &ModelProto) -> Result<Self, RewriteError> {
        let mut facts = Self::new(opset(model), SymbolScope::default());
        let graph = model
            .graph
            .as_ref()
            .ok_or_else(|| RewriteError::invalid("expected a graph, found none"))?;
        for symbol in symbols(graph) {
            // What tract cannot read as a symbol, it takes for an unknown size.
            let _ = facts.scope.add_assertion(format!("{symbol}>=1"));
        }
        facts.add_graph(model, graph, None)?;
        Ok(facts)
    }

    /// Returns the shape as far as it is known, if the rank is.
    pub(crate) fn shape(&self, name: &str) -> Option<Shape> {
        let shape = &self.facts.get(name)?.shape;
        (!shape.is_open()).then(|| shape.dims().map(|dim| dim.concretize()).collect())
    }

    /// Returns tract's datum type.
    pub(crate) fn datum_type(&self, name: &str) -> Option<DatumType> {
        self.facts.get(name)?.datum_type.concretize()
    }

    /// Returns the datum type, where it is one that tensors of callers have.
    pub(crate) fn element_type(&self, name: &str) -> Option<tensorlet_tensor::DatumType> {
        if let Some(datum_type) = self.datum_types.get(name) {
            return Some(*datum_type);
        }
        let data_type = tensors::data_type_of(self.datum_type(name)?.unquantized())?;
        tensors::name(data_type).parse().ok()
    }

    /// Returns the elements as far as they are known.
    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// Returns where to read the value of a symbol.
    pub(crate) fn home(&self, symbol: &str) -> Option<&Home> {
        self.homes.get(symbol)
    }

    /// Returns the size in bytes, if it is a number.
    pub(crate) fn size_bytes(&self, name: &str) -> Option<u64> {
        let dims = self.shape(name)?;
        let dims = dims
            .iter()
            .map(|dim| dim.as_ref()?.as_i64())
            .collect::<Option<Vec<i64>>>()?;
        let width = self.datum_type(name)?.size_of() as u64;
        Some(
            tensors::element_count(&dims)
                .and_then(|count| count.checked_mul(width))
                .unwrap_or(u64::MAX),
        )
    }

    /// Describes a value for an error, such as `f32[N, 3]`.
    pub(crate) fn describe(&self, name: &str) -> String {
        let datum_type = match (self.element_type(name), self.datum_type(name)) {
            (Some(datum_type), _) => datum_type.to_string(),
            (None, Some(datum_type)) => format!("{datum_type:?}").to_lowercase(),
            (None, None) => "?".into(),
        };
        let Some(shape) = self.shape(name) else {
            return format!("{datum_type}[?]");
        };
        let dims = shape
            .iter()
            .map(|dim| dim.as_ref().map_or("?".into(), TDim::to_string));
        format!("{datum_type}[{}]", dims.collect::<Vec<_>>().join(", "))
    }

    fn new(opset: i64, scope: SymbolScope) -> Self {
        Self {
            facts: HashMap::new(),
            datum_types: HashMap::new(),
            values: HashMap::new(),
            constants: HashSet::new(),
            homes: HashMap::new(),
            opset,
            scope,
        }
    }

    fn add_graph(
        &mut self,
        model: &ModelProto,
        graph: &GraphProto,
        outer: Option<(&Self, &Sources<'_>)>,
    ) -> Result<(), RewriteError> {
        for tensor in &graph.initializer {
            self.constants.insert(tensor.name.clone());
            self.values
                .extend(tensors::to_value(tensor).map(|value| (tensor.name.clone(), value)));
        }
        self.datum_types.extend(light::bfloat16(graph));
        let sources = Sources::of(graph, outer.map(|(_, sources)| sources));
        let ParseResult {
            model: mut parsed,
            outlets_by_name,
            ..
        } = self.parse(model, graph)?;
        for name in captures(graph) {
            if let (Some(outlet), Some((outer, _))) = (outlets_by_name.get(name), outer) {
                self.capture(name, outer);
                if let Some(fact) = outer.facts.get(name) {
                    // A source of the parsed graph has no fact yet that could contradict.
                    let _ = parsed.set_outlet_fact(*outlet, fact.clone());
                }
            }
        }
        for name in graph
            .input
            .iter()
            .map(|input| &input.name)
            .chain(graph.initializer.iter().map(|tensor| &tensor.name))
        {
            let outlet = outlets_by_name.get(name.as_str()).copied();
            self.add_source(
                name,
                outlet.and_then(|outlet| parsed.outlet_fact(outlet).ok()),
                outer.is_none(),
            );
        }
        for node in &graph.node {
            self.add_node(node, &mut parsed, &outlets_by_name, &sources)?;
            for subgraph in subgraphs(node) {
                // There may be constants in it that are too large.
                let mut facts = Self::new(self.opset, self.scope.clone());
                facts.add_graph(model, subgraph, Some((self, &sources)))?;
            }
        }
        Ok(())
    }

    /// Reads a graph with tract. Nodes that it does not take are hidden from it; what becomes of them is seen later.
    fn parse(&self, model: &ModelProto, graph: &GraphProto) -> Result<ParseResult, RewriteError> {
        let mut light = light_model(model, graph);
        loop {
            let template = InferenceModel {
                symbols: self.scope.clone(),
                ..InferenceModel::default()
            };
            let parsed = guarded(|| tract_onnx::onnx().parse_with_template(&light, None, template));
            let cause = match parsed {
                Ok(parsed) => return Ok(parsed),
                Err(cause) => cause,
            };
            if !hide_nodes(light.graph.get_or_insert_default(), &cause) {
                let message = "expected a graph that tract can read";
                return Err(RewriteError::new(RewriteErrorKind::Failed, message).because(cause));
            }
        }
    }

    fn capture(&mut self, name: &str, outer: &Self) {
        self.facts.extend(
            outer
                .facts
                .get(name)
                .map(|fact| (name.to_owned(), fact.clone())),
        );
        self.values.extend(
            outer
                .values
                .get(name)
                .map(|value| (name.to_owned(), value.clone())),
        );
        let datum_type = outer.datum_types.get(name);
        self.datum_types
            .extend(datum_type.map(|datum_type| (name.to_owned(), *datum_type)));
        self.constants.extend(outer.constants.get(name).cloned());
    }

    fn add_source(&mut self, name: &str, fact: Option<&InferenceFact>, is_input: bool) {
        let Some(fact) = fact else { return };
        // The value, if there is one, is in `values` when it is of use; rules must not compute with others.
        self.facts.insert(name.into(), fact.clone().without_value());
        self.add_homes(name, is_input);
    }

    fn add_homes(&mut self, name: &str, is_input: bool) {
        for (axis, dim) in self.shape(name).unwrap_or_default().into_iter().enumerate() {
            if let Some(TDim::Sym(symbol)) = dim {
                let home = Home {
                    value: name.into(),
                    axis,
                    is_input,
                };
                self.homes.entry(symbol.to_string()).or_insert(home);
            }
        }
    }

    fn add_node(
        &mut self,
        node: &NodeProto,
        parsed: &mut InferenceModel,
        outlets: &HashMap<String, OutletId>,
        sources: &Sources<'_>,
    ) -> Result<(), RewriteError> {
        let named = node.output.iter().find(|name| !name.is_empty());
        let Some(outlet) = named.and_then(|name| outlets.get(name)) else {
            return Ok(());
        };
        limits::check_inputs(self, node)?;
        let inferred = self.infer(parsed, outlet.node);
        let inputs = self.inputs(node);
        let values = guarded(|| Ok(evaluate(node, self.opset, &inputs))).unwrap_or_default();
        let own = types_of(
            node,
            Known {
                facts: self,
                sources,
                opset: self.opset,
            },
        );

        let constant = self.makes_constant(node);
        let mut slot = 0;
        for (index, name) in node
            .output
            .iter()
            .enumerate()
            .filter(|(_, name)| !name.is_empty())
        {
            let mut fact = inferred.get(slot).cloned().unwrap_or_default();
            if let Some((datum_type, dims)) = own.get(index).cloned().flatten() {
                fact.shape = dims.into_iter().collect::<ShapeFactoid>();
                self.datum_types.insert(name.clone(), datum_type);
                if let Some(datum_type) = to_tract(datum_type)
                    && fact.datum_type.concretize().is_none()
                {
                    fact.datum_type = datum_type.into();
                }
            }
            slot += 1;
            self.add_output(name, fact, values.get(index).cloned().flatten());
            if constant
                || self
                    .value(name)
                    .is_some_and(|value| value.numbers().is_some())
            {
                self.constants.insert(name.clone());
                limits::check_constant(self, node, name)?;
            }
            if let Some(fact) = self.facts.get(name) {
                let outlet = OutletId::new(outlet.node, slot - 1);
                parsed
                    .set_outlet_fact(outlet, fact.clone())
                    .map_err(|error| RewriteError::invalid(error.to_string()))?;
            }
        }
        Ok(())
    }

    /// Applies tract's rules for a node. The values of its inputs are given to them only if we know them to
    /// be small, so that no rule computes anything large.
    fn infer(&self, parsed: &mut InferenceModel, id: usize) -> TVec<InferenceFact> {
        let rules = || {
            let node = parsed.node(id);
            let inputs: TVec<InferenceFact> = node
                .inputs
                .iter()
                .map(|outlet| parsed.outlet_fact(*outlet).cloned())
                .collect::<Result<_, _>>()?;
            let outputs: TVec<InferenceFact> = node
                .outputs
                .iter()
                .map(|_| InferenceFact::default())
                .collect();
            let op = &mut parsed.node_mut(id).op;
            let (_, outputs, _) = op.infer_facts(
                inputs.iter().collect(),
                outputs.iter().collect(),
                TVec::new(),
            )?;
            Ok(outputs)
        };
        guarded(rules).unwrap_or_default()
    }

    fn inputs(&self, node: &NodeProto) -> Inputs {
        let known = |name: &String| {
            let shape = self.shape(name);
            let value = self.values.get(name).cloned().or_else(|| {
                let dims: Option<Vec<usize>> = shape
                    .as_ref()?
                    .iter()
                    .map(|dim| usize::try_from(dim.as_ref()?.as_i64()?).ok())
                    .collect();
                Value::unknown(
                    tensors::data_type_of(self.datum_type(name)?)?,
                    dims.filter(|dims| dims.len() <= 1)?,
                )
            });
            (value, shape)
        };
        let (values, shapes) = node.input.iter().map(known).unzip();
        Inputs { values, shapes }
    }

    fn add_output(&mut self, name: &str, mut fact: InferenceFact, value: Option<Value>) {
        let computed = fact.value.concretize();
        let value = value.or_else(|| computed.as_deref().and_then(imported));
        fact = fact.without_value();
        if let Some(value) = value {
            if fact.shape.is_open() || fact.shape.concretize().is_none() {
                fact.shape = value.dims().iter().copied().collect::<ShapeFactoid>();
            }
            if let Some(tensor) = exported(&value, fact.datum_type.concretize()) {
                fact.datum_type = tensor.datum_type().into();
                fact.value = std::sync::Arc::new(tensor).into();
            }
            self.values.insert(name.into(), value);
        }
        self.facts.insert(name.into(), fact);
        self.add_homes(name, false);
    }

    fn makes_constant(&self, node: &NodeProto) -> bool {
        if is_random(node) || subgraphs(node).next().is_some() {
            return false;
        }
        let inputs = node.input.iter().filter(|name| !name.is_empty());
        inputs.clone().count() > 0 && inputs.clone().all(|name| self.constants.contains(name))
            || (node.op_type == "Constant" && is_own_domain(&node.domain))
    }
}

/// Reports whether two calls with the same inputs may give different outputs.
pub(crate) fn is_random(node: &NodeProto) -> bool {
    node.op_type.starts_with("Random")
        || matches!(
            node.op_type.as_str(),
            "Multinomial" | "Bernoulli" | "Dropout"
        )
}
