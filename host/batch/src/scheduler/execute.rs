//! One execution: join, predict, split.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tensorlet_tensor::NamedTensor;

use crate::answer::Answer;
use crate::batcher::batch::{Batch, BatchedCall, Outcome};
use crate::clock;
use crate::config::Padding;
use crate::error::CallError;
use crate::join::join;
use crate::predict::Predict;
use crate::split::split;

/// What a scheduler's calls carry.
#[derive(Debug)]
pub(crate) struct Job<E> {
    pub(crate) inputs: Arc<[NamedTensor]>,
    pub(crate) answer: Arc<Answer<E>>,
}

/// How an execution ended.
pub(crate) struct Executed<E> {
    pub(crate) outcome: Outcome,
    pub(crate) is_panic: bool,
    /// How long it took to join the calls and to split the outputs.
    pub(crate) copied: Duration,
    /// The outputs of each call, or the error of all.
    pub(crate) result: Result<Vec<Vec<NamedTensor>>, CallError<E>>,
}

/// Executes a batch, whatever the model does.
pub(crate) fn execute<P: Predict>(
    predict: &P,
    batch: &Batch<Job<P::Error>>,
    padding: Padding,
) -> Executed<P::Error> {
    // A panic is the failure of one execution. What it leaves behind is for `Predict` to know.
    let mut copied = Duration::ZERO;
    let attempt = catch_unwind(AssertUnwindSafe(|| {
        attempt(predict, batch, padding, &mut copied)
    }));
    let is_panic = attempt.is_err();
    let result = attempt.unwrap_or_else(|payload| {
        let error = CallError::panicked(message(&*payload));
        // A payload may panic once more as it is dropped.
        std::mem::forget(payload);
        Err((error, Outcome::Failed))
    });
    match result {
        Ok(outputs) => Executed {
            outcome: Outcome::Succeeded,
            is_panic,
            copied,
            result: Ok(outputs),
        },
        Err((error, outcome)) => Executed {
            outcome,
            is_panic,
            copied,
            result: Err(error),
        },
    }
}

type Attempt<E> = Result<Vec<Vec<NamedTensor>>, (CallError<E>, Outcome)>;

fn attempt<P: Predict>(
    predict: &P,
    batch: &Batch<Job<P::Error>>,
    padding: Padding,
    copied: &mut Duration,
) -> Attempt<P::Error> {
    let deadline = batch.deadline();
    let failed = |error: P::Error| {
        let outcome = match predict.is_worth_retrying_apart(&error) {
            true => Outcome::Failed,
            false => Outcome::FailedForAll,
        };
        let fault = predict.fault(&error);
        (CallError::predict(error, fault), outcome)
    };
    if batch.is_plain() {
        let inputs = &batch.calls()[0].carried().inputs;
        let outputs = predict.predict(inputs, deadline).map_err(failed)?;
        return Ok(vec![outputs]);
    }
    let calls = batch.calls().iter().map(|call| &*call.carried().inputs);
    let calls: Vec<&[NamedTensor]> = calls.collect();
    let start = clock::now();
    let inputs = join(&calls, predict.signature(), batch.padded_rows(), padding)
        .map_err(|error| (CallError::not_batchable(error), Outcome::Failed))?;
    *copied = start.elapsed();
    let outputs = predict.predict(&inputs, deadline).map_err(failed)?;
    let start = clock::now();
    // What is not needed any more is not held while more is made.
    drop(inputs);
    let rows: Vec<u32> = batch.calls().iter().map(BatchedCall::rows).collect();
    let outputs = split(&outputs, &rows, batch.padded_rows())
        .map_err(|error| (CallError::not_batchable(error), Outcome::Failed))?;
    *copied += start.elapsed();
    Ok(outputs)
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message")
}
