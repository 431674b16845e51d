//! Windows 3, 5 and 7 wide, unrolled.

use super::chunks::Chunk;
use super::plane::{Plane, Row};
use crate::isa::{Isa, Vectorised};
use crate::simd::Simd;
use crate::tensor_type::BLOCK;

/// Computes rows whose windows are `K` wide, `STRIDE` apart and not dilated.
pub(super) fn compute<const K: usize, const STRIDE: usize>(isa: Isa, plane: &mut Plane<'_>) {
    isa.run(Unrolled::<K, STRIDE>(plane));
}

struct Unrolled<'a, 'b, const K: usize, const STRIDE: usize>(&'a mut Plane<'b>);

impl<const K: usize, const STRIDE: usize> Vectorised for Unrolled<'_, '_, K, STRIDE> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let chunks = self.0.chunks;
        let pad = self.0.horizontal.pad_before;
        assert!(self.0.horizontal.kernel == K && self.0.horizontal.stride == STRIDE);
        let plane = self.0;
        let mut row = plane.first_row();
        for span in plane.spans {
            plane.place(&mut row, span);
            for chunk in chunks {
                // SAFETY: `chunks` divides the row's outputs, and says which columns are elements of the input.
                unsafe {
                    match chunk.size {
                        8 => chunk_run::<S, K, STRIDE, 8>(simd, &row, chunk, pad),
                        7 => chunk_run::<S, K, STRIDE, 7>(simd, &row, chunk, pad),
                        4 => chunk_run::<S, K, STRIDE, 4>(simd, &row, chunk, pad),
                        2 => chunk_run::<S, K, STRIDE, 2>(simd, &row, chunk, pad),
                        _ => chunk_run::<S, K, STRIDE, 1>(simd, &row, chunk, pad),
                    }
                }
            }
            row.advance(plane.horizontal);
        }
    }
}

/// Reports whether a column is never in front of a chunk's first one. See `chunks`.
const fn is_always_after<const K: usize, const P: usize>(column: usize) -> bool {
    P > 1 && column + 1 >= K
}

/// Reports whether a column is never behind a chunk's last one.
const fn is_always_before<const K: usize, const STRIDE: usize, const P: usize>(
    column: usize,
) -> bool {
    P > 1 && column <= (P - 1) * STRIDE
}

/// Evaluates an expression for each column that a chunk may have, with the column as a literal.
macro_rules! for_columns {
    ($column:ident, $body:expr) => {
        for_columns!($column, $body, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18)
    };
    ($column:ident, $body:expr, $($literal:literal)*) => {
        $({
            const $column: usize = $literal;
            $body
        })*
    };
}

/// Computes chunks of `P` outputs that follow each other.
///
/// # Safety
/// The row has these outputs, and the input has the columns that the chunk says.
#[inline(always)]
unsafe fn chunk_run<S: Simd, const K: usize, const STRIDE: usize, const P: usize>(
    simd: S,
    row: &Row,
    chunk: &Chunk,
    pad: usize,
) {
    let (first, end) = (chunk.first, chunk.end);
    // Not an element if the chunk begins in the padding.
    let begin = (chunk.output * STRIDE) as isize - pad as isize;
    let begin = begin.wrapping_mul(BLOCK as isize);
    for vector in 0..BLOCK / S::LANES {
        let lane = vector * S::LANES;
        let mut input = row.input.wrapping_offset(begin).wrapping_add(lane);
        let mut offset = chunk.output * BLOCK + lane;
        for _ in 0..chunk.count {
            // SAFETY: a block has `BLOCK` lanes.
            let bias = unsafe { simd.load(row.bias.add(lane)) };
            let mut sums = [bias; P];
            let (mut from, mut weights) = (input, row.weights.wrapping_add(lane));
            for _ in 0..row.taps {
                let mut weight = [bias; K];
                for (k, weight) in weight.iter_mut().enumerate() {
                    // SAFETY: a row of weights has `K` vectors of `BLOCK` lanes.
                    *weight = unsafe { simd.load(weights.add(k * BLOCK)) };
                }
                for_columns!(COLUMN, {
                    let column: usize = COLUMN;
                    let is_there = COLUMN < (P - 1) * STRIDE + K
                        && (is_always_after::<K, P>(COLUMN) || column >= first)
                        && (is_always_before::<K, STRIDE, P>(COLUMN) || COLUMN < end);
                    if is_there {
                        // SAFETY: the caller says that the input has this column.
                        let x = unsafe { simd.load(from.wrapping_add(COLUMN * BLOCK)) };
                        for k in 0..K {
                            if column >= k
                                && (column - k).is_multiple_of(STRIDE)
                                && (column - k) / STRIDE < P
                            {
                                let sum = &mut sums[(column - k) / STRIDE];
                                *sum = simd.mul_add(x, weight[k], *sum);
                            }
                        }
                    }
                });
                from = from.wrapping_add(row.input_step);
                weights = weights.wrapping_add(K * BLOCK);
            }
            // SAFETY: the caller says that the row has these outputs.
            unsafe { row.finish(simd, offset, sums) };
            input = input.wrapping_add(P * STRIDE * BLOCK);
            offset += P * BLOCK;
        }
    }
}
