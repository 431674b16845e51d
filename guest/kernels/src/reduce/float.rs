//! Reductions of f32, by vectors.
//!
//! Sums are made of short sums, so that long ones keep their digits.

#![expect(unsafe_code, reason = "vectors are read and written at pointers")]

use super::shape::Shape;
use super::way::{Exponentials, Extreme, MOST, Squares, Sum, Way};
use crate::crew::{Crew, Pace};
use crate::isa::{Isa, Vectorised};
use crate::run::RunError;
use crate::simd::{Scalar, Simd};

/// How numbers become one.
#[derive(Clone, Copy)]
pub(super) enum Fold<'a> {
    /// A sum of numbers or of magnitudes.
    Sum(Sum),
    /// The sum of squares.
    Squares,
    /// The sum of exponentials of the differences to these, one for each element of the output.
    Exponentials(&'a [f32]),
    /// The largest or the smallest number.
    Extreme(Extreme),
}

/// Folds the numbers of `x` that belong to each element of `y`.
///
/// # Errors
/// If the call is interrupted.
/// # Panics
/// If lengths are not those of the shape.
pub(super) fn fold(
    how: Fold<'_>,
    isa: Isa,
    shape: &Shape,
    x: &[f32],
    y: &mut [f32],
    crew: Crew<'_>,
) -> Result<(), RunError> {
    assert_eq!(x.len(), shape.input_len, "bound to this size");
    assert_eq!(y.len(), shape.output_len, "bound to this size");
    if let Fold::Exponentials(offsets) = how {
        assert_eq!(offsets.len(), y.len(), "an offset for each result");
    }
    crew.divide(y, shape.inner, shape.work(), |first, y| {
        let pace = Pace::of(crew);
        isa.run(Job {
            how,
            shape,
            x,
            y,
            first,
            pace,
        })
    })
}

/// The most lanes that a vector has.
const MAX_LANES: usize = 16;
/// How many numbers are folded before the result is folded with those of others.
const SHORT: usize = 1024;
/// How many rows are folded before the result is folded with those of others.
const SHORT_ROWS: usize = 256;

/// Multiplies the numbers of `x` that belong to each element of `y`.
///
/// # Errors
/// If the call is interrupted.
pub(super) fn multiply(
    shape: &Shape,
    x: &[f32],
    y: &mut [f32],
    crew: Crew<'_>,
) -> Result<(), RunError> {
    let mut pace = Pace::of(crew);
    for (index, y) in y.iter_mut().enumerate() {
        let begin = shape.kept(index / shape.inner) + index % shape.inner;
        let mut product = 1.0;
        for run in 0..shape.reduced_count() {
            pace.count(shape.run.size)?;
            for i in 0..shape.run.size {
                product *= f64::from(x[begin + shape.reduced(run) + i * shape.run.stride]);
            }
        }
        *y = product as f32;
    }
    Ok(())
}

struct Job<'a> {
    how: Fold<'a>,
    shape: &'a Shape,
    x: &'a [f32],
    y: &'a mut [f32],
    /// Which group of results `y` begins with.
    first: usize,
    pace: Pace<'a>,
}

impl Vectorised for Job<'_> {
    type Output = Result<(), RunError>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Result<(), RunError> {
        match self.how {
            Fold::Sum(sum) => self.fold(simd, sum, None),
            Fold::Squares => self.fold(simd, Squares, None),
            Fold::Exponentials(offsets) => self.fold(simd, Exponentials, Some(offsets)),
            Fold::Extreme(extreme) => self.fold(simd, extreme, None),
        }
    }
}

impl Job<'_> {
    #[inline(always)]
    fn fold<S: Simd, W: Way>(
        self,
        simd: S,
        way: W,
        offsets: Option<&[f32]>,
    ) -> Result<(), RunError> {
        let Self { shape, x, y, .. } = self;
        let mut pace = self.pace;
        let inner = shape.inner;
        // Where nothing is reduced there may be fewer numbers than results.
        let from = |begin: usize| x.get(begin..).unwrap_or(&[]);
        for (index, y) in y.chunks_exact_mut(inner.max(1)).enumerate() {
            let group = self.first + index;
            let begin = shape.kept(group);
            if inner == 1 {
                let offset = offsets.map_or(0.0, |offsets| offsets[group]);
                y[0] = row(simd, way, shape, from(begin), offset, &mut pace)?;
                continue;
            }
            let offsets = offsets.map(|offsets| &offsets[group * inner..][..inner]);
            let mut first = 0;
            // The last vector begins where it ends with the row, and computes some results again.
            while inner >= S::LANES && first < inner {
                let at = first.min(inner - S::LANES);
                column(
                    simd,
                    way,
                    shape,
                    from(begin + at),
                    offsets,
                    (at, &mut *y),
                    &mut pace,
                )?;
                first += S::LANES;
            }
            while first < inner {
                let from = from(begin + first);
                column(
                    Scalar,
                    way,
                    shape,
                    from,
                    offsets,
                    (first, &mut *y),
                    &mut pace,
                )?;
                first += 1;
            }
        }
        Ok(())
    }
}

/// Folds the numbers of one element of the output, whose runs are side by side.
#[inline(always)]
fn row<S: Simd, W: Way>(
    simd: S,
    way: W,
    shape: &Shape,
    x: &[f32],
    offset: f32,
    pace: &mut Pace<'_>,
) -> Result<f32, RunError> {
    let offset = simd.splat(offset);
    let mut total = f64::from(W::START);
    for begin in (0..shape.reduced_count()).map(|run| shape.reduced(run)) {
        for part in x[begin..][..shape.run.size].chunks(SHORT) {
            pace.count(1 + part.len() / 8)?;
            let mut sums = [simd.splat(W::START); MOST];
            let quads = part.chunks_exact(W::VECTORS * S::LANES);
            let rest = quads.remainder();
            for quad in quads {
                for (i, sum) in sums[..W::VECTORS].iter_mut().enumerate() {
                    // SAFETY: the chunk has so many vectors.
                    let x = unsafe { simd.load(quad.as_ptr().add(i * S::LANES)) };
                    *sum = way.join(simd, *sum, way.map(simd, x, offset));
                }
            }
            for last in rest.chunks(S::LANES) {
                let x = load_or_neutral(simd, last, way.neutral());
                sums[0] = way.join(simd, sums[0], way.map(simd, x, offset));
            }
            total = way.join_one(total, way.lanes(simd, join_all(simd, way, sums)));
        }
    }
    Ok(way.finish(Scalar, total as f32))
}

/// Reads numbers that fill a vector or less of it, the other lanes being `neutral`.
#[inline(always)]
fn load_or_neutral<S: Simd>(simd: S, numbers: &[f32], neutral: f32) -> S::F32 {
    const LANES: [f32; MAX_LANES] = [
        0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0,
    ];
    let count = numbers.len().min(S::LANES);
    // SAFETY: there are `count` numbers, and lanes of the largest vector.
    let (x, lanes) = unsafe {
        (
            simd.load_first(numbers.as_ptr(), count),
            simd.load(LANES.as_ptr()),
        )
    };
    let is_there = simd.less(lanes, simd.splat(count as f32));
    simd.select(is_there, x, simd.splat(neutral))
}

/// Folds the numbers of as many elements of the output as a vector has lanes, from one on.
#[inline(always)]
fn column<S: Simd, W: Way>(
    simd: S,
    way: W,
    shape: &Shape,
    x: &[f32],
    offsets: Option<&[f32]>,
    (first, y): (usize, &mut [f32]),
    pace: &mut Pace<'_>,
) -> Result<(), RunError> {
    let offset = match offsets {
        Some(offsets) => {
            let offsets = &offsets[first..][..S::LANES];
            // SAFETY: the slice is as long as a vector.
            unsafe { simd.load(offsets.as_ptr()) }
        }
        None => simd.splat(0.0),
    };
    let stride = shape.run.stride;
    let mut total = simd.splat(W::START);
    for begin in (0..shape.reduced_count()).map(|run| shape.reduced(run)) {
        let mut row = 0;
        while row < shape.run.size {
            let rows = SHORT_ROWS.min(shape.run.size - row);
            let part = &x[begin + row * stride..][..(rows - 1) * stride + S::LANES];
            // SAFETY: `part` holds a vector of each of `rows` rows, for any row below.
            let read = |row: usize| unsafe { part.as_ptr().add(row * stride) };
            pace.count(rows)?;
            let mut sums = [simd.splat(W::START); MOST];
            for i in 0..rows / W::VECTORS {
                for (j, sum) in sums[..W::VECTORS].iter_mut().enumerate() {
                    // SAFETY: as above.
                    let x = unsafe { simd.load(read(i * W::VECTORS + j)) };
                    *sum = way.join(simd, *sum, way.map(simd, x, offset));
                }
            }
            for i in rows - rows % W::VECTORS..rows {
                // SAFETY: as above.
                let x = unsafe { simd.load(read(i)) };
                sums[0] = way.join(simd, sums[0], way.map(simd, x, offset));
            }
            total = way.join(simd, total, join_all(simd, way, sums));
            row += rows;
        }
    }
    let y = &mut y[first..][..S::LANES];
    // SAFETY: the slice is as long as a vector.
    unsafe { simd.store(y.as_mut_ptr(), way.finish(simd, total)) };
    Ok(())
}

#[inline(always)]
fn join_all<S: Simd, W: Way>(simd: S, way: W, [a, b, c, d]: [S::F32; MOST]) -> S::F32 {
    way.join(simd, way.join(simd, a, b), way.join(simd, c, d))
}
