//! From errors to answers: one table says which status, which label in metrics, and whether to try again.
//!
//! What is sent says what a caller can do about an error. Where it is the fault of a model or the host, that is the kind of
//! error alone; its causes are logged.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use tensorlet_protocol::{ErrorBody, InvalidRequest, InvalidRequestKind, to_json};
use tensorlet_repository::{AnswerError, ControlError, ServeError, ServeErrorKind};

/// The `Retry-After` of an error that does not say when.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a request is answered with an error.
#[derive(Debug)]
pub(crate) struct HttpError {
    kind: HttpErrorKind,
    message: String,
    retry_after: Option<Duration>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of errors that are answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum HttpErrorKind {
    /// A call has no outputs.
    Serve(ServeErrorKind),
    /// The body or a header breaks the protocol.
    Malformed,
    /// The protocol has it, and this server does not.
    Unsupported,
    /// The body is not a file that the model takes.
    InvalidFile,
    /// The model takes no files.
    NoAnswerer,
    /// The body is compressed.
    ContentEncoding,
    /// The body is longer than one may be.
    TooLarge,
    /// The body took longer than it may.
    BodyTimeout,
    /// The bodies of all requests together take as much memory as they may.
    Overloaded,
    /// Nothing is at this path.
    NoSuchPath,
    /// Something is at this path, for another method.
    MethodNotAllowed,
    /// Models are not controlled by requests here.
    NoControl,
    /// A model that is to be loaded or rolled back is not there.
    NothingToControl,
    /// A model is not in a state in which this can be done.
    Conflict,
    /// A model cannot be loaded.
    LoadFailed,
    /// There is a bug in the server.
    Internal,
}

/// How an error is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Rescue {
    pub(crate) status: StatusCode,
    /// Its name in metrics.
    pub(crate) label: &'static str,
    pub(crate) retry: Retry,
}

/// Whether the same request may succeed later.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Retry {
    No,
    /// Elsewhere.
    Elsewhere,
    /// After a time that the answer states.
    After,
    /// With a later deadline.
    Longer,
}

impl HttpErrorKind {
    #[cfg(test)]
    const ALL: &[Self] = &[
        Self::Malformed,
        Self::Unsupported,
        Self::InvalidFile,
        Self::NoAnswerer,
        Self::ContentEncoding,
        Self::TooLarge,
        Self::BodyTimeout,
        Self::Overloaded,
        Self::NoSuchPath,
        Self::MethodNotAllowed,
        Self::NoControl,
        Self::NothingToControl,
        Self::Conflict,
        Self::LoadFailed,
        Self::Internal,
    ];

    /// The table.
    pub(crate) fn rescue(self) -> Rescue {
        use ServeErrorKind as Serve;

        let (status, label, retry) = match self {
            Self::Serve(Serve::InvalidInput) => (400, "invalid_input", Retry::No),
            Self::Serve(Serve::ModelNotFound) => (404, "model_not_found", Retry::No),
            Self::Serve(Serve::VersionNotFound) => (404, "version_not_found", Retry::No),
            Self::Serve(Serve::Shed) => (429, "shed", Retry::After),
            Self::Serve(Serve::RateLimited) => (429, "rate_limited", Retry::After),
            Self::Serve(Serve::NotReady) => (503, "not_ready", Retry::After),
            Self::Serve(Serve::CircuitOpen) => (503, "circuit_open", Retry::After),
            Self::Serve(Serve::TooManyInstances) => (503, "too_many_instances", Retry::After),
            Self::Serve(Serve::Draining) => (503, "draining", Retry::Elsewhere),
            Self::Serve(Serve::DeadlineExceeded) => (504, "deadline_exceeded", Retry::Longer),
            Self::Serve(Serve::ExecutionTimeout) => (500, "execution_timeout", Retry::No),
            Self::Serve(Serve::Failed) => (500, "failed", Retry::No),
            Self::Serve(Serve::MemoryLimit) => (500, "memory_limit", Retry::No),
            Self::Serve(Serve::Trapped) => (500, "trapped", Retry::No),
            Self::Serve(Serve::InvalidOutput) => (500, "invalid_output", Retry::No),
            Self::Serve(_) => (500, "host", Retry::No),
            Self::Malformed => (400, "malformed", Retry::No),
            Self::InvalidFile => (400, "invalid_file", Retry::No),
            Self::NoAnswerer => (404, "no_answer", Retry::No),
            Self::NoControl => (403, "no_control", Retry::No),
            Self::NoSuchPath => (404, "no_such_path", Retry::No),
            Self::NothingToControl => (404, "nothing_to_control", Retry::No),
            Self::MethodNotAllowed => (405, "method_not_allowed", Retry::No),
            Self::BodyTimeout => (408, "body_timeout", Retry::No),
            Self::Conflict => (409, "conflict", Retry::No),
            Self::TooLarge => (413, "too_large", Retry::No),
            Self::ContentEncoding => (415, "content_encoding", Retry::No),
            Self::Overloaded => (429, "overloaded", Retry::After),
            Self::LoadFailed => (500, "load_failed", Retry::No),
            Self::Internal => (500, "internal", Retry::No),
            Self::Unsupported => (501, "unsupported", Retry::No),
        };
        Rescue {
            status: StatusCode::from_u16(status).expect("the table has three digits"),
            label,
            retry,
        }
    }
}

/// What is told of an error whose causes are not for callers.
fn external_message(kind: ServeErrorKind) -> Option<&'static str> {
    Some(match kind {
        ServeErrorKind::ExecutionTimeout => "the model took longer than it may",
        ServeErrorKind::Failed => "the model cannot be computed for these inputs",
        ServeErrorKind::MemoryLimit => "the model asked for more memory than it may have",
        ServeErrorKind::Trapped => "the model trapped",
        ServeErrorKind::InvalidOutput => "the model gave other outputs than it promised",
        ServeErrorKind::TooManyInstances => "as many instances are alive as may be",
        ServeErrorKind::Host => "the server could not execute the call",
        _ => return None,
    })
}

impl HttpError {
    pub(crate) fn new(kind: HttpErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            retry_after: None,
            source: None,
        }
    }

    fn because(self, source: impl Error + Send + Sync + 'static) -> Self {
        Self {
            source: Some(Box::new(source)),
            ..self
        }
    }

    /// Makes the error of a call; `target` names the model and version that were asked for, as Triton does.
    pub(crate) fn of_call(error: ServeError, target: &impl fmt::Display) -> Self {
        let kind = error.kind();
        let message = match (kind, external_message(kind)) {
            (_, Some(message)) => message.into(),
            (ServeErrorKind::ModelNotFound | ServeErrorKind::VersionNotFound, _) => {
                format!("Request for unknown model: {target} is not found")
            }
            // The last cause says which input.
            (ServeErrorKind::InvalidInput, _) => last_cause(&error).to_string(),
            _ => error.to_string(),
        };
        Self {
            retry_after: error.after(),
            ..Self::new(HttpErrorKind::Serve(kind), message).because(error)
        }
    }

    /// Makes the error of answering for a file.
    pub(crate) fn of_answer(error: AnswerError, target: &impl fmt::Display) -> Self {
        match error {
            AnswerError::Serve(error) => Self::of_call(error, target),
            AnswerError::InvalidFile { .. } => {
                Self::new(HttpErrorKind::InvalidFile, error.to_string())
            }
            AnswerError::NoAnswerer => Self::new(
                HttpErrorKind::NoAnswerer,
                "expected a model that was built with a model.toml which says how files become inputs and outputs become answers, found \
                 one without: it takes tensors, at `infer`",
            ),
            _ => Self::new(HttpErrorKind::Internal, error.to_string()),
        }
    }

    /// Makes the error of loading a model, which is as in Triton if there is none.
    pub(crate) fn of_load(error: ControlError) -> Self {
        match &error {
            ControlError::NotFound { model } => {
                let message =
                    format!("failed to load '{model}', failed to poll from model repository");
                Self::new(HttpErrorKind::NothingToControl, message).because(error)
            }
            _ => Self::of_control(error),
        }
    }

    /// Makes the error of the control of a model. Who may do that is told all causes.
    pub(crate) fn of_control(error: ControlError) -> Self {
        let kind = match &error {
            ControlError::NotFound { .. } => HttpErrorKind::NothingToControl,
            ControlError::NothingOlder { .. } | ControlError::Labels { .. } => {
                HttpErrorKind::Conflict
            }
            _ => HttpErrorKind::LoadFailed,
        };
        Self::new(kind, chain(&error)).because(error)
    }

    fn log(&self, status: StatusCode) {
        let error = self.source.as_deref().map(|source| source as &dyn Error);
        let message = self.message.as_str();
        let kind = self.kind.rescue().label;
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::warn!(kind, error, message);
        } else {
            tracing::debug!(kind, error, message);
        }
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

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let rescue = self.kind.rescue();
        self.log(rescue.status);
        let body = to_json(&ErrorBody {
            error: &self.message,
        });
        let json = HeaderValue::from_static("application/json");
        let mut response = (rescue.status, [(CONTENT_TYPE, json)], body).into_response();
        if rescue.retry == Retry::After {
            let after = self.retry_after.unwrap_or(DEFAULT_RETRY_AFTER);
            // Whole seconds, and never at once.
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}

/// Joins an error and its causes.
fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |&error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn last_cause<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    std::iter::successors(Some(error), |&error| error.source())
        .last()
        .expect("it begins with the error")
}

#[cfg(test)]
mod tests;
