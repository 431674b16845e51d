//! Waiting calls that may be joined, as all their sizes but the rows are equal.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::batcher::estimate::Estimate;
use crate::batcher::pace::Pace;
use crate::call::{FreeDims, Place};
use crate::config::{BatchConfig, QueueDelay};

/// Names a group; never given twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct GroupId(pub(crate) u64);

/// The waiting calls of equal free dims.
#[derive(Debug)]
pub(crate) struct Group<C> {
    pub(crate) free_dims: FreeDims,
    pub(crate) waiting: BTreeMap<Place, Waiting<C>>,
    pub(crate) estimate: Estimate,
    pub(crate) pace: Pace,
    /// How many of its batches are executed.
    pub(crate) running: usize,
    /// Rises with each call that enters any group.
    pub(crate) entered: u64,
}

/// A call that waits.
#[derive(Debug)]
pub(crate) struct Waiting<C> {
    pub(crate) carried: C,
    pub(crate) rows: u32,
    pub(crate) deadline: Option<Instant>,
    pub(crate) queued_at: Instant,
    /// Until when it may be held back for a larger batch.
    pub(crate) held_until: Instant,
    /// From when on it cannot be answered in time.
    pub(crate) hopeless_at: Option<Instant>,
    /// It was in a batch that failed, and now runs as it came.
    pub(crate) is_retry: bool,
}

/// The next batch of a group, if it left now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Next {
    /// How many calls, from the first.
    pub(crate) calls: usize,
    /// Whether it should leave rather than wait for more.
    pub(crate) is_due: bool,
}

impl<C> Group<C> {
    /// Chooses the calls of the next batch, or returns `None` when none waits.
    ///
    /// `share` is the rows after which [`QueueDelay::Auto`] leaves the rest to another worker.
    pub(crate) fn next(
        &self,
        config: &BatchConfig,
        now: Instant,
        draining: bool,
        share: u64,
    ) -> Option<Next> {
        let auto = config.max_queue_delay == QueueDelay::Auto;
        let sizes = config.preferred_batch_size.as_slice();
        let first = self.waiting.values().next()?;
        let mut most_rows = config.max_batch_size.get();
        if config.joins_when_faster() {
            let calls = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
            let waiting = calls.saturating_mul(first.rows);
            most_rows = self.pace.rows(first.rows, most_rows, waiting, now);
        }
        let mut rows = 0;
        let mut fitting = 0;
        let mut preferred = None;
        let mut is_closed = false;
        let mut is_late = draining;
        for call in self.waiting.values() {
            let more = u32::checked_add(rows, call.rows).filter(|&more| more <= most_rows);
            let Some(more) = more.filter(|_| !call.is_retry) else {
                is_closed = true;
                break;
            };
            // As in Triton: what has outgrown the preferred sizes without meeting one is as good as it gets.
            let outgrown = sizes.last().is_some_and(|&last| more > last);
            if outgrown && fitting > 0 && preferred.is_none() {
                preferred = Some(fitting);
            }
            rows = more;
            fitting += 1;
            is_late |= !auto && call.held_until <= now;
            if sizes.contains(&rows) {
                preferred = Some(fitting);
            }
            if auto && sizes.is_empty() && u64::from(rows) >= share {
                break;
            }
        }
        is_closed |= rows == most_rows;
        match fitting {
            // The first is a retry or larger than a batch, and goes alone.
            0 => Some(Next {
                calls: 1,
                is_due: true,
            }),
            _ => Some(Next {
                calls: preferred.filter(|_| !is_late).unwrap_or(fitting),
                is_due: auto || is_closed || is_late || preferred.is_some(),
            }),
        }
    }

    /// Returns how many rows a batch should have, if its first call has `first`.
    pub(crate) fn best_rows(&self, config: &BatchConfig, first: u32, now: Instant) -> u32 {
        let most_rows = config.max_batch_size.get();
        match config.joins_when_faster() {
            true => self.pace.best_rows(first, most_rows, now),
            false => most_rows,
        }
    }

    /// Returns when a call may no longer be held back.
    ///
    /// Visits all calls; while no batch is due, they are fewer than the rows of one.
    pub(crate) fn held_until(&self) -> Option<Instant> {
        self.waiting.values().map(|call| call.held_until).min()
    }

    /// Reports whether it holds nothing but what it has learnt.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running == 0
    }
}
