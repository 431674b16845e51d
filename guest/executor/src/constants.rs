//! The constants that kernels read, side by side.
//!
//! A plan's constants also hold sub-graphs, which are not needed once tract has loaded them.

use std::collections::BinaryHeap;

use tensorlet_plan::{Plan, Storage};

use crate::error::LoadError;
use crate::memory::{ALIGN_BYTES, AlignedBytes};

/// Bytes copied from a plan, and where each range of them went.
#[derive(Debug, Default)]
pub(crate) struct Constants {
    bytes: AlignedBytes,
    /// Where pieces began in the plan, where they end there, and where they begin here; ascending, without overlap.
    pieces: Vec<(usize, usize, usize)>,
}

impl Constants {
    /// Copies what the values of a verified plan refer to. Ranges that overlap are copied once.
    pub(crate) fn gather(plan: &Plan<'_>) -> Result<Self, LoadError> {
        // A heap, as sorting by one is the smallest code, and `Operands` sorts by one as well.
        let ranges: BinaryHeap<(usize, usize)> = plan
            .values
            .iter()
            .filter_map(|value| match &value.storage {
                // `verify` found them within the plan's bytes, so they fit `usize`.
                Storage::Constant(range) => Some((range.start as usize, range.end as usize)),
                _ => None,
            })
            .collect();
        let mut merged: Vec<(usize, usize)> = Vec::new();
        for (start, end) in ranges.into_sorted_vec() {
            match merged.last_mut() {
                Some((_, last_end)) if start < *last_end => *last_end = end.max(*last_end),
                _ => merged.push((start, end)),
            }
        }
        let mut total = 0usize;
        let mut pieces = Vec::with_capacity(merged.len());
        for (start, end) in merged {
            pieces.push((start, end, total));
            total += (end - start).next_multiple_of(ALIGN_BYTES);
        }
        let mut bytes = AlignedBytes::zeroed(total).ok_or_else(|| {
            LoadError::new(format!(
                "expected {total} bytes of memory for constants, found fewer"
            ))
        })?;
        for &(start, end, to) in &pieces {
            bytes.as_mut_slice()[to..to + (end - start)]
                .copy_from_slice(&plan.constants[start..end]);
        }
        Ok(Self { bytes, pieces })
    }

    /// Returns where a range of the plan's constants begins here.
    pub(crate) fn offset(&self, start: u64) -> usize {
        let start = start as usize;
        let next = self.pieces.partition_point(|&(from, ..)| from <= start);
        let (from, _, to) = self.pieces[next.checked_sub(1).expect("`gather` saw this range")];
        to + (start - from)
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.as_slice()
    }
}
