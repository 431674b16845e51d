//! Pooling of any layout, one tap of the windows of a row after another.

use bytemuck::Pod;

use super::{PlaneWindows, Span};
use crate::isa::{Isa, Vectorised};
use crate::simd::Simd;

/// Computes the maxima of a plane.
pub(super) fn maximum_f32(isa: Isa, windows: &PlaneWindows, x: &[u8], y: &mut [u8]) {
    isa.run(plane::<f32, Maximum>(windows, x, y));
}

/// Computes the maxima of a plane.
pub(super) fn maximum_i8(isa: Isa, windows: &PlaneWindows, x: &[u8], y: &mut [u8]) {
    isa.run(plane::<i8, Maximum>(windows, x, y));
}

/// Computes the maxima of a plane.
pub(super) fn maximum_u8(isa: Isa, windows: &PlaneWindows, x: &[u8], y: &mut [u8]) {
    isa.run(plane::<u8, Maximum>(windows, x, y));
}

/// Computes the means of a plane.
pub(super) fn mean(isa: Isa, windows: &PlaneWindows, x: &[u8], y: &mut [u8]) {
    isa.run(plane::<f32, Mean>(windows, x, y));
}

/// Computes the norms of a plane.
pub(super) fn norm(isa: Isa, windows: &PlaneWindows, x: &[u8], y: &mut [u8]) {
    isa.run(plane::<f32, Norm>(windows, x, y));
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

/// One plane.
struct Plane<'a, T, F> {
    windows: &'a PlaneWindows,
    x: &'a [T],
    y: &'a mut [T],
    fold: std::marker::PhantomData<F>,
}

fn plane<'a, T: Pod, F>(
    windows: &'a PlaneWindows,
    x: &'a [u8],
    y: &'a mut [u8],
) -> Plane<'a, T, F> {
    Plane {
        windows,
        x: bytemuck::cast_slice(x),
        y: bytemuck::cast_slice_mut(y),
        fold: std::marker::PhantomData,
    }
}

impl<T: Pod, F: Fold<T>> Vectorised for Plane<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) {
        let windows = self.windows;
        let [depth_axis, height_axis, axis] = &windows.axes;
        let line_len = axis.input * windows.lanes;
        let [depths, heights, widths] = &windows.spans;
        let mut rows = self.y.chunks_exact_mut(axis.output * windows.lanes);
        for depth in depths {
            for height in heights {
                let Some(y) = rows.next() else {
                    return;
                };
                y.fill(F::START);
                for kd in 0..depth.taps {
                    for kh in 0..height.taps {
                        let slice = depth.element + kd * depth_axis.dilation;
                        let line = height.element + kh * height_axis.dilation;
                        let begin = (slice * height_axis.input + line) * line_len;
                        fold_line::<T, F>(windows, &self.x[begin..][..line_len], y);
                    }
                }
                finish_row::<T, F>(windows, depth.count * height.count, widths, y);
            }
        }
    }
}

/// Adds what windows see of one line of the input.
#[inline(always)]
fn fold_line<T: Pod, F: Fold<T>>(windows: &PlaneWindows, x: &[T], y: &mut [T]) {
    let (axis, lanes, exponent) = (&windows.axes[2], windows.lanes, windows.exponent);
    for tap in 0..axis.kernel {
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
