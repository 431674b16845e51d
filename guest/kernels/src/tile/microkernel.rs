//! Tiles of a product, compiled from Rust.
//!
//! A tile keeps `rows × columns` sums in registers and goes along the elements of its rows once: each element of a row is put into
//! all lanes of a vector and multiplied with one vector of weights after the other. One element a turn is enough: there are tens of
//! multiplications for a handful of other instructions.

use crate::isa::Vectorised;
use crate::simd::Simd;
use crate::tile::TileRun;

/// The most rows of a tile.
pub(crate) const MAX_ROWS: usize = 14;

/// What a tile function compiled from Rust is given. Distances are in elements.
#[derive(Debug)]
pub(crate) struct Job {
    /// Where everything begins, and how many tiles there are. No residual is added if it is null.
    pub(crate) run: TileRun,
    /// Between rows of the left-hand side.
    pub(crate) lhs_stride: usize,
    /// Between the weights of one element of a row and of the next.
    pub(crate) weights_step: usize,
    /// Between blocks of 16 columns of weights.
    pub(crate) weights_block: usize,
    /// Between rows of the output, and of the residual.
    pub(crate) out_stride: usize,
    /// Between blocks of 16 columns of the output, and of the residual.
    pub(crate) out_block: usize,
    /// What sums are multiplied with before bias and residual are added.
    pub(crate) scale: f32,
    /// Whether results are clamped.
    pub(crate) clamp: bool,
    /// How many columns are results; up to 7 at the end of a tile are not, and not written.
    pub(crate) columns: usize,
}

/// Tiles of `R` rows and `V` vectors of columns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tiles<'a, const R: usize, const V: usize>(&'a Job);

impl<'a, const R: usize, const V: usize> Tiles<'a, R, V> {
    /// # Safety
    /// The pointers, counts and distances of the job must be those of memory that can be read, or written for the output.
    #[inline(always)]
    pub(crate) unsafe fn new(job: &'a Job) -> Self {
        const { assert!(R <= MAX_ROWS) };
        Self(job)
    }
}

/// Repeats a block for each row. A loop is not unrolled reliably, and its sums would lie in memory.
macro_rules! for_rows {
    ($rows:expr, |$row:ident| $body:block) => {
        for_rows!(@ $rows, $row, $body, 0 1 2 3 4 5 6 7 8 9 10 11 12 13)
    };
    (@ $rows:expr, $row:ident, $body:block, $($number:literal)*) => {
        $(
            if $number < $rows {
                let $row: usize = $number;
                $body
            }
        )*
    };
}

impl<const R: usize, const V: usize> Vectorised for Tiles<'_, R, V> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let job = self.0;
        let mut lhs = job.run.lhs;
        let mut at = 0usize;
        for _ in 0..job.run.tiles {
            // SAFETY: the caller of `new` promised that what the job says about memory is true.
            unsafe {
                let mut tile = Sums::<S, R, V>::new(simd, job);
                tile.multiply(simd, job, lhs);
                tile.finish(simd, job, at);
            }
            lhs = lhs.wrapping_add(job.lhs_stride.wrapping_mul(R));
            at = at.wrapping_add(job.out_stride.wrapping_mul(R));
        }
    }
}

/// The sums of a tile.
struct Sums<S: Simd, const R: usize, const V: usize>([[S::F32; V]; R]);

/// Rows whose addresses are computed from one pointer: x86-64 multiplies a distance by 1 or 2 in passing.
const ROWS_A_POINTER: usize = 3;
const POINTERS: usize = MAX_ROWS.div_ceil(ROWS_A_POINTER);

/// Returns where a vector of columns lies, if blocks of 16 columns are so far apart.
#[inline(always)]
fn place<S: Simd>(vector: usize, block: usize) -> usize {
    let column = vector * S::LANES;
    (column / 16).wrapping_mul(block).wrapping_add(column % 16)
}

impl<S: Simd, const R: usize, const V: usize> Sums<S, R, V> {
    #[inline(always)]
    unsafe fn new(simd: S, job: &Job) -> Self {
        let mut sums = [simd.splat(0.0); V];
        if job.scale == 1.0 {
            for (v, sum) in sums.iter_mut().enumerate() {
                // SAFETY: there is a bias for every column, says the caller.
                *sum = unsafe { simd.load(job.run.bias.wrapping_add(v * S::LANES)) };
            }
        }
        Self([sums; R])
    }

    /// Adds the products of all elements of the rows.
    #[inline(always)]
    unsafe fn multiply(&mut self, simd: S, job: &Job, lhs: *const f32) {
        let stride = job.lhs_stride;
        let mut weights = job.run.weights;
        for s in 0..job.run.segment_count {
            // SAFETY: the segments, what they point at and the weights can be read, says the caller.
            unsafe {
                let segment = *job.run.segments.add(s);
                let mut pointers = [lhs.wrapping_byte_add(segment.offset_bytes); POINTERS];
                for (p, pointer) in pointers.iter_mut().enumerate() {
                    *pointer = pointer.wrapping_add(stride.wrapping_mul(p * ROWS_A_POINTER));
                }
                for _ in 0..segment.len {
                    self.multiply_one(simd, job, &pointers, weights);
                    weights = weights.wrapping_add(job.weights_step);
                    for pointer in &mut pointers {
                        *pointer = pointer.wrapping_add(1);
                    }
                }
            }
        }
    }

    /// Adds the products of one element of each row.
    #[inline(always)]
    unsafe fn multiply_one(
        &mut self,
        simd: S,
        job: &Job,
        pointers: &[*const f32; POINTERS],
        weights: *const f32,
    ) {
        // SAFETY: the caller's.
        unsafe {
            let mut factors = [simd.splat(0.0); V];
            for (v, factor) in factors.iter_mut().enumerate() {
                *factor = simd.load(weights.wrapping_add(place::<S>(v, job.weights_block)));
            }
            for_rows!(R, |r| {
                let from = pointers[r / ROWS_A_POINTER]
                    .wrapping_add(job.lhs_stride.wrapping_mul(r % ROWS_A_POINTER));
                let element = simd.load_splat(from);
                for (sum, &factor) in self.0[r].iter_mut().zip(&factors) {
                    *sum = simd.mul_add(element, factor, *sum);
                }
            });
        }
    }

    /// Does what is to be done with each sum, and writes it.
    #[inline(always)]
    unsafe fn finish(&mut self, simd: S, job: &Job, at: usize) {
        for_rows!(R, |r| {
            let at = at.wrapping_add(job.out_stride.wrapping_mul(r));
            for v in 0..V {
                let column = v * S::LANES;
                let lanes = if column + S::LANES + 7 < V * S::LANES {
                    S::LANES
                } else {
                    S::LANES.min(job.columns.saturating_sub(column))
                };
                let place = at.wrapping_add(place::<S>(v, job.out_block));
                // SAFETY: the caller's.
                unsafe { finish(simd, job, self.0[r][v], column, place, lanes) };
            }
        });
    }
}

/// Finishes one vector, and writes so many lanes of it.
#[inline(always)]
unsafe fn finish<S: Simd>(
    simd: S,
    job: &Job,
    mut sum: S::F32,
    column: usize,
    at: usize,
    lanes: usize,
) {
    let is_whole = lanes == S::LANES;
    // SAFETY: the caller's.
    unsafe {
        if job.scale != 1.0 {
            let bias = simd.load(job.run.bias.wrapping_add(column));
            sum = simd.mul_add(sum, simd.splat(job.scale), bias);
        }
        if !job.run.residual.is_null() {
            let residual = job.run.residual.wrapping_add(at);
            let residual = if is_whole {
                simd.load(residual)
            } else {
                simd.load_first(residual, lanes)
            };
            sum = simd.add(sum, residual);
        }
        if job.clamp {
            let low = simd.splat(job.run.low);
            sum = simd.min(simd.max(sum, low), simd.splat(job.run.high));
        }
        let out = job.run.out.wrapping_add(at);
        if is_whole {
            simd.store(out, sum);
        } else {
            simd.store_first(out, sum, lanes);
        }
    }
}
