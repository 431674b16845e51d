//! The allocator, which places what outlives `prepare` side by side.
//!
//! Loading a model leaves a heap full of holes: parsed files, unpacked weights, intermediate graphs, several
//! times the size of what remains. Memory cannot shrink, so a snapshot of such a heap is large and sparse.
//! Here `prepare` runs twice. The first run only records which allocations are alive at its end; the second
//! run makes the same allocations in the same order, knows the fate of each, and puts the survivors into the
//! *resident* part and everything else into the *scratch* part above it, which is then cut off.
//!
//! ```text
//! first run   Start ──begin(None)──► Trace ──finish──► Run     returns a bit per allocation
//! second run  Start ──begin(bits)──► Place ──finish──► Run     returns the bytes to keep
//! ```
//!
//! The record is a hint: an allocation in the wrong part costs space, never correctness.

#![expect(
    unsafe_code,
    reason = "the fence around the allocator: raw memory in, raw memory out"
)]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::hash::RandomState;
use std::ptr::{self, NonNull};

use dlmalloc::Dlmalloc;
use tensorlet_heap::{Linear, PAGE_BYTES, Source as _, grow};

use crate::pages::{self, Pages};

#[cfg_attr(target_arch = "wasm32", global_allocator)]
static HEAP: Global = Global(UnsafeCell::new(Heap::new()));

/// What is allocated before `begin`, from this size on, is what the host passes in: a temporary.
const PASSED_BYTES: usize = 64;

/// What is allocated with at least so many bytes begins at a multiple of [`TENSOR_ALIGN_BYTES`]: it may be a tensor, which
/// kernels use in place if it does.
const TENSOR_BYTES: usize = 1024;

/// See [`TENSOR_BYTES`].
const TENSOR_ALIGN_BYTES: usize = 64;

/// Every block begins at a multiple of this.
const MALLOC_ALIGN_BYTES: usize = 2 * size_of::<usize>();

/// The room for what is resident, as a multiple of the largest thing passed in. Untouched pages cost nothing.
const ROOM_FACTOR: usize = 4;

/// The least and the most room.
const ROOM_BYTES: (usize, usize) = (64 << 20, 1280 << 20);

/// The first run's record speaks of so many allocations, and of addresses below [`TRACED_BYTES`].
const TRACED_ALLOCATIONS: usize = 1 << 26;

/// See [`TRACED_ALLOCATIONS`].
const TRACED_BYTES: usize = 2 << 30;

/// Ends the start-up phase; called when `prepare` begins.
pub(crate) fn begin(lifetimes: Option<Vec<u8>>) {
    // Without a source of randomness, the seeds of hash maps are made of addresses, once. Made here, where both
    // runs have the same, they are equal, and both runs visit maps in the same order.
    let _ = RandomState::new();
    let lifetimes = lifetimes.map(|bits| NonNull::from(Box::leak(bits.into_boxed_slice())));
    HEAP.with(|heap| match lifetimes {
        None => {
            heap.trace = Trace::new();
            heap.phase = Phase::Trace;
        }
        Some(lifetimes) => {
            heap.split(0);
            heap.phase = Phase::Place { lifetimes };
        }
    });
}

/// Ends `prepare`; returns what the WIT world says.
pub(crate) fn finish() -> Vec<u8> {
    match HEAP.with(|heap| std::mem::replace(&mut heap.phase, Phase::Run)) {
        Phase::Trace => HEAP
            .with(|heap| heap.trace.take())
            .map(|trace| trace.bits())
            .unwrap_or_default(),
        Phase::Place { lifetimes } => {
            // SAFETY: `begin` leaked the box, and the phase that held it is over.
            drop(unsafe { Box::from_raw(lifetimes.as_ptr()) });
            let keep_bytes = HEAP.with(Heap::drop_scratch) as u32;
            keep_bytes.to_le_bytes().to_vec()
        }
        Phase::Start | Phase::Run => Vec::new(),
    }
}

/// Allocates by `work` what calls work in. What is large and zero of it is put behind all that the snapshot holds: there instances have fresh pages,
/// which need not be copied when they are written.
pub(crate) fn behind<R>(work: impl FnOnce() -> R) -> R {
    HEAP.with(|heap| heap.goes_behind = true);
    let result = work();
    HEAP.with(|heap| heap.goes_behind = false);
    result
}

struct Global(UnsafeCell<Heap>);

// SAFETY: the predictor runs on one thread; elsewhere this is not the global allocator and never used.
unsafe impl Sync for Global {}

impl Global {
    fn with<R>(&self, work: impl FnOnce(&mut Heap) -> R) -> R {
        // SAFETY: there is one thread, and no `work` in this module allocates through the global allocator, so
        // no second reference comes to be.
        work(unsafe { &mut *self.0.get() })
    }
}

// SAFETY: blocks come from dlmalloc, are returned to the part that they came from, and never move in between.
unsafe impl GlobalAlloc for Global {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.with(|heap| heap.alloc(layout, false))
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.with(|heap| heap.alloc(layout, true))
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.with(|heap| heap.free(block, layout));
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        self.with(|heap| heap.realloc(block, layout, new_size))
    }
}

enum Phase {
    /// The host passes in the arguments of `prepare`.
    Start,
    /// The first run of `prepare`.
    Trace,
    /// The second run of `prepare`.
    Place { lifetimes: NonNull<[u8]> },
    /// Calls to `predict`.
    Run,
}

struct Heap {
    phase: Phase,
    resident: Dlmalloc<Linear<Pages>>,
    scratch: Dlmalloc<Linear<Pages>>,
    /// Where the scratch part begins; `usize::MAX` when there is none.
    scratch_base: usize,
    /// How many blocks of the scratch part are allocated.
    scratch_blocks: usize,
    /// How many allocations `prepare` has made.
    ordinal: usize,
    trace: Option<Trace>,
    /// Whether what is large and zero is to be put behind all else.
    goes_behind: bool,
    /// Where the one block begins that was; 0 if there is none. No allocator knows it.
    behind: usize,
}

impl Heap {
    const fn new() -> Self {
        Self {
            phase: Phase::Start,
            resident: Dlmalloc::new_with_allocator(Linear(Pages::Resident)),
            scratch: Dlmalloc::new_with_allocator(Linear(Pages::Scratch)),
            scratch_base: usize::MAX,
            scratch_blocks: 0,
            ordinal: 0,
            trace: None,
            goes_behind: false,
            behind: 0,
        }
    }

    fn alloc(&mut self, layout: Layout, zeroed: bool) -> *mut u8 {
        let layout = match layout.size() {
            TENSOR_BYTES.. => layout.align_to(TENSOR_ALIGN_BYTES).unwrap_or(layout),
            _ => layout,
        };
        let mut block = ptr::null_mut();
        if self.next_is_resident(layout.size()) {
            block = match zeroed && self.takes_behind(layout.size()) {
                true => self.take_behind(layout.size()),
                false => raw_alloc(&mut self.resident, layout, zeroed),
            };
        }
        if block.is_null() && self.scratch_base != usize::MAX {
            block = raw_alloc(&mut self.scratch, layout, zeroed);
            self.scratch_blocks += usize::from(!block.is_null());
        }
        if let Some(trace) = &mut self.trace {
            trace.record(block, self.ordinal);
        }
        block
    }

    fn takes_behind(&self, size: usize) -> bool {
        let is_placed = matches!(self.phase, Phase::Place { .. });
        is_placed && self.goes_behind && self.behind == 0 && size >= PAGE_BYTES
    }

    /// Takes whole pages, which are zero. They begin at a multiple of any alignment.
    fn take_behind(&mut self, size: usize) -> *mut u8 {
        let pages = Pages::Resident.take(size.next_multiple_of(PAGE_BYTES));
        let block = pages.unwrap_or(ptr::null_mut());
        self.behind = block.addr();
        block
    }

    fn free(&mut self, block: *mut u8, layout: Layout) {
        if block.addr() == self.behind {
            // A call needs more, and takes it elsewhere: this stays until the instance ends.
            return;
        }
        if let Some(trace) = &mut self.trace {
            trace.forget(block);
        }
        // SAFETY: the caller returns a block of this layout, and its address tells the part that it came from. It may be
        // aligned to more than the layout says, which `c_free` need not know.
        unsafe {
            if block.addr() >= self.scratch_base {
                self.scratch_blocks -= 1;
                self.scratch.c_free(block);
            } else {
                if !matches!(self.phase, Phase::Run) {
                    // What was freed must not be in the snapshot.
                    ptr::write_bytes(block, 0, layout.size());
                }
                self.resident.c_free(block);
            }
        }
    }

    fn realloc(&mut self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let is_resident = block.addr() < self.scratch_base;
        let is_of_dlmalloc = is_resident && block.addr() != self.behind;
        if matches!(self.phase, Phase::Run)
            && is_of_dlmalloc
            && layout.align() <= MALLOC_ALIGN_BYTES
        {
            // SAFETY: as for `free`. What comes back is aligned to at least `MALLOC_ALIGN_BYTES`.
            return unsafe { self.resident.c_realloc(block, new_size) };
        }
        // SAFETY: the caller promises that the new size is valid for this alignment.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        let new_block = self.alloc(new_layout, false);
        if !new_block.is_null() {
            // SAFETY: two blocks of at least this many bytes, which do not overlap.
            unsafe { ptr::copy_nonoverlapping(block, new_block, layout.size().min(new_size)) };
            self.free(block, layout);
        }
        new_block
    }

    /// Decides where the next allocation goes, and counts it.
    fn next_is_resident(&mut self, size: usize) -> bool {
        match &self.phase {
            Phase::Start if size >= PASSED_BYTES => {
                self.split(size);
                self.scratch_base == usize::MAX
            }
            Phase::Start => true,
            Phase::Trace => {
                self.ordinal += 1;
                true
            }
            Phase::Place { lifetimes } => {
                // SAFETY: the bits stay allocated until the phase ends.
                let bits = unsafe { lifetimes.as_ref() };
                let (byte, bit) = (self.ordinal / 8, self.ordinal % 8);
                self.ordinal += 1;
                bits.get(byte).is_none_or(|byte| byte >> bit & 1 == 1)
            }
            // If the scratch part could not be dropped, memory above it cannot be told from it.
            Phase::Run => self.scratch_base == usize::MAX,
        }
    }

    /// Makes a scratch part, if there is none, with room below it.
    fn split(&mut self, largest_bytes: usize) {
        if self.scratch_base == usize::MAX {
            let room_bytes = largest_bytes
                .saturating_mul(ROOM_FACTOR)
                .clamp(ROOM_BYTES.0, ROOM_BYTES.1);
            self.scratch_base = pages::split(room_bytes).unwrap_or(usize::MAX);
        }
    }

    /// Drops the scratch part, if nothing in it is alive, and returns how many bytes of memory are worth keeping.
    fn drop_scratch(&mut self) -> usize {
        if self.scratch_base == usize::MAX || self.scratch_blocks > 0 {
            return pages::end();
        }
        let scratch = ptr::with_exposed_provenance_mut::<u8>(self.scratch_base);
        // SAFETY: the scratch part holds no allocated block, and its allocator is replaced below.
        unsafe { ptr::write_bytes(scratch, 0, pages::end() - self.scratch_base) };
        self.scratch = Dlmalloc::new_with_allocator(Linear(Pages::Scratch));
        self.scratch_base = usize::MAX;
        pages::join()
    }
}

fn raw_alloc(part: &mut Dlmalloc<Linear<Pages>>, layout: Layout, zeroed: bool) -> *mut u8 {
    // SAFETY: a layout's size and alignment are valid.
    unsafe {
        if zeroed {
            part.calloc(layout.size(), layout.align())
        } else {
            part.malloc(layout.size(), layout.align())
        }
    }
}

/// The first run's record: which ordinal lives at which address, and which ordinals are alive.
///
/// Blocks begin at least 16 bytes apart, so an address divided by 16 tells them from each other.
struct Trace {
    /// One more than the ordinal, or 0; indexed by address / 16.
    ordinals: &'static mut [u32],
    /// One bit an ordinal.
    alive: &'static mut [u8],
    /// How many ordinals there are.
    count: usize,
}

impl Trace {
    fn new() -> Option<Self> {
        let ordinals_len = TRACED_BYTES / 16;
        let alive_len = TRACED_ALLOCATIONS / 8;
        let base = grow(ordinals_len * 4 + alive_len + PAGE_BYTES)?;
        // SAFETY: fresh zeroed memory that nobody else knows of, as large as the two slices together.
        unsafe {
            let ordinals = base.cast::<u32>();
            let alive = ordinals.add(ordinals_len).cast::<u8>();
            Some(Self {
                ordinals: std::slice::from_raw_parts_mut(ordinals, ordinals_len),
                alive: std::slice::from_raw_parts_mut(alive, alive_len),
                count: 0,
            })
        }
    }

    /// `ordinal` counts from one: it was raised when the allocation's place was chosen.
    fn record(&mut self, block: *mut u8, ordinal: usize) {
        let index = ordinal - 1;
        let Some(byte) = self.alive.get_mut(index / 8) else {
            return;
        };
        *byte |= 1 << (index % 8);
        self.count = ordinal;
        if let Some(slot) = self.ordinals.get_mut(block.addr() / 16) {
            *slot = ordinal as u32;
        }
    }

    fn forget(&mut self, block: *mut u8) {
        let Some(slot) = self.ordinals.get_mut(block.addr() / 16) else {
            return;
        };
        let ordinal = std::mem::take(slot) as usize;
        if let Some(index) = ordinal.checked_sub(1) {
            self.alive[index / 8] &= !(1 << (index % 8));
        }
    }

    fn bits(&self) -> Vec<u8> {
        self.alive[..self.count.div_ceil(8)].to_vec()
    }
}
