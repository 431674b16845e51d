//! Why a component was not loaded, or a call brought no outputs.

use std::error::Error;
use std::fmt;

/// Why a component was not loaded.
#[derive(Debug)]
pub struct LoadError {
    kind: LoadErrorKind,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of [`LoadError`].
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LoadErrorKind {
    /// A file could not be read or written. Fault: host.
    Io,
    /// The bytes are not a WebAssembly component. Fault: caller.
    NotAComponent,
    /// The component is not a model of ours: it imports something, or lacks `tensorlet:model/predict`, or
    /// describes itself in a way that cannot be. Fault: caller.
    NotAModel,
    /// The component cannot be instantiated within its limits. Fault: model.
    Limit,
    /// The host cannot run components as configured. Fault: host.
    Engine,
}

impl LoadError {
    pub(crate) fn new(kind: LoadErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    pub(crate) fn because(
        kind: LoadErrorKind,
        message: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            message: message.into(),
            source: Some(source.into()),
        }
    }

    /// Returns what kind of error it is.
    pub fn kind(&self) -> LoadErrorKind {
        self.kind
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for LoadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Why a call to `predict` brought no outputs.
#[derive(Debug)]
pub struct PredictError {
    kind: PredictErrorKind,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of [`PredictError`].
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PredictErrorKind {
    /// An input differs from the signature. Fault: caller. Do not retry.
    InvalidInput,
    /// The model cannot be computed for these inputs. Fault: model. Do not retry.
    Failed,
    /// The model asked for more memory than its limit. Fault: model. Do not retry.
    MemoryLimit,
    /// The call took longer than its timeout. Fault: load. Retry with a later deadline.
    DeadlineExceeded,
    /// The guest trapped; its instance was discarded. Fault: model. Do not retry.
    Trapped,
    /// The outputs differ from the signature. Fault: model. Do not retry.
    InvalidOutput,
    /// As many instances are alive as the engine may have. Fault: load. Retry later.
    TooManyInstances,
    /// The host could not make an instance. Fault: host.
    Host,
}

impl PredictErrorKind {
    /// Reports whether the same call may succeed later.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::DeadlineExceeded | Self::TooManyInstances)
    }
}

impl PredictError {
    pub(crate) fn new(kind: PredictErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    pub(crate) fn because(
        kind: PredictErrorKind,
        message: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            message: message.into(),
            source: Some(source.into()),
        }
    }

    /// Returns what kind of error it is.
    pub fn kind(&self) -> PredictErrorKind {
        self.kind
    }
}

impl fmt::Display for PredictError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for PredictError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
