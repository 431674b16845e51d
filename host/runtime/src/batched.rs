//! What [`tensorlet_batch`] needs of a model to execute its batches.

use std::time::Instant;

use tensorlet_batch::{Fault, Predict};
use tensorlet_tensor::{NamedTensor, Signature};

use crate::config::CallOptions;
use crate::error::{PredictError, PredictErrorKind};
use crate::model::Model;
use crate::watchdog::now;

impl Predict for Model {
    type Error = PredictError;

    fn signature(&self) -> &Signature {
        &self.description().signature
    }

    fn predict(
        &self,
        inputs: &[NamedTensor],
        deadline: Option<Instant>,
    ) -> Result<Vec<NamedTensor>, PredictError> {
        let timeout = deadline.map(|deadline| deadline.saturating_duration_since(now()));
        self.predict(inputs, &CallOptions { timeout })
    }

    fn fault(&self, error: &PredictError) -> Fault {
        error.kind().fault()
    }

    fn is_worth_retrying_apart(&self, error: &PredictError) -> bool {
        // A single call may keep a limit of time or memory that several broke together.
        matches!(error.kind().fault(), Fault::Caller | Fault::Model)
            || error.kind() == PredictErrorKind::DeadlineExceeded
    }
}

impl PredictErrorKind {
    /// Says whose fault it is.
    pub fn fault(self) -> Fault {
        match self {
            Self::InvalidInput => Fault::Caller,
            Self::Failed | Self::MemoryLimit | Self::Trapped | Self::InvalidOutput => Fault::Model,
            Self::DeadlineExceeded | Self::TooManyInstances => Fault::Load,
            Self::Host => Fault::Host,
        }
    }
}
