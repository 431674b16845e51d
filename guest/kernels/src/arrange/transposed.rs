//! Transposition of a matrix, in tiles.

mod quad;

use bytemuck::Pod;

use crate::crew::Pace;
use crate::run::RunError;

/// Copies `rows × columns` elements: `to[c × to_stride + r] = from[r × from_stride + c]`.
///
/// A tile has whole cache lines on both sides, so that each line is read and written in one go, however the lines of a large
/// matrix share the ways of a cache.
///
/// # Errors
/// If the call is interrupted.
/// # Panics
/// If a slice is too short.
pub(super) fn copy<T: Pod>(
    from: &[T],
    from_stride: usize,
    to: &mut [T],
    to_stride: usize,
    (rows, columns): (usize, usize),
    pace: &mut Pace<'_>,
) -> Result<(), RunError> {
    let size = 64 / size_of::<T>();
    for column in (0..columns).step_by(size) {
        let width = size.min(columns - column);
        for row in (0..rows).step_by(size) {
            let height = size.min(rows - row);
            pace.count(1 + width * height / 4)?;
            let from = &from[row * from_stride + column..];
            let to = &mut to[column * to_stride + row..];
            if (width, height) == (16, 16) && quad::AVAILABLE && size_of::<T>() == 4 {
                let from: &[u32] = bytemuck::cast_slice(from);
                let to: &mut [u32] = bytemuck::cast_slice_mut(to);
                quad::copy_tile(from, from_stride, to, to_stride);
                continue;
            }
            for c in 0..width {
                let from = from[c..].iter().step_by(from_stride);
                let to = &mut to[c * to_stride..][..height];
                to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            }
        }
    }
    Ok(())
}
