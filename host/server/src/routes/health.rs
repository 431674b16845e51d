//! Whether the server runs, and whether it and its models take calls.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tensorlet_protocol::ErrorBody;
use tensorlet_protocol::metadata::{Live, ModelReady, Ready};

use super::json;
use super::target::Target;
use crate::rescue::HttpError;
use crate::state::Shared;

pub(super) async fn live() -> Response {
    json(&Live { live: true })
}

pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let ready = shared.is_ready();
    (status(ready), json(&Ready { ready })).into_response()
}

/// One that is loaded when it is called is ready.
pub(super) async fn model_ready(
    State(shared): State<Arc<Shared>>,
    target: Target,
) -> Result<Response, HttpError> {
    let ready = shared
        .repository
        .is_model_ready(&target.model, &target.selector);
    let is_ready =
        ready.map_err(|error| HttpError::of_call(error, &target))? && !shared.is_stopping();
    let body = if is_ready {
        json(&ModelReady {
            name: &target.model,
            ready: true,
        })
    } else {
        json(&ErrorBody {
            error: "Model version not ready",
        })
    };
    Ok((status(is_ready), body).into_response())
}

fn status(is_ready: bool) -> StatusCode {
    if is_ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}
