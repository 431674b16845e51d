//! What a scheduler has done, in numbers that a metrics exporter can read.

use std::time::{Duration, Instant};

use crate::batcher::batch::{Batch, Outcome, Verdict};
use crate::call::ShedReason;

/// Upper bounds of [`Histogram`]s of nanoseconds, from 10 µs to 10 s.
const NANOS: &[u64] = &[
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
    2_000_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// Upper bounds of [`Histogram`]s of rows.
const ROWS: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

/// What a scheduler has done since it started, and what it does now.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// What it has done.
    pub counters: Counters,
    /// How many calls wait.
    pub queued_calls: usize,
    /// How many rows they have.
    pub queued_rows: u64,
    /// How many batches are executed.
    pub running_batches: usize,
    /// How many workers do nothing.
    pub free_workers: usize,
    /// Whether more calls come than can be answered, so that the queue is kept short.
    pub is_overloaded: bool,
    /// Of how many sizes, but for rows, it is known how far joining pays, or will be.
    pub known_sizes: usize,
}

/// Counts since a scheduler started.
///
/// A call that was let in is counted once more when it ends: as succeeded, as failed, or in [`Gone`](Self::gone).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Counters {
    /// Calls that were let in.
    pub accepted_calls: u64,
    /// Calls that were not.
    pub refused: Refused,
    /// Calls with outputs.
    pub succeeded_calls: u64,
    /// Calls with an error of their execution.
    pub failed_calls: u64,
    /// Calls that nobody waited for, or not long enough.
    pub gone: GoneCalls,
    /// Calls that were executed once more, because the batch failed in which they were.
    pub retried_calls: u64,
    /// Batches whose execution ended, well or not.
    pub batches: u64,
    /// Those that failed.
    pub failed_batches: u64,
    /// Those of the failed ones that panicked.
    pub panicked_batches: u64,
    /// Rows of padding that were executed.
    pub padding_rows: u64,
    /// How long calls waited before each execution, in all.
    pub queue_delay_nanos: Histogram,
    /// How long of that a worker was free: what holding calls back costs, and waking a worker.
    pub batch_wait_nanos: Histogram,
    /// How long the model took for each execution.
    pub execution_nanos: Histogram,
    /// How long it took beside that to join calls and to split outputs.
    pub copy_nanos: Histogram,
    /// How many rows batches had, without padding.
    pub batch_size_rows: Histogram,
}

/// Calls that were not let in, by reason.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Refused {
    /// Their inputs did not fit the signature.
    pub invalid_input: u64,
    /// The queue was full.
    pub full: u64,
    /// More calls came than can be answered, and enough waited.
    pub overloaded: u64,
    /// The scheduler drained.
    pub draining: u64,
    /// Their deadline had passed.
    pub deadline_exceeded: u64,
}

/// Calls that were let in and did not end with an execution of their own, by reason.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct GoneCalls {
    /// Cancelled while they waited.
    pub cancelled_queued: u64,
    /// Cancelled while they were executed.
    pub cancelled_running: u64,
    /// Their deadline passed while they waited, or could not be met any more.
    pub deadline_queued: u64,
    /// Their deadline passed while they were executed.
    pub deadline_running: u64,
    /// Still waiting when the time to drain was over.
    pub drained: u64,
}

/// How often a value was in which range.
#[derive(Clone, Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    counts: Vec<u64>,
    sum: u64,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            accepted_calls: 0,
            refused: Refused::default(),
            succeeded_calls: 0,
            failed_calls: 0,
            gone: GoneCalls::default(),
            retried_calls: 0,
            batches: 0,
            failed_batches: 0,
            panicked_batches: 0,
            padding_rows: 0,
            queue_delay_nanos: Histogram::new(NANOS),
            batch_wait_nanos: Histogram::new(NANOS),
            execution_nanos: Histogram::new(NANOS),
            copy_nanos: Histogram::new(NANOS),
            batch_size_rows: Histogram::new(ROWS),
        }
    }

    pub(crate) fn refuse(&mut self, reason: ShedReason) {
        *match reason {
            ShedReason::Full => &mut self.refused.full,
            ShedReason::Overloaded => &mut self.refused.overloaded,
            ShedReason::Draining => &mut self.refused.draining,
            ShedReason::DeadlineExceeded => &mut self.refused.deadline_exceeded,
        } += 1;
    }

    /// Counts an execution that has ended.
    pub(crate) fn execute<C>(
        &mut self,
        batch: &Batch<C>,
        outcome: Outcome,
        copied: Duration,
        now: Instant,
    ) {
        self.batches += 1;
        self.failed_batches += u64::from(outcome != Outcome::Succeeded);
        self.padding_rows += u64::from(batch.padded_rows() - batch.rows());
        for call in batch.calls() {
            let delay = batch
                .started_at()
                .saturating_duration_since(call.queued_at());
            self.queue_delay_nanos.add_nanos(delay);
            self.retried_calls += u64::from(call.is_retry());
        }
        let took = now.saturating_duration_since(batch.started_at());
        self.execution_nanos.add_nanos(took.saturating_sub(copied));
        self.copy_nanos.add_nanos(copied);
        self.batch_size_rows.add(u64::from(batch.rows()));
    }

    /// Counts a batch that leaves the queue, while a worker has been free since then.
    pub(crate) fn leave<C>(&mut self, batch: &Batch<C>, free_since: Instant) {
        for call in batch.calls() {
            let since = call.queued_at().max(free_since);
            let waited = batch.started_at().saturating_duration_since(since);
            self.batch_wait_nanos.add_nanos(waited);
        }
    }

    /// Counts a call that an execution has ended.
    pub(crate) fn settle(&mut self, verdict: Verdict) {
        *match verdict {
            Verdict::Succeeded => &mut self.succeeded_calls,
            Verdict::Failed => &mut self.failed_calls,
            Verdict::Cancelled => &mut self.gone.cancelled_running,
            Verdict::DeadlineExceeded => &mut self.gone.deadline_running,
        } += 1;
    }
}

impl Histogram {
    fn new(bounds: &'static [u64]) -> Self {
        Self {
            bounds,
            counts: vec![0; bounds.len() + 1],
            sum: 0,
        }
    }

    /// Returns the upper bounds of the ranges, ascending and inclusive; after the last one there is a range more.
    pub fn bounds(&self) -> &'static [u64] {
        self.bounds
    }

    /// Returns how many values are in each range, not in those below it.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Returns the sum of all values.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// Returns how many values there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub(crate) fn add(&mut self, value: u64) {
        let range = self.bounds.partition_point(|&bound| bound < value);
        self.counts[range] += 1;
        self.sum = self.sum.wrapping_add(value);
    }

    pub(crate) fn add_nanos(&mut self, duration: Duration) {
        self.add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_in_the_first_range_that_reaches_them() {
        let mut histogram = Histogram::new(&[1, 10]);
        for value in [0, 1, 2, 10, 11, u64::from(u32::MAX)] {
            histogram.add(value);
        }
        assert_eq!(histogram.counts(), [2, 2, 2]);
        assert_eq!(histogram.count(), 6);
        assert_eq!(histogram.sum(), 24 + u64::from(u32::MAX));
    }
}
