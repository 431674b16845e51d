//! Linear memory, as dlmalloc asks for it.

use std::ptr;

/// The size of a page of linear memory.
pub const PAGE_BYTES: usize = 64 << 10;

/// Where memory is taken from that is never given back.
///
/// # Safety
/// What [`Source::take`] returns can be read and written, is zero, and was handed out to nobody else.
pub unsafe trait Source: Send {
    /// Takes `size` bytes, which are whole pages; `None` if there are not so many.
    fn take(&self, size: usize) -> Option<*mut u8>;
}

/// A source, as dlmalloc asks it.
#[derive(Clone, Copy, Debug)]
pub struct Linear<S>(pub S);

/// Grows memory by at least `size` bytes and returns where they begin; `None` if that is refused, and where there is no linear memory.
pub fn grow(size: usize) -> Option<*mut u8> {
    #[cfg(target_arch = "wasm32")]
    {
        let previous = core::arch::wasm32::memory_grow(0, size.div_ceil(PAGE_BYTES));
        (previous != usize::MAX).then(|| ptr::with_exposed_provenance_mut(previous * PAGE_BYTES))
    }
    #[cfg(not(target_arch = "wasm32"))]
    {
        let _ = size;
        None
    }
}

// SAFETY: a source hands memory out once, says its trait, and nothing here takes it back.
unsafe impl<S: Source> dlmalloc::Allocator for Linear<S> {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        let size = size.next_multiple_of(PAGE_BYTES);
        match self.0.take(size) {
            Some(base) => (base, size, 0),
            None => (ptr::null_mut(), 0, 0),
        }
    }

    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        ptr::null_mut()
    }

    fn free_part(&self, _: *mut u8, _: usize, _: usize) -> bool {
        false
    }

    fn free(&self, _: *mut u8, _: usize) -> bool {
        false
    }

    fn can_release_part(&self, _: u32) -> bool {
        false
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        PAGE_BYTES
    }
}
