//! The axes of a reduction, joined into as few loops as possible.

use tensorlet_plan::Layout;

use crate::run::BindError;
use crate::tensor_type::{BLOCK, TensorType};

/// An axis of the input.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Axis {
    pub(super) size: usize,
    /// How far apart its elements are.
    pub(super) stride: usize,
}

/// A tensor seen as axes that are kept, around and between axes that are reduced.
///
/// ```text
/// [N, C, H, W] over H, W → kept [N × C], run H × W, inner 1
/// [N, T, D] over T       → kept [N], run T with stride D, inner D
/// [N, C, H] over N, H    → kept [C], reduced [N], run H, inner 1
/// ```
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Shape {
    /// Axes of the output but for `inner`, outermost first.
    kept: Vec<Axis>,
    /// Axes that are reduced but for `run`, outermost first.
    reduced: Vec<Axis>,
    /// The innermost axis that is reduced.
    pub(super) run: Axis,
    /// How many elements of the output lie side by side in the input too: the innermost axis, if it is kept, else 1.
    pub(super) inner: usize,
    /// The number of elements of the input.
    pub(super) input_len: usize,
    /// The number of elements of the output.
    pub(super) output_len: usize,
}

impl Shape {
    /// # Errors
    /// If axes are out of order or range, or the output is not what is left of the input.
    pub(super) fn new(
        axes: &[u32],
        input: &TensorType,
        output: &TensorType,
    ) -> Result<Self, BindError> {
        let contradiction = || {
            BindError::new(format!(
                "expected a reduction over axes {axes:?} that makes {output}, found {input}"
            ))
        };
        let rank = input.dims.len();
        if !axes.is_sorted_by(|a, b| a < b) || axes.iter().any(|axis| *axis as usize >= rank) {
            return Err(contradiction());
        }
        let is_reduced = |axis: usize| axes.iter().any(|reduced| *reduced as usize == axis);
        let dims = || input.dims.iter().copied().enumerate();
        let as_ones = dims().map(|(axis, dim)| if is_reduced(axis) { 1 } else { dim });
        let left_out = dims().filter(|(axis, _)| !is_reduced(*axis));
        let is_blocked = input.layout == Layout::Blocked;
        let all_spatial = axes.iter().copied().eq(2..rank as u32);
        let fits = output.dims.iter().copied().eq(as_ones)
            || (!is_blocked && output.dims.iter().copied().eq(left_out.map(|(_, dim)| dim)));
        if !fits || input.layout != output.layout || (is_blocked && !all_spatial) {
            return Err(contradiction());
        }
        let mut sizes: Vec<(usize, bool)> = dims().map(|(i, dim)| (dim, is_reduced(i))).collect();
        if is_blocked {
            sizes[1].0 = input.blocks();
            sizes.push((BLOCK, false));
        }
        Ok(Self::of_sizes(&sizes))
    }

    /// Returns how much work a group of results is that lie side by side.
    pub(super) fn work(&self) -> usize {
        /// How many numbers a fast machine folds in a nanosecond.
        const FOLDED: usize = 8;
        let reduced = self.reduced_count().saturating_mul(self.run.size);
        reduced.saturating_mul(self.inner) / FOLDED
    }

    /// Joins axes, each given with whether it is reduced. Products of sizes must not overflow but for sizes of 0.
    fn of_sizes(sizes: &[(usize, bool)]) -> Self {
        let product = |reduced: &[bool]| {
            sizes
                .iter()
                .filter(|(_, is_reduced)| reduced.contains(is_reduced))
                .fold(1usize, |product, (size, _)| product.saturating_mul(*size))
        };
        // From the innermost axis, with whether it is reduced.
        let mut joined: Vec<(Axis, bool)> = Vec::new();
        let mut stride = 1usize;
        for &(size, is_reduced) in sizes.iter().rev() {
            match joined.last_mut() {
                _ if size == 1 => {}
                Some((inner, is_inner_reduced)) if *is_inner_reduced == is_reduced => {
                    inner.size = inner.size.saturating_mul(size);
                }
                _ => joined.push((Axis { size, stride }, is_reduced)),
            }
            stride = stride.saturating_mul(size);
        }
        let inner = match joined.first() {
            Some((axis, false)) => axis.size,
            _ => 1,
        };
        let skipped = usize::from(joined.first().is_some_and(|(_, is_reduced)| !is_reduced));
        let of = |which: bool, skipped: usize| {
            let axes = joined.iter().skip(skipped);
            let mut axes: Vec<Axis> = axes
                .filter(|axis| axis.1 == which)
                .map(|axis| axis.0)
                .collect();
            axes.reverse();
            axes
        };
        let mut reduced = of(true, 0);
        Self {
            kept: of(false, skipped),
            run: reduced.pop().unwrap_or(Axis { size: 1, stride: 1 }),
            reduced,
            inner,
            input_len: product(&[false, true]),
            output_len: product(&[false]),
        }
    }

    /// Returns how many elements become one.
    pub(super) fn count(&self) -> usize {
        self.reduced_count().saturating_mul(self.run.size)
    }

    /// Returns how often there is a run for each element of the output.
    pub(super) fn reduced_count(&self) -> usize {
        let sizes = self.reduced.iter().map(|axis| axis.size);
        sizes.fold(1, usize::saturating_mul)
    }

    /// Returns how many groups of `inner` elements the output has.
    pub(super) fn kept_count(&self) -> usize {
        self.output_len / self.inner.max(1)
    }

    /// Returns where the input of a group begins.
    pub(super) fn kept(&self, group: usize) -> usize {
        offset(&self.kept, group)
    }

    /// Returns where a run begins, counted from the first.
    pub(super) fn reduced(&self, run: usize) -> usize {
        offset(&self.reduced, run)
    }
}

/// Returns where the element with an index in row-major order lies.
#[inline(never)]
fn offset(axes: &[Axis], mut index: usize) -> usize {
    let mut offset = 0;
    for axis in axes.iter().rev() {
        offset += index % axis.size * axis.stride;
        index /= axis.size;
    }
    offset
}

#[cfg(test)]
mod tests {
    use tensorlet_tensor::DatumType;

    use super::*;

    fn plain(dims: &[usize]) -> TensorType {
        TensorType::plain(DatumType::F32, dims)
    }

    fn kept(shape: &Shape) -> Vec<usize> {
        (0..shape.kept_count())
            .map(|group| shape.kept(group))
            .collect()
    }

    #[test]
    fn neighbouring_axes_become_one() {
        let shape = Shape::new(&[2, 3], &plain(&[2, 3, 4, 5]), &plain(&[2, 3])).unwrap();
        assert_eq!(
            shape.run,
            Axis {
                size: 20,
                stride: 1
            }
        );
        assert_eq!((shape.inner, shape.count()), (1, 20));
        assert_eq!(kept(&shape), [0, 20, 40, 60, 80, 100]);
    }

    #[test]
    fn kept_axes_at_the_end_are_side_by_side() {
        let shape = Shape::new(&[1], &plain(&[2, 3, 4, 5]), &plain(&[2, 1, 4, 5])).unwrap();
        assert_eq!(
            shape.run,
            Axis {
                size: 3,
                stride: 20
            }
        );
        assert_eq!((shape.inner, shape.count()), (20, 3));
        assert_eq!(kept(&shape), [0, 60]);
    }

    #[test]
    fn axes_may_alternate() {
        let shape = Shape::new(&[0, 2], &plain(&[2, 3, 4]), &plain(&[3])).unwrap();
        assert_eq!(shape.run, Axis { size: 4, stride: 1 });
        assert_eq!([shape.reduced(0), shape.reduced(1)], [0, 12]);
        assert_eq!(kept(&shape), [0, 4, 8]);
    }

    #[test]
    fn blocks_of_channels_stay_side_by_side() {
        let blocked = TensorType::blocked;
        let shape =
            Shape::new(&[2, 3], &blocked(&[2, 20, 3, 5]), &blocked(&[2, 20, 1, 1])).unwrap();
        assert_eq!((shape.run.size, shape.run.stride), (15, 16));
        assert_eq!((shape.inner, shape.output_len), (16, 64));
        assert_eq!(kept(&shape), [0, 240, 480, 720]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let blocked = TensorType::blocked;
        let cases = [
            (vec![1, 0], plain(&[2, 3]), plain(&[])),
            (vec![1, 1], plain(&[2, 3]), plain(&[2])),
            (vec![2], plain(&[2, 3]), plain(&[2])),
            (vec![1], plain(&[2, 3]), plain(&[3])),
            (vec![1], plain(&[2, 3]), plain(&[2, 3])),
            (vec![2], blocked(&[2, 3, 4]), plain(&[2, 3, 1])),
            (vec![2], blocked(&[2, 3, 4]), plain(&[2, 3])),
            (vec![1, 2], blocked(&[2, 3, 4]), blocked(&[2, 1, 1])),
            (vec![3], blocked(&[2, 3, 4, 5]), blocked(&[2, 3, 4, 1])),
        ];
        for (axes, input, output) in cases {
            let error = Shape::new(&axes, &input, &output).unwrap_err().to_string();
            assert!(error.contains(&format!("{axes:?}")), "{error}");
        }
    }
}
