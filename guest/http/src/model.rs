//! The model that requests are answered with.

use tensorlet_answer::Answer;
use tensorlet_model::{Description, Input, PredictError};
use tensorlet_tensor::NamedTensor;

/// The model that requests are answered with: what the component imports, or that of a test.
pub trait Model {
    /// Describes the model.
    fn describe(&self) -> Description;

    /// Computes the outputs for the inputs.
    ///
    /// # Errors
    /// If the inputs do not fit the model, or it cannot be computed for them.
    fn predict(&self, inputs: &[Input<'_>]) -> Result<Vec<NamedTensor>, PredictError>;

    /// Answers what a file is or holds.
    ///
    /// # Errors
    /// If the file is not what the model takes, if it cannot be computed for it, or if the model takes no files.
    fn answer(&self, file: &[u8]) -> Result<Answer, AnswerError>;
}

/// Why a file has no answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AnswerError {
    /// The file is not what the model takes. Fault: caller.
    InvalidFile {
        /// What the model takes.
        expected: String,
        /// What the file is.
        found: String,
    },
    /// The model cannot be computed for this file, for the reason given. Fault: model.
    Failed(String),
    /// The model takes tensors and no files.
    Undeclared,
}
