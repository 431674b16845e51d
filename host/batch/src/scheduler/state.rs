//! What the lock of a scheduler protects, and what each change of it leaves to be done without the lock.

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use crate::answer::CallResult;
use crate::batcher::batch::{Batch, BatchedCall, Verdict};
use crate::batcher::{Action, Batcher};
use crate::call::{Call, Ticket};
use crate::counters::Counters;
use crate::error::CallError;
use crate::handle::Handle;
use crate::predict::Predict;
use crate::scheduler::execute::{Executed, Job};
use crate::scheduler::shared::Shared;

/// After calls were joined, how many batches of one call show that there is no load any more.
const LONE_BATCHES: u32 = 8;

/// The batcher, and who could execute its batches.
pub(crate) struct State<E> {
    pub(crate) batcher: Batcher<Job<E>>,
    /// How many more executions there may be. At least so many workers sleep, or look for a batch before they do.
    pub(crate) free_workers: usize,
    /// Since when there has been one, if there is.
    free_since: Option<Instant>,
    pub(crate) sleeping_workers: usize,
    /// How many batches of one call ended since the last one of several; enough at the start.
    lone_batches: u32,
    /// What the timer has been told; it looks by itself when that comes.
    pub(crate) timer_at: Option<Instant>,
    pub(crate) draining: bool,
    pub(crate) closed: bool,
    pub(crate) counters: Counters,
}

/// Answers to be given, and what is to be dropped, when the lock is free again.
pub(crate) struct Replies<E> {
    calls: Vec<(Job<E>, Option<CallResult<E>>)>,
    /// What is left of an execution: an error's drop is code of others.
    executed: Option<Executed<E>>,
}

/// Those who have something to do, to be woken when the lock is free again.
#[must_use]
pub(crate) struct Wakes {
    pub(crate) worker: bool,
    pub(crate) timer: bool,
    pub(crate) idle: bool,
}

impl<E> State<E> {
    pub(crate) fn new(batcher: Batcher<Job<E>>, workers: usize) -> Self {
        Self {
            batcher,
            free_workers: workers,
            free_since: None,
            sleeping_workers: 0,
            lone_batches: LONE_BATCHES,
            timer_at: None,
            draining: false,
            closed: false,
            counters: Counters::new(),
        }
    }

    pub(crate) fn push<P: Predict<Error = E>>(
        &mut self,
        shared: &Arc<Shared<P>>,
        call: Call<Job<E>>,
        now: Instant,
    ) -> Result<Handle<P>, CallError<E>> {
        let deadline = call.deadline;
        let answer = Arc::clone(&call.carried.answer);
        let pushed = self.batcher.push(call, now);
        let ticket = pushed.map_err(|shed| {
            self.counters.refuse(shed.reason);
            CallError::shed(shed.reason)
        })?;
        self.counters.accepted_calls += 1;
        Ok(Handle {
            shared: Arc::clone(shared),
            answer,
            ticket,
            deadline,
        })
    }

    /// Does what is due, up to the first batch, which is the free worker's that asks.
    ///
    /// What may be left to do then is for the workers that are still free.
    pub(crate) fn turn(&mut self, now: Instant, replies: &mut Replies<E>) -> Option<Batch<Job<E>>> {
        loop {
            match self.batcher.poll(now, self.free_workers)? {
                Action::Run(batch) => {
                    self.free_workers -= 1;
                    // Before the first execution, a worker was free before the first call.
                    let queued_at = || batch.calls().iter().map(BatchedCall::queued_at).min();
                    let free_since = self.free_since.or_else(queued_at).unwrap_or(now);
                    self.counters.leave(&batch, free_since);
                    self.fail_fast(now, replies);
                    return Some(batch);
                }
                Action::FailFast(job) => self.give_up(job, replies),
            }
        }
    }

    /// Answers the calls that cannot be met, unless a worker is free, which does that in its turn.
    pub(crate) fn fail_fast(&mut self, now: Instant, replies: &mut Replies<E>) {
        if self.free_workers > 0 {
            return;
        }
        while let Some(action) = self.batcher.poll(now, 0) {
            match action {
                Action::FailFast(job) => self.give_up(job, replies),
                Action::Run(_) => unreachable!("no worker is free"),
            }
        }
    }

    fn give_up(&mut self, job: Job<E>, replies: &mut Replies<E>) {
        self.counters.gone.deadline_queued += 1;
        replies.add(job, Some(Err(CallError::deadline_exceeded())));
    }

    pub(crate) fn complete(
        &mut self,
        batch: Batch<Job<E>>,
        mut executed: Executed<E>,
        now: Instant,
        replies: &mut Replies<E>,
    ) {
        if self.free_workers == 0 {
            self.free_since = Some(now);
        }
        self.free_workers += 1;
        self.lone_batches = match batch.calls().len() {
            1 => self.lone_batches.saturating_add(1),
            _ => 0,
        };
        self.counters
            .execute(&batch, executed.outcome, executed.copied, now);
        self.counters.panicked_batches += u64::from(executed.is_panic);
        let settled = self.batcher.complete(batch, executed.outcome, now);
        for (index, call) in settled.into_iter().enumerate() {
            self.counters.settle(call.verdict);
            let reply = match call.verdict {
                Verdict::Cancelled => None,
                Verdict::DeadlineExceeded => Some(Err(CallError::deadline_exceeded())),
                // After a success all calls are here, in the order of their outputs.
                Verdict::Succeeded | Verdict::Failed => Some(match &mut executed.result {
                    Ok(outputs) => Ok(mem::take(&mut outputs[index])),
                    Err(error) => Err(error.clone()),
                }),
            };
            replies.add(call.carried, reply);
        }
        replies.executed = Some(executed);
    }

    /// Reports whether the thread that waits for this call should execute it.
    pub(crate) fn may_lend(&self, ticket: Ticket) -> bool {
        // What is due when nothing else waits is this call.
        let is_alone = self.batcher.queued_calls() == 1 && self.batcher.is_queued(ticket);
        is_alone && self.free_workers > 0 && self.lone_batches >= LONE_BATCHES
    }

    /// Says who is to be woken after a change.
    pub(crate) fn wakes(&mut self, now: Instant) -> Wakes {
        let due = self.batcher.next_due(now, self.free_workers);
        let timer = due.filter(|&due| self.timer_at.is_none_or(|at| due < at));
        // Told once: what is told later and comes later need not wake it.
        self.timer_at = timer.or(self.timer_at);
        Wakes {
            worker: self.free_workers.min(self.sleeping_workers) > 0 && self.batcher.is_due(now),
            timer: timer.is_some(),
            idle: self.draining && self.batcher.is_idle(),
        }
    }
}

impl<E> Replies<E> {
    pub(crate) fn new() -> Self {
        Self {
            calls: Vec::new(),
            executed: None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.executed.is_none()
    }

    /// Keeps a call to be answered, or only to be dropped.
    pub(crate) fn add(&mut self, job: Job<E>, reply: Option<CallResult<E>>) {
        self.calls.push((job, reply));
    }

    pub(crate) fn give(&mut self) {
        for (job, reply) in self.calls.drain(..) {
            if let Some(reply) = reply {
                job.answer.give(reply);
            }
        }
        self.executed = None;
    }
}
