//! From errors to answers.
//!
//! The words and statuses are those of `host/server`, so that clients need not know who answers. There is one difference: why a model fails is
//! told to the caller, as there is no log to write it to.

use std::fmt;

use tensorlet_model::PredictError;
use tensorlet_protocol::{ErrorBody, InvalidRequest, InvalidRequestKind, to_json};

use crate::model::AnswerError;
use crate::path::Target;
use crate::response::Response;

/// Why a request is answered with an error.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpError {
    kind: HttpErrorKind,
    message: String,
}

/// The kinds of errors that are answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum HttpErrorKind {
    /// The body or a header breaks the protocol.
    Malformed,
    /// An input does not fit the model.
    InvalidInput,
    /// A file is not what the model takes.
    InvalidFile,
    /// Nothing is at this path.
    NoSuchPath,
    /// The model has another name or version.
    ModelNotFound,
    /// The model takes tensors and no files.
    NoAnswer,
    /// Something is at this path, for `GET` and `HEAD`.
    NotFetched,
    /// Something is at this path, for `POST`.
    NotSent,
    /// The body is longer than one may be.
    TooLarge,
    /// The body is compressed.
    ContentEncoding,
    /// The model cannot be computed.
    Failed,
    /// The protocol has it, and this component does not.
    Unsupported,
}

impl HttpErrorKind {
    #[cfg(test)]
    const ALL: &[Self] = &[
        Self::Malformed,
        Self::InvalidInput,
        Self::InvalidFile,
        Self::NoSuchPath,
        Self::ModelNotFound,
        Self::NoAnswer,
        Self::NotFetched,
        Self::NotSent,
        Self::TooLarge,
        Self::ContentEncoding,
        Self::Failed,
        Self::Unsupported,
    ];

    /// Returns the status that tells of it.
    pub fn status(self) -> u16 {
        match self {
            Self::Malformed | Self::InvalidInput | Self::InvalidFile => 400,
            Self::NoSuchPath | Self::ModelNotFound | Self::NoAnswer => 404,
            Self::NotFetched | Self::NotSent => 405,
            Self::TooLarge => 413,
            Self::ContentEncoding => 415,
            Self::Failed => 500,
            Self::Unsupported => 501,
        }
    }

    /// Returns the methods that there are, where it is the method that is wrong.
    pub fn allow(self) -> Option<&'static str> {
        match self {
            Self::NotFetched => Some("GET,HEAD"),
            Self::NotSent => Some("POST"),
            _ => None,
        }
    }
}

impl HttpError {
    pub(crate) fn new(kind: HttpErrorKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { kind, message }
    }

    pub(crate) fn no_such_path() -> Self {
        Self::new(HttpErrorKind::NoSuchPath, "Not Found")
    }

    pub(crate) fn method_not_allowed(takes_body: bool) -> Self {
        let kind = match takes_body {
            true => HttpErrorKind::NotSent,
            false => HttpErrorKind::NotFetched,
        };
        Self::new(kind, "Method Not Allowed")
    }

    /// Makes the error of a model that is not this one; as in Triton.
    pub(crate) fn model_not_found(target: &Target<'_>) -> Self {
        let message = format!("Request for unknown model: {target} is not found");
        Self::new(HttpErrorKind::ModelNotFound, message)
    }

    fn failed(reason: impl fmt::Display) -> Self {
        let message = format!("the model cannot be computed for these inputs: {reason}");
        Self::new(HttpErrorKind::Failed, message)
    }

    /// Returns what kind of error it is.
    pub fn kind(&self) -> HttpErrorKind {
        self.kind
    }

    /// Makes the answer.
    pub fn into_response(self) -> Response {
        let error = &self.message;
        let mut response = Response::json(self.kind.status(), to_json(&ErrorBody { error }));
        if let Some(allow) = self.kind.allow() {
            response.headers.push(("allow", allow.into()));
        }
        response
    }
}

impl From<InvalidRequest> for HttpError {
    fn from(error: InvalidRequest) -> Self {
        let kind = match error.kind() {
            InvalidRequestKind::Unsupported => HttpErrorKind::Unsupported,
            _ => HttpErrorKind::Malformed,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<PredictError> for HttpError {
    fn from(error: PredictError) -> Self {
        match error {
            PredictError::InvalidInput(error) => {
                Self::new(HttpErrorKind::InvalidInput, error.to_string())
            }
            other => Self::failed(other),
        }
    }
}

impl From<AnswerError> for HttpError {
    fn from(error: AnswerError) -> Self {
        match error {
            AnswerError::InvalidFile { expected, found } => {
                let message = format!("file: expected {expected}, found {found}");
                Self::new(HttpErrorKind::InvalidFile, message)
            }
            AnswerError::Failed(reason) => Self::failed(reason),
            AnswerError::Undeclared => {
                let message = "expected a model that was built with a model.toml which says how files become inputs and outputs become \
                               answers, found one without: it takes tensors, at `infer`";
                Self::new(HttpErrorKind::NoAnswer, message)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn every_kind_has_an_answer() {
        let lines = HttpErrorKind::ALL.iter().map(|&kind| {
            let response = HttpError::new(kind, "m").into_response();
            assert_eq!(response.body, br#"{"error":"m"}"#);
            format!("{kind:?} {} {:?}", response.status, response.headers)
        });
        expect![[r#"
            Malformed 400 [("content-type", "application/json")]
            InvalidInput 400 [("content-type", "application/json")]
            InvalidFile 400 [("content-type", "application/json")]
            NoSuchPath 404 [("content-type", "application/json")]
            ModelNotFound 404 [("content-type", "application/json")]
            NoAnswer 404 [("content-type", "application/json")]
            NotFetched 405 [("content-type", "application/json"), ("allow", "GET,HEAD")]
            NotSent 405 [("content-type", "application/json"), ("allow", "POST")]
            TooLarge 413 [("content-type", "application/json")]
            ContentEncoding 415 [("content-type", "application/json")]
            Failed 500 [("content-type", "application/json")]
            Unsupported 501 [("content-type", "application/json")]"#]]
        .assert_eq(&lines.collect::<Vec<_>>().join("\n"));
    }
}
