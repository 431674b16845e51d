//! Which models there are, and their control.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tensorlet_repository::{ControlError, IndexEntry, Repository, VersionState};
use tokio::task::spawn_blocking;

use super::json;
use super::target::Target;
use crate::rescue::{HttpError, HttpErrorKind};
use crate::state::Shared;

#[derive(Default, Deserialize)]
struct IndexRequest {
    /// Whether only versions are wanted that take calls.
    #[serde(default)]
    ready: bool,
}

#[derive(Serialize)]
struct IndexLine {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    state: &'static str,
    reason: String,
}

#[derive(Default, Deserialize)]
struct ControlRequest {
    #[serde(default)]
    parameters: Map<String, Value>,
}

pub(super) async fn index(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    let request: IndexRequest = read(&shared, &headers, body).await?;
    let lines = shared.repository.index().into_iter().map(IndexLine::new);
    let lines = lines.filter(|line| !request.ready || line.state == "READY");
    Ok(json(&lines.collect::<Vec<_>>()))
}

impl IndexLine {
    fn new(entry: IndexEntry) -> Self {
        let state = match (entry.state, entry.version) {
            // It is loaded when it is called.
            (VersionState::Ready, _) | (VersionState::Unloaded, Some(_)) => "READY",
            (VersionState::Loading, _) => "LOADING",
            _ => "UNAVAILABLE",
        };
        Self {
            name: entry.model,
            version: entry.version.map(|version| version.to_string()),
            state,
            reason: entry.reason.unwrap_or_default(),
        }
    }
}

pub(super) async fn load(
    State(shared): State<Arc<Shared>>,
    target: Target,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    check_allowed(&shared)?;
    let request: ControlRequest = read(&shared, &headers, body).await?;
    let brings_files = |name: &String| name == "config" || name.starts_with("file:");
    if let Some(name) = request.parameters.keys().find(|name| brings_files(name)) {
        let message =
            format!("parameter `{name}`: models are loaded as they are in the repository");
        return Err(HttpError::new(HttpErrorKind::Unsupported, message));
    }
    let load =
        |repository: &Repository, model: &str| repository.load(model).map_err(HttpError::of_load);
    control(&shared, &target.model, load).await?;
    Ok(().into_response())
}

/// A model that there is not is unloaded.
pub(super) async fn unload(
    State(shared): State<Arc<Shared>>,
    target: Target,
) -> Result<Response, HttpError> {
    check_allowed(&shared)?;
    let unload = |repository: &Repository, model: &str| match repository.unload(model) {
        Err(ControlError::NotFound { .. }) => Ok(()),
        other => other.map_err(HttpError::of_control),
    };
    control(&shared, &target.model, unload).await?;
    Ok(().into_response())
}

pub(super) async fn roll_back(
    State(shared): State<Arc<Shared>>,
    target: Target,
) -> Result<Response, HttpError> {
    check_allowed(&shared)?;
    let roll_back = |repository: &Repository, model: &str| {
        repository.roll_back(model).map_err(HttpError::of_control)
    };
    let version = control(&shared, &target.model, roll_back).await?;
    Ok(json(
        &json!({ "name": target.model, "version": version.to_string() }),
    ))
}

fn check_allowed(shared: &Shared) -> Result<(), HttpError> {
    if shared.config.has_control {
        return Ok(());
    }
    let message = "models are not loaded and unloaded by requests on this server";
    Err(HttpError::new(HttpErrorKind::NoControl, message))
}

/// Does what takes long, on a thread. It goes on to its end if the client does not wait.
async fn control<T: Send + 'static>(
    shared: &Shared,
    model: &str,
    change: impl FnOnce(&Repository, &str) -> Result<T, HttpError> + Send + 'static,
) -> Result<T, HttpError> {
    let repository = shared.repository.clone();
    let name = model.to_owned();
    let done = spawn_blocking(move || change(&repository, &name)).await;
    done.map_err(|_| HttpError::new(HttpErrorKind::Internal, "the change panicked"))?
}

/// Reads a body of JSON; an empty one is `{}`.
async fn read<T: Default + for<'a> Deserialize<'a>>(
    shared: &Shared,
    headers: &HeaderMap,
    body: Body,
) -> Result<T, HttpError> {
    let body = shared.bodies.read(&shared.config, headers, body).await?;
    if body.bytes.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&body.bytes)
        .map_err(|error| HttpError::new(HttpErrorKind::Malformed, format!("request: {error}")))
}
