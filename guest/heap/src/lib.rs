//! The allocator of components whose instances live for a call.
//!
//! A host may make an instance for every call, so what an instance does before the call is done again and again. This allocator does nothing
//! then, and asks for no memory while calls are small: it begins with spare memory that is there from the beginning and costs nothing
//! until it is touched, while growing memory is a system call of the host.
//!
//! What a component knows from its build on, it makes once, before its memory is kept as a snapshot. [`Heap::keep`] puts that side
//! by side at the bottom and wipes everything else, so that the snapshot is small and dense.
//!
//! ```text
//! while it is prepared:  │ kept ─►          │ scratch ─►                    │
//! when it is called:     │ kept │ blocks ─►                                 │ memory that grows ─►
//!                        └─────────────────── Spare ───────────────────────┘
//! ```
//!
//! - [`Linear`] is what dlmalloc asks for memory, in other components as well; `pages` is where it comes from here.

#![deny(unsafe_code)]
#![expect(
    unsafe_code,
    reason = "the fence around the allocator: raw memory in, raw memory out"
)]

mod linear;
mod pages;

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::ptr;

use dlmalloc::Dlmalloc;

pub use crate::linear::{Linear, PAGE_BYTES, Source, grow};
use crate::pages::Pages;
pub use crate::pages::Spare;

/// Where blocks begin at multiples of this, the allocator keeps no more than their size.
const MALLOC_ALIGN_BYTES: usize = 2 * size_of::<usize>();

/// An allocator for a component, which has one thread.
pub struct Heap(UnsafeCell<State>);

struct State {
    blocks: Dlmalloc<Linear<Pages>>,
    /// How many blocks of it are allocated.
    block_count: usize,
    /// Where kept blocks lie.
    kept: Kept,
}

/// The part of the spare memory whose blocks are never freed.
struct Kept {
    base: *mut u8,
    /// How much of it is allocated.
    len: usize,
    room: usize,
    /// Whether the next blocks belong to it.
    is_open: bool,
}

// SAFETY: a component has one thread. Tests use each heap from one thread.
unsafe impl Sync for Heap {}

impl Heap {
    /// Makes an allocator of spare memory that nobody else uses.
    pub const fn new<const BYTES: usize>(spare: &'static Spare<BYTES>) -> Self {
        Self::with_room(spare, 0)
    }

    /// As [`Heap::new`], for a component that is prepared: the first `room_bytes` are for what it keeps.
    ///
    /// # Panics
    /// If there are fewer; as this is called for a `static`, that is while compiling.
    pub const fn with_room<const BYTES: usize>(
        spare: &'static Spare<BYTES>,
        room_bytes: usize,
    ) -> Self {
        assert!(
            room_bytes <= BYTES,
            "the room is a part of the spare memory"
        );
        Self(UnsafeCell::new(State {
            blocks: Dlmalloc::new_with_allocator(Linear(Pages::new(spare, room_bytes))),
            block_count: 0,
            kept: Kept {
                base: spare.base(),
                len: 0,
                room: room_bytes,
                is_open: false,
            },
        }))
    }

    /// Returns a copy of `value` that lies side by side at the bottom of the spare memory, and is never freed.
    ///
    /// `value` is dropped. If it was the last that was allocated, all memory above the copy is zero afterwards, and is used again. What does
    /// not fit the room lies elsewhere; that costs space, not correctness.
    pub fn keep<T: Clone>(&self, value: T) -> T {
        self.with(|state| state.kept.is_open = true);
        let copy = value.clone();
        self.with(|state| state.kept.is_open = false);
        drop(value);
        self.with(State::wipe);
        copy
    }

    fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        // SAFETY: there is one thread, and no `work` in this module allocates by this allocator, so no second reference comes
        // to be.
        work(unsafe { &mut *self.0.get() })
    }
}

// SAFETY: blocks are ranges of memory that nobody else has, and never move while they are allocated.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.with(|state| state.alloc(layout, false))
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.with(|state| state.alloc(layout, true))
    }

    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        self.with(|state| state.free(block));
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        self.with(|state| state.realloc(block, layout, new_size))
    }
}

impl State {
    fn alloc(&mut self, layout: Layout, is_zeroed: bool) -> *mut u8 {
        if let Some(block) = self.kept.alloc(layout) {
            return block;
        }
        // SAFETY: a layout's size and alignment are valid.
        let block = unsafe {
            match is_zeroed {
                true => self.blocks.calloc(layout.size(), layout.align()),
                false => self.blocks.malloc(layout.size(), layout.align()),
            }
        };
        self.block_count += usize::from(!block.is_null());
        block
    }

    fn free(&mut self, block: *mut u8) {
        if self.kept.contains(block) {
            return;
        }
        self.block_count -= 1;
        // SAFETY: the caller returns a block, and its address says that `blocks` gave it.
        unsafe { self.blocks.c_free(block) };
    }

    fn realloc(&mut self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if !self.kept.contains(block) && layout.align() <= MALLOC_ALIGN_BYTES {
            // SAFETY: as for `free`. What comes back begins at a multiple of `MALLOC_ALIGN_BYTES`.
            return unsafe { self.blocks.c_realloc(block, new_size) };
        }
        // SAFETY: the caller promises that the new size is valid for this alignment.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        let new_block = self.alloc(new_layout, false);
        if !new_block.is_null() {
            // SAFETY: two blocks of at least this many bytes, which do not overlap.
            unsafe { ptr::copy_nonoverlapping(block, new_block, layout.size().min(new_size)) };
            self.free(block);
        }
        new_block
    }

    /// Makes all memory above the kept part zero and usable again, unless blocks of it are allocated.
    fn wipe(&mut self) {
        if self.block_count > 0 {
            return;
        }
        // SAFETY: no block is allocated, and the allocator that has notes in this memory is replaced.
        let pages = unsafe { self.blocks.allocator().0.wiped(self.kept.len) };
        self.blocks = Dlmalloc::new_with_allocator(Linear(pages));
        // What is not used of the room is there for blocks.
        self.kept.room = self.kept.len;
    }
}

impl Kept {
    fn alloc(&mut self, layout: Layout) -> Option<*mut u8> {
        if !self.is_open {
            return None;
        }
        let end = self.base.wrapping_add(self.len);
        let begin = self.len + end.align_offset(layout.align());
        if layout.size() > self.room.checked_sub(begin)? {
            return None;
        }
        self.len = begin + layout.size();
        // Nothing was ever here, so it is zero.
        Some(self.base.wrapping_add(begin))
    }

    fn contains(&self, block: *mut u8) -> bool {
        block.addr().wrapping_sub(self.base.addr()) < self.len
    }
}

#[cfg(test)]
mod tests;
