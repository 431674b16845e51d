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

/// Why no answerer can be made of a `model.toml` and its labels.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NoAnswerer {
    /// `model.toml` does not say how to make answers.
    #[error("model.toml: expected [preprocess] and [postprocess], found only one of them or none")]
    NoPipeline,
    /// The code for it was left out of this program.
    #[error("model.toml, field `preprocess.kind`: expected {}, as the code for others was left out, found `{found}`", built_in.join(" or "))]
    NotBuiltIn {
        /// The kinds whose code is there.
        built_in: &'static [&'static str],
        /// The kind in `model.toml`.
        found: &'static str,
    },
    /// The text of the labels was not given.
    #[error("labels: expected the text of `{path}`, found nothing")]
    Missing {
        /// The path in `model.toml`.
        path: String,
    },
    /// A label cannot be one.
    #[error("labels line {line}: expected {expected}, found {found}")]
    Line {
        /// The line, the first being 1.
        line: usize,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// `model.toml` speaks of a label that is not there.
    #[error("model.toml, field `{field}`: expected one of the labels, found `{label}`")]
    Unknown {
        /// The table of `model.toml`.
        field: &'static str,
        /// What is there.
        label: String,
    },
}

/// A file that is not what the model takes.
#[derive(Debug, thiserror::Error)]
#[error("file: expected {expected}, found {found}")]
pub struct InvalidFile {
    expected: String,
    found: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

// A model of bytes takes every file.
#[cfg(any(feature = "audio", feature = "picture"))]
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

impl InvalidFile {
    /// Returns what the model takes.
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// Returns what the file is.
    pub fn found(&self) -> &str {
        &self.found
    }
}
