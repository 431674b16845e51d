//! What a model takes and gives, by what is known about its values.

use tensorlet_tensor::{Dim, MAX_RANK, TensorSpec};
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::TDim;

use super::error::{RewriteError, RewriteErrorKind};
use super::facts::Facts;
use super::graph::initializers;

/// Returns the specs of the inputs.
///
/// # Errors
/// If one is no tensor of numbers or bools, or its dims are not all given.
pub(super) fn inputs(model: &ModelProto, facts: &Facts) -> Result<Vec<TensorSpec>, RewriteError> {
    let Some(graph) = &model.graph else {
        return Ok(vec![]);
    };
    let known = initializers(graph);
    let names = graph.input.iter().map(|input| input.name.as_str());
    names
        .filter(|name| !known.contains_key(name))
        .map(|name| {
            spec(name, facts).ok_or_else(|| {
                let found = facts.describe(name);
                RewriteError::new(
                    RewriteErrorKind::Unsupported,
                    format!(
                        "input `{name}`: expected numbers or bools of known dims, found {found}"
                    ),
                )
            })
        })
        .collect()
}

/// Returns the specs of the outputs, if all can be told.
pub(super) fn outputs(model: &ModelProto, facts: &Facts) -> Option<Vec<TensorSpec>> {
    let graph = model.graph.as_ref()?;
    let names = graph.output.iter().map(|output| output.name.as_str());
    names.map(|name| spec(name, facts)).collect()
}

fn spec(name: &str, facts: &Facts) -> Option<TensorSpec> {
    let datum_type = facts.element_type(name)?;
    let dims = facts.shape(name)?;
    let dim = |dim: Option<TDim>| {
        let dim = dim?;
        match dim.as_i64() {
            Some(size) => u32::try_from(size).ok().map(Dim::Fixed),
            None => Some(Dim::Symbol(dim.to_string())),
        }
    };
    let dims: Vec<Dim> = dims.into_iter().map(dim).collect::<Option<_>>()?;
    (dims.len() <= MAX_RANK).then(|| TensorSpec {
        name: name.into(),
        datum_type,
        dims,
    })
}
