//! The segments of one component, natively computed: the host's side of `wit/offload.wit`.
//!
//! ```text
//! guest ── find, load, run ──► abi: claims about memory ──► Segments: limits, verifier ──► Accelerator
//! ```
//!
//! A segment is bytes from a stranger. It is verified before anything else looks at it, belongs to one component, and is shared by its
//! instances. Whatever goes wrong is an answer that makes the guest compute by itself, a number in [`OffloadCounts`] and, the first time, a line
//! in the log; only a deadline ends the call.
//!
//! - `abi` reads arguments in place and writes results straight to the guest's memory.
//! - `constants` finds the constants in the component's mapped image, so that they need not be copied.
//! - `counts` counts.

mod abi;
mod constants;
mod counts;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tensorlet_plan::Plan;
use tensorlet_plan::segments::MAX_SEGMENTS;
use wasmtime::component::Component;

use crate::accelerator::{Accelerator, LoadedSegment, MemoryBudget, Reservation, SegmentError};

pub(crate) use abi::add_to_linker;
use counts::Counters;
pub use counts::{OffloadCounts, OffloadFallbacks};

/// The most bytes that a segment's plan may have, without constants. That of a network of hundreds of layers has a tenth of it.
pub const MAX_PLAN_BYTES: usize = 4 << 20;

/// How many times its own length a plan takes in memory at most, read and loaded.
const PLAN_FACTOR: u64 = 32;

/// The most steps and the most values that a segment may have. Binding takes about a microsecond for each, and is not interrupted.
pub const MAX_STEPS: usize = 1 << 16;

/// The segments of one component.
#[derive(Debug)]
pub(crate) struct Segments {
    accelerator: Arc<dyn Accelerator>,
    /// What the guest's memory is an image of.
    component: Component,
    /// What the host keeps for the component.
    budget: MemoryBudget,
    slots: Mutex<BTreeMap<u32, Slot>>,
    counters: Counters,
}

/// What is known of a segment.
#[derive(Clone)]
enum Slot {
    Loaded(Arc<Held>),
    Declined,
}

/// A segment, and what is reserved for its plan.
struct Held {
    segment: Arc<dyn LoadedSegment>,
    _reservation: Reservation,
}

/// What the host would do with a segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Availability {
    Loaded,
    Wanted,
    Declined,
}

impl Segments {
    pub(crate) fn new(
        accelerator: Arc<dyn Accelerator>,
        component: Component,
        memory_bytes: u64,
    ) -> Self {
        let counters = Counters::new(accelerator.name());
        Self {
            accelerator,
            component,
            budget: MemoryBudget::new(memory_bytes),
            slots: Mutex::default(),
            counters,
        }
    }

    /// Returns what happened so far.
    pub(crate) fn counts(&self) -> OffloadCounts {
        self.counters.read()
    }

    /// Returns how many bytes the host keeps for the component.
    pub(crate) fn kept_bytes(&self) -> u64 {
        self.budget.used_bytes()
    }

    fn find(&self, index: u32) -> Availability {
        match self.slot(index) {
            Some(Slot::Loaded(..)) => Availability::Loaded,
            Some(Slot::Declined) => Availability::Declined,
            None if (index as usize) < MAX_SEGMENTS => Availability::Wanted,
            None => Availability::Declined,
        }
    }

    /// Verifies a segment and has the accelerator take it. Its plan and constants are ranges of the guest's memory.
    fn load(
        &self,
        index: u32,
        memory: &mut [u8],
        plan: Range<usize>,
        constants: Range<usize>,
    ) -> Result<(), SegmentError> {
        match self.find(index) {
            Availability::Loaded => return Ok(()),
            Availability::Declined => {
                return Err(SegmentError::Declined("it was declined before".into()));
            }
            Availability::Wanted => {}
        }
        let loaded = guarded(|| {
            // Copied, as the constants are written to be shared.
            let bytes = bounded(&memory[plan])?.to_vec();
            let plan_bytes = bytes.len() as u64 * PLAN_FACTOR;
            let reservation = self.budget.reserve(plan_bytes).ok_or_else(|| {
                SegmentError::OutOfMemory(format!(
                    "expected a plan that takes less than {plan_bytes} bytes beside what the component has"
                ))
            })?;
            verified(&bytes, &memory[constants.clone()])?;
            let (constants, copied_bytes) =
                constants::share(&self.component, memory, constants, &self.budget)?;
            let plan = verified(&bytes, (*constants).as_ref())?;
            let segment = self
                .accelerator
                .load(&plan, Arc::clone(&constants), &self.budget)?;
            let held = Held {
                segment,
                _reservation: reservation,
            };
            Ok((Arc::new(held), copied_bytes))
        });
        self.counters.loaded(
            index,
            loaded.as_ref().map(|(_, copied_bytes)| *copied_bytes),
        );
        let slot = match &loaded {
            Ok((held, _)) => Slot::Loaded(Arc::clone(held)),
            Err(SegmentError::OutOfMemory(_)) => return loaded.map(drop),
            Err(_) => Slot::Declined,
        };
        // Another instance may have been faster, with a segment that is equally good.
        self.lock().entry(index).or_insert(slot);
        loaded.map(drop)
    }

    /// Returns a segment that is loaded.
    fn loaded(&self, index: u32) -> Result<Arc<dyn LoadedSegment>, Refused> {
        match self.slot(index) {
            Some(Slot::Loaded(held)) => Ok(Arc::clone(&held.segment)),
            Some(Slot::Declined) => Err(Refused::Error(SegmentError::Declined(
                "it was declined before".into(),
            ))),
            None => Err(Refused::NotLoaded),
        }
    }

    fn slot(&self, index: u32) -> Option<Slot> {
        self.lock().get(&index).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u32, Slot>> {
        // Each slot is written as a whole.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Loaded(..) => "Loaded",
            Self::Declined => "Declined",
        })
    }
}

/// Why a segment was not run.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Refused {
    NotLoaded,
    Error(SegmentError),
}

impl From<SegmentError> for Refused {
    fn from(error: SegmentError) -> Self {
        Self::Error(error)
    }
}

/// Returns the lengths of a segment's outputs.
fn output_bytes(segment: &dyn LoadedSegment, sizes: &[u32]) -> Result<Vec<usize>, SegmentError> {
    guarded(|| segment.output_bytes(sizes))
}

/// Runs a segment.
fn run(
    segment: &dyn LoadedSegment,
    sizes: &[u32],
    inputs: &[&[u8]],
    outputs: &mut [&mut [u8]],
    deadline: Option<Instant>,
) -> Result<(), SegmentError> {
    guarded(|| segment.run(sizes, inputs, outputs, deadline))
}

/// Turns a panic of an accelerator into an error: it must not end the host, nor the call.
fn guarded<R>(work: impl FnOnce() -> Result<R, SegmentError>) -> Result<R, SegmentError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let message = "the accelerator panicked, which is a bug in it";
        Err(SegmentError::Failed(message.into()))
    })
}

/// Checks that a plan is not too long.
fn bounded(plan: &[u8]) -> Result<&[u8], SegmentError> {
    match plan.len() {
        ..=MAX_PLAN_BYTES => Ok(plan),
        found => Err(SegmentError::Declined(format!(
            "expected a plan of at most {MAX_PLAN_BYTES} bytes, found {found}"
        ))),
    }
}

/// Reads the plan of a segment, and checks that it is one that is computed.
fn verified<'a>(plan: &'a [u8], constants: &'a [u8]) -> Result<Plan<'a>, SegmentError> {
    let declined = |reason: String| SegmentError::Declined(reason);
    let mut plan = Plan::read_header(plan).map_err(|error| declined(error.to_string()))?;
    if !plan.constants.is_empty() {
        return Err(declined(
            "expected a plan without constants, found some".into(),
        ));
    }
    plan.constants = Cow::Borrowed(constants);
    let (steps, values) = (plan.steps.len(), plan.values.len());
    if steps.max(values) > MAX_STEPS {
        return Err(declined(format!(
            "expected at most {MAX_STEPS} steps and values, found {steps} and {values}"
        )));
    }
    plan.verify_segment()
        .map_err(|error| declined(error.to_string()))?;
    Ok(plan)
}
