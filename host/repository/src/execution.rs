//! What executes a model's batches: the model, its limit of time, and its circuit breaker.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tensorlet_batch::{Fault, Predict};
use tensorlet_runtime::{Model, PredictError, PredictErrorKind};
use tensorlet_tensor::{NamedTensor, Signature};

use crate::breaker::Breaker;
use crate::clock::now;

/// One loaded version, as the batcher's workers see it.
#[derive(Debug)]
pub(crate) struct Execution {
    model: Model,
    timeout: Duration,
    breaker: Mutex<Breaker>,
}

/// Tells the breaker how an execution ended, also if that is by a panic.
struct Watched<'a> {
    execution: &'a Execution,
    is_failure: Option<bool>,
}

impl Execution {
    pub(crate) fn new(model: Model, timeout: Duration, breaker: Breaker) -> Self {
        Self {
            model,
            timeout,
            breaker: Mutex::new(breaker),
        }
    }

    pub(crate) fn model(&self) -> &Model {
        &self.model
    }

    pub(crate) fn breaker(&self) -> MutexGuard<'_, Breaker> {
        // Each of its states is one assignment.
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Predict for Execution {
    type Error = PredictError;

    fn signature(&self) -> &Signature {
        Predict::signature(&self.model)
    }

    fn predict(
        &self,
        inputs: &[NamedTensor],
        deadline: Option<Instant>,
    ) -> Result<Vec<NamedTensor>, PredictError> {
        let mut watched = Watched {
            execution: self,
            is_failure: None,
        };
        let limit = now() + self.timeout;
        let is_own_limit = deadline.is_none_or(|deadline| limit < deadline);
        let until = deadline.map_or(limit, |deadline| deadline.min(limit));
        let result = Predict::predict(&self.model, inputs, Some(until));
        let is_failure = |error: &PredictError| match error.kind() {
            // Cheap to find out, and may be the caller's choice of sizes.
            PredictErrorKind::Failed => false,
            // A caller in a hurry says nothing about the model.
            PredictErrorKind::DeadlineExceeded => is_own_limit,
            kind => kind.fault() == Fault::Model,
        };
        watched.is_failure = Some(result.as_ref().err().is_some_and(is_failure));
        result
    }

    fn fault(&self, error: &PredictError) -> Fault {
        self.model.fault(error)
    }

    fn is_worth_retrying_apart(&self, error: &PredictError) -> bool {
        self.model.is_worth_retrying_apart(error)
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        // Without a verdict the execution panicked.
        let is_failure = self.is_failure.unwrap_or(true);
        self.execution.breaker().note(is_failure, now());
    }
}
