//! The host that computes segments, if it does.
//!
//! The functions of `wit/offload.wit` are called by their canonical ABI, as generated code would copy every input. Outputs go straight to
//! where they are wanted: the canonical ABI asks `cabi_import_realloc` for memory, first for the list of outputs and then for each
//! of them, and is given the memory that is waiting for them.

#![expect(
    unsafe_code,
    reason = "the fence around calls to the host by the canonical ABI"
)]

use std::alloc::Layout;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU8, Ordering};

use tensorlet_executor::{Offload, SegmentBytes};
use tensorlet_plan::segments::MAX_SEGMENTS;

#[link(wasm_import_module = "tensorlet:model/offload@0.1.0")]
unsafe extern "C" {
    #[link_name = "find"]
    safe fn find(segment: u32) -> u32;
    #[link_name = "load"]
    fn load(
        segment: u32,
        plan: *const u8,
        plan_len: usize,
        constants: *const u8,
        constants_len: usize,
        result: *mut LoadResult,
    );
    #[link_name = "run"]
    fn run(
        segment: u32,
        sizes: *const u32,
        sizes_len: usize,
        inputs: *const List,
        inputs_len: usize,
        result: *mut RunResult,
    );
}

/// `availability.loaded` and `availability.wanted`.
const LOADED: u32 = 0;
const WANTED: u32 = 1;

/// `refusal.declined`.
const DECLINED: u8 = 1;

/// `result<_, refusal>` in memory.
#[repr(C)]
struct LoadResult {
    is_error: u8,
    refusal: u8,
}

/// `result<list<list<u8>>, refusal>` in memory.
#[repr(C)]
struct RunResult {
    is_error: u8,
    /// The first byte is the refusal, if there is one.
    list: List,
}

/// A list in memory.
#[derive(Clone, Copy, Eq, PartialEq)]
#[repr(C)]
struct List {
    begin: *mut u8,
    len: usize,
}

impl List {
    fn of(bytes: &[u8]) -> Self {
        Self {
            begin: bytes.as_ptr().cast_mut(),
            len: bytes.len(),
        }
    }
}

/// The host of this component.
pub(crate) struct Host {
    /// What is known of each segment.
    known: [AtomicU8; MAX_SEGMENTS],
}

/// The host has not been asked.
const UNKNOWN: u8 = 0;
/// The host has it.
const THERE: u8 = 1;
/// The host will never have it.
const NEVER: u8 = 2;

/// The host of this component.
pub(crate) static HOST: Host = Host {
    known: [const { AtomicU8::new(UNKNOWN) }; MAX_SEGMENTS],
};

impl Host {
    /// Sees to it that the host has a segment; returns whether it has.
    fn has(&self, segment: &SegmentBytes<'_>) -> bool {
        let Some(known) = self.known.get(segment.index as usize) else {
            return false;
        };
        if known.load(Ordering::Relaxed) == UNKNOWN {
            let state = match find(segment.index) {
                LOADED => THERE,
                WANTED => hand_over(segment),
                _ => NEVER,
            };
            known.store(state, Ordering::Relaxed);
        }
        known.load(Ordering::Relaxed) == THERE
    }

    fn forget(&self, segment: u32, state: u8) {
        self.known[segment as usize].store(state, Ordering::Relaxed);
    }
}

impl Offload for Host {
    fn offer(&self, segment: &SegmentBytes<'_>) {
        self.has(segment);
    }

    fn run(
        &self,
        segment: &SegmentBytes<'_>,
        sizes: &[u32],
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> bool {
        if !self.has(segment) {
            return false;
        }
        let inputs: Vec<List> = inputs.iter().map(|input| List::of(input)).collect();
        let outputs: Vec<List> = outputs.iter_mut().map(|output| List::of(output)).collect();
        let mut answer = outputs.clone();
        let mut wanted = Wanted {
            answer: &mut answer,
            outputs: &outputs,
            given: 0,
        };
        let mut result = RunResult {
            is_error: 1,
            list: List {
                begin: ptr::null_mut(),
                len: 0,
            },
        };
        WANTED_NOW.store((&raw mut wanted).cast(), Ordering::Relaxed);
        // SAFETY: the lists are as long as they say, and the host reads them before it returns. What it writes lies in memory that
        // `cabi_import_realloc` gave, which is nobody else's: the outputs, borrowed until then, and `answer`.
        unsafe {
            run(
                segment.index,
                sizes.as_ptr(),
                sizes.len(),
                inputs.as_ptr(),
                inputs.len(),
                &raw mut result,
            );
        }
        WANTED_NOW.store(ptr::null_mut(), Ordering::Relaxed);
        if result.is_error != 0 {
            let state = match result.list.begin.addr() as u8 {
                DECLINED => NEVER,
                _ => UNKNOWN,
            };
            self.forget(segment.index, state);
            return false;
        }
        // A host that asked for other memory has not computed what was wanted.
        let list = List {
            begin: answer.as_mut_ptr().cast(),
            len: answer.len(),
        };
        result.list == list && answer == outputs
    }
}

/// Hands a segment over; returns what is known of it then.
fn hand_over(segment: &SegmentBytes<'_>) -> u8 {
    let mut result = LoadResult {
        is_error: 1,
        refusal: DECLINED,
    };
    // SAFETY: the slices are as long as they say, and the host reads them before it returns.
    unsafe {
        load(
            segment.index,
            segment.plan.as_ptr(),
            segment.plan.len(),
            segment.constants.as_ptr(),
            segment.constants.len(),
            &raw mut result,
        );
    }
    match (result.is_error, result.refusal) {
        (0, _) => THERE,
        (_, DECLINED) => NEVER,
        _ => UNKNOWN,
    }
}

/// The memory that is waiting for what the host returns.
struct Wanted<'a> {
    /// For the list of outputs.
    answer: &'a mut [List],
    outputs: &'a [List],
    /// How many times memory was given.
    given: usize,
}

/// What waits while the host runs a segment; null at other times. The predictor has one thread.
static WANTED_NOW: AtomicPtr<Wanted<'static>> = AtomicPtr::new(ptr::null_mut());

impl Wanted<'_> {
    /// Returns the memory for the next of the lists, if it is as long as expected.
    fn next(&mut self, len: usize) -> Option<*mut u8> {
        let index = self.given;
        self.given += 1;
        let next = match index.checked_sub(1) {
            None => List {
                begin: self.answer.as_mut_ptr().cast(),
                len: size_of_val(self.answer),
            },
            Some(index) => *self.outputs.get(index)?,
        };
        (next.len == len).then_some(next.begin)
    }
}

/// What the canonical ABI asks for memory for what an import returns.
///
/// # Safety
/// As for `realloc`; called by the host while it lowers a result.
#[unsafe(no_mangle)]
unsafe extern "C" fn cabi_import_realloc(
    _old: *mut u8,
    old_len: usize,
    align: usize,
    len: usize,
) -> *mut u8 {
    let wanted = WANTED_NOW.load(Ordering::Relaxed);
    // SAFETY: `run` stores a pointer to what it keeps until the host has returned, and then null.
    let wanted = unsafe { wanted.as_mut() };
    if let Some(place) = wanted
        .filter(|_| old_len == 0)
        .and_then(|wanted| wanted.next(len))
    {
        return place;
    }
    // A host that returns something else than it was asked for. It is given memory, and not believed.
    match Layout::from_size_align(len, align) {
        // SAFETY: the layout is valid and not empty.
        Ok(layout) if len > 0 => unsafe { std::alloc::alloc(layout) },
        _ => ptr::without_provenance_mut(align),
    }
}
