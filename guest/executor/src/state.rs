//! The memory of a call.

use crate::error::PredictError;
use crate::memory::{ALIGN_BYTES, AlignedBytes};
use crate::slices::SliceLists;

/// The memory that calls work in, one at a time. It grows to what the largest of them needs.
///
/// What a call leaves in it does not change the next.
#[derive(Debug, Default)]
pub struct State {
    /// The calling thread's, and that of rows that several threads compute.
    first: Workplace,
    /// One for each further thread that computes rows.
    #[cfg(not(target_arch = "wasm32"))]
    others: Vec<Workplace>,
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
        let bytes = self.first.arena.len();
        #[cfg(not(target_arch = "wasm32"))]
        let others = self.others.iter().map(|other| other.arena.len());
        #[cfg(not(target_arch = "wasm32"))]
        let bytes = bytes + others.sum::<usize>();
        bytes
    }

    /// Drops what the last call left outside of the arenas.
    #[cfg(feature = "tract")]
    pub(crate) fn forget(&mut self) {
        self.first.dynamic.clear();
        #[cfg(not(target_arch = "wasm32"))]
        for other in &mut self.others {
            other.dynamic.clear();
        }
    }

    /// Drops what the last call left outside of the arenas.
    #[cfg(not(feature = "tract"))]
    pub(crate) fn forget(&mut self) {}

    /// Returns the first place to work, with an arena of at least so many bytes.
    pub(crate) fn first(&mut self, arena_bytes: usize) -> Result<&mut Workplace, PredictError> {
        self.first.reserve(arena_bytes)?;
        Ok(&mut self.first)
    }

    /// Returns so many places to work, each with an arena of at least so many bytes.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn workplaces(
        &mut self,
        count: usize,
        arena_bytes: usize,
    ) -> Result<impl Iterator<Item = &mut Workplace> + Send, PredictError> {
        let others = count - 1;
        if self.others.len() < others {
            self.others.resize_with(others, Workplace::default);
        }
        let others = &mut self.others[..others];
        self.first.reserve(arena_bytes)?;
        for other in &mut *others {
            other.reserve(arena_bytes)?;
        }
        Ok(std::iter::once(&mut self.first).chain(others))
    }

    /// Returns the value that the last row wrote, whose dims only the data decided.
    #[cfg(feature = "tract")]
    pub(crate) fn dynamic_output(
        &self,
        value: tensorlet_plan::ValueId,
    ) -> Result<tensorlet_tensor::Tensor, String> {
        self.first.dynamic.to_tensor(value)
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
