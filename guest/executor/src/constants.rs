//! The constants that kernels read: copied side by side, or where they are already.

use std::fmt;
use std::sync::Arc;

use tensorlet_plan::{ConstantLayout, Plan};

use crate::error::LoadError;
use crate::memory::{ALIGN_BYTES, AlignedBytes, is_aligned};

/// Constants that somebody else keeps, at a multiple of 64 bytes. They must not change.
pub type SharedConstants = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// The constants of a plan, and where each of them is.
pub(crate) enum Constants {
    /// Copied, without sub-graphs, which are not needed once tract has loaded them.
    Copied {
        bytes: AlignedBytes,
        layout: ConstantLayout,
    },
    /// All of the plan's, in place.
    Shared(SharedConstants),
}

impl Constants {
    /// Copies what the values of a verified plan refer to.
    pub(crate) fn copy(plan: &Plan<'_>) -> Result<Self, LoadError> {
        let layout = plan.constant_layout();
        let total = layout.total_bytes();
        let mut bytes = AlignedBytes::zeroed(total).ok_or_else(|| {
            LoadError::new(format!(
                "expected {total} bytes of memory for constants, found fewer"
            ))
        })?;
        for (start, end, to) in layout.pieces() {
            bytes.as_mut_slice()[to..to + (end - start)]
                .copy_from_slice(&plan.constants[start..end]);
        }
        Ok(Self::Copied { bytes, layout })
    }

    /// Uses the constants of a verified plan where they are.
    pub(crate) fn share(plan: &Plan<'_>, shared: SharedConstants) -> Result<Self, LoadError> {
        let (expected, found) = (plan.constants.len(), (*shared).as_ref());
        if found.len() != expected || !is_aligned(found) {
            return Err(LoadError::new(format!(
                "expected {expected} bytes of constants that begin at a multiple of {ALIGN_BYTES}, found {} at {:p}",
                found.len(),
                found.as_ptr()
            )));
        }
        Ok(Self::Shared(shared))
    }

    /// Returns where a range of the plan's constants begins here.
    pub(crate) fn offset(&self, start: u64) -> usize {
        match self {
            Self::Copied { layout, .. } => layout.offset(start),
            Self::Shared(_) => start as usize,
        }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Copied { bytes, .. } => bytes.as_slice(),
            Self::Shared(shared) => (**shared).as_ref(),
        }
    }
}

impl fmt::Debug for Constants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::Copied { .. } => "copied",
            Self::Shared(_) => "shared",
        };
        write!(f, "{} bytes of constants, {what}", self.as_slice().len())
    }
}
