//! Windows that slide along spatial axes: which elements of the input an output sees.

use std::ops::Range;

use tensorlet_plan::kernel::Conv;

use crate::run::BindError;
use crate::tensor_type::TensorType;

/// The windows of an operator, as a plan has them: one number a spatial axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows<'a> {
    pub(crate) kernel: &'a [u32],
    pub(crate) strides: &'a [u32],
    pub(crate) dilations: &'a [u32],
    pub(crate) pads_before: &'a [u32],
}

/// The windows along one spatial axis.
///
/// Tap `k` of output `o` is input `o × stride + k × dilation - pad_before`, if there is such an element.
///
/// Invariant, made by [`Windows::axes`]: kernel, stride and dilation are at least 1, and the position of every tap of every
/// output, before `pad_before` is taken off it, and `pad_before` fit in `isize`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Axis {
    pub(crate) input: usize,
    pub(crate) output: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
    pub(crate) pad_before: usize,
}

impl Axis {
    /// The axis of a tensor that has none.
    pub(crate) const NONE: Self = Self {
        input: 1,
        output: 1,
        kernel: 1,
        stride: 1,
        dilation: 1,
        pad_before: 0,
    };

    /// Returns where the window of an output begins; negative in the padding.
    pub(crate) fn begin(&self, output: usize) -> isize {
        (output * self.stride) as isize - self.pad_before as isize
    }

    /// Returns the taps of an output that are elements of the input.
    pub(crate) fn taps(&self, output: usize) -> Range<usize> {
        let begin = self.begin(output);
        let first = divide(begin.min(0).unsigned_abs(), self.dilation);
        let ahead = self.input as isize - begin;
        let end = divide(ahead.max(0) as usize, self.dilation);
        let end = end.min(self.kernel);
        first.min(end)..end
    }

    /// Returns the element of the input that a tap of an output is. To be asked only for one of [`taps`](Self::taps).
    pub(crate) fn element(&self, output: usize, tap: usize) -> usize {
        output * self.stride + tap * self.dilation - self.pad_before
    }

    /// Reports whether every output sees the element in its place alone.
    pub(crate) fn is_in_place(&self) -> bool {
        (self.kernel, self.stride, self.pad_before) == (1, 1, 0) && self.input == self.output
    }

    /// Returns how many neighbouring positions so many outputs see, gaps included; `None` if that overflows.
    pub(crate) fn reach(&self, outputs: usize) -> Option<usize> {
        let taps = (self.kernel - 1).checked_mul(self.dilation)?;
        let steps = outputs.saturating_sub(1).checked_mul(self.stride)?;
        steps.checked_add(taps)?.checked_add(1)
    }

    /// Returns how many of so many neighbouring positions, from where the window of an output begins, lie in front of the input; and
    /// which elements of the input the following ones are.
    pub(crate) fn inside(&self, output: usize, count: usize) -> (usize, Range<usize>) {
        let begin = self.begin(output);
        let before = begin.min(0).unsigned_abs().min(count);
        let start = (begin.max(0) as usize).min(self.input);
        let end = self.input.min(start + (count - before));
        (before, start..end)
    }

    /// Returns the outputs whose taps are all elements of the input.
    pub(crate) fn interior(&self) -> Range<usize> {
        let whole = |output: &usize| self.taps(*output) == (0..self.kernel);
        let begin = divide(self.pad_before, self.stride).min(self.output);
        let reach = (self.kernel - 1) * self.dilation;
        let end = match (self.input + self.pad_before).checked_sub(reach + 1) {
            Some(last) => (last / self.stride + 1).min(self.output),
            None => begin,
        };
        let interior = begin..end.max(begin);
        debug_assert!(interior.clone().all(|output| whole(&output)));
        interior
    }

    /// Returns the outputs for which a tap is an element of the input.
    pub(crate) fn outputs(&self, tap: usize) -> Range<usize> {
        let offset = tap * self.dilation;
        let begin = self.pad_before.saturating_sub(offset);
        let begin = divide(begin, self.stride).min(self.output);
        // The first that lies beyond the input.
        let end = (self.input + self.pad_before).saturating_sub(offset);
        let end = divide(end, self.stride).min(self.output);
        begin..end.max(begin)
    }

    /// Returns how many outputs a convolution has, given the padding behind the axis; `None` if no window fits.
    pub(crate) fn fitting_outputs(&self, pad_after: usize) -> Option<usize> {
        let padded = self
            .input
            .checked_add(self.pad_before)?
            .checked_add(pad_after)?;
        let reach = (self.kernel - 1) * self.dilation + 1;
        Some(padded.checked_sub(reach)? / self.stride + 1)
    }

    /// Reports whether every position fits in `isize`.
    fn fits(&self) -> bool {
        let last = || {
            let window = self.output.saturating_sub(1).checked_mul(self.stride)?;
            let reach = (self.kernel - 1).checked_mul(self.dilation)?;
            let padded = self.input.checked_add(self.pad_before)?;
            window.checked_add(reach)?.checked_add(padded)
        };
        self.kernel > 0
            && self.stride > 0
            && self.dilation > 0
            && last().is_some_and(|last| isize::try_from(last).is_ok())
    }
}

/// Divides, rounding up. Most strides and dilations are 1 or 2, which need no division.
fn divide(dividend: usize, divisor: usize) -> usize {
    match divisor {
        1 => dividend,
        2 => dividend.div_ceil(2),
        _ => dividend.div_ceil(divisor),
    }
}

/// Returns the windows of a convolution over one or two spatial axes.
///
/// # Errors
/// If the tensors have other ranks, or the output other sizes than the windows and the padding give.
pub(crate) fn conv_axes(
    conv: &Conv,
    x: &TensorType,
    y: &TensorType,
) -> Result<[Axis; 2], BindError> {
    let windows = Windows {
        kernel: &conv.kernel,
        strides: &conv.strides,
        dilations: &conv.dilations,
        pads_before: &conv.pads_before,
    };
    let rank = x.dims.len().saturating_sub(2);
    let (Some(input), Some(output), 1..=2) = (x.dims.get(2..), y.dims.get(2..), rank) else {
        return Err(BindError::new(format!(
            "expected a convolution over one or two spatial axes, found {x} to {y}"
        )));
    };
    let axes: [Axis; 2] = windows.axes(input, output)?;
    let fits = axes[2 - rank..]
        .iter()
        .zip(&conv.pads_after)
        .all(|(axis, &pad)| axis.fitting_outputs(pad as usize).unwrap_or(0) == axis.output);
    if !fits || conv.pads_after.len() != rank {
        return Err(BindError::new(format!(
            "expected as many outputs as windows fit, found {x} to {y} with {windows:?} and {:?} behind",
            conv.pads_after
        )));
    }
    Ok(axes)
}

impl Windows<'_> {
    /// Returns the last `R` axes for tensors with these spatial dims; those in front that tensors lack are [`Axis::NONE`].
    ///
    /// # Errors
    /// If there are more axes, the numbers are not one for each, or positions overflow.
    pub(crate) fn axes<const R: usize>(
        &self,
        input: &[usize],
        output: &[usize],
    ) -> Result<[Axis; R], BindError> {
        let rank = input.len();
        let lens = [
            output.len(),
            self.kernel.len(),
            self.strides.len(),
            self.dilations.len(),
            self.pads_before.len(),
        ];
        if rank > R || lens.iter().any(|&len| len != rank) {
            return Err(BindError::new(format!(
                "expected at most {R} spatial axes and windows for each, found {input:?} to {output:?} and {self:?}"
            )));
        }
        let mut axes = [Axis::NONE; R];
        for (i, axis) in axes[R - rank..].iter_mut().enumerate() {
            *axis = Axis {
                input: input[i],
                output: output[i],
                kernel: self.kernel[i] as usize,
                stride: self.strides[i] as usize,
                dilation: self.dilations[i] as usize,
                pad_before: self.pads_before[i] as usize,
            };
            if !axis.fits() {
                return Err(BindError::new(format!(
                    "expected windows of at least one element that fit in memory, found {axis:?}"
                )));
            }
        }
        Ok(axes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every small axis there is.
    fn axes() -> impl Iterator<Item = Axis> {
        let range = |ranges: [Range<usize>; 3]| {
            let [a, b, c] = ranges;
            a.flat_map(move |a| {
                let (b, c) = (b.clone(), c.clone());
                b.flat_map(move |b| c.clone().map(move |c| (a, b, c)))
            })
        };
        range([0..6, 0..6, 1..5]).flat_map(move |(input, output, kernel)| {
            range([1..4, 1..4, 0..5]).map(move |(stride, dilation, pad_before)| Axis {
                input,
                output,
                kernel,
                stride,
                dilation,
                pad_before,
            })
        })
    }

    /// Whether a tap is an element of the input.
    fn is_element(axis: &Axis, output: usize, tap: usize) -> bool {
        let position = axis.begin(output) + (tap * axis.dilation) as isize;
        (0..axis.input as isize).contains(&position)
    }

    #[test]
    fn taps_are_those_that_are_elements() {
        for axis in axes() {
            for output in 0..axis.output {
                let taps = axis.taps(output);
                assert!(
                    taps.start <= taps.end && taps.end <= axis.kernel,
                    "{axis:?}"
                );
                for tap in 0..axis.kernel {
                    let expected = is_element(&axis, output, tap);
                    assert_eq!(taps.contains(&tap), expected, "{axis:?} {output} {tap}");
                }
            }
        }
    }

    #[test]
    fn outputs_of_a_tap_are_those_where_it_is_an_element() {
        for axis in axes() {
            for tap in 0..axis.kernel {
                let outputs = axis.outputs(tap);
                for output in 0..axis.output {
                    let expected = is_element(&axis, output, tap);
                    assert_eq!(
                        outputs.contains(&output),
                        expected,
                        "{axis:?} {output} {tap}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_interior_is_where_all_taps_are_elements() {
        for axis in axes() {
            let interior = axis.interior();
            for output in 0..axis.output {
                let whole = axis.taps(output) == (0..axis.kernel);
                assert_eq!(interior.contains(&output), whole, "{axis:?} {output}");
            }
        }
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let windows = Windows {
            kernel: &[3],
            strides: &[1],
            dilations: &[1],
            pads_before: &[0],
        };
        assert!(windows.axes::<2>(&[4], &[2]).is_ok());
        assert!(windows.axes::<2>(&[4, 4], &[2, 2]).is_err());
        let cases = [
            Windows {
                kernel: &[0],
                ..windows
            },
            Windows {
                strides: &[0],
                ..windows
            },
            Windows {
                dilations: &[0],
                ..windows
            },
            Windows {
                dilations: &[1, 1],
                ..windows
            },
        ];
        for windows in cases {
            assert!(windows.axes::<2>(&[4], &[2]).is_err(), "{windows:?}");
        }
        let far = Windows {
            dilations: &[u32::MAX],
            kernel: &[u32::MAX],
            ..windows
        };
        assert!(far.axes::<1>(&[4], &[usize::MAX / 2]).is_err());
        assert!(windows.axes::<1>(&[usize::MAX], &[2]).is_err());
        assert!(windows.axes::<1>(&[2], &[usize::MAX]).is_err());
    }
}
