//! Why a call has no outputs, and why a scheduler does not start.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use tensorlet_tensor::InvalidInput;

use crate::call::ShedReason;
use crate::config::InvalidConfig;
use crate::predict::Fault;

/// Why a call has no outputs, where `E` is what [`Predict`](crate::Predict) says.
#[derive(Debug)]
pub struct CallError<E> {
    kind: CallErrorKind,
    fault: Fault,
    cause: Cause<E>,
}

/// The kinds of [`CallError`].
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum CallErrorKind {
    /// An input differs from the signature. Fault: caller. Do not retry.
    InvalidInput,
    /// The queue held `max_queue_size` calls, or more come than can be answered and enough wait. Fault: load. Retry
    /// elsewhere or later.
    Shed,
    /// The scheduler drains, or has. Fault: load. Retry elsewhere.
    Draining,
    /// The deadline passed while queued or running, or could not be met any more. Fault: load. Retry with a later
    /// deadline.
    DeadlineExceeded,
    /// [`Predict`](crate::Predict) gave an error, and its fault.
    Predict,
    /// [`Predict`](crate::Predict) panicked. Fault: host. Do not retry.
    Panicked,
    /// Calls could not be joined, or outputs not split. Fault: model. Do not retry.
    NotBatchable,
}

/// Shared by the calls of a batch.
#[derive(Debug)]
enum Cause<E> {
    None,
    Panic(Arc<str>),
    Predict(Arc<E>),
    Other(Arc<dyn Error + Send + Sync>),
}

impl<E> CallError<E> {
    pub(crate) fn invalid_input(error: InvalidInput) -> Self {
        Self::new(
            CallErrorKind::InvalidInput,
            Fault::Caller,
            Cause::Other(Arc::new(error)),
        )
    }

    pub(crate) fn shed(reason: ShedReason) -> Self {
        let kind = match reason {
            ShedReason::Full | ShedReason::Overloaded => CallErrorKind::Shed,
            ShedReason::Draining => CallErrorKind::Draining,
            ShedReason::DeadlineExceeded => CallErrorKind::DeadlineExceeded,
        };
        Self::new(kind, Fault::Load, Cause::None)
    }

    pub(crate) fn draining() -> Self {
        Self::shed(ShedReason::Draining)
    }

    pub(crate) fn deadline_exceeded() -> Self {
        Self::shed(ShedReason::DeadlineExceeded)
    }

    pub(crate) fn predict(error: E, fault: Fault) -> Self {
        let cause = Cause::Predict(Arc::new(error));
        Self::new(CallErrorKind::Predict, fault, cause)
    }

    pub(crate) fn panicked(message: &str) -> Self {
        let cause = Cause::Panic(message.into());
        Self::new(CallErrorKind::Panicked, Fault::Host, cause)
    }

    pub(crate) fn not_batchable(error: impl Error + Send + Sync + 'static) -> Self {
        let cause = Cause::Other(Arc::new(error));
        Self::new(CallErrorKind::NotBatchable, Fault::Model, cause)
    }

    fn new(kind: CallErrorKind, fault: Fault, cause: Cause<E>) -> Self {
        Self { kind, fault, cause }
    }

    /// Returns what kind of error it is.
    pub fn kind(&self) -> CallErrorKind {
        self.kind
    }

    /// Returns whose fault it is.
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// Reports whether the same call may succeed later or elsewhere.
    pub fn is_retryable(&self) -> bool {
        self.fault == Fault::Load
    }

    /// Returns what [`Predict`](crate::Predict) said, if it did.
    pub fn predict_error(&self) -> Option<&E> {
        match &self.cause {
            Cause::Predict(error) => Some(error),
            _ => None,
        }
    }
}

impl<E> Clone for CallError<E> {
    fn clone(&self) -> Self {
        let cause = match &self.cause {
            Cause::None => Cause::None,
            Cause::Panic(message) => Cause::Panic(Arc::clone(message)),
            Cause::Predict(error) => Cause::Predict(Arc::clone(error)),
            Cause::Other(error) => Cause::Other(Arc::clone(error)),
        };
        Self { cause, ..*self }
    }
}

impl<E> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            CallErrorKind::InvalidInput => "the inputs do not fit the model",
            CallErrorKind::Shed => "the model has more calls than it can answer",
            CallErrorKind::Draining => "the model takes no more calls",
            CallErrorKind::DeadlineExceeded => "the deadline came before the outputs",
            CallErrorKind::Predict => "the model gave no outputs",
            CallErrorKind::Panicked => "the execution of the model panicked",
            CallErrorKind::NotBatchable => "the calls could not be executed together",
        })?;
        match &self.cause {
            Cause::Panic(message) => write!(f, ": {message}"),
            _ => Ok(()),
        }
    }
}

impl<E: Error + 'static> Error for CallError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.cause {
            Cause::None | Cause::Panic(_) => None,
            Cause::Predict(error) => Some(&**error),
            Cause::Other(error) => Some(&**error),
        }
    }
}

/// Why a scheduler does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration cannot be. Fault: caller.
    #[error("invalid configuration")]
    Config(#[from] InvalidConfig),
    /// A thread was not to be had. Fault: host.
    #[error("a thread could not be started")]
    Thread(#[from] io::Error),
}
