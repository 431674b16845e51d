//! Pooling of any layout, one tap of the windows of a row after another.

use std::ops::Range;

use bytemuck::Pod;

use super::{Part, PlaneWindows, Span};
use crate::crew::Pace;
use crate::isa::{Isa, Vectorised};
use crate::run::RunError;
use crate::simd::Simd;

/// Computes the maxima of some rows of a plane.
pub(super) fn maximum_f32(
    isa: Isa,
    windows: &PlaneWindows,
    part: Part<'_>,
) -> Result<(), RunError> {
    isa.run(plane::<f32, Maximum>(windows, part))
}

/// Computes the maxima of some rows of a plane.
pub(super) fn maximum_i8(isa: Isa, windows: &PlaneWindows, part: Part<'_>) -> Result<(), RunError> {
    isa.run(plane::<i8, Maximum>(windows, part))
}

/// Computes the maxima of some rows of a plane.
pub(super) fn maximum_u8(isa: Isa, windows: &PlaneWindows, part: Part<'_>) -> Result<(), RunError> {
    isa.run(plane::<u8, Maximum>(windows, part))
}

/// Computes the means of some rows of a plane.
pub(super) fn mean(isa: Isa, windows: &PlaneWindows, part: Part<'_>) -> Result<(), RunError> {
    isa.run(plane::<f32, Mean>(windows, part))
}

/// Computes the norms of some rows of a plane.
pub(super) fn norm(isa: Isa, windows: &PlaneWindows, part: Part<'_>) -> Result<(), RunError> {
    isa.run(plane::<f32, Norm>(windows, part))
}

/// How the elements of a window become one number.
trait Fold<T> {
    /// What there is before the first element.
    const START: T;

    /// Adds an element. `#[inline(always)]`.
    fn fold(so_far: T, x: T, exponent: u32) -> T;

    /// Makes the result. `#[inline(always)]`.
    fn finish(folded: T, count: usize, exponent: u32) -> T;
}

struct Maximum;

macro_rules! maximum {
    ($($type:ty = $start:expr;)*) => {
        $(impl Fold<$type> for Maximum {
            const START: $type = $start;

            #[inline(always)]
            fn fold(so_far: $type, x: $type, _exponent: u32) -> $type {
                if x > so_far { x } else { so_far }
            }

            #[inline(always)]
            fn finish(folded: $type, _count: usize, _exponent: u32) -> $type {
                folded
            }
        })*
    };
}

maximum! {
    f32 = f32::NEG_INFINITY;
    i8 = i8::MIN;
    u8 = u8::MIN;
}

struct Mean;

impl Fold<f32> for Mean {
    const START: f32 = 0.0;

    #[inline(always)]
    fn fold(so_far: f32, x: f32, _exponent: u32) -> f32 {
        so_far + x
    }

    #[inline(always)]
    fn finish(folded: f32, count: usize, _exponent: u32) -> f32 {
        folded / count as f32
    }
}

struct Norm;

impl Fold<f32> for Norm {
    const START: f32 = 0.0;

    #[inline(always)]
    fn fold(so_far: f32, x: f32, exponent: u32) -> f32 {
        so_far
            + match exponent {
                1 => x.abs(),
                2 => x * x,
                _ => x.abs().powf(exponent as f32),
            }
    }

    #[inline(always)]
    fn finish(folded: f32, _count: usize, exponent: u32) -> f32 {
        match exponent {
            1 => folded,
            2 => folded.sqrt(),
            _ => folded.powf(1.0 / exponent as f32),
        }
    }
}

/// Some rows of one plane.
struct Plane<'a, T, F> {
    windows: &'a PlaneWindows,
    rows: Range<usize>,
    x: &'a [T],
    y: &'a mut [T],
    pace: Pace<'a>,
    fold: std::marker::PhantomData<F>,
}

fn plane<'a, T: Pod, F>(windows: &'a PlaneWindows, part: Part<'a>) -> Plane<'a, T, F> {
    Plane {
        windows,
        rows: part.rows,
        x: bytemuck::cast_slice(part.x),
        y: bytemuck::cast_slice_mut(part.y),
        pace: part.pace,
        fold: std::marker::PhantomData,
    }
}

impl<T: Pod, F: Fold<T>> Vectorised for Plane<'_, T, F> {
    type Output = Result<(), RunError>;

    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) -> Result<(), RunError> {
        let mut pace = self.pace;
        let windows = self.windows;
        let [depth_axis, height_axis, axis] = &windows.axes;
        let line_len = axis.input * windows.lanes;
        let [_, _, widths] = &windows.spans;
        let rows = self.y.chunks_exact_mut(axis.output * windows.lanes);
        for (row, y) in self.rows.zip(rows) {
            let (depth, height) = windows.spans_of(row);
            y.fill(F::START);
            for kd in 0..depth.taps {
                for kh in 0..height.taps {
                    let slice = depth.element + kd * depth_axis.dilation;
                    let line = height.element + kh * height_axis.dilation;
                    let begin = (slice * height_axis.input + line) * line_len;
                    fold_line::<T, F>(windows, &self.x[begin..][..line_len], y, &mut pace)?;
                }
            }
            finish_row::<T, F>(windows, depth.count * height.count, widths, y);
        }
        Ok(())
    }
}

/// Adds what windows see of one line of the input.
#[inline(always)]
fn fold_line<T: Pod, F: Fold<T>>(
    windows: &PlaneWindows,
    x: &[T],
    y: &mut [T],
    pace: &mut Pace<'_>,
) -> Result<(), RunError> {
    let (axis, lanes, exponent) = (&windows.axes[2], windows.lanes, windows.exponent);
    for tap in 0..axis.kernel {
        pace.count(y.len() / 4)?;
        let outputs = axis.outputs(tap);
        if outputs.is_empty() {
            continue;
        }
        let x = &x[axis.element(outputs.start, tap) * lanes..];
        let y = &mut y[outputs.start * lanes..outputs.end * lanes];
        if axis.stride == 1 {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = F::fold(*y, x, exponent);
            }
        } else if lanes == 1 {
            for (y, &x) in y.iter_mut().zip(x.iter().step_by(axis.stride)) {
                *y = F::fold(*y, x, exponent);
            }
        } else {
            let pixels = x.chunks(axis.stride * lanes);
            for (y, x) in y.chunks_exact_mut(lanes).zip(pixels) {
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = F::fold(*y, x, exponent);
                }
            }
        }
    }
    Ok(())
}

/// Makes the results of a row.
#[inline(always)]
fn finish_row<T: Pod, F: Fold<T>>(
    windows: &PlaneWindows,
    count: usize,
    widths: &[Span],
    y: &mut [T],
) {
    for (y, width) in y.chunks_exact_mut(windows.lanes).zip(widths) {
        for y in y {
            *y = F::finish(*y, count * width.count, windows.exponent);
        }
    }
}
