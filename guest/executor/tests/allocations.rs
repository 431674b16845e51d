//! Running a plan allocates nothing, once a call of the same sizes has run.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]
#![expect(unsafe_code, reason = "an allocator is unsafe to implement")]

#[path = "it/builder.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod builder;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use tensorlet_executor::{Crew, State, Team};
use tensorlet_plan::kernel::{Slice, UnaryOp};
use tensorlet_plan::{Kernel, SymbolId, ValueId};

use crate::builder::{Builder, Shifted, load};

/// The system's allocator, counting the allocations of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: everything is done by the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the same promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the same promises.
        unsafe { System.dealloc(block, layout) }
    }
}

/// A team of two whose threads come one after the other, so that their allocations are counted.
struct InTurn;

impl Team for InTurn {
    fn size(&self) -> usize {
        2
    }

    fn run(&self, work: &(dyn Fn() + Sync)) {
        work();
        work();
    }
}

#[test]
fn a_second_call_allocates_nothing() {
    let mut builder = Builder::new(&["x:f32[N,64]"]);
    let mut value = ValueId(0);
    for index in 0..20 {
        let neg = Kernel::Unary(UnaryOp::Neg);
        let y = builder.step(&format!("y{index}:f32[N,64]"), neg, &[value]);
        let slice = Kernel::Slice(Slice {
            starts: vec![0, 32],
            steps: vec![1, 1],
        });
        let z = builder.step(&format!("z{index}:f32[N,32]"), slice, &[y]);
        value = builder.step(
            &format!("w{index}:f32[N,64]"),
            Kernel::Concat { axis: 1 },
            &[z, z],
        );
    }
    let constant = builder.constant("c:f32[2]", &[1f32, 2.0]);
    let mut plan = builder.finish(&[value, value, constant]);
    for row_symbol in [None, Some(SymbolId(0))] {
        if row_symbol.is_some() {
            plan.outputs.truncate(2);
            plan.description.signature.outputs.truncate(2);
        }
        plan.row_symbol = row_symbol;
        let executor = load(&plan);
        let mut state = State::new();
        for rows in [3u32, 1] {
            let bytes = rows as usize * 256;
            for shift in [0, 4] {
                let input = Shifted::new(&vec![0; bytes], shift);
                let mut outputs = [bytes, bytes, 8].map(|len| Shifted::new(&vec![0; len], shift));
                let mut slices: Vec<&mut [u8]> =
                    outputs.iter_mut().map(Shifted::bytes_mut).collect();
                slices.truncate(plan.outputs.len());
                for crew in [Crew::default(), Crew::new(Some(&InTurn), Some(&|| false))] {
                    let mut run = || {
                        let inputs = [input.bytes()];
                        executor.run_with(&mut state, &[rows], &inputs, &mut slices, crew)
                    };
                    run().unwrap();
                    let before = ALLOCATIONS.get();
                    for _ in 0..10 {
                        run().unwrap();
                    }
                    let count = ALLOCATIONS.get() - before;
                    let what = format!("{rows} rows, shifted by {shift}, {row_symbol:?}, {crew:?}");
                    assert_eq!(count, 0, "{what}");
                }
            }
        }
    }
}
