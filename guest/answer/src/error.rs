//! Why a file has no answer.

use std::error::Error;

use crate::InvalidOutput;

/// Why a file has no answer, `E` being what the caller's predicting fails with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError<E> {
    /// The file is not what the model takes. Fault: caller.
    #[error(transparent)]
    File(#[from] InvalidFile),
    /// Predicting failed.
    #[error("the inputs made of the file gave no outputs")]
    Predict(#[source] E),
    /// The outputs are not what `model.toml` says. Fault: model.
    #[error(transparent)]
    Output(#[from] InvalidOutput),
}

/// A file that is not what the model takes.
#[derive(Debug, thiserror::Error)]
#[error("file: expected {expected}, found {found}")]
pub struct InvalidFile {
    expected: String,
    found: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl InvalidFile {
    pub(crate) fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            found: found.into(),
            source: None,
        }
    }

    pub(crate) fn because(self, source: impl Error + Send + Sync + 'static) -> Self {
        Self {
            source: Some(Box::new(source)),
            ..self
        }
    }
}
