//! The functions that the compiler writes for a plan, as the kernels call them.
//!
//! Such a function computes a run of tiles of a product of matrices (a pointwise convolution is one as well), each
//! `rows × channels`, going along the rows. The compiler writes one for each [`TileSpec`] that a plan needs and appends it to
//! the predictor; natively there are none, and kernels compiled from Rust do the same.

#[expect(
    unsafe_code,
    reason = "sums stay in registers only if nothing is checked in between"
)]
mod functions;
#[expect(
    unsafe_code,
    reason = "sums stay in registers only if nothing is checked in between"
)]
mod microkernel;
#[expect(
    unsafe_code,
    reason = "calls tile functions, having checked all lengths"
)]
pub(crate) mod product;

mod emitted;
pub(crate) mod output;
pub(crate) mod split;

#[cfg(test)]
mod tests;

use tensorlet_plan::{Kernel, TileSpec};

pub(crate) use emitted::Wanted;
pub(crate) use functions::Machine;

/// A function and what it was written for.
#[derive(Clone, Copy, Debug)]
pub struct EmittedTile {
    /// What it computes.
    pub spec: TileSpec,
    /// The function.
    pub function: TileFunction,
}

/// Computes `tiles` tiles.
///
/// # Safety
/// All pointers and counts of the run must be those of memory as [`TileRun`] describes it.
pub type TileFunction = unsafe extern "C" fn(*const TileRun);

/// What a function of the compiler is given. The order of the fields is known to `host/compile`.
///
/// For each tile `t` and row `r` of it, `row = t × spec.rows + r`:
///
/// ```text
/// out[row × out_stride + c] = clamp(bias[c] + residual[row × out_stride + c]
///     + Σ over segments s, i < s.len:  lhs[row × lhs_stride + s.offset + i] × weights[k × 16 + c])
/// ```
///
/// with `c < spec.channels` and `k` counting on through all segments.
#[repr(C)]
#[derive(Debug)]
pub struct TileRun {
    /// The first row of the left-hand side.
    pub lhs: *const f32,
    /// Where the elements of a row lie.
    pub segments: *const Segment,
    /// How many segments there are; at least one.
    pub segment_count: usize,
    /// The weights of the first channel: 16 numbers apart for each element of a row.
    pub weights: *const f32,
    /// One number a channel.
    pub bias: *const f32,
    /// Laid out as `out`; not read if the function adds no residual.
    pub residual: *const f32,
    /// The first row of the output.
    pub out: *mut f32,
    /// How many tiles; at least one.
    pub tiles: usize,
    /// The least result, if the function clamps.
    pub low: f32,
    /// The largest result, if the function clamps.
    pub high: f32,
}

/// A part of a row that lies in one piece.
#[repr(C)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Segment {
    /// Its distance in bytes from where the row begins.
    pub offset_bytes: usize,
    /// How many elements it has; at least one.
    pub len: usize,
}

/// Returns the functions that a step is faster with, given the dims of its inputs and its output as far as they are known.
///
/// Where a number of rows is not known, there are those for the heights that come up when there are many. Kernels find the functions that they can
/// use among those of a [`Target`](crate::Target) and do without the others.
pub fn tile_specs(
    kernel: &Kernel,
    inputs: &[&[Option<usize>]],
    output: &[Option<usize>],
) -> Vec<TileSpec> {
    let mut wanted = Wanted::default();
    match (kernel, inputs) {
        (Kernel::Conv(conv), [x, ..]) => crate::conv::want_tiles(conv, x, output, &mut wanted),
        (Kernel::MatMul(matmul), [a, b, ..]) => {
            crate::matmul::want_tiles(matmul, [a, b, output], &mut wanted)
        }
        _ => None,
    };
    wanted.into_specs()
}
