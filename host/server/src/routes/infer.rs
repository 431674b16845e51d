//! Calls.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use tensorlet_protocol::{
    EncodedResponse, InferOptions, InferRequest, InferResponse, InvalidRequest, JSON_LEN_HEADER,
};
use tensorlet_repository::{CallOptions, Predicted};
use tensorlet_tensor::NamedTensor;

use super::target::Target;
use crate::clock::now;
use crate::codec_threads::COPIED_PER_PARSED;
use crate::rescue::HttpError;
use crate::state::Shared;

/// How many bytes of a body are JSON; tensors in binary follow.
const JSON_LEN: HeaderName = HeaderName::from_static(JSON_LEN_HEADER);

/// About as many bytes of JSON are as much work to write as one number.
const NUMBER_BYTES: usize = 12;

/// Answers a call. If the client goes away, this future is dropped, and the call cancelled with it.
pub(super) async fn infer(
    State(shared): State<Arc<Shared>>,
    target: Target,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpError> {
    let arrived = now();
    let json_len = json_len(&headers)?;
    let body = shared.bodies.read(&shared.config, &headers, body).await?;
    let bytes = body.bytes.clone();
    let work = reading_work(bytes.len(), json_len);
    let parsed = shared.codec.run(work, move || parse(&bytes, json_len));
    let (inputs, request) = parsed.await?;

    let options = CallOptions {
        // A time that the clock cannot tell does not come.
        deadline: request
            .timeout
            .and_then(|timeout| arrived.checked_add(timeout)),
        priority: request.priority,
    };
    let predicted = shared
        .repository
        .predict(&target.model, &target.selector, inputs, options)
        .await;
    let predicted = predicted.map_err(|error| HttpError::of_call(error, &target))?;
    // Not before: only now it is known which version answers, and asking for another would count as a call in the
    // division of traffic.
    request.check_outputs(&predicted.outputs)?;

    let work = writing_work(&request.select(&predicted.outputs));
    let encoded = shared
        .codec
        .run(work, move || encode(&target.model, &request, &predicted));
    Ok(respond(encoded.await))
}

fn json_len(headers: &HeaderMap) -> Result<Option<usize>, HttpError> {
    let Some(header) = headers.get(JSON_LEN) else {
        return Ok(None);
    };
    Ok(InferRequest::json_len(header.as_bytes()).map(Some)?)
}

fn parse(
    body: &[u8],
    json_len: Option<usize>,
) -> Result<(Vec<NamedTensor>, InferOptions), InvalidRequest> {
    let InferRequest {
        inputs, options, ..
    } = InferRequest::parse(body, json_len)?;
    let inputs = inputs.into_iter().map(|input| input.into_tensor());
    Ok((inputs.collect(), options))
}

/// Returns how many bytes of JSON are as much work as this body.
fn reading_work(body_len: usize, json_len: Option<usize>) -> usize {
    let json = json_len.map_or(body_len, |len| len.min(body_len));
    json + (body_len - json) / COPIED_PER_PARSED
}

fn writing_work(outputs: &[(&NamedTensor, bool)]) -> usize {
    let work = |&((_, tensor), is_binary): &(&NamedTensor, bool)| match is_binary {
        true => tensor.data().len() / COPIED_PER_PARSED,
        false => tensor.len() * NUMBER_BYTES,
    };
    outputs.iter().map(work).sum()
}

fn encode(model_name: &str, request: &InferOptions, predicted: &Predicted) -> EncodedResponse {
    let response = InferResponse {
        model_name,
        model_version: &predicted.version.to_string(),
        id: request.id.as_deref(),
        outputs: &request.select(&predicted.outputs),
    };
    response.encode()
}

/// Answers with a body of known length, which is never sent in chunks.
fn respond(encoded: EncodedResponse) -> Response {
    let content_type = match encoded.json_len {
        Some(_) => "application/octet-stream",
        None => "application/json",
    };
    let content_type = HeaderValue::from_static(content_type);
    let mut response = ([(CONTENT_TYPE, content_type)], encoded.body).into_response();
    if let Some(len) = encoded.json_len {
        response
            .headers_mut()
            .insert(JSON_LEN, HeaderValue::from(len));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_is_less_work_than_json() {
        assert_eq!(reading_work(1000, None), 1000);
        assert_eq!(reading_work(1000 + 32 * 10, Some(1000)), 1010);
        assert_eq!(reading_work(10, Some(1000)), 10, "a header that lies");
    }
}
