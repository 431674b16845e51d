//! Counts what a component left to its host, and says why something was not computed there.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use tracing::{debug, warn};

use super::Refused;
use crate::accelerator::SegmentError;

/// What a model's instances left to the host so far.
///
/// The same numbers go to the recorder of the crate `metrics`, if the process has installed one: `tensorlet_offload_runs_total`,
/// `tensorlet_offload_segments_loaded_total`, and `tensorlet_offload_fallbacks_total` by `reason`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct OffloadCounts {
    /// Segments that the host has taken.
    pub segments_loaded: u64,
    /// Bytes of constants that had to be copied to take them. Those in the image of a component are used where they are mapped.
    pub constants_copied_bytes: u64,
    /// Runs of segments that the host has computed.
    pub runs: u64,
    /// What was left to the guest by reason.
    pub fallbacks: OffloadFallbacks,
}

/// How often a guest was told to compute by itself.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct OffloadFallbacks {
    /// The segment is invalid, beyond a limit, or not one that the accelerator computes. Counted when it is loaded or run.
    pub declined: u64,
    /// A segment was run that was not loaded, or with sizes and inputs that do not fit it.
    pub invalid: u64,
    /// Memory was short.
    pub out_of_memory: u64,
    /// The data made it impossible, or the accelerator has a bug.
    pub failed: u64,
}

impl OffloadFallbacks {
    /// Returns the sum over all reasons.
    pub fn total(&self) -> u64 {
        self.declined + self.invalid + self.out_of_memory + self.failed
    }
}

#[derive(Debug)]
pub(super) struct Counters {
    accelerator: &'static str,
    segments_loaded: AtomicU64,
    constants_copied_bytes: AtomicU64,
    runs: AtomicU64,
    fallbacks: [Fallback; 4],
}

/// One reason.
#[derive(Debug)]
struct Fallback {
    reason: &'static str,
    count: AtomicU64,
    /// A guest can bring the same about again and again, and must not fill the log with it.
    is_logged: AtomicBool,
}

impl Fallback {
    const fn new(reason: &'static str) -> Self {
        Self {
            reason,
            count: AtomicU64::new(0),
            is_logged: AtomicBool::new(false),
        }
    }
}

impl Counters {
    pub(super) fn new(accelerator: &'static str) -> Self {
        Self {
            accelerator,
            segments_loaded: AtomicU64::new(0),
            constants_copied_bytes: AtomicU64::new(0),
            runs: AtomicU64::new(0),
            fallbacks: ["declined", "invalid", "out_of_memory", "failed"].map(Fallback::new),
        }
    }

    pub(super) fn read(&self) -> OffloadCounts {
        let [declined, invalid, out_of_memory, failed] = &self.fallbacks;
        let read = |fallback: &Fallback| fallback.count.load(Relaxed);
        OffloadCounts {
            segments_loaded: self.segments_loaded.load(Relaxed),
            constants_copied_bytes: self.constants_copied_bytes.load(Relaxed),
            runs: self.runs.load(Relaxed),
            fallbacks: OffloadFallbacks {
                declined: read(declined),
                invalid: read(invalid),
                out_of_memory: read(out_of_memory),
                failed: read(failed),
            },
        }
    }

    /// Counts an attempt to load a segment.
    pub(super) fn loaded(&self, segment: u32, result: Result<u64, &SegmentError>) {
        match result {
            Ok(copied_bytes) => {
                self.segments_loaded.fetch_add(1, Relaxed);
                self.constants_copied_bytes.fetch_add(copied_bytes, Relaxed);
                metrics::counter!("tensorlet_offload_segments_loaded_total", "accelerator" => self.accelerator)
                    .increment(1);
                debug!(
                    segment,
                    copied_bytes,
                    accelerator = self.accelerator,
                    "took a segment"
                );
            }
            Err(error) => self.fell_back(segment, &Refused::Error(error.clone())),
        }
    }

    /// Counts a run that was computed.
    pub(super) fn ran(&self) {
        self.runs.fetch_add(1, Relaxed);
        metrics::counter!("tensorlet_offload_runs_total", "accelerator" => self.accelerator)
            .increment(1);
    }

    /// Counts what was left to the guest.
    pub(super) fn fell_back(&self, segment: u32, refused: &Refused) {
        let (index, reason) = match refused {
            Refused::Error(error @ SegmentError::Declined(_)) => (0, error.to_string()),
            Refused::NotLoaded => (1, "invalid: it was not loaded".to_owned()),
            Refused::Error(error @ SegmentError::Invalid(_)) => (1, error.to_string()),
            Refused::Error(error @ SegmentError::OutOfMemory(_)) => (2, error.to_string()),
            Refused::Error(error) => (3, error.to_string()),
        };
        let fallback = &self.fallbacks[index];
        fallback.count.fetch_add(1, Relaxed);
        metrics::counter!(
            "tensorlet_offload_fallbacks_total",
            "accelerator" => self.accelerator,
            "reason" => fallback.reason
        )
        .increment(1);
        let accelerator = self.accelerator;
        if fallback.is_logged.swap(true, Relaxed) {
            debug!(segment, accelerator, reason, "the model computes by itself");
        } else {
            warn!(
                segment,
                accelerator,
                reason,
                "the model computes by itself; more of this kind is logged at level debug"
            );
        }
    }
}
