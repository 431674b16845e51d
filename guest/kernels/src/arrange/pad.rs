//! Adds elements around a tensor.

#[cfg(test)]
mod tests;

use tensorlet_plan::kernel::{Pad, PadMode};
use tensorlet_tensor::MAX_RANK;

use super::bytes::copy_bytes;
use super::check;
use super::number::{fill, to_bytes};
use crate::bind::Types;
use crate::crew::{Crew, Pace};
use crate::run::{BindError, Run, RunError};

/// What sizes and distances are below, so that adding some stays within an `i64`.
const MAX_DISTANCE: i64 = 1 << 60;

/// See [`Kernel::Pad`](tensorlet_plan::Kernel::Pad).
struct Padding {
    /// All padded axes but the last, outermost first, and the axes between them.
    outer: Vec<Axis>,
    /// The last padded axis.
    inner: Axis,
    /// The size of the elements of the last padded axis: all axes behind it.
    unit_bytes: usize,
    /// What is added.
    constant: [u8; 8],
    width_bytes: usize,
}

/// An axis and what lies around it.
#[derive(Clone, Copy, Debug)]
struct Axis {
    mode: PadMode,
    /// The axis of the input.
    input: usize,
    /// The axis of the output.
    output: usize,
    /// Where in the output the first element of the input lies.
    origin: i64,
    /// The elements of the input that are kept, and mirrored or repeated.
    begin: usize,
    end: usize,
}

impl Axis {
    /// Returns the axis; `None` if there is nothing to mirror or repeat, or a number is absurd.
    fn new(mode: PadMode, input: usize, origin: i64, output: usize) -> Option<Self> {
        let limits = -MAX_DISTANCE..MAX_DISTANCE;
        let sizes = [i64::try_from(input).ok()?, i64::try_from(output).ok()?];
        if !limits.contains(&origin) || !sizes.iter().all(|size| limits.contains(size)) {
            return None;
        }
        let begin = (-origin).clamp(0, sizes[0]);
        let end = (sizes[1] - origin).clamp(begin, sizes[0]);
        let constant = matches!(mode, PadMode::Constant(_));
        (constant || output == 0 || begin < end).then_some(Self {
            mode,
            input,
            output,
            origin,
            begin: begin as usize,
            end: end as usize,
        })
    }

    fn is_padded(&self) -> bool {
        self.input != self.output || self.origin != 0
    }

    /// Returns the range of the output that the kept elements of the input fill.
    fn kept(&self) -> (usize, usize) {
        let place = |element: usize| (element as i64 + self.origin).clamp(0, self.output as i64);
        (place(self.begin) as usize, place(self.end) as usize)
    }

    /// Returns which element of the input an element of the output is, unless it is the constant.
    fn source(&self, place: usize) -> Option<usize> {
        let (begin, end) = (self.begin as i64, self.end as i64);
        let element = place as i64 - self.origin;
        if (begin..end).contains(&element) {
            return Some(element as usize);
        }
        let source = match self.mode {
            PadMode::Constant(_) => return None,
            PadMode::Edge => element.clamp(begin, end - 1),
            PadMode::Wrap => begin + (element - begin).rem_euclid(end - begin),
            PadMode::Reflect if end - begin == 1 => begin,
            PadMode::Reflect => {
                let last = end - begin - 1;
                let phase = (element - begin).rem_euclid(2 * last);
                begin + phase.min(2 * last - phase)
            }
        };
        Some(source as usize)
    }
}

pub(super) fn bind(pad: &Pad, types: Types<'_>) -> Result<Box<dyn Run>, BindError> {
    let (x, y) = check::one_to_one(types)?;
    let rank = x.dims.len();
    if [pad.before.len(), y.dims.len()] != [rank; 2] {
        return Err(BindError::new(format!(
            "expected a number of elements and an output axis for each axis of {x}, found {:?} and {y}",
            pad.before
        )));
    }
    let mut axes = Vec::with_capacity(rank);
    for (axis, &before) in pad.before.iter().enumerate() {
        let axis = Axis::new(pad.mode, x.dims[axis], before, y.dims[axis]);
        axes.push(axis.ok_or_else(|| {
            BindError::new(format!(
                "expected elements to pad {x} with, found none for {before} in front and {y}"
            ))
        })?);
    }
    let mut unit_bytes = x.datum_type.width_bytes();
    let mut inner = None;
    while let Some(axis) = axes.pop() {
        if axis.is_padded() {
            inner = Some(axis);
            break;
        }
        unit_bytes = unit_bytes.saturating_mul(axis.input);
    }
    let whole = Axis {
        mode: pad.mode,
        input: 1,
        output: 1,
        origin: 0,
        begin: 0,
        end: 1,
    };
    let constant = match pad.mode {
        PadMode::Constant(number) => number,
        _ => 0.0,
    };
    Ok(Box::new(Padding {
        outer: axes,
        inner: inner.unwrap_or(whole),
        unit_bytes,
        constant: to_bytes(constant, x.datum_type),
        width_bytes: x.datum_type.width_bytes(),
    }))
}

impl Run for Padding {
    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        _scratch: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let (x, y) = (inputs[0], &mut *outputs[0]);
        if y.is_empty() {
            return Ok(());
        }
        let (x_row, y_row) = (
            self.inner.input.saturating_mul(self.unit_bytes),
            self.inner.output * self.unit_bytes,
        );
        let mut index = [0; MAX_RANK];
        let mut pace = Pace::of(crew);
        for y in y.chunks_exact_mut(y_row) {
            pace.count(8 + y_row / 4)?;
            let row = self
                .outer
                .iter()
                .zip(&index)
                .try_fold(0, |row, (axis, &place)| {
                    Some(row * axis.input + axis.source(place)?)
                });
            match row {
                Some(row) => self.copy_row(&x[row * x_row..][..x_row], y),
                None => self.fill(y),
            }
            for (axis, place) in self.outer.iter().zip(&mut index).rev() {
                *place += 1;
                if *place < axis.output {
                    break;
                }
                *place = 0;
            }
        }
        Ok(())
    }
}

impl Padding {
    fn fill(&self, y: &mut [u8]) {
        fill(y, &self.constant[..self.width_bytes]);
    }

    fn copy_row(&self, x: &[u8], y: &mut [u8]) {
        let unit = self.unit_bytes;
        let (begin, end) = self.inner.kept();
        let (before, rest) = y.split_at_mut(begin * unit);
        let (kept, behind) = rest.split_at_mut((end - begin) * unit);
        if begin < end {
            copy_bytes(&x[self.inner.begin * unit..][..kept.len()], kept);
        }
        for (first, part) in [(0, before), (end, behind)] {
            if let PadMode::Constant(_) = self.inner.mode {
                self.fill(part);
                continue;
            }
            for (place, y) in part.chunks_exact_mut(unit).enumerate() {
                if let Some(source) = self.inner.source(first + place) {
                    copy_bytes(&x[source * unit..][..unit], y);
                }
            }
        }
    }
}
