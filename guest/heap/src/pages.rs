//! Hands out linear memory: spare memory first, then memory that grows.

use std::cell::{Cell, UnsafeCell};
use std::ptr;

use crate::linear::{Source, grow};

/// Memory that an instance has from the beginning. As it is zero, it takes no bytes in a component.
#[repr(C, align(16))]
pub struct Spare<const BYTES: usize>(UnsafeCell<[u8; BYTES]>);

// SAFETY: who makes a heap of it says that nobody else uses it.
unsafe impl<const BYTES: usize> Sync for Spare<BYTES> {}

impl<const BYTES: usize> Spare<BYTES> {
    /// Makes spare memory, to be stored in a `static`.
    #[expect(clippy::new_without_default, reason = "a `static` needs a constant")]
    pub const fn new() -> Self {
        Self(UnsafeCell::new([0; BYTES]))
    }

    pub(crate) const fn base(&'static self) -> *mut u8 {
        self.0.get().cast()
    }
}

/// Where the allocator gets its memory.
pub(crate) struct Pages {
    base: *mut u8,
    /// How much of the spare memory there is.
    len: usize,
    /// How much of it is handed out, or not to be.
    next: Cell<usize>,
    /// Where memory lies that was handed out beyond it: first byte, length.
    grown: Cell<(*mut u8, usize)>,
}

// SAFETY: the memory that it points to belongs to it.
unsafe impl Send for Pages {}

impl Pages {
    /// Hands out what lies behind the first `used` bytes.
    pub(crate) const fn new<const BYTES: usize>(spare: &'static Spare<BYTES>, used: usize) -> Self {
        Self {
            base: spare.base(),
            len: BYTES,
            next: Cell::new(used),
            grown: Cell::new((ptr::null_mut(), 0)),
        }
    }

    /// Makes all memory zero that was handed out, and returns what hands it out again, with all else behind the first `used` bytes of
    /// the spare memory.
    ///
    /// # Safety
    /// Nobody uses what was handed out any more.
    pub(crate) unsafe fn wiped(&self, used: usize) -> Self {
        let (grown, grown_len) = self.grown.get();
        // SAFETY: both are ranges of memory that was handed out, which the caller says nobody uses; between `used` and what
        // was handed out first, nothing was ever written.
        unsafe {
            ptr::write_bytes(self.base.add(used), 0, self.next.get() - used);
            if grown_len > 0 {
                ptr::write_bytes(grown, 0, grown_len);
            }
        }
        Self {
            base: self.base,
            len: self.len,
            next: Cell::new(used.next_multiple_of(16)),
            grown: Cell::new((ptr::null_mut(), 0)),
        }
    }
}

// SAFETY: spare memory is this source's alone, what grows is new; both are handed out once.
unsafe impl Source for Pages {
    fn take(&self, size: usize) -> Option<*mut u8> {
        let next = self.next.get();
        if size <= self.len - next.min(self.len) {
            self.next.set(next + size);
            return Some(self.base.wrapping_add(next));
        }
        let pages = grow(size)?;
        let (first, len) = self.grown.get();
        // Memory grows at its end, so the ranges are one, unless somebody else makes it grow.
        self.grown.set(match len {
            0 => (pages, size),
            _ => (first, pages.addr() + size - first.addr()),
        });
        Some(pages)
    }
}
