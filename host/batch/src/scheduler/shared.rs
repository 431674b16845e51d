//! What callers, workers and the timer share.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tensorlet_tensor::NamedTensor;

use crate::answer::{Answer, CallResult};
use crate::batcher::batch::Batch;
use crate::batcher::{Batcher, Cancelled, Experience};
use crate::call::{Call, FreeDims, Ticket};
use crate::clock;
use crate::config::{BatchConfig, InvalidConfig, Padding};
use crate::counters::Snapshot;
use crate::error::CallError;
use crate::handle::Handle;
use crate::predict::Predict;
use crate::scheduler::execute::{Job, execute};
use crate::scheduler::state::{Replies, State, Wakes};
use crate::scheduler::{CallOptions, Drained};

/// The batcher with its lock, and those who wait for it.
pub(crate) struct Shared<P: Predict> {
    pub(crate) predict: P,
    padding: Padding,
    state: Mutex<State<P::Error>>,
    /// A worker sleeps here until a batch is due.
    work: Condvar,
    /// The timer sleeps here until `timer_at`.
    timer: Condvar,
    /// Those who drain sleep here until there are no calls.
    idle: Condvar,
}

/// Why nobody waits for a call any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Gone {
    Cancelled,
    DeadlineExceeded,
}

impl<P: Predict> Shared<P> {
    pub(crate) fn new(
        predict: P,
        config: BatchConfig,
        workers: usize,
    ) -> Result<Self, InvalidConfig> {
        Ok(Self {
            predict,
            padding: config.padding,
            state: Mutex::new(State::new(
                Batcher::new(config)?.with_workers(workers),
                workers,
            )),
            work: Condvar::new(),
            timer: Condvar::new(),
            idle: Condvar::new(),
        })
    }

    pub(crate) fn submit(
        this: &Arc<Self>,
        inputs: Arc<[NamedTensor]>,
        options: CallOptions,
    ) -> Result<Handle<P>, CallError<P::Error>> {
        let call = this.call(inputs, options)?;
        let now = clock::now();
        let mut state = this.lock();
        let handle = state.push(this, call, now)?;
        let mut replies = Replies::new();
        state.fail_fast(now, &mut replies);
        let wakes = state.wakes(now);
        drop(state);
        this.wake(wakes);
        replies.give();
        Ok(handle)
    }

    pub(crate) fn predict(
        this: &Arc<Self>,
        inputs: Arc<[NamedTensor]>,
        options: CallOptions,
    ) -> CallResult<P::Error> {
        let call = this.call(inputs, options)?;
        let now = clock::now();
        let mut state = this.lock();
        let handle = state.push(this, call, now)?;
        this.lend(state, now, handle.ticket);
        handle.wait_for_others()
    }

    /// Executes a call that is about to be waited for on this thread, if nothing else waits and a worker is free.
    pub(crate) fn serve(&self, ticket: Ticket) {
        let (state, now) = self.lock_now();
        self.lend(state, now, ticket);
    }

    fn lend(&self, mut state: MutexGuard<'_, State<P::Error>>, now: Instant, ticket: Ticket) {
        let mut replies = Replies::new();
        let batch = match state.may_lend(ticket) {
            true => state.turn(now, &mut replies),
            false => {
                state.fail_fast(now, &mut replies);
                None
            }
        };
        let wakes = state.wakes(now);
        drop(state);
        self.wake(wakes);
        replies.give();
        if let Some(batch) = batch {
            let (mut state, now) = self.run(batch, &mut replies);
            let wakes = state.wakes(now);
            drop(state);
            self.wake(wakes);
            replies.give();
        }
    }

    /// Takes a call back, and reports whether it was too late for that.
    pub(crate) fn abandon(&self, ticket: Ticket, gone: Gone) -> bool {
        let now = clock::now();
        let mut state = self.lock();
        let cancelled = state.batcher.cancel(ticket);
        if let Cancelled::Queued(_) = cancelled {
            *match gone {
                Gone::Cancelled => &mut state.counters.gone.cancelled_queued,
                Gone::DeadlineExceeded => &mut state.counters.gone.deadline_queued,
            } += 1;
        }
        let wakes = state.wakes(now);
        drop(state);
        self.wake(wakes);
        matches!(cancelled, Cancelled::Answered)
    }

    pub(crate) fn drain(&self, grace: Duration) -> Drained {
        let start = clock::now();
        let mut state = self.lock();
        state.draining = true;
        state.batcher.drain();
        // What was held back is due.
        self.work.notify_all();
        while !state.batcher.is_idle() {
            let left = grace.saturating_sub(clock::now().saturating_duration_since(start));
            if left.is_zero() {
                break;
            }
            let woken = self.idle.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        let waiting = state.batcher.take_waiting();
        let drained = Drained {
            refused_calls: waiting.len(),
            running_batches: state.batcher.running_batches(),
        };
        state.counters.gone.drained += u64::try_from(waiting.len()).unwrap_or(u64::MAX);
        drop(state);
        for job in waiting {
            job.answer.give(Err(CallError::draining()));
        }
        drained
    }

    /// Ends the threads when they have nothing left to do.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.work.notify_all();
        self.timer.notify_all();
    }

    pub(crate) fn experience(&self) -> Experience {
        self.lock().batcher.experience()
    }

    pub(crate) fn begin_with(&self, experience: Experience) {
        self.lock().batcher.begin_with(experience);
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let state = self.lock();
        Snapshot {
            counters: state.counters.clone(),
            queued_calls: state.batcher.queued_calls(),
            queued_rows: state.batcher.queued_rows(),
            running_batches: state.batcher.running_batches(),
            free_workers: state.free_workers,
            is_overloaded: state.batcher.is_overloaded(),
            known_sizes: state.batcher.known_sizes(),
        }
    }

    /// Executes batches until the scheduler is closed.
    pub(crate) fn work(&self) {
        let mut replies = Replies::new();
        let mut state = self.lock();
        let mut now = clock::now();
        loop {
            let batch = state.turn(now, &mut replies);
            let wakes = state.wakes(now);
            if batch.is_some() || !replies.is_empty() {
                drop(state);
                self.wake(wakes);
                replies.give();
                (state, now) = match batch {
                    Some(batch) => self.run(batch, &mut replies),
                    None => self.lock_now(),
                };
                continue;
            }
            self.wake(wakes);
            if state.closed {
                return;
            }
            state.sleeping_workers += 1;
            let woken = self.work.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
            state.sleeping_workers -= 1;
            now = clock::now();
        }
    }

    /// Watches deadlines and delays until the scheduler is closed.
    pub(crate) fn keep_time(&self) {
        let mut replies = Replies::new();
        let mut state = self.lock();
        while !state.closed {
            let now = clock::now();
            state.fail_fast(now, &mut replies);
            state.timer_at = state.batcher.next_due(now, state.free_workers);
            let wakes = state.wakes(now);
            self.wake(wakes);
            if !replies.is_empty() {
                drop(state);
                replies.give();
                state = self.lock();
                continue;
            }
            state = match state.timer_at {
                None => self
                    .timer
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(at) => {
                    let woken = self
                        .timer
                        .wait_timeout(state, at.saturating_duration_since(now));
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    fn call(
        &self,
        inputs: Arc<[NamedTensor]>,
        options: CallOptions,
    ) -> Result<Call<Job<P::Error>>, CallError<P::Error>> {
        let signature = self.predict.signature();
        let bindings = signature.bind(&inputs).map_err(|error| {
            self.lock().counters.refused.invalid_input += 1;
            CallError::invalid_input(error)
        })?;
        let (rows, free_dims) = FreeDims::of(signature, &bindings);
        let answer = Arc::new(Answer::new());
        Ok(Call {
            carried: Job { inputs, answer },
            rows,
            free_dims,
            deadline: options.deadline,
            priority: options.priority,
        })
    }

    /// Executes a batch for a worker, and takes the lock to say so.
    fn run(
        &self,
        batch: Batch<Job<P::Error>>,
        replies: &mut Replies<P::Error>,
    ) -> (MutexGuard<'_, State<P::Error>>, Instant) {
        let executed = execute(&self.predict, &batch, self.padding);
        let (mut state, now) = self.lock_now();
        state.complete(batch, executed, now, replies);
        (state, now)
    }

    fn wake(&self, wakes: Wakes) {
        if wakes.worker {
            self.work.notify_one();
        }
        if wakes.timer {
            self.timer.notify_one();
        }
        if wakes.idle {
            self.idle.notify_all();
        }
    }

    fn lock_now(&self) -> (MutexGuard<'_, State<P::Error>>, Instant) {
        let state = self.lock();
        (state, clock::now())
    }

    fn lock(&self) -> MutexGuard<'_, State<P::Error>> {
        // Nothing of others' runs under the lock; if we panic there, the other calls are to be answered even so.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
