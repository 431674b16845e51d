//! What the server and its models say of themselves.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use tensorlet_protocol::metadata::{ModelMetadata, ServerMetadata};

use super::json;
use super::target::Target;
use crate::rescue::HttpError;
use crate::state::Shared;

const SERVER: ServerMetadata<'_> = ServerMetadata {
    name: "tensorlet",
    version: env!("CARGO_PKG_VERSION"),
    extensions: &[
        "binary_tensor_data",
        "model_repository",
        "parameters",
        "schedule_policy",
    ],
};

pub(super) async fn server() -> Response {
    json(&SERVER)
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
    let versions = Vec::from_iter(metadata.versions.iter().map(u64::to_string));
    Ok(json(&ModelMetadata::new(
        &metadata.name,
        &versions,
        &signature.inputs,
        &signature.outputs,
    )))
}
