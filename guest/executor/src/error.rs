//! What can go wrong.

use tensorlet_kernels::crew::Interrupted;
use tensorlet_tensor::InvalidInput;

/// A plan that cannot be loaded.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{reason}")]
pub struct LoadError {
    reason: String,
}

impl LoadError {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
        }
    }
}

/// Why a call produced no outputs.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PredictError {
    /// An input does not fit the signature.
    #[error(transparent)]
    InvalidInput(#[from] InvalidInput),
    /// Sizes or lengths differ from those of the plan.
    #[error("{0}")]
    Mismatch(String),
    /// The model cannot be computed for these inputs.
    #[error("{0}")]
    Failed(String),
    /// There is not enough memory for inputs of these sizes.
    #[error("expected {expected_bytes} bytes of memory for inputs of these sizes, found fewer")]
    OutOfMemory {
        /// How many are needed.
        expected_bytes: usize,
    },
    /// The call was interrupted.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl PredictError {
    /// An error of a step, which is named.
    pub(crate) fn in_step(name: &str, error: &dyn std::fmt::Display) -> Self {
        Self::Failed(format!("step `{name}`: {error}"))
    }
}
