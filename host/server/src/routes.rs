//! What is at which path.
//!
//! | path | |
//! |---|---|
//! | `GET /v2` | the server and its extensions |
//! | `GET /v2/health/live`, `GET /v2/health/ready` | whether it runs, whether it takes calls |
//! | `GET /v2/models/MODEL`, `GET /v2/models/MODEL/ready` | what a model takes and gives, whether it takes calls |
//! | `POST /v2/models/MODEL/infer` | a call |
//! | `POST /v2/models/MODEL/answer` | a file, for models of which a `model.toml` says how it becomes inputs and outputs an answer |
//! | `POST /v2/repository/index` | all models |
//! | `POST /v2/repository/models/MODEL/load`, `…/unload`, `…/rollback` | the control of a model |
//! | `GET /metrics` | metrics, for Prometheus |
//!
//! After `/v2/models/MODEL` may come `/versions/VERSION` or `/labels/LABEL`. Labels, `answer` and `rollback` are no part of the protocol.

mod answer;
mod control;
mod health;
mod infer;
mod metadata;
mod target;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Serialize;
use tensorlet_protocol::to_json;

use crate::metrics;
use crate::rescue::{HttpError, HttpErrorKind};
use crate::state::Shared;

pub(crate) fn router(shared: &Arc<Shared>) -> Router {
    let mut router = Router::new()
        .route("/v2", get(metadata::server))
        .route("/v2/health/live", get(health::live))
        .route("/v2/health/ready", get(health::ready))
        .route("/v2/repository/index", post(control::index))
        .route("/v2/repository/models/{model}/load", post(control::load))
        .route(
            "/v2/repository/models/{model}/unload",
            post(control::unload),
        )
        .route(
            "/v2/repository/models/{model}/rollback",
            post(control::roll_back),
        )
        .route("/metrics", get(metrics));
    for target in ["", "/versions/{version}", "/labels/{label}"] {
        let model = format!("/v2/models/{{model}}{target}");
        router = router
            .route(&model, get(metadata::model))
            .route(&format!("{model}/ready"), get(health::model_ready))
            .route(&format!("{model}/infer"), post(infer::infer))
            .route(&format!("{model}/answer"), post(answer::answer));
    }
    router
        .fallback(async || HttpError::new(HttpErrorKind::NoSuchPath, "Not Found"))
        .method_not_allowed_fallback(async || {
            HttpError::new(HttpErrorKind::MethodNotAllowed, "Method Not Allowed")
        })
        .layer(from_fn_with_state(Arc::clone(shared), metrics::count))
        .with_state(Arc::clone(shared))
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let text = metrics::encode(&shared);
    (
        [(
            CONTENT_TYPE,
            HeaderValue::from_static(metrics::CONTENT_TYPE),
        )],
        text,
    )
        .into_response()
}

/// Answers with JSON.
fn json(value: &impl Serialize) -> Response {
    (
        [(CONTENT_TYPE, HeaderValue::from_static("application/json"))],
        to_json(value),
    )
        .into_response()
}
