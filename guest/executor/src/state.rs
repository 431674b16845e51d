//! The memory of a call.

use crate::error::PredictError;
use crate::memory::{ALIGN_BYTES, AlignedBytes};
use crate::slices::SliceLists;

/// The memory that calls work in, one at a time. It grows to what the largest of them needs.
///
/// What a call leaves in it does not change the next.
#[derive(Debug, Default)]
pub struct State {
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
        self.arena.len()
    }

    /// Drops what the last call left outside of the arena.
    pub(crate) fn forget(&mut self) {
        #[cfg(feature = "tract")]
        self.dynamic.clear();
    }

    pub(crate) fn reserve(&mut self, arena_bytes: usize) -> Result<(), PredictError> {
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
