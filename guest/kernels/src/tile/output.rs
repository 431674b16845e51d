//! Outputs that several threads write, each other elements.

#![expect(
    unsafe_code,
    reason = "the fence around elements of one slice that threads write at the same time"
)]

use std::marker::PhantomData;

/// Some elements of a slice. The others, in between, may be those of another thread.
#[derive(Debug)]
pub(crate) struct Output<'a> {
    begin: *mut f32,
    len: usize,
    /// What it was made of.
    borrowed: PhantomData<&'a mut [f32]>,
}

// SAFETY: numbers may be written by any thread, and `another` has its caller promise that no two write the same ones.
unsafe impl Send for Output<'_> {}
// SAFETY: as above; what is shared is neither read nor written but by way of `another`.
unsafe impl Sync for Output<'_> {}

impl<'a> From<&'a mut [f32]> for Output<'a> {
    fn from(all: &'a mut [f32]) -> Self {
        Self {
            begin: all.as_mut_ptr(),
            len: all.len(),
            borrowed: PhantomData,
        }
    }
}

impl<'a> Output<'a> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns where it begins. Only elements that nobody else writes may be written, and those that nobody else writes read.
    pub(crate) fn as_mut_ptr(&mut self) -> *mut f32 {
        self.begin
    }

    /// Returns the elements from one on once more.
    ///
    /// # Safety
    /// Nobody writes or reads elements that another one writes at the same time.
    /// # Panics
    /// If there are not so many elements.
    pub(crate) unsafe fn another(&self, from: usize) -> Self {
        assert!(from <= self.len, "expected elements of an output");
        Self {
            // SAFETY: there are `from` elements.
            begin: unsafe { self.begin.add(from) },
            len: self.len - from,
            borrowed: PhantomData,
        }
    }

    /// Returns some elements as a slice.
    ///
    /// # Safety
    /// Nobody else reads or writes one of them meanwhile.
    /// # Panics
    /// If there are not so many elements.
    pub(crate) unsafe fn slice(&mut self, from: usize, len: usize) -> &mut [f32] {
        assert!(
            from.checked_add(len).is_some_and(|end| end <= self.len),
            "expected elements of an output"
        );
        // SAFETY: there are these elements, and they are the caller's alone.
        unsafe { std::slice::from_raw_parts_mut(self.begin.add(from), len) }
    }
}
