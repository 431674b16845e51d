//! Asks tract whether it takes a model, and with which inputs and outputs.

use tensorlet_tensor::{DatumType, Dim, MAX_RANK, TensorSpec};
use tract_onnx::pb::{ModelProto, NodeProto};
use tract_onnx::prelude::{
    Framework, InferenceModelExt, IntoRunnable, TractResult, TypedFact, TypedModel,
};

use super::error::{RewriteError, RewriteErrorKind};
use super::facts::Facts;
use super::graph::{node_name, opset};
use super::guard::guarded;
use super::optimise::optimise;
use super::tensors;

/// A model that tract types and optimises, and what it takes and gives.
pub(super) struct Accepted {
    pub(super) model: ModelProto,
    pub(super) inputs: Vec<TensorSpec>,
    pub(super) outputs: Vec<TensorSpec>,
}

/// Leaves out what the model says about its values, as far as tract needs that to take it.
///
/// # Errors
/// If tract does not take it in any form; the error names the node where that is known.
pub(super) fn accept(mut model: ModelProto) -> Result<Accepted, RewriteError> {
    let first = match load(&model) {
        Ok(typed) => return specs(model, &typed),
        Err(first) => first,
    };
    let graph = model.graph.get_or_insert_default();
    // What is said of values inside may be of other sizes than the inputs now have.
    let said =
        !graph.value_info.is_empty() || graph.output.iter().any(|output| output.r#type.is_some());
    graph.value_info.clear();
    graph
        .output
        .iter_mut()
        .for_each(|output| output.r#type = None);
    match said.then(|| load(&model)) {
        Some(Ok(typed)) => specs(model, &typed),
        Some(Err(cause)) => Err(failure(&model, cause)),
        None => Err(failure(&model, first)),
    }
}

/// Loads a model as the guest does, and returns it typed.
fn load(model: &ModelProto) -> Result<TypedModel, String> {
    guarded(|| {
        let typed = tract_onnx::onnx()
            .model_for_proto_model(model)?
            .into_typed()?;
        optimise(typed.clone())?.into_runnable()?;
        Ok(typed)
    })
}

fn specs(model: ModelProto, typed: &TypedModel) -> Result<Accepted, RewriteError> {
    let graph = model
        .graph
        .as_ref()
        .ok_or_else(|| RewriteError::invalid("expected a graph, found none"))?;
    let known = super::graph::initializers(graph);
    let inputs = graph.input.iter().map(|input| input.name.as_str());
    let inputs = inputs.filter(|name| !known.contains_key(name));
    let outputs = graph.output.iter().map(|output| output.name.as_str());

    let inputs = inputs
        .enumerate()
        .map(|(index, name)| spec("input", name, typed.input_fact(index)));
    let inputs = inputs.collect::<Result<_, _>>()?;
    let outputs = outputs
        .enumerate()
        .map(|(index, name)| spec("output", name, typed.output_fact(index)));
    let outputs = outputs.collect::<Result<_, _>>()?;
    Ok(Accepted {
        inputs,
        outputs,
        model,
    })
}

fn spec(kind: &str, name: &str, fact: TractResult<&TypedFact>) -> Result<TensorSpec, RewriteError> {
    let unsupported = |message: String| {
        RewriteError::new(
            RewriteErrorKind::Unsupported,
            format!("{kind} `{name}`: {message}"),
        )
    };
    let fact = fact.map_err(|error| {
        unsupported("expected one of tract's".into()).because(error.to_string())
    })?;
    let data_type = tensors::data_type_of(fact.datum_type.unquantized()).map(tensors::name);
    let datum_type: DatumType = data_type
        .and_then(|name| name.parse().ok())
        .ok_or_else(|| {
            unsupported(format!(
                "expected numbers or bools, found elements of {:?}",
                fact.datum_type
            ))
        })?;
    if fact.rank() > MAX_RANK {
        return Err(unsupported(format!(
            "expected at most {MAX_RANK} dims, found {}",
            fact.rank()
        )));
    }
    let dim = |dim: &tract_onnx::prelude::TDim| match dim.as_i64() {
        Some(size) => u32::try_from(size).map(Dim::Fixed).map_err(|_| {
            unsupported(format!(
                "expected dims from 0 to {}, found {size}",
                u32::MAX
            ))
        }),
        None => Ok(Dim::Symbol(dim.to_string())),
    };
    let dims = fact.shape.iter().map(dim).collect::<Result<_, _>>()?;
    Ok(TensorSpec {
        name: name.into(),
        datum_type,
        dims,
    })
}

/// Makes an error of what tract said, naming the node that it speaks of.
fn failure(model: &ModelProto, cause: String) -> RewriteError {
    let opset = opset(model);
    let nodes = model.graph.iter().flat_map(|graph| &graph.node);
    // tract names the parts of a node after it, and the innermost cause comes last.
    let mentioned = nodes.filter_map(|node| Some((position(&cause, node_name(node))?, node)));
    let failing = mentioned.max_by_key(|(position, node)| (*position, node_name(node).len()));
    let built = |node: &NodeProto| {
        let name = node_name(node);
        cause.contains(&format!("Building node {name} ({})", node.op_type))
    };
    let message = match failing {
        Some((_, node)) if built(node) => format!(
            "node `{}` ({}, opset {opset}): expected attributes that tract knows",
            node_name(node),
            node.op_type
        ),
        Some((_, node)) => {
            let inputs = describe_inputs(model, node);
            format!(
                "node `{}` ({}, opset {opset}): expected inputs that tract computes with, found {inputs}",
                node_name(node),
                node.op_type
            )
        }
        None => format!("expected a graph of opset {opset} that tract computes"),
    };
    RewriteError::new(RewriteErrorKind::Failed, message).because(cause)
}

/// Returns where a message speaks of a node: tract writes `#3 "name" Operator`.
fn position(cause: &str, name: &str) -> Option<usize> {
    if name.is_empty() {
        return None;
    }
    let at = cause
        .rfind(&format!("\"{name}\""))
        .or_else(|| cause.rfind(&format!("\"{name}.")));
    at.or_else(|| cause.rfind(&format!("Building node {name} ")))
}

fn describe_inputs(model: &ModelProto, node: &NodeProto) -> String {
    let Ok(facts) = Facts::of(model) else {
        return "others".into();
    };
    let inputs = node.input.iter().filter(|name| !name.is_empty());
    let inputs: Vec<String> = inputs.map(|name| facts.describe(name)).collect();
    if inputs.is_empty() {
        "none".into()
    } else {
        inputs.join(", ")
    }
}
