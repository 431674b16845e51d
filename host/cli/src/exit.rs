//! The exit status, and which error has which.

use std::error::Error;
use std::io;

use tensorlet_answer::{AnswerError, InvalidFile, InvalidModelToml, NoAnswerer};
use tensorlet_compile::{CompileError, CompileErrorKind};
use tensorlet_runtime::{LoadError, LoadErrorKind, PredictError, PredictErrorKind};
use tensorlet_tensor::{InvalidInput, InvalidTensor};

/// The statuses, as `--help` tells them.
pub(crate) const HELP: &str = "\
Exit status:
  0  success
  1  unexpected failure, such as a file that cannot be read
  2  the command line is wrong
  3  the model cannot be compiled, or the component cannot be loaded
  4  the inputs do not fit the model
  5  the call failed: the model trapped, or reached a limit or the timeout";

/// How the process ends when it fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    Failure = 1,
    Usage = 2,
    Model = 3,
    Input = 4,
    Call = 5,
}

/// An error that this program finds itself.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    /// The host lacks something.
    pub(crate) fn host(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Failure,
            message: message.into(),
        }
    }

    /// The command line asks for what cannot be.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            message: message.into(),
        }
    }

    /// The model or component is not one, or not as it says.
    pub(crate) fn model(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Model,
            message: message.into(),
        }
    }

    /// The inputs do not fit.
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Input,
            message: message.into(),
        }
    }
}

/// Returns the exit status of an error: that of its outermost cause that has one.
pub(crate) fn of(error: &anyhow::Error) -> Exit {
    error.chain().find_map(of_cause).unwrap_or(Exit::Failure)
}

/// Reports whether nobody reads our output any more.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}

fn of_cause(cause: &(dyn Error + 'static)) -> Option<Exit> {
    if let Some(error) = cause.downcast_ref::<Failure>() {
        return Some(error.exit);
    }
    if let Some(error) = cause.downcast_ref::<CompileError>() {
        return Some(match error.kind() {
            CompileErrorKind::Io | CompileErrorKind::Predictor => Exit::Failure,
            CompileErrorKind::Input => Exit::Input,
            _ => Exit::Model,
        });
    }
    if let Some(error) = cause.downcast_ref::<LoadError>() {
        return Some(match error.kind() {
            LoadErrorKind::Io | LoadErrorKind::Engine => Exit::Failure,
            _ => Exit::Model,
        });
    }
    if let Some(error) = cause.downcast_ref::<PredictError>() {
        return Some(match error.kind() {
            PredictErrorKind::InvalidInput => Exit::Input,
            PredictErrorKind::Host => Exit::Failure,
            _ => Exit::Call,
        });
    }
    if let Some(error) = cause.downcast_ref::<AnswerError<PredictError>>() {
        return match error {
            AnswerError::File(_) => Some(Exit::Input),
            AnswerError::Output(_) => Some(Exit::Call),
            // Its cause says which.
            _ => None,
        };
    }
    if cause.is::<InvalidModelToml>() || cause.is::<NoAnswerer>() {
        return Some(Exit::Model);
    }
    let is_input =
        cause.is::<InvalidInput>() || cause.is::<InvalidTensor>() || cause.is::<InvalidFile>();
    is_input.then_some(Exit::Input)
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn a_cause_below_context_decides() {
        let error = anyhow::Error::from(Failure::model("expected a model, found none"));
        assert_eq!(of(&error.context("m.onnx")), Exit::Model);

        let error = InvalidInput::new("x", "f32[1]", "nothing");
        assert_eq!(of(&anyhow::Error::from(error)), Exit::Input);

        let error = Err::<(), _>(io::Error::other("disk full"))
            .context("out.wasm")
            .unwrap_err();
        assert_eq!(of(&error), Exit::Failure);
    }

    #[test]
    fn every_status_is_documented() {
        for exit in [
            Exit::Failure,
            Exit::Usage,
            Exit::Model,
            Exit::Input,
            Exit::Call,
        ] {
            assert!(
                HELP.contains(&format!("\n  {}  ", exit as u8)),
                "{exit:?} must be in the help"
            );
        }
    }

    #[test]
    fn a_broken_pipe_is_told_from_other_failures() {
        let error = |kind| anyhow::Error::from(io::Error::from(kind)).context("writing");
        assert!(is_broken_pipe(&error(io::ErrorKind::BrokenPipe)));
        assert!(!is_broken_pipe(&error(io::ErrorKind::StorageFull)));
    }
}
