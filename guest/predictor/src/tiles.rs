//! The functions that the compiler writes for a plan.
//!
//! A function pointer is an index into the core module's table of functions. The compiler appends its functions to the
//! predictor after it was prepared, from an index on that it knows before.

#![expect(
    unsafe_code,
    reason = "the fence around functions that are there once the compiler has appended them"
)]

use tensorlet_kernels::tile::{EmittedTile, TileFunction};
use tensorlet_plan::TileSpec;

/// Returns the functions for the tiles of a plan, the first of which is at `first` of the table.
///
/// # Errors
/// If there is no such index.
pub(crate) fn emitted(specs: &[TileSpec], first: u32) -> Result<Vec<EmittedTile>, String> {
    let end = (first as usize).checked_add(specs.len());
    if !specs.is_empty() && (first == 0 || end.is_none()) {
        return Err(format!(
            "expected an index of the table for {} tiles, found {first}",
            specs.len()
        ));
    }
    let indices = first as usize..;
    let tile = |(spec, index): (&TileSpec, usize)| EmittedTile {
        spec: *spec,
        function: function_at(index),
    };
    Ok(specs.iter().zip(indices).map(tile).collect())
}

/// Returns a pointer to the function at an index of the table, which is not 0.
fn function_at(index: usize) -> TileFunction {
    // SAFETY: a function pointer is as large as an index and is one, and this one is not null. It is called after `prepare`
    // only, when the compiler has put a function of this type there.
    unsafe { std::mem::transmute::<*const (), TileFunction>(std::ptr::without_provenance(index)) }
}
