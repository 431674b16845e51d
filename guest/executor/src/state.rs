//! The memory of a call.

use crate::error::PredictError;
use crate::memory::{ALIGN_BYTES, AlignedBytes};
use crate::slices::SliceLists;

/// The memory that calls work in, one at a time. It grows to what the largest of them needs.
///
/// What a call leaves in it does not change the next.
#[derive(Debug, Default)]
pub struct State {
    /// One for each thread that computes rows; the first also for those that are computed by several.
    workplaces: Vec<Workplace>,
}

/// The memory that one row at a time is computed in.
#[derive(Debug, Default)]
pub(crate) struct Workplace {
    pub(crate) arena: AlignedBytes,
    pub(crate) lists: SliceLists,
    /// Values whose dims only the data decides, by value.
    #[cfg(feature = "tract")]
    pub(crate) dynamic: crate::tract_step::DynamicValues,
}

impl State {
    /// A state without memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns how many bytes it has.
    pub fn arena_bytes(&self) -> usize {
        self.workplaces
            .iter()
            .map(|workplace| workplace.arena.len())
            .sum()
    }

    /// Drops what the last call left outside of the arenas.
    pub(crate) fn forget(&mut self) {
        #[cfg(feature = "tract")]
        for workplace in &mut self.workplaces {
            workplace.dynamic.clear();
        }
    }

    /// Returns so many places to work, each with an arena of at least so many bytes.
    pub(crate) fn workplaces(
        &mut self,
        count: usize,
        arena_bytes: usize,
    ) -> Result<&mut [Workplace], PredictError> {
        if self.workplaces.len() < count {
            self.workplaces.resize_with(count, Workplace::default);
        }
        let workplaces = &mut self.workplaces[..count];
        for workplace in &mut *workplaces {
            workplace.reserve(arena_bytes)?;
        }
        Ok(workplaces)
    }

    /// Returns the value that the last row wrote, whose dims only the data decided.
    #[cfg(feature = "tract")]
    pub(crate) fn dynamic_output(
        &self,
        value: tensorlet_plan::ValueId,
    ) -> Result<tensorlet_tensor::Tensor, String> {
        match self.workplaces.first() {
            Some(workplace) => workplace.dynamic.to_tensor(value),
            None => Err("expected a row, found none".into()),
        }
    }
}

impl Workplace {
    fn reserve(&mut self, arena_bytes: usize) -> Result<(), PredictError> {
        // Even no bytes must begin at a multiple of 64.
        let arena_bytes = arena_bytes.max(ALIGN_BYTES);
        if self.arena.len() < arena_bytes {
            // What is there is returned first, so that both need not fit.
            self.arena = AlignedBytes::default();
            self.arena = AlignedBytes::zeroed(arena_bytes).ok_or(PredictError::OutOfMemory {
                expected_bytes: arena_bytes,
            })?;
        }
        Ok(())
    }
}
