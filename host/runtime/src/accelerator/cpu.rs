//! The processor: the executor that components contain, compiled natively.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tensorlet_executor::{Executor, LoadOptions, PredictError, State};
use tensorlet_kernels::Crew;
use tensorlet_plan::Plan;

use super::{Accelerator, LoadedSegment, SegmentError, SharedConstants};
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
        memory_bytes: u64,
    ) -> Result<Arc<dyn LoadedSegment>, SegmentError> {
        let memory_bytes = usize::try_from(memory_bytes).unwrap_or(usize::MAX);
        let options = LoadOptions {
            max_arena_bytes: self.max_arena_bytes.min(memory_bytes),
            constants: Some(constants),
            ..LoadOptions::default()
        };
        let executor = Executor::load_segment(plan, options)
            .map_err(|error| SegmentError::Declined(error.to_string()))?;
        Ok(Arc::new(CpuSegment {
            executor,
            threads: Arc::clone(&self.threads),
            states: Mutex::default(),
        }))
    }
}

/// A segment with the memory of its calls.
struct CpuSegment {
    executor: Executor,
    threads: Arc<Threads>,
    /// Those that no call is using.
    states: Mutex<Vec<State>>,
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
        let is_late = || deadline.is_some_and(|deadline| deadline <= now());
        let interrupt: &(dyn Fn() -> bool + Sync) = &is_late;
        let crew = Crew::new(Some(&team), deadline.map(|_| interrupt));
        let mut state = self.states(Vec::pop).unwrap_or_default();
        let result = self
            .executor
            .run_with(&mut state, sizes, inputs, outputs, crew);
        self.states(|states| {
            if states.len() < MAX_STATES {
                states.push(state);
            }
        });
        result.map_err(segment_error)
    }
}

impl CpuSegment {
    fn states<R>(&self, work: impl FnOnce(&mut Vec<State>) -> R) -> R {
        // A list of states is valid at any time.
        work(&mut self.states.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn segment_error(error: PredictError) -> SegmentError {
    match error {
        PredictError::OutOfMemory { .. } => SegmentError::OutOfMemory(error.to_string()),
        PredictError::Interrupted(_) => SegmentError::Interrupted,
        other => SegmentError::Failed(other.to_string()),
    }
}
