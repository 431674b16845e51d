//! Right-hand sides, and how they are packed.

use half::f16;

use super::Sizes;
use crate::isa::{Isa, Vectorised};
use crate::simd::Simd;
use crate::tensor_type::BLOCK;

/// How a right-hand side lies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Rhs {
    /// `[⌈N/16⌉][K][16]`, f32.
    Packed,
    /// `[⌈N/16⌉][K][16]`, f16.
    PackedHalf,
    /// `[K][N]`.
    Plain,
    /// `[N][K]`.
    Transposed,
}

/// Packs a matrix `[K][N]` as `[⌈N/16⌉][K][16]` with zeros beyond the last column.
///
/// # Panics
/// If there are not `K × N` numbers.
pub fn pack_matmul(b: &[f32], len: usize, columns: usize) -> Vec<f32> {
    assert_eq!(b.len(), len * columns, "expected {len} × {columns} numbers");
    let mut packed = vec![0.0; columns.next_multiple_of(BLOCK) * len];
    for (i, &number) in b.iter().enumerate() {
        let (k, column) = (i / columns, i % columns);
        packed[(column / BLOCK * len + k) * BLOCK + column % BLOCK] = number;
    }
    packed
}

/// Packs some columns, multiplied with a number, as `[⌈columns/16⌉][K][16]` with zeros beyond the last one. The first is a multiple of 8,
/// and of 16 if they are packed already.
pub(super) fn pack(
    isa: Isa,
    sizes: &Sizes,
    b: &[u8],
    [first, columns]: [usize; 2],
    scale: f32,
    packed: &mut [f32],
) {
    let len = sizes.len;
    if len == 0 {
        return;
    }
    match sizes.rhs {
        Rhs::Packed | Rhs::PackedHalf => {
            let b: &[u16] = bytemuck::cast_slice(b);
            let half = &b[first * len..][..packed.len()];
            isa.run(Convert {
                half,
                scale,
                packed,
            });
        }
        Rhs::Plain => isa.run(Plain {
            b: bytemuck::cast_slice(b),
            sizes,
            first,
            columns,
            scale,
            packed,
        }),
        Rhs::Transposed => isa.run(Transposed {
            b: bytemuck::cast_slice(b),
            sizes,
            first,
            columns,
            scale,
            packed,
        }),
    }
}

/// Puts one column after the other.
pub(super) fn unpack(sizes: &Sizes, b: &[u8], columns: &mut [f32]) {
    let width = match sizes.rhs {
        Rhs::Packed | Rhs::PackedHalf => BLOCK,
        _ => sizes.columns,
    };
    for (column, to) in columns.chunks_exact_mut(sizes.len).enumerate() {
        if sizes.rhs == Rhs::PackedHalf {
            let b: &[f16] = bytemuck::cast_slice(b);
            for (k, to) in to.iter_mut().enumerate() {
                *to = b[k * width + column].to_f32();
            }
        } else {
            let b: &[f32] = bytemuck::cast_slice(b);
            for (k, to) in to.iter_mut().enumerate() {
                *to = b[k * width + column];
            }
        }
    }
}

/// Converts numbers of 16 bits, as many as are a multiple of 16.
struct Convert<'a> {
    half: &'a [u16],
    scale: f32,
    packed: &'a mut [f32],
}

impl Vectorised for Convert<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (from, _) = self.half.as_chunks::<BLOCK>();
        let (to, _) = self.packed.as_chunks_mut::<BLOCK>();
        let scale = simd.splat(self.scale);
        for (from, to) in from.iter().zip(to) {
            convert(simd, from, to, scale);
        }
    }
}

#[expect(unsafe_code, reason = "vectors are read and written at pointers")]
#[inline(always)]
fn convert<S: Simd>(simd: S, from: &[u16; BLOCK], to: &mut [f32; BLOCK], scale: S::F32) {
    for lane in (0..BLOCK).step_by(S::LANES) {
        // SAFETY: 16 is a multiple of the lanes.
        unsafe {
            let numbers = simd.load_f16(from.as_ptr().add(lane));
            simd.store(to.as_mut_ptr().add(lane), simd.mul(numbers, scale));
        }
    }
}

/// Packs columns of a plain matrix.
struct Plain<'a> {
    b: &'a [f32],
    sizes: &'a Sizes,
    first: usize,
    columns: usize,
    scale: f32,
    packed: &'a mut [f32],
}

impl Vectorised for Plain<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) {
        let len = self.sizes.len;
        let (packed, _) = self.packed.as_chunks_mut::<BLOCK>();
        let rows = self.b.chunks_exact(self.sizes.columns);
        for (k, row) in rows.take(len).enumerate() {
            let row = &row[self.first..][..self.columns];
            let (blocks, rest) = row.as_chunks::<BLOCK>();
            for (block, from) in blocks.iter().enumerate() {
                packed[block * len + k] = from.map(|number| number * self.scale);
            }
            if !rest.is_empty() {
                let mut from = [0.0; BLOCK];
                from[..rest.len()].copy_from_slice(rest);
                packed[blocks.len() * len + k] = from.map(|number| number * self.scale);
            }
        }
    }
}

/// Packs rows of a matrix.
struct Transposed<'a> {
    b: &'a [f32],
    sizes: &'a Sizes,
    first: usize,
    columns: usize,
    scale: f32,
    packed: &'a mut [f32],
}

impl Vectorised for Transposed<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) {
        /// Elements of a row that are read together: a cache line of them.
        const TURN: usize = 16;
        let len = self.sizes.len;
        let rows = &self.b[self.first * len..][..self.columns * len];
        let (packed, _) = self.packed.as_chunks_mut::<BLOCK>();
        for (rows, packed) in rows.chunks(BLOCK * len).zip(packed.chunks_exact_mut(len)) {
            for (turn, packed) in packed.chunks_mut(TURN).enumerate() {
                if !rows.len().is_multiple_of(BLOCK * len) {
                    packed.fill([0.0; BLOCK]);
                }
                for (lane, row) in rows.chunks_exact(len).enumerate() {
                    let row = &row[turn * TURN..][..packed.len()];
                    for (to, number) in packed.iter_mut().zip(row) {
                        to[lane] = number * self.scale;
                    }
                }
            }
        }
    }
}
