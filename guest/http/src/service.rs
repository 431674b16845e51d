//! Answers requests.

use tensorlet_model::{Description, Input};
use tensorlet_protocol::metadata::{Live, ModelMetadata, ModelReady, Ready, ServerMetadata};
use tensorlet_protocol::{
    AnswerResponse, EncodedResponse, InferRequest, InferResponse, JSON_LEN_HEADER, to_json,
};

use crate::body::{self, MAX_BODY_BYTES};
use crate::error::HttpError;
use crate::model::Model;
use crate::path::{Action, Route, Target};
use crate::request::{Method, Request};
use crate::response::Response;

const SERVER: ServerMetadata<'_> = ServerMetadata {
    name: "tensorlet",
    version: env!("CARGO_PKG_VERSION"),
    extensions: &["binary_tensor_data", "parameters"],
};

/// Answers a request with a model, or says what is wrong with it.
pub fn handle(request: &mut impl Request, model: &impl Model) -> Response {
    respond(request, model).unwrap_or_else(HttpError::into_response)
}

fn respond(request: &mut impl Request, model: &impl Model) -> Result<Response, HttpError> {
    let path = request.path();
    let route = Route::find(&path).ok_or_else(HttpError::no_such_path)?;
    let is_allowed = match request.method() {
        Method::Get | Method::Head => !route.takes_body(),
        Method::Post => route.takes_body(),
        Method::Other => false,
    };
    if !is_allowed {
        return Err(HttpError::method_not_allowed(route.takes_body()));
    }
    let json = match route {
        Route::Server => to_json(&SERVER),
        Route::Live => to_json(&Live { live: true }),
        // The model is in the component, so who runs is ready.
        Route::Ready => to_json(&Ready { ready: true }),
        Route::Model(target, action) => {
            let description = describe(model, &target)?;
            match action {
                Action::Metadata => metadata(&description),
                Action::Ready => to_json(&ModelReady {
                    name: &description.name,
                    ready: true,
                }),
                Action::Infer => return infer(request, model, &description),
                Action::Answer => answer(request, model, &description)?,
            }
        }
    };
    Ok(Response::json(200, json))
}

fn describe(model: &impl Model, target: &Target<'_>) -> Result<Description, HttpError> {
    let description = model.describe();
    match target.is(&description.name, &description.version) {
        true => Ok(description),
        false => Err(HttpError::model_not_found(target)),
    }
}

fn metadata(description: &Description) -> Vec<u8> {
    to_json(&ModelMetadata::new(
        &description.name,
        std::slice::from_ref(&description.version),
        &description.inputs,
        &description.outputs,
    ))
}

fn infer(
    request: &mut impl Request,
    model: &impl Model,
    description: &Description,
) -> Result<Response, HttpError> {
    let json_len = request.header(JSON_LEN_HEADER);
    let json_len = json_len
        .as_deref()
        .map(InferRequest::json_len)
        .transpose()?;
    let body = body::read(request, MAX_BODY_BYTES)?;
    // There is no queue, so priority and timeout are read and have no effect.
    let InferRequest {
        inputs, options, ..
    } = InferRequest::parse(&body, json_len)?;
    let inputs = inputs.iter().map(|input| Input {
        name: input.name(),
        datum_type: input.datum_type(),
        dims: input.dims(),
        data: input.data(),
    });
    let outputs = model.predict(&Vec::from_iter(inputs))?;
    options.check_outputs(&outputs)?;
    let response = InferResponse {
        model_name: &description.name,
        model_version: &description.version,
        id: options.id.as_deref(),
        outputs: &options.select(&outputs),
    };
    let EncodedResponse { body, json_len } = response.encode();
    let Some(json_len) = json_len else {
        return Ok(Response::json(200, body));
    };
    Ok(Response {
        status: 200,
        headers: vec![
            ("content-type", "application/octet-stream".into()),
            (JSON_LEN_HEADER, json_len.to_string().into()),
        ],
        body,
    })
}

fn answer(
    request: &mut impl Request,
    model: &impl Model,
    description: &Description,
) -> Result<Vec<u8>, HttpError> {
    let file = body::read(request, MAX_BODY_BYTES)?;
    let answer = model.answer(&file)?;
    Ok(to_json(&AnswerResponse {
        model_name: &description.name,
        model_version: &description.version,
        answer: &answer,
    }))
}

#[cfg(test)]
mod tests;
