//! One plane of a depthwise convolution.

use super::chunks::Chunk;
use crate::simd::Simd;
use crate::tensor_type::BLOCK;
use crate::window::Axis;

/// Some rows of the output of one block of channels, and what they are computed from.
pub(super) struct Plane<'a> {
    pub(super) vertical: &'a Axis,
    pub(super) horizontal: &'a Axis,
    /// How the outputs of a row are divided.
    pub(super) chunks: &'a [Chunk],
    /// Where the windows of the rows asked for lie; made by [`spans`].
    pub(super) spans: &'a [Span],
    /// All rows of the input.
    pub(super) input: &'a [f32],
    pub(super) weights: &'a [f32],
    pub(super) bias: Option<&'a [f32; BLOCK]>,
    /// Laid out as `out`.
    pub(super) residual: Option<&'a [f32]>,
    /// The least and the largest result.
    pub(super) clamp: Option<(f32, f32)>,
    /// The rows asked for.
    pub(super) out: &'a mut [f32],
}

/// A row of the output, where its windows lie, and what is done with sums.
#[derive(Clone, Copy)]
pub(super) struct Row {
    /// The first row of the windows that is one of the input, at its first column.
    pub(super) input: *const f32,
    /// The distance between rows of the windows.
    pub(super) input_step: usize,
    /// The weights of that row.
    pub(super) weights: *const f32,
    /// How many rows of the windows are rows of the input.
    pub(super) taps: usize,
    pub(super) bias: *const f32,
    /// Null if there is none.
    pub(super) residual: *const f32,
    pub(super) clamp: Option<(f32, f32)>,
    pub(super) out: *mut f32,
}

/// What a plane without bias has.
static NO_BIAS: [f32; BLOCK] = [0.0; BLOCK];

impl Plane<'_> {
    /// Returns the first row, with the windows of none.
    ///
    /// # Panics
    /// If a slice is not as long as the axes say.
    #[inline(always)]
    pub(super) fn first_row(&mut self) -> Row {
        let (vertical, horizontal) = (self.vertical, self.horizontal);
        let (in_row, out_row) = (horizontal.input * BLOCK, horizontal.output * BLOCK);
        assert!(
            self.input.len() == vertical.input * in_row
                && self.weights.len() == vertical.kernel * horizontal.kernel * BLOCK
                && self.out.len() == self.spans.len() * out_row
                && self
                    .residual
                    .is_none_or(|rest| rest.len() == self.out.len()),
            "expected a plane as large as its axes"
        );
        Row {
            input: self.input.as_ptr(),
            input_step: vertical.dilation.wrapping_mul(in_row),
            weights: self.weights.as_ptr(),
            taps: 0,
            bias: self.bias.unwrap_or(&NO_BIAS).as_ptr(),
            residual: self.residual.map_or(std::ptr::null(), <[f32]>::as_ptr),
            clamp: self.clamp,
            out: self.out.as_mut_ptr(),
        }
    }

    /// Puts a row's windows where they belong.
    ///
    /// # Panics
    /// If the input has no such rows.
    #[inline(always)]
    pub(super) fn place(&self, row: &mut Row, span: &Span) {
        let (in_row, weights_row) = (
            self.horizontal.input * BLOCK,
            self.horizontal.kernel * BLOCK,
        );
        row.taps = span.taps;
        if span.taps > 0 {
            row.input = self.input[span.element * in_row..].as_ptr();
            row.weights = self.weights[span.tap * weights_row..].as_ptr();
        }
    }
}

/// Which rows the windows of an output's row see.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Span {
    /// The first row of the input.
    element: usize,
    /// Which row of the windows that is.
    tap: usize,
    /// How many rows of the windows are rows of the input.
    taps: usize,
}

/// Returns the span of each row of the output.
pub(super) fn spans(vertical: &Axis) -> Vec<Span> {
    let span = |output| {
        let taps = vertical.taps(output);
        let is_inside = !taps.is_empty();
        Span {
            element: if is_inside {
                vertical.element(output, taps.start)
            } else {
                0
            },
            tap: taps.start,
            taps: taps.len(),
        }
    };
    (0..vertical.output).map(span).collect()
}

impl Row {
    /// Goes to the next row of the output.
    #[inline(always)]
    pub(super) fn advance(&mut self, horizontal: &Axis) {
        let len = horizontal.output * BLOCK;
        self.out = self.out.wrapping_add(len);
        if !self.residual.is_null() {
            self.residual = self.residual.wrapping_add(len);
        }
    }

    /// Writes sums to outputs from `offset` on, with residual and clamp.
    ///
    /// # Safety
    /// `out`, and `residual` if there is one, have `P` pixels from `offset` on.
    #[inline(always)]
    pub(super) unsafe fn finish<S: Simd, const P: usize>(
        &self,
        simd: S,
        offset: usize,
        mut sums: [S::F32; P],
    ) {
        let out = self.out.wrapping_add(offset);
        if !self.residual.is_null() {
            let residual = self.residual.wrapping_add(offset);
            for (p, sum) in sums.iter_mut().enumerate() {
                // SAFETY: the caller's.
                *sum = simd.add(*sum, unsafe { simd.load(residual.add(p * BLOCK)) });
            }
        }
        if let Some((low, high)) = self.clamp {
            let (low, high) = (simd.splat(low), simd.splat(high));
            for sum in &mut sums {
                *sum = simd.min(simd.max(*sum, low), high);
            }
        }
        for (p, sum) in sums.into_iter().enumerate() {
            // SAFETY: the caller's.
            unsafe { simd.store(out.add(p * BLOCK), sum) };
        }
    }
}
