//! Threads around a batcher: they tell it the time and execute its batches.
//!
//! ```text
//! submit ─► Batcher ─► worker: join ─ predict ─ split ─► Handle
//!              ▲  │
//!              │  └──► timer: fails fast, wakes a worker for a batch that was held back
//!              └────── predict, on a thread of the caller's, in the stead of a free worker
//! ```
//!
//! All state is behind one lock, which nobody holds while a model is executed, rows are copied or a caller is woken.
//! There are as many executions at a time as workers. A worker that is free looks for a batch before it sleeps, and
//! whoever leaves a batch due while a worker sleeps wakes one: so no wake-up is lost, and nobody polls.
//!
//! The hand-over of a call from one thread to another and back costs more than all else here, most of all on a machine
//! that is idle, whose cores have to be woken too. So whoever waits for a call anyway executes it when it waits alone and
//! a worker is free: [`Scheduler::predict`] at once, [`Handle::wait`] if no worker was faster. The worker in whose
//! stead that is goes on sleeping and is not counted as free meanwhile. Under load nobody does so: a caller that executes
//! one call after the other keeps a core from callers whose calls could be joined, so after a batch of several calls
//! the next ones are left to the workers.

mod execute;
pub(crate) mod shared;
mod state;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tensorlet_tensor::NamedTensor;

use self::shared::Shared;
use crate::batcher::Experience;
use crate::config::{BatchConfig, InvalidConfig};
use crate::counters::Snapshot;
use crate::error::{CallError, StartError};
use crate::handle::Handle;
use crate::predict::Predict;

/// The most [`SchedulerConfig::workers`].
pub const MAX_WORKERS: usize = 1024;

/// What bounds a scheduler.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SchedulerConfig {
    /// How calls are joined. A model without a batch symbol has batches of one call, whatever is said here.
    pub batch: BatchConfig,
    /// How many executions there are at a time, each on a thread. Default: 1.
    pub workers: NonZeroUsize,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self {
            batch: BatchConfig::default(),
            workers: NonZeroUsize::MIN,
        }
    }
}

/// What a call may ask for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CallOptions {
    /// When an answer is of no use any more. Default: never.
    pub deadline: Option<Instant>,
    /// The level, from 1 for the first. Default: 0, the default level.
    pub priority: u32,
}

/// What was left when a scheduler had drained.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Drained {
    /// Calls that still waited, and were answered that the scheduler drains.
    pub refused_calls: usize,
    /// Batches that are still executed; their calls will be answered.
    pub running_batches: usize,
}

/// Executes calls in batches on threads of its own.
///
/// Dropping it refuses what waits, and takes until what runs has ended.
pub struct Scheduler<P: Predict> {
    shared: Arc<Shared<P>>,
    threads: Vec<JoinHandle<()>>,
}

impl<P: Predict> Scheduler<P> {
    /// Starts the threads: the workers, and one that watches deadlines and delays.
    ///
    /// # Errors
    /// If the configuration is invalid, or a thread cannot be started.
    pub fn start(predict: P, config: SchedulerConfig) -> Result<Self, StartError> {
        let SchedulerConfig { mut batch, workers } = config;
        batch.check()?;
        if workers.get() > MAX_WORKERS {
            let expected = format!("at most {MAX_WORKERS}");
            return Err(InvalidConfig::new("workers", expected, workers.to_string()).into());
        }
        if predict.signature().batch_symbol.is_none() {
            batch = batch.without_batches();
        }
        let shared = Arc::new(Shared::new(predict, batch, workers.get())?);
        // A thread that does not start ends those that did.
        let mut scheduler = Self {
            shared,
            threads: Vec::with_capacity(workers.get() + 1),
        };
        scheduler.spawn("tensorlet-timer", Shared::keep_time)?;
        for _ in 0..workers.get() {
            scheduler.spawn("tensorlet-worker", Shared::work)?;
        }
        Ok(scheduler)
    }

    fn spawn(&mut self, name: &str, run: fn(&Shared<P>)) -> Result<(), StartError> {
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new().name(name.into());
        self.threads.push(thread.spawn(move || run(&shared))?);
        Ok(())
    }

    /// Returns what executes the model.
    pub fn predictor(&self) -> &P {
        &self.shared.predict
    }

    /// Queues a call. Inputs that others hold as well are not copied.
    ///
    /// # Errors
    /// If the inputs do not fit the signature, the queue is full, the scheduler drains, or the deadline has passed.
    pub fn submit(
        &self,
        inputs: impl Into<Arc<[NamedTensor]>>,
        options: CallOptions,
    ) -> Result<Handle<P>, CallError<P::Error>> {
        Shared::submit(&self.shared, inputs.into(), options)
    }

    /// Executes a call and waits for its outputs: on the thread that asks, if nothing waits and a worker is free.
    ///
    /// A call that this thread executes ends at its deadline if [`Predict`] keeps it.
    ///
    /// # Errors
    /// If there are no outputs: see [`CallErrorKind`](crate::CallErrorKind).
    pub fn predict(
        &self,
        inputs: impl Into<Arc<[NamedTensor]>>,
        options: CallOptions,
    ) -> Result<Vec<NamedTensor>, CallError<P::Error>> {
        Shared::predict(&self.shared, inputs.into(), options)
    }

    /// Returns what has been learnt of the model: [`Batcher::experience`](crate::Batcher::experience).
    pub fn experience(&self) -> Experience {
        self.shared.experience()
    }

    /// Takes over what another scheduler of the same model has learnt, such as one of an older version.
    pub fn begin_with(&self, experience: Experience) {
        self.shared.begin_with(experience);
    }

    /// Lets no more calls in, and waits at most `grace` until those that are in have been answered; then refuses
    /// those that still wait.
    pub fn drain(&self, grace: Duration) -> Drained {
        self.shared.drain(grace)
    }

    /// Returns what has been done. Takes the lock for as long as it takes to copy some numbers.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.snapshot()
    }
}

impl<P: Predict> Drop for Scheduler<P> {
    fn drop(&mut self) {
        self.shared.drain(Duration::ZERO);
        self.shared.close();
        for thread in self.threads.drain(..) {
            // What a waker drops is dropped on a worker, which cannot wait for itself.
            if thread.thread().id() != thread::current().id() {
                // It catches what panics outside of our own code.
                let _ = thread.join();
            }
        }
    }
}

impl<P: Predict> fmt::Debug for Scheduler<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler")
            .field("workers", &(self.threads.len().saturating_sub(1)))
            .finish_non_exhaustive()
    }
}
