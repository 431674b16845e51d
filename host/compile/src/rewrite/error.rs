//! What can be wrong with a model that is to be rewritten.

use std::fmt;

/// Why a model could not be brought into a form that tract computes.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct RewriteError {
    kind: RewriteErrorKind,
    message: String,
    #[source]
    cause: Option<Cause>,
}

/// The kinds of [`RewriteError`]. All are faults of the model, and trying again does not help.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RewriteErrorKind {
    /// The graph contradicts itself: it is not a model of ONNX.
    InvalidGraph,
    /// The model is of an opset that is not supported.
    UnsupportedOpset,
    /// An operator, or a form of data, that is not supported.
    Unsupported,
    /// A limit on the size of a model was passed.
    TooLarge,
    /// tract failed, at the node named where that is known.
    Failed,
}

impl RewriteError {
    pub(super) fn new(kind: RewriteErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            cause: None,
        }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(RewriteErrorKind::InvalidGraph, message)
    }

    pub(super) fn because(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(Cause(cause.into()));
        self
    }

    /// Returns what kind of error this is.
    pub fn kind(&self) -> RewriteErrorKind {
        self.kind
    }
}

/// What tract said.
#[derive(Debug)]
struct Cause(String);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Cause {}
