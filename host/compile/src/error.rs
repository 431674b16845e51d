//! Why a model was not compiled.

use std::error::Error;
use std::fmt;

/// Why a model was not compiled.
#[derive(Debug)]
pub struct CompileError {
    kind: CompileErrorKind,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of [`CompileError`].
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CompileErrorKind {
    /// A file could not be read. Fault: caller.
    Io,
    /// The file is not an ONNX model. Fault: caller.
    NotOnnx,
    /// External data is missing, short, or outside of the model's folder. Fault: model.
    ExternalData,
    /// An input that was to be fixed or bound is not there or does not fit. Fault: caller.
    Input,
    /// The model uses something that cannot be computed. Fault: model.
    Unsupported,
    /// The model does not fit in a component's memory. Fault: model.
    TooLarge,
    /// The component is not one that the compiler made. Fault: caller.
    NotAModel,
    /// The `model.toml` does not say how files become answers. Fault: model.
    Answerer,
    /// A part that components are made of misbehaved. Fault: host.
    Predictor,
}

impl CompileError {
    pub(crate) fn new(kind: CompileErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    pub(crate) fn because(
        kind: CompileErrorKind,
        message: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            message: message.into(),
            source: Some(source.into()),
        }
    }

    pub(crate) fn io(message: String, source: std::io::Error) -> Self {
        Self::because(CompileErrorKind::Io, message, source)
    }

    /// Returns what kind of error it is.
    pub fn kind(&self) -> CompileErrorKind {
        self.kind
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for CompileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
