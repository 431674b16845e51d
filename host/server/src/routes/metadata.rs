//! What the server and its models say of themselves.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::json;
use tensorlet_tensor::{Dim, TensorSpec};

use super::json;
use super::target::Target;
use crate::codec::datatype;
use crate::rescue::HttpError;
use crate::state::Shared;

/// Those extensions of the protocol that are implemented; clients go by them.
const EXTENSIONS: [&str; 4] = [
    "binary_tensor_data",
    "model_repository",
    "parameters",
    "schedule_policy",
];

#[derive(Serialize)]
struct ModelMetadata<'a> {
    name: &'a str,
    versions: Vec<String>,
    platform: &'static str,
    inputs: Vec<TensorMetadata<'a>>,
    outputs: Vec<TensorMetadata<'a>>,
}

#[derive(Serialize)]
struct TensorMetadata<'a> {
    name: &'a str,
    datatype: &'static str,
    /// A size that a call chooses is -1.
    shape: Vec<i64>,
}

pub(super) async fn server() -> Response {
    json(&json!({
        "name": "tensorlet",
        "version": env!("CARGO_PKG_VERSION"),
        "extensions": EXTENSIONS,
    }))
}

pub(super) async fn model(
    State(shared): State<Arc<Shared>>,
    target: Target,
) -> Result<Response, HttpError> {
    let metadata = shared
        .repository
        .metadata(&target.model, &target.selector)
        .await;
    let metadata = metadata.map_err(|error| HttpError::of_call(error, &target))?;
    let signature = &metadata.description.signature;
    Ok(json(&ModelMetadata {
        name: &metadata.name,
        versions: metadata.versions.iter().map(u64::to_string).collect(),
        platform: "wasm_component",
        inputs: signature.inputs.iter().map(TensorMetadata::new).collect(),
        outputs: signature.outputs.iter().map(TensorMetadata::new).collect(),
    }))
}

impl<'a> TensorMetadata<'a> {
    fn new(spec: &'a TensorSpec) -> Self {
        let size = |dim: &Dim| match dim {
            Dim::Fixed(size) => i64::from(*size),
            Dim::Symbol(_) => -1,
        };
        Self {
            name: &spec.name,
            datatype: datatype::name(spec.datum_type),
            shape: spec.dims.iter().map(size).collect(),
        }
    }
}
