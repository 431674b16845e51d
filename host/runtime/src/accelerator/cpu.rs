//! The processor: the executor that components contain, compiled natively.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tensorlet_executor::{Executor, LoadOptions, PredictError, State};
use tensorlet_kernels::Crew;
use tensorlet_plan::Plan;

use super::{Accelerator, LoadedSegment, MemoryBudget, Reservation, SegmentError, SharedConstants};
use crate::shares;
use crate::threads::Threads;
use crate::watchdog::now;

/// The most states that wait for calls, a segment.
const MAX_STATES: usize = 64;

/// Computes segments on the processor, with the best instructions that it has: AVX-512, AVX2 or NEON.
#[derive(Clone)]
pub struct Cpu {
    threads: Arc<Threads>,
    max_arena_bytes: usize,
}

/// How the processor is used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CpuOptions {
    /// How many threads compute at most, over all models and calls. A call runs on the thread that makes it, and is helped by those that are
    /// idle; a caller that finds none computes alone. Default: 1, so that there are no other threads than callers.
    pub threads: usize,
    /// The most bytes that a thread of a call may take for buffers between steps, if the model's memory limit is not less. Segments that need
    /// more are computed by the component, within its memory limit. Default: 1 GiB.
    pub max_arena_bytes: usize,
}

impl Default for CpuOptions {
    fn default() -> Self {
        Self {
            threads: 1,
            max_arena_bytes: 1 << 30,
        }
    }
}

impl Cpu {
    /// Starts the threads.
    pub fn new(options: &CpuOptions) -> Self {
        Self {
            threads: Arc::new(Threads::new(options.threads)),
            max_arena_bytes: options.max_arena_bytes,
        }
    }
}

impl Default for Cpu {
    fn default() -> Self {
        Self::new(&CpuOptions::default())
    }
}

impl fmt::Debug for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cpu({} threads)", self.threads.size())
    }
}

impl Accelerator for Cpu {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn load(
        &self,
        plan: &Plan<'_>,
        constants: SharedConstants,
        budget: &MemoryBudget,
    ) -> Result<Arc<dyn LoadedSegment>, SegmentError> {
        let limit_bytes = usize::try_from(budget.limit_bytes()).unwrap_or(usize::MAX);
        let options = LoadOptions {
            max_arena_bytes: self.max_arena_bytes.min(limit_bytes),
            constants: Some(constants),
            ..LoadOptions::default()
        };
        let executor = Executor::load_segment(plan, options)
            .map_err(|error| SegmentError::Declined(error.to_string()))?;
        Ok(Arc::new(CpuSegment {
            executor,
            threads: Arc::clone(&self.threads),
            budget: budget.clone(),
            kept: Mutex::default(),
        }))
    }
}

/// A segment with the memory of its calls.
struct CpuSegment {
    executor: Executor,
    threads: Arc<Threads>,
    budget: MemoryBudget,
    kept: Mutex<Kept>,
}

/// What stays from one call to the next.
#[derive(Default)]
struct Kept {
    /// The memory of calls, while none uses it.
    states: Vec<(State, Reservation)>,
    /// What the executor remembers of sizes.
    bindings: Option<Reservation>,
}

impl LoadedSegment for CpuSegment {
    fn output_bytes(&self, sizes: &[u32]) -> Result<Vec<usize>, SegmentError> {
        self.executor.output_bytes(sizes).map_err(segment_error)
    }

    fn run(
        &self,
        sizes: &[u32],
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        deadline: Option<Instant>,
    ) -> Result<(), SegmentError> {
        let team = self.threads.recruit(self.threads.size());
        let is_late = || {
            shares::checkpoint(deadline);
            deadline.is_some_and(|deadline| deadline <= now())
        };
        let interrupt: &(dyn Fn() -> bool + Sync) = &is_late;
        let is_asked = deadline.is_some() || shares::is_in_turn();
        let crew = Crew::new(Some(&team), is_asked.then_some(interrupt));
        let (mut state, reservation) = match self.kept().states.pop() {
            Some((state, reservation)) => (state, Some(reservation)),
            None => (State::new(), None),
        };
        let result = self
            .executor
            .run_with(&mut state, sizes, inputs, outputs, crew);
        self.keep(state, reservation);
        result.map_err(segment_error)
    }
}

impl CpuSegment {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Whatever is in it is whole.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the memory of a call, and what the executor has learnt, as far as the budget allows.
    fn keep(&self, state: State, reservation: Option<Reservation>) {
        let reserved = |reservation: Option<Reservation>, bytes: usize| {
            let bytes = bytes as u64;
            match reservation {
                Some(reservation) if reservation.bytes() == bytes => Some(reservation),
                // What was reserved before is returned first, so that both need not fit.
                reservation => {
                    drop(reservation);
                    self.budget.reserve(bytes)
                }
            }
        };
        let mut kept = self.kept();
        let bindings = kept.bindings.take();
        kept.bindings = reserved(bindings, self.executor.bound_bytes());
        if kept.bindings.is_none() {
            self.executor.forget_bindings();
        }
        if kept.states.len() < MAX_STATES
            && let Some(reservation) = reserved(reservation, state.arena_bytes())
        {
            kept.states.push((state, reservation));
        }
    }
}

fn segment_error(error: PredictError) -> SegmentError {
    match error {
        PredictError::OutOfMemory { .. } => SegmentError::OutOfMemory(error.to_string()),
        PredictError::Interrupted(_) => SegmentError::Interrupted,
        PredictError::Mismatch(reason) => SegmentError::Invalid(reason),
        other => SegmentError::Failed(other.to_string()),
    }
}
