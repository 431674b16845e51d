//! What computes segments natively, in place of the kernels in a component.
//!
//! ```text
//! Accelerator ── load: a verified plan and its constants ──► LoadedSegment ── run, by any thread ──► outputs
//! ```
//!
//! The engine verifies a segment before an accelerator sees it, keeps those of different components apart, and never asks for one
//! that was declined again. An accelerator that fails costs speed: the component computes by itself then.

mod budget;
mod cpu;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use tensorlet_plan::Plan;

pub use budget::{MemoryBudget, Reservation};
pub use cpu::{Cpu, CpuOptions};
pub use tensorlet_executor::SharedConstants;

/// Computes segments of plans natively.
pub trait Accelerator: fmt::Debug + Send + Sync {
    /// What it is called in logs and metrics.
    fn name(&self) -> &'static str;

    /// Takes a segment, after [`Plan::verify_segment`] has passed it. `constants` are the plan's, and stay where they are for as long as
    /// they are held. The budget is the component's: a call may take as
    /// much for what is neither constant, input nor output, and what stays from one call to the next is reserved.
    ///
    /// # Errors
    /// If it does not compute such a segment, or memory is short.
    fn load(
        &self,
        plan: &Plan<'_>,
        constants: SharedConstants,
        budget: &MemoryBudget,
    ) -> Result<Arc<dyn LoadedSegment>, SegmentError>;
}

/// A segment that an accelerator has taken. Any number of threads run it at a time.
pub trait LoadedSegment: Send + Sync {
    /// Returns how many bytes each output has, for these sizes of the plan's symbols.
    ///
    /// # Errors
    /// If the segment has no such sizes, or would take more memory than it may.
    fn output_bytes(&self, sizes: &[u32]) -> Result<Vec<usize>, SegmentError>;

    /// Computes the outputs. There is one slice for each input and output of the plan's signature, in its order. The outputs are as long as
    /// [`output_bytes`](Self::output_bytes) says; how long the inputs are is for the segment to check.
    ///
    /// # Errors
    /// If the inputs do not fit, memory is short, the data makes it impossible, or the deadline passes.
    fn run(
        &self,
        sizes: &[u32],
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        deadline: Option<Instant>,
    ) -> Result<(), SegmentError>;
}

/// Why an accelerator did not compute.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// It does not compute such a segment, now or later.
    #[error("declined: {0}")]
    Declined(String),
    /// Sizes or inputs do not fit the segment.
    #[error("invalid: {0}")]
    Invalid(String),
    /// There is not enough memory.
    #[error("out of memory: {0}")]
    OutOfMemory(String),
    /// The data makes it impossible.
    #[error("failed: {0}")]
    Failed(String),
    /// The deadline has passed.
    #[error("interrupted")]
    Interrupted,
}
