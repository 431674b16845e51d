//! The processor: the executor that components contain, compiled natively.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tensorlet_executor::{Executor, LoadOptions, PredictError, State};
use tensorlet_plan::Plan;

use super::{Accelerator, LoadedSegment, SegmentError, SharedConstants};

/// The most states that wait for calls, a segment.
const MAX_STATES: usize = 64;

/// Computes segments on the processor, with the best instructions that it has: AVX-512, AVX2 or NEON.
#[derive(Clone, Debug)]
pub struct Cpu {
    /// The most bytes that a call may take for buffers between steps. Segments that need more are computed by the component, within its
    /// own memory limit. Default: 1 GiB.
    pub max_arena_bytes: usize,
}

impl Default for Cpu {
    fn default() -> Self {
        Self {
            max_arena_bytes: 1 << 30,
        }
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
    ) -> Result<Arc<dyn LoadedSegment>, SegmentError> {
        let options = LoadOptions {
            max_arena_bytes: self.max_arena_bytes,
            constants: Some(constants),
            ..LoadOptions::default()
        };
        let executor = Executor::load(plan, options)
            .map_err(|error| SegmentError::Declined(error.to_string()))?;
        Ok(Arc::new(CpuSegment {
            executor,
            states: Mutex::default(),
        }))
    }
}

/// A segment with the memory of its calls.
struct CpuSegment {
    executor: Executor,
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
        let mut state = self.states(Vec::pop).unwrap_or_default();
        let result = self.executor.run(&mut state, sizes, inputs, outputs);
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
        other => SegmentError::Failed(other.to_string()),
    }
}
