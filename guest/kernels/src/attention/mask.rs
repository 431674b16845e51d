//! The mask of attention, which is added to scores.

use crate::run::BindError;
use crate::tensor_type::TensorType;

/// Where the elements of a mask lie that broadcasts to `[leading…, rows, keys]`. Distances are in elements.
pub(super) struct Mask {
    /// For each leading axis its size, and the distance of the mask's elements along it.
    leading: Vec<(usize, usize)>,
    row: usize,
    key: usize,
    keys: usize,
}

impl Mask {
    pub(super) fn new(
        mask: &TensorType,
        leading: &[usize],
        rows: usize,
        keys: usize,
    ) -> Result<Self, BindError> {
        let target = [leading, &[rows, keys]].concat();
        let refuse = || {
            BindError::new(format!(
                "expected a mask that broadcasts to {target:?}, found {mask}"
            ))
        };
        let missing = target
            .len()
            .checked_sub(mask.dims.len())
            .ok_or_else(refuse)?;
        let mut axes = vec![];
        let mut distance = 1;
        for (axis, &size) in target.iter().enumerate().rev() {
            let own = axis.checked_sub(missing).map_or(1, |axis| mask.dims[axis]);
            if own != size && own != 1 {
                return Err(refuse());
            }
            axes.push((size, if own == 1 { 0 } else { distance }));
            distance *= own;
        }
        let leading = axes.split_off(2);
        Ok(Self {
            leading,
            row: axes[1].1,
            key: axes[0].1,
            keys,
        })
    }

    /// Adds the mask to the scores of some rows of a matrix.
    pub(super) fn add(&self, mask: &[f32], matrix: usize, first_row: usize, scores: &mut [f32]) {
        let mut rest = matrix;
        let mut begin = 0;
        for &(size, distance) in &self.leading {
            begin += rest % size * distance;
            rest /= size;
        }
        for (index, scores) in scores.chunks_exact_mut(self.keys).enumerate() {
            let mask = &mask[begin + (first_row + index) * self.row..];
            if self.key == 0 {
                scores.iter_mut().for_each(|score| *score += mask[0]);
            } else {
                scores
                    .iter_mut()
                    .zip(mask)
                    .for_each(|(score, mask)| *score += mask);
            }
        }
    }
}
