//! Answers for files.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use tensorlet_protocol::AnswerResponse;
use tensorlet_repository::CallOptions;

use super::json;
use super::target::Target;
use crate::rescue::HttpError;
use crate::state::Shared;

/// Answers what the file is or holds that is the body. It is decoded in a sandbox, on a thread for that.
pub(super) async fn answer(
    State(shared): State<Arc<Shared>>,
    target: Target,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    let body = shared.bodies.read(&shared.config, &headers, body).await?;
    let (repository, asked) = (shared.repository.clone(), target.clone());
    let answered = shared.answers.run(usize::MAX, move || {
        repository.answer_blocking(
            &asked.model,
            &asked.selector,
            &body.bytes,
            CallOptions::default(),
        )
    });
    let answered = answered
        .await
        .map_err(|error| HttpError::of_answer(error, &target))?;
    Ok(json(&AnswerResponse {
        model_name: &target.model,
        model_version: &answered.version.to_string(),
        answer: &answered.answer,
    }))
}
