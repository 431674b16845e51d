//! Windows of any size, one tap after another.

use super::chunks::{CHECKED, Chunk};
use super::plane::{Plane, Row};
use crate::isa::{Isa, Vectorised};
use crate::simd::Simd;
use crate::tensor_type::BLOCK;
use crate::window::Axis;

/// Computes rows.
pub(super) fn compute(isa: Isa, plane: &mut Plane<'_>) {
    match plane.horizontal.stride {
        1 => isa.run(Taps::<1>(plane)),
        2 => isa.run(Taps::<2>(plane)),
        _ => isa.run(Taps::<0>(plane)),
    }
}

/// Rows whose windows are `STRIDE` apart; 0 stands for all distances that the compiler does not know.
struct Taps<'a, 'b, const STRIDE: usize>(&'a mut Plane<'b>);

impl<const STRIDE: usize> Vectorised for Taps<'_, '_, STRIDE> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let plane = self.0;
        let axis = plane.horizontal;
        assert!(STRIDE == 0 || axis.stride == STRIDE);
        let mut row = plane.first_row();
        for span in plane.spans {
            plane.place(&mut row, span);
            for chunk in plane.chunks {
                // SAFETY: `chunks` divides the row's outputs, and says which columns are elements of the input.
                unsafe {
                    match chunk.size {
                        8 => chunk_run::<S, STRIDE, 8>(simd, &row, chunk, axis),
                        7 => chunk_run::<S, STRIDE, 7>(simd, &row, chunk, axis),
                        4 => chunk_run::<S, STRIDE, 4>(simd, &row, chunk, axis),
                        2 => chunk_run::<S, STRIDE, 2>(simd, &row, chunk, axis),
                        _ => chunk_run::<S, STRIDE, 1>(simd, &row, chunk, axis),
                    }
                }
            }
            row.advance(axis);
        }
    }
}

/// Computes chunks of `P` outputs that follow each other.
///
/// # Safety
/// The row has these outputs, and the input has the columns that the chunk says.
#[inline(always)]
unsafe fn chunk_run<S: Simd, const STRIDE: usize, const P: usize>(
    simd: S,
    row: &Row,
    chunk: &Chunk,
    axis: &Axis,
) {
    let stride = if STRIDE == 0 { axis.stride } else { STRIDE };
    let columns = (P - 1) * stride + (axis.kernel - 1) * axis.dilation + 1;
    let is_inner = chunk.first == 0 && chunk.end == columns;
    for lane in (0..BLOCK).step_by(S::LANES) {
        // Not an element if the first window begins in the padding.
        let begin = axis.begin(chunk.output).wrapping_mul(BLOCK as isize);
        let mut input = row.input.wrapping_offset(begin).wrapping_add(lane);
        let mut offset = chunk.output * BLOCK + lane;
        for _ in 0..chunk.count {
            // SAFETY: a block has `BLOCK` lanes; the caller says which columns the input has, and that the row has these outputs.
            unsafe {
                let bias = simd.load(row.bias.add(lane));
                let weights = row.weights.add(lane);
                let sums = if is_inner {
                    inner::<S, P>(simd, row, (input, weights), (axis, stride), [bias; P])
                } else {
                    border::<S, P>(
                        simd,
                        row,
                        (input, weights),
                        (axis, stride),
                        chunk,
                        [bias; P],
                    )
                };
                row.finish(simd, offset, sums);
            }
            input = input.wrapping_add(P.wrapping_mul(stride).wrapping_mul(BLOCK));
            offset += P * BLOCK;
        }
    }
}

/// Adds the windows of `P` outputs, all of whose columns are there, to sums.
///
/// # Safety
/// The pointers are to where the first window begins, in the row's first row, and its weights; the input has all columns of the
/// windows. `stride` is the axis's.
#[inline(always)]
unsafe fn inner<S: Simd, const P: usize>(
    simd: S,
    row: &Row,
    (mut input, mut weights): (*const f32, *const f32),
    (axis, stride): (&Axis, usize),
    mut sums: [S::F32; P],
) -> [S::F32; P] {
    let tap_step = axis.dilation.wrapping_mul(BLOCK);
    for _ in 0..row.taps {
        let mut x = input;
        for _ in 0..axis.kernel {
            // SAFETY: the caller's, and a row of weights has a vector for each tap. No product overflows, because the input has
            // these columns.
            unsafe {
                let weight = simd.load(weights);
                for (p, sum) in sums.iter_mut().enumerate() {
                    let column = p.wrapping_mul(stride).wrapping_mul(BLOCK);
                    *sum = simd.mul_add(simd.load(x.add(column)), weight, *sum);
                }
            }
            x = x.wrapping_add(tap_step);
            weights = weights.wrapping_add(BLOCK);
        }
        input = input.wrapping_add(row.input_step);
    }
    sums
}

/// Adds the windows of `P` outputs to sums, as far as their columns are there.
///
/// # Safety
/// The pointers are to where the first window begins, in the row's first row, and its weights; the input has the columns that the
/// chunk says. `stride` is the axis's.
#[inline(always)]
unsafe fn border<S: Simd, const P: usize>(
    simd: S,
    row: &Row,
    (mut input, mut weights): (*const f32, *const f32),
    (axis, stride): (&Axis, usize),
    chunk: &Chunk,
    mut sums: [S::F32; P],
) -> [S::F32; P] {
    let tap_step = axis.dilation.wrapping_mul(BLOCK);
    for _ in 0..row.taps {
        let mut x = input;
        // How far ahead of the first output's column those begin and end that are there.
        let (mut first, mut end) = (chunk.first as isize, chunk.end as isize);
        for _ in 0..axis.kernel {
            // SAFETY: a row of weights has a vector for each tap.
            let weight = unsafe { simd.load(weights) };
            for (p, sum) in sums.iter_mut().enumerate() {
                let column = p.wrapping_mul(stride);
                let is_there = (column as isize >= first || P > 4 && p >= CHECKED)
                    && ((column as isize) < end || P > 4 && p < P - CHECKED);
                if is_there {
                    let pixel = x.wrapping_add(column.wrapping_mul(BLOCK));
                    // SAFETY: the caller's, and `chunks` says that columns which are not looked at are always there.
                    *sum = simd.mul_add(unsafe { simd.load(pixel) }, weight, *sum);
                }
            }
            first = first.wrapping_sub(axis.dilation as isize);
            end = end.wrapping_sub(axis.dilation as isize);
            x = x.wrapping_add(tap_step);
            weights = weights.wrapping_add(BLOCK);
        }
        input = input.wrapping_add(row.input_step);
    }
    sums
}
