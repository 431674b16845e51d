//! Pooling: the largest, the mean or a norm of what each window sees.
//!
//! - `blocked` computes maxima and means of blocked tensors, with the results of some windows in registers.
//! - `general` computes everything else, one tap of the windows of a row after another.
//!
//! A window that sees no element has the maximum -∞ (of integers the least number), the mean NaN and the norm 0. A maximum passes
//! over NaN.

#[expect(
    unsafe_code,
    reason = "results stay in registers, and elements are read and written at pointers"
)]
mod blocked;
mod general;

#[cfg(test)]
mod tests;

use std::ops::Range;

use tensorlet_plan::Layout;
use tensorlet_plan::kernel::{Pool, PoolKind};
use tensorlet_tensor::DatumType;

use crate::attributes::Attributes;
use crate::bind::Types;
use crate::crew::{Crew, Pace};
use crate::isa::Isa;
use crate::run::{BindError, Nothing, Run, RunError, Target};
use crate::tensor_type::BLOCK;
use crate::window::{Axis, Windows};

/// Binds a pooling.
pub(crate) fn bind(
    pool: &Pool,
    types: Types<'_>,
    target: &Target<'_>,
) -> Result<Box<dyn Run>, BindError> {
    let mismatch = || {
        BindError::new(format!(
            "expected a pooling, found {} of {types}",
            Attributes(pool)
        ))
    };
    let ([x], [y]) = (types.inputs, types.outputs) else {
        return Err(mismatch());
    };
    let fits = x.dims.len() >= 3
        && x.dims.len() == y.dims.len()
        && x.dims[..2] == y.dims[..2]
        && x.layout == y.layout
        && x.datum_type == y.datum_type
        && pool.pads_after.len() == x.dims.len() - 2
        && pool.kind != PoolKind::Lp { p: 0 };
    if !fits {
        return Err(mismatch());
    }
    let windows = Windows {
        kernel: &pool.kernel,
        strides: &pool.strides,
        dilations: &pool.dilations,
        pads_before: &pool.pads_before,
    };
    let axes: [Axis; 3] = windows.axes(&x.dims[2..], &y.dims[2..])?;
    let compute: Compute = match (x.datum_type, x.layout, pool.kind) {
        (DatumType::F32, Layout::Blocked, PoolKind::Max) => blocked::maximum,
        (DatumType::F32, Layout::Blocked, PoolKind::Average { .. }) => blocked::mean,
        (DatumType::F32, _, PoolKind::Max) => general::maximum_f32,
        (DatumType::F32, _, PoolKind::Average { .. }) => general::mean,
        (DatumType::F32, _, PoolKind::Lp { .. }) => general::norm,
        (DatumType::I8, _, PoolKind::Max) => general::maximum_i8,
        (DatumType::U8, _, PoolKind::Max) => general::maximum_u8,
        _ => return Err(mismatch()),
    };
    if y.is_empty() {
        return Ok(Box::new(Nothing));
    }
    let missing = 3 - pool.pads_after.len();
    let spans = std::array::from_fn(|i| {
        let pad_after = i.checked_sub(missing).map(|i| pool.pads_after[i]);
        spans(&axes[i], pad_after.unwrap_or(0) as usize, pool.kind)
    });
    let (planes, lanes) = match x.layout {
        Layout::Plain => (x.dims[0] * x.dims[1], 1),
        Layout::Blocked => (x.dims[0] * x.blocks(), BLOCK),
    };
    Ok(Box::new(BoundPool {
        isa: target.isa,
        compute,
        planes,
        windows: PlaneWindows {
            axes,
            spans,
            lanes,
            exponent: match pool.kind {
                PoolKind::Lp { p } => p,
                _ => 1,
            },
        },
    }))
}

/// Computes some rows of a plane.
type Compute = fn(Isa, &PlaneWindows, Part<'_>) -> Result<(), RunError>;

/// Some rows of the output of a plane.
struct Part<'a> {
    /// Which ones: of all depths and heights, in order.
    rows: Range<usize>,
    /// The whole plane of the input.
    x: &'a [u8],
    /// The rows.
    y: &'a mut [u8],
    pace: Pace<'a>,
}

/// What an output's window sees along an axis.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Span {
    /// The first element.
    element: usize,
    /// How many taps are elements.
    taps: usize,
    /// How many count for a mean.
    count: usize,
}

fn spans(axis: &Axis, pad_after: usize, kind: PoolKind) -> Vec<Span> {
    let span = |output: usize| {
        let taps = axis.taps(output);
        // Taps in the padding count, those beyond do not.
        let ahead = (axis.input as isize - axis.begin(output)).saturating_add_unsigned(pad_after);
        let with_padding = (ahead.max(0) as usize)
            .div_ceil(axis.dilation)
            .min(axis.kernel);
        Span {
            element: if taps.is_empty() {
                0
            } else {
                axis.element(output, taps.start)
            },
            taps: taps.len(),
            count: match kind {
                PoolKind::Average {
                    count_padding: true,
                } => with_padding,
                _ => taps.len(),
            },
        }
    };
    (0..axis.output).map(span).collect()
}

/// The windows of a plane, which is one channel or one block of channels.
struct PlaneWindows {
    /// The spatial axes; the first ones are [`Axis::NONE`] if there are fewer than three.
    axes: [Axis; 3],
    /// One for each output of each axis.
    spans: [Vec<Span>; 3],
    /// How many channels lie side by side.
    lanes: usize,
    /// The exponent of a norm.
    exponent: u32,
}

impl PlaneWindows {
    /// Returns how many rows the output has.
    fn rows(&self) -> usize {
        self.axes[0].output * self.axes[1].output
    }

    /// Returns where the windows of a row lie, in depth and height.
    fn spans_of(&self, row: usize) -> (Span, Span) {
        let [depths, heights, _] = &self.spans;
        (depths[row / heights.len()], heights[row % heights.len()])
    }

    /// Returns how much work a row of the output is.
    fn row_work(&self) -> usize {
        /// How many numbers a fast machine folds in a nanosecond.
        const FOLDED: usize = 8;
        let taps = self.axes.iter().map(|axis| axis.kernel);
        let taps = taps.fold(self.lanes, usize::saturating_mul);
        taps.saturating_mul(self.axes[2].output) / FOLDED
    }

    /// Returns how many numbers the input has.
    fn input_len(&self) -> usize {
        self.axes.iter().map(|axis| axis.input).product::<usize>() * self.lanes
    }

    /// Returns how many numbers a row of the output has.
    fn row_len(&self) -> usize {
        self.axes[2].output * self.lanes
    }
}

/// A pooling.
struct BoundPool {
    isa: Isa,
    compute: Compute,
    planes: usize,
    windows: PlaneWindows,
}

impl Run for BoundPool {
    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        _scratch: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let (x, y) = (inputs[0], &mut *outputs[0]);
        let (x_len, y_len) = (x.len() / self.planes, y.len() / self.planes);
        let rows = self.windows.rows();
        let unit = y_len / rows;
        crew.divide(y, unit, self.windows.row_work(), |first, mut y| {
            let mut row = first;
            while !y.is_empty() {
                let (plane, begin) = (row / rows, row % rows);
                let end = rows.min(begin + y.len() / unit);
                let part = y.split_off_mut(..(end - begin) * unit);
                let part = Part {
                    rows: begin..end,
                    x: &x[plane * x_len..][..x_len],
                    y: part.unwrap_or_default(),
                    pace: Pace::of(crew),
                };
                (self.compute)(self.isa, &self.windows, part)?;
                row += end - begin;
            }
            Ok(())
        })
    }
}
