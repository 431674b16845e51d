//! Groups waiting calls into batches.
//!
//! The batcher owns no clock, thread or channel: it is told the time and asked what is to be done. `scheduler`
//! owns the threads, so any schedule can be written as a plain test.
//!
//! ```text
//!          Shed                         FailFast: the deadline cannot be met
//!            ▲                             ▲
//! push ──────┴─► [ first … last ] per group ─► poll ─► Run(batch) ─► complete ─► settled calls
//!                        ▲                                              │
//!                        └──── as they came, each at most once ◄── failed, and was joined
//! ```
//!
//! **Order.** A call counts as queued when it was pushed, plus `priority_step` for each level below the first. The
//! group whose first call counts as queued first gives the next batch, if it has one that is due, and its calls
//! leave in that order without gaps. So a better level goes first, but only before calls that came less than the
//! difference earlier: every call becomes the first at some time, whatever comes after it.
//!
//! **Due.** Under [`QueueDelay::Auto`] whatever waits is due as soon as a worker is free, and free workers share
//! it: with two of them, each takes half. With one free worker, which is all there is under load, it takes what
//! fits, as far as joining pays: see `pace`. Under [`QueueDelay::AtMost`] a batch is due when it is full, when it has a preferred size, when a call
//! waited that long, or when holding a call longer would endanger its deadline. Delay and preferred sizes are
//! otherwise Triton's.
//!
//! **Deadlines.** From completed batches each group learns how long an execution takes at least. A call that cannot
//! be answered in time even if it ran now fails fast, but only while calls outnumber free workers: an idle worker
//! has nothing better to do than to try, and that is how an estimate that was too high is corrected.
//!
//! **Overload.** Bursts are let in up to `max_queue_size`. A queue that grows and grows is kept so short that a call that is let in is in the
//! second or third batch of a worker: see `overload`.
//!
//! **Failures.** When a batch fails, each of its calls is retried alone and without padding, and the failure of a
//! call that ran so is its own. A call is executed twice at most. Halving the batch again and again would find a
//! single guilty call with fewer executions, but would execute calls up to `1 + log2(calls)` times, so that a hostile
//! call costs the others more.

pub(crate) mod batch;
mod estimate;
pub(crate) mod group;
mod groups;
mod overload;
mod pace;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::time::{Duration, Instant};

use self::batch::{Batch, BatchId, BatchedCall, Outcome, Settled, Verdict};
use self::group::{Group, GroupId, Waiting};
pub use self::groups::Experience;
use self::groups::Groups;
use self::overload::{Length, Overload};
use crate::call::{Call, Place, Shed, ShedReason, Ticket};
use crate::config::{self, BatchConfig, InvalidConfig, QueueDelay};

/// How long a queue may be crowded before calls are refused: so long, and so many executions. The system may keep a thread from a core that is
/// busy for some tens of milliseconds; a queue that grew meanwhile says nothing of the load.
const LEAST_PATIENCE: Duration = Duration::from_millis(100);
const PATIENT_EXECUTIONS: u32 = 4;

/// Groups waiting calls into batches. See the [module](self).
#[derive(Debug)]
pub struct Batcher<C> {
    config: BatchConfig,
    groups: Groups<C>,
    /// From when on each waiting call that has a deadline cannot be answered in time.
    hopeless: BTreeSet<(Instant, Ticket)>,
    running: BTreeMap<BatchId, Running>,
    queued_calls: usize,
    queued_rows: u64,
    workers: u64,
    overload: Overload,
    draining: bool,
    /// The number of the next call, and of the next batch.
    next_number: u64,
}

/// What is known of a batch while a worker has it.
#[derive(Debug)]
struct Running {
    tickets: Vec<Ticket>,
    cancelled: Vec<Ticket>,
}

/// What is to be done now.
#[derive(Debug)]
pub enum Action<C> {
    /// Execute a batch on a worker that is free, and [complete](Batcher::complete) it.
    Run(Batch<C>),
    /// Answer a call that its deadline cannot be met.
    FailFast(C),
}

/// What became of a call that nobody waits for any more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Cancelled<C> {
    /// It waited, and will not run.
    Queued(C),
    /// It runs; its outputs will be dropped.
    Running,
    /// It has been answered.
    Answered,
}

impl<C> Batcher<C> {
    /// Makes a batcher without calls.
    ///
    /// # Errors
    /// As [`BatchConfig::check`].
    pub fn new(config: BatchConfig) -> Result<Self, InvalidConfig> {
        config.check()?;
        Ok(Self {
            config,
            groups: Groups::new(),
            hopeless: BTreeSet::new(),
            running: BTreeMap::new(),
            queued_calls: 0,
            queued_rows: 0,
            workers: 1,
            overload: Overload::default(),
            draining: false,
            next_number: 0,
        })
    }

    /// Says how many batches are executed at a time, which is 1 otherwise: that decides how long a queue is long.
    pub fn with_workers(self, workers: usize) -> Self {
        let workers = u64::try_from(workers).unwrap_or(u64::MAX).max(1);
        Self { workers, ..self }
    }

    /// Returns what has been learnt of the model.
    pub fn experience(&self) -> Experience {
        self.groups.experience()
    }

    /// Returns of how many sizes, but for rows, something has been learnt or will be.
    pub fn known_sizes(&self) -> usize {
        self.groups.len()
    }

    /// Takes over what another batcher has learnt, in place of what this one has learnt of the same sizes.
    pub fn begin_with(&mut self, experience: Experience) {
        self.groups.begin_with(experience);
    }

    /// Returns the configuration.
    pub fn config(&self) -> &BatchConfig {
        &self.config
    }

    /// Returns how many calls wait.
    pub fn queued_calls(&self) -> usize {
        self.queued_calls
    }

    /// Reports whether a call waits.
    pub fn is_queued(&self, ticket: Ticket) -> bool {
        self.groups.waiting(ticket).is_some()
    }

    /// Reports whether more calls come than can be answered, so that the queue is kept short.
    pub fn is_overloaded(&self) -> bool {
        self.overload.is_overloaded()
    }

    /// Returns how many rows the waiting calls have.
    pub fn queued_rows(&self) -> u64 {
        self.queued_rows
    }

    /// Returns how many batches are executed.
    pub fn running_batches(&self) -> usize {
        self.running.len()
    }

    /// Lets a call in, or says why not.
    ///
    /// # Errors
    /// If `max_queue_size` calls wait, more come than can be answered, the batcher drains, or the deadline has passed.
    pub fn push(&mut self, call: Call<C>, now: Instant) -> Result<Ticket, Shed<C>> {
        let reason = if self.draining {
            Some(ShedReason::Draining)
        } else if call.deadline.is_some_and(|deadline| deadline <= now) {
            Some(ShedReason::DeadlineExceeded)
        } else if !self.admits(&call, now) {
            let is_full = self.is_full();
            Some([ShedReason::Overloaded, ShedReason::Full][usize::from(is_full)])
        } else {
            None
        };
        if let Some(reason) = reason {
            return Err(Shed {
                carried: call.carried,
                reason,
            });
        }
        let place = Place {
            rank: now + self.config.handicap(call.priority),
            number: self.number(),
        };
        let rows = call.rows.get();
        let (id, group) = self.groups.enter(call.free_dims);
        let took = group.estimate.at_least(rows);
        // With twice the time it takes at least, a call that was held back can still be answered.
        let before = |share| Some(call.deadline?.checked_sub(took * share).unwrap_or(now));
        let delay = match self.config.max_queue_delay {
            QueueDelay::Auto => now,
            QueueDelay::AtMost(delay) => now + delay,
        };
        let waiting = Waiting {
            carried: call.carried,
            rows,
            deadline: call.deadline,
            queued_at: now,
            held_until: before(2).map_or(delay, |endangered| delay.min(endangered)),
            hopeless_at: before(1),
            is_retry: false,
        };
        let ticket = Ticket { place, group: id };
        self.enqueue(ticket, waiting);
        Ok(ticket)
    }

    /// Returns what is to be done at `now`, with so many workers free; asked again until it is nothing.
    pub fn poll(&mut self, now: Instant, free_workers: usize) -> Option<Action<C>> {
        if let Some(ticket) = self.hopeless_call(now, free_workers) {
            return self
                .dequeue(ticket)
                .map(|call| Action::FailFast(call.carried));
        }
        let (group, calls) = self.due_calls(now, free_workers)?;
        Some(Action::Run(self.take_batch(group, calls, now)))
    }

    /// Reports whether a worker that is free now would get a batch.
    pub fn is_due(&self, now: Instant) -> bool {
        self.due_calls(now, 1).is_some()
    }

    /// Returns the next instant after `now` at which there may be something to be done though nothing was pushed or
    /// completed. For use when [`Batcher::poll`] had nothing.
    pub fn next_due(&self, now: Instant, free_workers: usize) -> Option<Instant> {
        let hopeless = self.hopeless.iter().map(|&(at, _)| at).find(|&at| at > now);
        let is_held = free_workers > 0 && self.config.max_queue_delay != QueueDelay::Auto;
        let held = self.groups.iter().filter(|_| is_held);
        let held = held.filter_map(|(_, group)| group.held_until());
        held.chain(hopeless).filter(|&at| at > now).min()
    }

    /// Forgets a call that nobody waits for any more.
    pub fn cancel(&mut self, ticket: Ticket) -> Cancelled<C> {
        if let Some(call) = self.dequeue(ticket) {
            return Cancelled::Queued(call.carried);
        }
        let mut running = self.running.values_mut();
        match running.find(|running| running.tickets.contains(&ticket)) {
            Some(running) => {
                running.cancelled.push(ticket);
                Cancelled::Running
            }
            None => Cancelled::Answered,
        }
    }

    /// Takes a batch back, and returns the calls to be answered, in their order.
    ///
    /// All of them after [`Outcome::Succeeded`]; otherwise those that are not retried. One whose deadline has passed
    /// gets no outputs even if there are some, as it would not if it had run alone.
    ///
    /// # Panics
    /// If another batcher made the batch.
    pub fn complete(&mut self, batch: Batch<C>, outcome: Outcome, now: Instant) -> Vec<Settled<C>> {
        let running = self.running.remove(&batch.id);
        let running = running.expect("a batch comes back to the batcher that made it");
        let is_retried = outcome == Outcome::Failed && !batch.is_plain();
        let group = self.groups.group(batch.group);
        let group = group.expect("a group that runs is kept");
        group.running -= 1;
        if is_retried {
            group.pace.fail(batch.padded_rows, now);
        } else if outcome == Outcome::Succeeded {
            let took = now.saturating_duration_since(batch.started_at);
            group.estimate.learn(batch.padded_rows, took);
            group.pace.learn(batch.padded_rows, took, now);
            if !batch.is_plain() {
                group.pace.succeed(batch.padded_rows);
            }
        }
        let mut settled = Vec::with_capacity(batch.calls.len());
        for BatchedCall { ticket, waiting } in batch.calls {
            let verdict = if waiting.deadline.is_some_and(|deadline| deadline <= now) {
                Verdict::DeadlineExceeded
            } else if running.cancelled.contains(&ticket) {
                Verdict::Cancelled
            } else if is_retried {
                let is_retry = true;
                self.enqueue(
                    ticket,
                    Waiting {
                        is_retry,
                        ..waiting
                    },
                );
                continue;
            } else if outcome == Outcome::Succeeded {
                Verdict::Succeeded
            } else {
                Verdict::Failed
            };
            let carried = waiting.carried;
            settled.push(Settled { carried, verdict });
        }
        settled
    }

    /// Lets no more calls in, and holds none back.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// Reports whether no call waits or runs.
    pub fn is_idle(&self) -> bool {
        self.queued_calls == 0 && self.running.is_empty()
    }

    /// Takes all waiting calls out, when the time to drain is over.
    pub fn take_waiting(&mut self) -> Vec<C> {
        self.hopeless.clear();
        (self.queued_calls, self.queued_rows) = (0, 0);
        let waiting = self
            .groups
            .iter_mut()
            .map(|group| mem::take(&mut group.waiting));
        let calls = waiting.flat_map(BTreeMap::into_values);
        calls.map(|call| call.carried).collect()
    }

    /// Reports whether a call is let in: there is room for it, and not more come than can be answered.
    ///
    /// If more come, a queue is long when it holds more than half of a batch and of a row more for each worker, than one of them, and than a row more than there
    /// are workers: what comes while a batch is executed fills it up, and a call that enters has been answered after two to three executions. Better levels than
    /// the default may make it twice as long.
    fn admits<T>(&mut self, call: &Call<T>, now: Instant) -> bool {
        let is_full = self.is_full();
        if self.config.overload == config::Overload::Queue {
            return !is_full;
        }
        if self.queued_calls == 0 {
            self.overload.admit_first(now);
            return true;
        }
        let rows = call.rows.get();
        let group = self.groups.of(&call.free_dims);
        let wanted = group.map_or(rows, |group| group.best_rows(&self.config, rows, now));
        let level = u64::from(self.config.is_better_than_default(call.priority));
        let batch = u64::from(wanted.max(rows)) + 1;
        // One worker that is to be kept busy takes a batch at a time, and each a call.
        let long = (self.workers * batch)
            .div_ceil(2)
            .max(batch)
            .max(self.workers + 1);
        let length = Length {
            rows: self.queued_rows + u64::from(rows),
            limit: long * (1 + level),
            is_full,
        };
        let patience = || {
            let execution = group.map_or(Duration::ZERO, |group| group.estimate.at_least(wanted));
            let delay = match self.config.max_queue_delay {
                QueueDelay::Auto => Duration::ZERO,
                QueueDelay::AtMost(delay) => delay,
            };
            LEAST_PATIENCE + execution * PATIENT_EXECUTIONS + delay * 2
        };
        self.overload.admit(length, patience, now)
    }

    fn is_full(&self) -> bool {
        self.queued_calls >= self.config.max_queue_size.get()
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    fn enqueue(&mut self, ticket: Ticket, call: Waiting<C>) {
        self.queued_calls += 1;
        self.queued_rows += u64::from(call.rows);
        if let Some(at) = call.hopeless_at {
            self.hopeless.insert((at, ticket));
        }
        let group = self.groups.group(ticket.group);
        let group = group.expect("a group that was entered or runs is kept");
        group.waiting.insert(ticket.place, call);
    }

    fn dequeue(&mut self, ticket: Ticket) -> Option<Waiting<C>> {
        let group = self.groups.group(ticket.group)?;
        let call = group.waiting.remove(&ticket.place)?;
        self.queued_calls -= 1;
        self.queued_rows -= u64::from(call.rows);
        if let Some(at) = call.hopeless_at {
            self.hopeless.remove(&(at, ticket));
        }
        Some(call)
    }

    /// Finds a call that is to fail fast.
    fn hopeless_call(&self, now: Instant, free_workers: usize) -> Option<Ticket> {
        let outnumbered = self.queued_calls > free_workers;
        let mut hopeless = self.hopeless.iter().take_while(|(at, _)| *at <= now);
        let deadline = |ticket| self.groups.waiting(ticket).and_then(|call| call.deadline);
        let is_late = |ticket| deadline(ticket).is_some_and(|deadline| deadline <= now);
        let found = hopeless.find(|&&(_, ticket)| outnumbered || is_late(ticket));
        found.map(|&(_, ticket)| ticket)
    }

    /// Finds the calls of the next batch, if one is due.
    fn due_calls(&self, now: Instant, free_workers: usize) -> Option<(GroupId, usize)> {
        let workers = u64::try_from(free_workers).ok().filter(|&n| n > 0)?;
        let share = self.queued_rows.div_ceil(workers);
        let next = |group: &Group<C>| group.next(&self.config, now, self.draining, share);
        let due = self.groups.iter().filter_map(|(id, group)| {
            let next = next(group).filter(|next| next.is_due)?;
            let first = group.waiting.first_key_value()?.0;
            Some((*first, id, next.calls))
        });
        due.min_by_key(|&(first, ..)| first)
            .map(|(_, id, calls)| (id, calls))
    }

    fn take_batch(&mut self, id: GroupId, count: usize, now: Instant) -> Batch<C> {
        let group = self.groups.group(id);
        let group = group.expect("a group with waiting calls is kept");
        group.running += 1;
        let places = group.waiting.keys().take(count);
        let tickets = places.map(|&place| Ticket { place, group: id });
        let tickets: Vec<Ticket> = tickets.collect();
        let calls = tickets.iter().filter_map(|&ticket| {
            let waiting = self.dequeue(ticket)?;
            Some(BatchedCall { ticket, waiting })
        });
        let calls: Vec<BatchedCall<C>> = calls.collect();
        let rows = calls.iter().map(BatchedCall::rows).sum();
        let is_retry = calls.iter().any(BatchedCall::is_retry);
        let batch = Batch {
            id: BatchId(self.number()),
            group: id,
            calls,
            rows,
            padded_rows: if is_retry {
                rows
            } else {
                self.config.padded(rows)
            },
            started_at: now,
        };
        let cancelled = Vec::new();
        self.running
            .insert(batch.id, Running { tickets, cancelled });
        batch
    }
}
