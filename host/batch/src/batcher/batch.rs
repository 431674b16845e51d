//! Calls that are executed together, and what became of them.

use std::time::Instant;

use crate::batcher::group::{GroupId, Waiting};
use crate::call::Ticket;

/// Calls to be executed together, oldest first.
///
/// It is given back with [`Batcher::complete`](crate::Batcher::complete), whatever happened.
#[derive(Debug)]
#[must_use = "a batch that is not completed counts as running forever"]
pub struct Batch<C> {
    pub(crate) id: BatchId,
    pub(crate) group: GroupId,
    pub(crate) calls: Vec<BatchedCall<C>>,
    pub(crate) rows: u32,
    pub(crate) padded_rows: u32,
    pub(crate) started_at: Instant,
}

/// Names a batch.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct BatchId(pub(crate) u64);

/// One call of a batch.
#[derive(Debug)]
pub struct BatchedCall<C> {
    pub(crate) ticket: Ticket,
    pub(crate) waiting: Waiting<C>,
}

impl<C> Batch<C> {
    /// Returns its name.
    pub fn id(&self) -> BatchId {
        self.id
    }

    /// Returns its calls, oldest first; at least one.
    pub fn calls(&self) -> &[BatchedCall<C>] {
        &self.calls
    }

    /// Returns how many rows its calls have.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Returns how many rows are to be executed, of which those after [`Batch::rows`] are padding.
    pub fn padded_rows(&self) -> u32 {
        self.padded_rows
    }

    /// Reports whether it is one call as it came, so that nothing needs to be joined or split.
    pub fn is_plain(&self) -> bool {
        self.calls.len() == 1 && self.padded_rows == self.rows
    }

    /// Returns when it left the queue.
    pub fn started_at(&self) -> Instant {
        self.started_at
    }

    /// Returns when none of its calls needs an answer any more.
    ///
    /// It is the latest deadline, as an impatient call must not end the execution of the others.
    pub fn deadline(&self) -> Option<Instant> {
        let deadlines = self.calls.iter().map(|call| call.waiting.deadline);
        deadlines.reduce(|a, b| Some(a?.max(b?))).flatten()
    }
}

impl<C> BatchedCall<C> {
    /// Returns what the call carried.
    pub fn carried(&self) -> &C {
        &self.waiting.carried
    }

    /// Returns the name of the call.
    pub fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// Returns how many rows it has.
    pub fn rows(&self) -> u32 {
        self.waiting.rows
    }

    /// Returns when it was pushed.
    pub fn queued_at(&self) -> Instant {
        self.waiting.queued_at
    }

    /// Reports whether it runs for the second time, after a batch failed in which it was.
    pub fn is_retry(&self) -> bool {
        self.waiting.is_retry
    }
}

/// How the execution of a batch ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// There are outputs.
    Succeeded,
    /// There are none, and it may be for one call's sake: calls that were joined or padded are retried as they came.
    Failed,
    /// There are none, and there would be none for each call apart either.
    FailedForAll,
}

/// A call that has its answer.
#[derive(Clone, Debug)]
pub struct Settled<C> {
    /// What the call carried.
    pub carried: C,
    /// What the answer is.
    pub verdict: Verdict,
}

/// What a call of a completed batch is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Its outputs.
    Succeeded,
    /// The error of the batch.
    Failed,
    /// Nothing in time.
    DeadlineExceeded,
    /// Nothing, as nobody waits.
    Cancelled,
}
