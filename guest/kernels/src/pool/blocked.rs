//! Maxima and means of blocked tensors.

use std::ops::Range;

use super::{Part, PlaneWindows, Span};
use crate::crew::Pace;
use crate::isa::{Isa, Vectorised};
use crate::run::RunError;
use crate::simd::Simd;
use crate::tensor_type::BLOCK;

/// Computes the maxima of some rows of a plane.
pub(super) fn maximum(isa: Isa, windows: &PlaneWindows, part: Part<'_>) -> Result<(), RunError> {
    isa.run(Plane::<Maximum>::new(windows, part))
}

/// Computes the means of some rows of a plane.
pub(super) fn mean(isa: Isa, windows: &PlaneWindows, part: Part<'_>) -> Result<(), RunError> {
    isa.run(Plane::<Mean>::new(windows, part))
}

/// How the elements of a window become one number.
trait Fold {
    /// What there is before the first element.
    const START: f32;

    /// Adds an element. `#[inline(always)]`.
    fn fold<S: Simd>(simd: S, so_far: S::F32, x: S::F32) -> S::F32;

    /// Makes the result. `#[inline(always)]`.
    fn finish<S: Simd>(simd: S, folded: S::F32, count: S::F32) -> S::F32;
}

struct Maximum;

impl Fold for Maximum {
    const START: f32 = f32::NEG_INFINITY;

    #[inline(always)]
    fn fold<S: Simd>(simd: S, so_far: S::F32, x: S::F32) -> S::F32 {
        simd.max(x, so_far)
    }

    #[inline(always)]
    fn finish<S: Simd>(_simd: S, folded: S::F32, _count: S::F32) -> S::F32 {
        folded
    }
}

struct Mean;

impl Fold for Mean {
    const START: f32 = 0.0;

    #[inline(always)]
    fn fold<S: Simd>(simd: S, so_far: S::F32, x: S::F32) -> S::F32 {
        simd.add(so_far, x)
    }

    #[inline(always)]
    fn finish<S: Simd>(simd: S, folded: S::F32, count: S::F32) -> S::F32 {
        simd.div(folded, count)
    }
}

/// Some rows of one plane. Invariant: `x` and `y` are as long as the windows say.
struct Plane<'a, F> {
    windows: &'a PlaneWindows,
    interior: Range<usize>,
    rows: Range<usize>,
    x: &'a [f32],
    y: &'a mut [f32],
    pace: Pace<'a>,
    fold: std::marker::PhantomData<F>,
}

/// Where the windows of a row lie.
#[derive(Clone, Copy)]
struct Row {
    /// The first element of the window's depth and height that is one of the input, at the first column.
    x: *const f32,
    depth: Span,
    height: Span,
    y: *mut f32,
}

impl<'a, F: Fold> Plane<'a, F> {
    /// # Panics
    /// If the slices are not as long as the windows say.
    fn new(windows: &'a PlaneWindows, part: Part<'a>) -> Self {
        let x = bytemuck::cast_slice(part.x);
        let y = bytemuck::cast_slice_mut(part.y);
        let len = part.rows.len() * windows.row_len();
        assert_eq!(windows.lanes, BLOCK, "lanes of a blocked tensor");
        assert_eq!(x.len(), windows.input_len(), "length of the input");
        assert_eq!(y.len(), len, "length of the output");
        Self {
            windows,
            interior: windows.axes[2].interior(),
            rows: part.rows,
            x,
            y,
            pace: part.pace,
            fold: std::marker::PhantomData,
        }
    }

    /// Computes `P` outputs that follow each other.
    ///
    /// # Safety
    /// The row has these outputs, and they see `width` of the input's columns: each as many, each `Axis::stride` after the one
    /// before.
    #[inline(always)]
    unsafe fn chunk<S: Simd, const P: usize>(
        &self,
        simd: S,
        row: &Row,
        output: usize,
        width: Span,
    ) {
        let [depth_axis, height_axis, axis] = &self.windows.axes;
        let line = axis.input * BLOCK;
        let slice = line.wrapping_mul(height_axis.input);
        let slice_step = slice.wrapping_mul(depth_axis.dilation);
        let line_step = line.wrapping_mul(height_axis.dilation);
        let tap_step = axis.dilation.wrapping_mul(BLOCK);
        let pixel_step = axis.stride.wrapping_mul(BLOCK);
        let count = row.depth.count * row.height.count * width.count;
        let count = simd.splat(count as f32);
        for lane in (0..BLOCK).step_by(S::LANES) {
            let mut folded = [simd.splat(F::START); P];
            let mut slice = row.x.wrapping_add(width.element * BLOCK + lane);
            for _ in 0..row.depth.taps {
                let mut line = slice;
                for _ in 0..row.height.taps {
                    let mut x = line;
                    for _ in 0..width.taps {
                        for (p, folded) in folded.iter_mut().enumerate() {
                            let pixel = x.wrapping_add(p.wrapping_mul(pixel_step));
                            // SAFETY: the caller's, and the row's depth and height lie in the input.
                            *folded = F::fold(simd, *folded, unsafe { simd.load(pixel) });
                        }
                        x = x.wrapping_add(tap_step);
                    }
                    line = line.wrapping_add(line_step);
                }
                slice = slice.wrapping_add(slice_step);
            }
            for (p, folded) in folded.into_iter().enumerate() {
                let y = row.y.wrapping_add((output + p) * BLOCK + lane);
                // SAFETY: the caller says that the row has these outputs.
                unsafe { simd.store(y, F::finish(simd, folded, count)) };
            }
        }
    }
}

impl<F: Fold> Vectorised for Plane<'_, F> {
    type Output = Result<(), RunError>;

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) -> Result<(), RunError> {
        let [_, height_axis, axis] = &self.windows.axes;
        let [_, _, widths] = &self.windows.spans;
        let line = axis.input * BLOCK;
        let mut y = self.y.as_mut_ptr();
        for row in self.rows.clone() {
            let (depth, height) = self.windows.spans_of(row);
            let lines = depth.taps * height.taps;
            let element = depth.element * height_axis.input + height.element;
            let row = Row {
                x: self.x.as_ptr().wrapping_add(element * line),
                depth,
                height,
                y,
            };
            let mut output = 0;
            while output < axis.output {
                self.pace.count(lines.saturating_mul(axis.kernel))?;
                let is_wide = self.interior.contains(&output) && output + 4 <= self.interior.end;
                // SAFETY: there is a span for each output of the row, and those in the interior see as many columns each,
                // a stride after the one before.
                unsafe {
                    if is_wide {
                        self.chunk::<S, 4>(simd, &row, output, widths[output]);
                        output += 4;
                    } else {
                        self.chunk::<S, 1>(simd, &row, output, widths[output]);
                        output += 1;
                    }
                }
            }
            y = y.wrapping_add(axis.output * BLOCK);
        }
        Ok(())
    }
}
