//! Operands of different dims as a loop nest.
//!
//! Axes that all operands walk through alike become one axis. What remains is a row, in which each operand stands still or moves on
//! by one element, a number of rows, and seldom anything around them:
//!
//! ```text
//! [2, 3, 4, 5] + [4, 5]   → 6 rows of 20; the second operand begins again with each
//! [2, 3, 4, 5] + [3, 1, 1] → 2 times 3 rows of 20; the second operand stands still within each
//! ```

use tensorlet_plan::Layout;

use crate::crew::Crew;
#[cfg(not(target_arch = "wasm32"))]
use crate::crew::LINE;
use crate::run::{BindError, RunError};
use crate::tensor_type::{BLOCK, TensorType};

/// How many operands there are; kernels of two give one of them twice.
pub(crate) const OPERANDS: usize = 3;

/// An axis that is walked along.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Axis {
    /// How many elements the output has.
    pub(crate) size: usize,
    /// How far apart the elements of each operand are; 0 if it has only one.
    pub(crate) strides: [usize; OPERANDS],
}

/// A loop nest over the elements of an output, in order.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Nest {
    /// The axes around the rows, outermost first.
    outer: Vec<Axis>,
    /// How many groups of rows there are.
    groups: usize,
    /// The rows of a group.
    pub(crate) rows: Axis,
    /// The elements of a row. Strides are 0 or 1.
    pub(crate) row: Axis,
}

/// Where a row or a group of rows begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Group {
    /// The first element of the output.
    pub(crate) output: usize,
    /// The first element of each operand.
    pub(crate) operands: [usize; OPERANDS],
}

/// Some rows that follow each other, with equal distances.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Rows {
    /// The first element of each operand.
    pub(crate) operands: [usize; OPERANDS],
    /// How many rows. Several are apart as [`Nest::rows`] says.
    pub(crate) count: usize,
    /// How many elements of each.
    pub(crate) len: usize,
}

const ONE: Axis = Axis {
    size: 1,
    strides: [0; OPERANDS],
};

impl Nest {
    /// Finds the loops in which operands of these types make the output.
    ///
    /// # Errors
    /// If the output's dims are not those that the operands have together by ONNX's rules of broadcasting, or a blocked tensor meets
    /// one that is neither blocked nor a single element.
    pub(crate) fn new(
        operands: [&TensorType; OPERANDS],
        output: &TensorType,
    ) -> Result<Self, BindError> {
        let contradiction = || {
            let [a, b, c] = operands;
            BindError::new(format!(
                "expected operands that together have the dims and layout of {output}, found {a}, {b} and {c}"
            ))
        };
        let dims = memory_dims(output);
        let mut operand_dims = [const { Vec::new() }; OPERANDS];
        for (operand, found) in operands.iter().zip(&mut operand_dims) {
            *found = aligned_dims(operand, output).ok_or_else(contradiction)?;
        }
        for (axis, dim) in dims.iter().enumerate() {
            let mut sizes = operand_dims.iter().map(|dims| dims[axis]);
            if !sizes.any(|size| size == *dim) {
                return Err(contradiction());
            }
        }
        let mut axes = if dims.contains(&0) {
            vec![Axis { size: 0, ..ONE }]
        } else {
            joined_axes(&dims, &operand_dims)
        };
        let row = axes.pop().unwrap_or(ONE);
        let rows = axes.pop().unwrap_or(ONE);
        Ok(Self {
            groups: axes.iter().map(|axis| axis.size).product(),
            outer: axes,
            rows,
            row,
        })
    }

    /// Walks through the output, `width` of whose items are an element: gives rows and where they go to `compute`, which the
    /// threads of a crew share. `work` is that of 16 elements.
    ///
    /// # Errors
    /// That of the first rows that fail, or that the call is interrupted.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn share<T: Send>(
        &self,
        (y, width): (&mut [T], usize),
        work: usize,
        crew: Crew<'_>,
        compute: impl Fn(Rows, &mut [T]) -> Result<(), RunError> + Sync,
    ) -> Result<(), RunError> {
        let len = self.row.size;
        if self.row_count() == 1 || len >= 16 * LINE {
            for (index, y) in y.chunks_mut((len * width).max(1)).enumerate() {
                let begin = self.row(index).operands;
                crew.divide(y, LINE * width, LINE / 16 * work, |first, y| {
                    let along = self.row.strides.map(|stride| first * LINE * stride);
                    let rows = Rows {
                        operands: std::array::from_fn(|i| begin[i] + along[i]),
                        count: 1,
                        len: y.len() / width,
                    };
                    compute(rows, y)
                })?;
            }
            return Ok(());
        }
        crew.divide(y, len * width, (len * work).div_ceil(16), |first, mut y| {
            let mut index = first;
            while !y.is_empty() {
                let left = self.rows.size - index % self.rows.size;
                let count = left.min(y.len() / (len * width));
                let rows = Rows {
                    operands: self.row(index).operands,
                    count,
                    len,
                };
                let piece = y.split_off_mut(..count * len * width);
                compute(rows, piece.unwrap_or_default())?;
                index += count;
            }
            Ok(())
        })
    }

    /// Walks through the output, `width` of whose items are an element: gives rows and where they go to `compute`.
    ///
    /// # Errors
    /// That of the first rows that fail.
    #[cfg(target_arch = "wasm32")]
    #[inline(always)]
    pub(crate) fn share<T: Send>(
        &self,
        (y, width): (&mut [T], usize),
        _work: usize,
        _crew: Crew<'_>,
        compute: impl Fn(Rows, &mut [T]) -> Result<(), RunError> + Sync,
    ) -> Result<(), RunError> {
        for group in self.groups() {
            let rows = Rows {
                operands: group.operands,
                count: self.rows.size,
                len: self.row.size,
            };
            let len = rows.count * rows.len * width;
            compute(rows, &mut y[group.output * width..][..len])?;
        }
        Ok(())
    }

    /// As [`share`](Self::share), where `compute` is given one row at a time: the first element of each operand, and where it goes.
    ///
    /// # Errors
    /// As [`share`](Self::share).
    pub(crate) fn share_rows<T: Send>(
        &self,
        y: (&mut [T], usize),
        work: usize,
        crew: Crew<'_>,
        compute: impl Fn([usize; OPERANDS], &mut [T]) -> Result<(), RunError> + Sync,
    ) -> Result<(), RunError> {
        let width = y.1;
        #[cfg(not(target_arch = "wasm32"))]
        return self.share(y, work, crew, |rows, y| {
            for (row, y) in y.chunks_exact_mut((rows.len * width).max(1)).enumerate() {
                let begin = |i: usize| rows.operands[i] + row * self.rows.strides[i];
                compute(std::array::from_fn(begin), y)?;
            }
            Ok(())
        });
        #[cfg(target_arch = "wasm32")]
        {
            let _ = (work, crew);
            let rows = y.0.chunks_exact_mut((self.row.size * width).max(1));
            for (index, y) in rows.enumerate() {
                compute(self.row(index).operands, y)?;
            }
            Ok(())
        }
    }

    /// Returns where each group of rows begins, in order.
    #[cfg(any(test, target_arch = "wasm32"))]
    pub(crate) fn groups(&self) -> impl Iterator<Item = Group> {
        (0..self.groups).map(|group| self.row(group * self.rows.size))
    }

    /// Returns how many rows there are in all groups.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn row_count(&self) -> usize {
        self.groups * self.rows.size
    }

    /// Returns where a row begins, by its index.
    #[inline(never)]
    pub(crate) fn row(&self, index: usize) -> Group {
        let mut operands = [0; OPERANDS];
        let mut rest = index;
        for axis in std::iter::once(&self.rows).chain(self.outer.iter().rev()) {
            // A single group needs no division.
            let position = if rest < axis.size {
                rest
            } else {
                rest % axis.size
            };
            rest /= axis.size;
            for (operand, stride) in operands.iter_mut().zip(axis.strides) {
                *operand += position * stride;
            }
        }
        Group {
            output: index * self.row.size,
            operands,
        }
    }
}

/// Returns a tensor's sizes as they lie in memory.
fn memory_dims(tensor: &TensorType) -> Vec<usize> {
    let mut dims = tensor.dims.clone();
    if tensor.layout == Layout::Blocked {
        dims[1] = tensor.blocks();
        dims.push(BLOCK);
    }
    dims
}

/// Returns an operand's sizes along the axes of the output's memory, or `None` if it does not fit.
fn aligned_dims(operand: &TensorType, output: &TensorType) -> Option<Vec<usize>> {
    let dims = memory_dims(output);
    if output.layout == Layout::Blocked && operand.layout == Layout::Plain {
        return (operand.len() == 1 && operand.dims.len() <= output.dims.len())
            .then(|| vec![1; dims.len()]);
    }
    if operand.layout != output.layout {
        return None;
    }
    // Channels of a block cannot be repeated.
    if operand.layout == Layout::Blocked
        && (operand.dims.len() != output.dims.len() || operand.dims[1] != output.dims[1])
    {
        return None;
    }
    let own = memory_dims(operand);
    let missing = dims.len().checked_sub(own.len())?;
    let mut aligned = vec![1; missing];
    aligned.extend(own);
    let fits = |(size, dim): (&usize, &usize)| size == dim || *size == 1;
    aligned.iter().zip(&dims).all(fits).then_some(aligned)
}

/// Returns the axes of more than one element, each as long as all operands allow.
fn joined_axes(dims: &[usize], operand_dims: &[Vec<usize>; OPERANDS]) -> Vec<Axis> {
    // From the innermost axis, which comes first until the end.
    let mut axes: Vec<Axis> = Vec::new();
    let mut lens = [1; OPERANDS];
    for (axis, &size) in dims.iter().enumerate().rev() {
        let mut strides = [0; OPERANDS];
        for ((stride, len), dims) in strides.iter_mut().zip(&mut lens).zip(operand_dims) {
            if dims[axis] != 1 {
                *stride = *len;
                *len *= size;
            }
        }
        if size == 1 {
            continue;
        }
        match axes.last_mut() {
            Some(inner) if (0..OPERANDS).all(|i| strides[i] == inner.strides[i] * inner.size) => {
                inner.size *= size;
            }
            _ => axes.push(Axis { size, strides }),
        }
    }
    axes.reverse();
    axes
}

#[cfg(test)]
mod tests {
    use tensorlet_tensor::DatumType;

    use super::*;

    fn plain(dims: &[usize]) -> TensorType {
        TensorType::plain(DatumType::F32, dims)
    }

    fn nest(a: &TensorType, b: &TensorType, output: &TensorType) -> Result<Nest, BindError> {
        Nest::new([a, b, b], output)
    }

    fn axis(size: usize, a: usize, b: usize) -> Axis {
        Axis {
            size,
            strides: [a, b, b],
        }
    }

    #[test]
    fn equal_dims_are_one_row() {
        let x = plain(&[2, 3, 4]);
        let nest = nest(&x, &x, &x).unwrap();
        assert_eq!((nest.groups, nest.rows, nest.row), (1, ONE, axis(24, 1, 1)));
    }

    #[test]
    fn a_scalar_stands_still_in_one_row() {
        let x = plain(&[2, 3, 4]);
        for scalar in [plain(&[]), plain(&[1]), plain(&[1, 1, 1])] {
            let nest = nest(&x, &scalar, &x).unwrap();
            assert_eq!((nest.groups, nest.rows, nest.row), (1, ONE, axis(24, 1, 0)));
        }
    }

    #[test]
    fn channels_become_rows() {
        let x = plain(&[2, 3, 4, 5]);
        let nest = nest(&x, &plain(&[3, 1, 1]), &x).unwrap();
        assert_eq!(nest.groups, 2);
        assert_eq!((nest.rows, nest.row), (axis(3, 20, 1), axis(20, 1, 0)));
        let begins: Vec<Group> = nest.groups().collect();
        assert_eq!(begins[1].output, 60);
        assert_eq!(begins[1].operands, [60, 0, 0]);
        assert_eq!((nest.row_count(), nest.row(4).operands), (6, [80, 1, 1]));
    }

    #[test]
    fn trailing_dims_repeat_for_each_row() {
        let x = plain(&[2, 3, 4, 5]);
        let nest = nest(&x, &plain(&[4, 5]), &x).unwrap();
        assert_eq!((nest.rows, nest.row), (axis(6, 20, 0), axis(20, 1, 1)));
    }

    #[test]
    fn operands_broadcast_each_other() {
        let output = plain(&[2, 3]);
        let nest = nest(&plain(&[2, 1]), &plain(&[3]), &output).unwrap();
        assert_eq!((nest.rows, nest.row), (axis(2, 1, 0), axis(3, 0, 1)));
    }

    #[test]
    fn channels_in_blocks_repeat_over_space() {
        let x = TensorType::blocked(&[2, 20, 3, 5]);
        let nest = nest(&x, &TensorType::blocked(&[1, 20, 1, 1]), &x).unwrap();
        assert_eq!((nest.rows, nest.row), (axis(15, 16, 0), axis(16, 1, 1)));
        let groups: Vec<Group> = nest.groups().collect();
        assert_eq!(groups.len(), 4);
        assert_eq!(groups[3].operands, [720, 16, 16]);
    }

    #[test]
    fn one_plain_element_meets_blocks() {
        let x = TensorType::blocked(&[2, 20, 3, 5]);
        let nest = nest(&x, &plain(&[1]), &x).unwrap();
        assert_eq!(nest.row, axis(2 * 32 * 15, 1, 0));
    }

    #[test]
    fn no_elements_are_no_rows_to_walk() {
        let x = plain(&[0, usize::MAX, usize::MAX]);
        let nest = nest(&x, &plain(&[1]), &x).unwrap();
        assert_eq!(nest.row.size, 0);
    }

    #[test]
    fn dims_that_do_not_fit_are_refused() {
        let blocked = TensorType::blocked;
        let cases = [
            (plain(&[2, 3]), plain(&[2]), plain(&[2, 3])),
            (plain(&[2, 3]), plain(&[1]), plain(&[3, 2])),
            // The output is larger than both.
            (plain(&[1]), plain(&[1]), plain(&[2])),
            (plain(&[1, 2, 3]), plain(&[3]), plain(&[2, 3])),
            (plain(&[0]), plain(&[2]), plain(&[2])),
            (blocked(&[1, 4, 2]), plain(&[4, 1]), blocked(&[1, 4, 2])),
            (
                blocked(&[1, 4, 2]),
                blocked(&[1, 1, 2]),
                blocked(&[1, 4, 2]),
            ),
            (
                blocked(&[1, 4, 2]),
                blocked(&[1, 4, 1, 1]),
                blocked(&[1, 4, 2]),
            ),
            (blocked(&[1, 4, 2]), blocked(&[1, 4, 2]), plain(&[1, 4, 2])),
            (plain(&[1, 4, 2]), plain(&[1, 4, 2]), blocked(&[1, 4, 2])),
        ];
        for (a, b, output) in cases {
            let error = nest(&a, &b, &output).unwrap_err().to_string();
            assert!(error.contains(&output.to_string()), "{error}");
        }
    }
}
