//! Hands out linear memory.
//!
//! While a plan is being prepared, memory is in two parts:
//!
//! ```text
//! 0            base                                scratch base                 end
//! ├─ data, stack ─┼─ resident ─►      (untouched)    ┼─ the plan, temporaries ─► ┤
//! └────────── kept ────────────┘                     └──── dropped ──────────────┘
//! ```

use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use tensorlet_heap::{PAGE_BYTES, Source, grow};

/// Whether there is room set aside for resident pages, and a scratch part above it.
static IS_SPLIT: AtomicBool = AtomicBool::new(false);

/// Pages behind the resident ones that instances have from the beginning: most calls need no more, and growing memory takes the host longer than
/// touching it. Untouched ones cost nothing.
const SPARE_BYTES: usize = 1 << 20;

/// Where the next resident pages begin, while memory is split or pages are spare.
static RESIDENT_NEXT: AtomicUsize = AtomicUsize::new(0);

/// Where the room for resident pages ends, while memory is split or pages are spare.
static RESIDENT_END: AtomicUsize = AtomicUsize::new(0);

/// Where an allocator gets its pages. One type for both parts, so that the allocator's code is there once.
#[derive(Clone, Copy)]
pub(crate) enum Pages {
    /// Of the resident part; at run time all there are.
    Resident,
    /// Of the scratch part.
    Scratch,
}

/// Sets `room_bytes` aside for resident pages and returns where the scratch part begins, or `None` when memory is
/// short.
pub(crate) fn split(room_bytes: usize) -> Option<usize> {
    let base = grow(room_bytes)?.expose_provenance();
    let scratch_base = base + room_bytes.next_multiple_of(PAGE_BYTES);
    RESIDENT_NEXT.store(base, Relaxed);
    RESIDENT_END.store(scratch_base, Relaxed);
    IS_SPLIT.store(true, Relaxed);
    Some(scratch_base)
}

/// Ends the split and returns where the kept memory ends: behind the resident pages and some spare ones.
pub(crate) fn join() -> usize {
    IS_SPLIT.store(false, Relaxed);
    let spare_end = RESIDENT_NEXT.load(Relaxed) + SPARE_BYTES;
    RESIDENT_END.fetch_min(spare_end, Relaxed);
    RESIDENT_END.load(Relaxed)
}

/// Returns where memory ends.
pub(crate) fn end() -> usize {
    #[cfg(target_arch = "wasm32")]
    {
        core::arch::wasm32::memory_size(0) * PAGE_BYTES
    }
    #[cfg(not(target_arch = "wasm32"))]
    {
        0
    }
}

#[expect(
    unsafe_code,
    reason = "the fence through which dlmalloc gets linear memory"
)]
// SAFETY: these are whole pages that were handed out to nobody else: the next of a range, or what memory has grown by.
unsafe impl Source for Pages {
    fn take(&self, size: usize) -> Option<*mut u8> {
        let next = RESIDENT_NEXT.load(Relaxed);
        let fits = size <= RESIDENT_END.load(Relaxed) - next;
        match self {
            Self::Resident if fits => {
                let base = RESIDENT_NEXT.swap(next + size, Relaxed);
                Some(ptr::with_exposed_provenance_mut(base))
            }
            Self::Resident if IS_SPLIT.load(Relaxed) => None,
            Self::Resident | Self::Scratch => grow(size),
        }
    }
}
