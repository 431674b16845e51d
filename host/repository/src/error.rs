//! Why a call has no outputs, and why a model cannot be loaded, unloaded or rolled back.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tensorlet_batch::{CallError, CallErrorKind, Fault, StartError};
use tensorlet_runtime::{LoadError, PredictError, PredictErrorKind};

/// Why a call has no outputs.
#[derive(Clone, Debug)]
pub struct ServeError {
    kind: ServeErrorKind,
    message: String,
    retry_after: Option<Duration>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// The kinds of [`ServeError`].
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ServeErrorKind {
    /// There is no model of that name. Fault: caller. Do not retry.
    ModelNotFound,
    /// The model has no such version or label, or it is not served. Fault: caller. Do not retry.
    VersionNotFound,
    /// The model is there, but was unloaded or could not be loaded. Fault: host. Retry later.
    NotReady,
    /// An input differs from the signature. Fault: caller. Do not retry.
    InvalidInput,
    /// The queue of the model is full, or stands. Fault: load. Retry elsewhere or later.
    Shed,
    /// The model takes no more calls a second. Fault: load. Retry later.
    RateLimited,
    /// The model failed at every call lately. Fault: model. Retry later.
    CircuitOpen,
    /// The process is about to end. Fault: load. Retry elsewhere.
    Draining,
    /// The deadline passed while queued or running, or could not be met any more. Fault: load. Retry with a later deadline.
    DeadlineExceeded,
    /// The execution took longer than the model may. Fault: model. Do not retry.
    ExecutionTimeout,
    /// The model cannot be computed for these inputs. Fault: model. Do not retry.
    Failed,
    /// The model asked for more memory than its limit. Fault: model. Do not retry.
    MemoryLimit,
    /// The guest trapped; its instance was discarded. Fault: model. Do not retry.
    Trapped,
    /// The outputs differ from what the model promised. Fault: model. Do not retry.
    InvalidOutput,
    /// As many instances are alive as may be. Fault: load. Retry later.
    TooManyInstances,
    /// The host could not execute the call. Fault: host.
    Host,
}

impl ServeErrorKind {
    /// All kinds.
    pub const ALL: &[Self] = &[
        Self::ModelNotFound,
        Self::VersionNotFound,
        Self::NotReady,
        Self::InvalidInput,
        Self::Shed,
        Self::RateLimited,
        Self::CircuitOpen,
        Self::Draining,
        Self::DeadlineExceeded,
        Self::ExecutionTimeout,
        Self::Failed,
        Self::MemoryLimit,
        Self::Trapped,
        Self::InvalidOutput,
        Self::TooManyInstances,
        Self::Host,
    ];

    /// Says whose fault it is.
    pub fn fault(self) -> Fault {
        match self {
            Self::ModelNotFound | Self::VersionNotFound | Self::InvalidInput => Fault::Caller,
            Self::Shed
            | Self::RateLimited
            | Self::Draining
            | Self::DeadlineExceeded
            | Self::TooManyInstances => Fault::Load,
            Self::CircuitOpen
            | Self::ExecutionTimeout
            | Self::Failed
            | Self::MemoryLimit
            | Self::Trapped
            | Self::InvalidOutput => Fault::Model,
            Self::NotReady | Self::Host => Fault::Host,
        }
    }

    /// Reports whether the same call may succeed later or elsewhere.
    pub fn is_retryable(self) -> bool {
        self.fault() == Fault::Load || matches!(self, Self::NotReady | Self::CircuitOpen)
    }
}

impl ServeError {
    pub(crate) fn new(kind: ServeErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            retry_after: None,
            source: None,
        }
    }

    pub(crate) fn retry_after(self, retry_after: Duration) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..self
        }
    }

    pub(crate) fn because(self, source: Arc<dyn Error + Send + Sync>) -> Self {
        Self {
            source: Some(source),
            ..self
        }
    }

    /// Returns what kind of error it is.
    pub fn kind(&self) -> ServeErrorKind {
        self.kind
    }

    /// Returns after how long another try makes sense, if that is known.
    pub fn after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl From<CallError<PredictError>> for ServeError {
    fn from(error: CallError<PredictError>) -> Self {
        let kind = match error.kind() {
            CallErrorKind::InvalidInput => ServeErrorKind::InvalidInput,
            CallErrorKind::Shed => ServeErrorKind::Shed,
            CallErrorKind::Draining => ServeErrorKind::Draining,
            CallErrorKind::DeadlineExceeded => ServeErrorKind::DeadlineExceeded,
            CallErrorKind::NotBatchable => ServeErrorKind::InvalidOutput,
            CallErrorKind::Predict => error
                .predict_error()
                .map_or(ServeErrorKind::Host, predict_kind),
            _ => ServeErrorKind::Host,
        };
        let message = error.to_string();
        Self::new(kind, message).because(Arc::new(error))
    }
}

/// Why a file has no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// The model takes tensors and no files: nobody declared how it is to be used. Fault: caller. Do not retry.
    #[error("expected a model that takes files, found one that takes tensors")]
    NoAnswerer,
    /// The file is not what the model takes. Fault: caller. Do not retry.
    #[error("file: expected {expected}, found {found}")]
    InvalidFile {
        /// What the model takes.
        expected: String,
        /// What the file is.
        found: String,
    },
    /// A call has no outputs, or what answers for files failed as a model can.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

impl From<tensorlet_runtime::AnswerError> for AnswerError {
    fn from(error: tensorlet_runtime::AnswerError) -> Self {
        use tensorlet_runtime::AnswerError as Runtime;

        let kind = match error {
            Runtime::InvalidFile { expected, found } => {
                return Self::InvalidFile { expected, found };
            }
            Runtime::Call(ref error) => predict_kind(error),
            Runtime::Failed(_) => ServeErrorKind::Failed,
            _ => ServeErrorKind::Host,
        };
        Self::Serve(ServeError::new(kind, error.to_string()).because(Arc::new(error)))
    }
}

fn predict_kind(error: &PredictError) -> ServeErrorKind {
    match error.kind() {
        PredictErrorKind::InvalidInput => ServeErrorKind::InvalidInput,
        PredictErrorKind::Failed => ServeErrorKind::Failed,
        PredictErrorKind::MemoryLimit => ServeErrorKind::MemoryLimit,
        // Where it is the call's own deadline, the batcher says so.
        PredictErrorKind::DeadlineExceeded => ServeErrorKind::ExecutionTimeout,
        PredictErrorKind::Trapped => ServeErrorKind::Trapped,
        PredictErrorKind::InvalidOutput => ServeErrorKind::InvalidOutput,
        PredictErrorKind::TooManyInstances => ServeErrorKind::TooManyInstances,
        _ => ServeErrorKind::Host,
    }
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for ServeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Why a version is not served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VersionError {
    /// Its component cannot be loaded.
    #[error("the component cannot be loaded")]
    Load(#[from] LoadError),
    /// Its made-up calls fail, and it is configured not to be served then.
    #[error("the warm-up failed")]
    WarmUp(#[source] PredictError),
    /// Its configuration cannot be, or there are no threads for it.
    #[error("its workers cannot be started")]
    Start(#[from] StartError),
    /// It does not fit into the memory budget beside what is in use.
    #[error(
        "expected {needed_bytes} bytes free of the memory budget of {budget_bytes}, found {used_bytes} in use"
    )]
    Memory {
        /// What it needs, or an estimate of it.
        needed_bytes: u64,
        /// All that there is.
        budget_bytes: u64,
        /// What other models have that are being called.
        used_bytes: u64,
    },
    /// A thread was not to be had.
    #[error("a thread could not be started")]
    Thread(#[source] std::io::Error),
    /// It panicked, which is a bug.
    #[error("loading it panicked")]
    Panicked,
}

/// Why models are not as they were asked to be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The source cannot be read.
    #[error("cannot read {what}")]
    Source {
        /// What cannot be read.
        what: String,
        /// Why.
        source: std::io::Error,
    },
    /// The source has no such model, or no version of it that the policy wants.
    #[error("expected a model `{model}` with a version to serve, found none")]
    NotFound {
        /// The name.
        model: String,
    },
    /// The model's `config.toml` cannot be read, or says something that cannot be. What was there before stays.
    #[error("`{model}`: config.toml: {reason}")]
    Config {
        /// The model.
        model: String,
        /// What was expected and what was found.
        reason: String,
    },
    /// A version cannot be served. What was served before stays.
    #[error("version {version} of `{model}` is not served")]
    Version {
        /// The model.
        model: String,
        /// Its version.
        version: u64,
        /// Why.
        source: Arc<VersionError>,
    },
    /// There is no other version to go back to.
    #[error("expected an older version of `{model}` than {version} to go back to, found none")]
    NothingOlder {
        /// The model.
        model: String,
        /// The version that answers calls.
        version: u64,
    },
    /// A label names a version that is not served, or traffic goes to no label.
    #[error("`{model}`: {reason}")]
    Labels {
        /// The model.
        model: String,
        /// What was expected and what was found.
        reason: String,
    },
}
