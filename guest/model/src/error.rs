//! Why a call has no outputs.

use tensorlet_tensor::InvalidInput;

use crate::bindings::tensorlet::model::predict as wit;

/// Why a call has no outputs.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PredictError {
    /// An input differs from the signature. Fault: caller.
    #[error(transparent)]
    InvalidInput(#[from] InvalidInput),
    /// The model cannot be computed for these inputs, for the reason given. Fault: model.
    #[error("{0}")]
    Failed(String),
}

impl From<wit::PredictError> for PredictError {
    fn from(error: wit::PredictError) -> Self {
        match error {
            wit::PredictError::InvalidInput(wit::InvalidInput {
                input,
                expected,
                found,
            }) => Self::InvalidInput(InvalidInput {
                input,
                expected,
                found,
            }),
            wit::PredictError::Failed(reason) => Self::Failed(reason),
        }
    }
}
