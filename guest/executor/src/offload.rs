//! Leaves segments of a plan to a host.
//!
//! Inside the predictor a host may compute a [segment](tensorlet_plan::segments) in place of the kernels here. If it does not, for
//! whatever reason, the executor computes the segment itself, so that a call never depends on the host.

use tensorlet_kernels::TensorType;
use tensorlet_plan::{Plan, Segment};

use crate::binding::tensor_type;
use crate::error::LoadError;
use crate::program::Program;

/// Who computes segments in place of the kernels here.
pub trait Offload: Sync {
    /// Takes a segment ahead of its first run, if it can.
    fn offer(&self, segment: &SegmentBytes<'_>);

    /// Computes the outputs of a segment for these sizes of its symbols. Returns `false` if it does not; what is in the outputs
    /// then does not matter.
    fn run(
        &self,
        segment: &SegmentBytes<'_>,
        sizes: &[u32],
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> bool;
}

/// All there is to know of a segment.
#[derive(Clone, Copy, Debug)]
pub struct SegmentBytes<'a> {
    /// Which of the plan's segments it is.
    pub index: u32,
    /// Its plan, without constants, as [`Plan::write_header`] has it.
    pub plan: &'a [u8],
    /// The constants that its plan refers to.
    pub constants: &'a [u8],
}

/// The segments of a plan, and who computes them.
pub(crate) struct Offloaded {
    host: &'static dyn Offload,
    segments: Vec<(Segment, Box<[u8]>)>,
    /// Whether the first segment is the whole plan.
    is_whole: bool,
}

impl Offloaded {
    /// Pairs the segments of a verified plan with their plans; `None` if there are none to leave to anybody.
    pub(crate) fn new(
        plan: &Plan<'_>,
        host: Option<&'static dyn Offload>,
        plans: Vec<Vec<u8>>,
    ) -> Result<Option<Self>, LoadError> {
        let Some(host) = host.filter(|_| !plans.is_empty()) else {
            return Ok(None);
        };
        let segments = plan.segments();
        if segments.len() != plans.len() {
            return Err(LoadError::new(format!(
                "expected plans of {} segments, found {}",
                segments.len(),
                plans.len()
            )));
        }
        let is_whole = segments[0].steps == (0..plan.steps.len());
        let plans = plans.into_iter().map(Vec::into_boxed_slice);
        Ok(Some(Self {
            host,
            segments: segments.into_iter().zip(plans).collect(),
            is_whole,
        }))
    }

    /// Reports whether there is one segment, the whole plan.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Returns the segments between tract steps: none in plans of kernels alone.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Segment> {
        let has_parts = cfg!(feature = "tract") && !self.is_whole;
        let parts = if has_parts { &self.segments[..] } else { &[] };
        parts.iter().map(|(segment, _)| segment)
    }

    /// Offers all segments to the host.
    pub(crate) fn offer(&self, program: &Program) {
        for index in 0..self.segments.len() {
            self.host.offer(&self.bytes(program, index));
        }
    }

    /// Asks the host to compute a segment.
    pub(crate) fn run(
        &self,
        program: &Program,
        index: usize,
        sizes: &[u32],
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> bool {
        let segment = self.bytes(program, index);
        self.host.run(&segment, sizes, inputs, outputs)
    }

    fn bytes<'a>(&'a self, program: &'a Program, index: usize) -> SegmentBytes<'a> {
        SegmentBytes {
            index: index as u32,
            plan: &self.segments[index].1,
            constants: program.constants.as_slice(),
        }
    }
}

/// Returns the types of a plan's outputs, if they are known and the host may be asked for the whole plan.
pub(crate) fn whole_outputs(program: &Program, sizes: &[u32]) -> Option<Vec<TensorType>> {
    program
        .offloaded
        .as_ref()
        .filter(|offloaded| offloaded.is_whole())?;
    let outputs = program.outputs.iter();
    outputs
        .map(|id| tensor_type(&program.values[id.index()], sizes).ok()?)
        .collect()
}
