//! What is copied to scratch memory before it is computed with.

use super::Sizes;
use super::distances::Distances;
use crate::crew::Pace;
use crate::run::RunError;

/// How much work it is to copy a line, and how many numbers more are as much work as 1; see [`Crew::step`](crate::Crew).
const COPY: usize = 4;
const COPIED: usize = 8;

/// Some units of the output, and what they are computed from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk<'a> {
    pub(crate) sizes: &'a Sizes,
    pub(crate) distances: &'a Distances,
    /// The input, from the group's first channel.
    pub(crate) x: &'a [f32],
    /// The first unit.
    pub(crate) first: usize,
    /// How many.
    pub(crate) units: usize,
}

impl Chunk<'_> {
    /// Copies the lines that the units see, with zeros around them.
    ///
    /// # Errors
    /// If the call is interrupted.
    pub(crate) fn pad(&self, scratch: &mut [f32], mut pace: Pace<'_>) -> Result<(), RunError> {
        let (sizes, lanes) = (self.sizes, self.distances.lanes);
        let [vertical, horizontal] = &sizes.axes;
        let (first_line, first_column, lines) = if self.distances.one_line {
            (0, self.first, 1)
        } else {
            (self.first, 0, self.units)
        };
        let seen = (lines - 1) * vertical.stride + (vertical.kernel - 1) * vertical.dilation + 1;
        let (top, rows) = vertical.inside(first_line, seen);
        let (left, columns) = horizontal.inside(first_column, self.distances.width);
        let line_len = self.distances.width * lanes;
        for block in 0..sizes.channels.div_ceil(lanes) {
            for line in 0..seen {
                let at = block * self.distances.block + line * line_len;
                let to = &mut scratch[at..at + line_len];
                pace.count(COPY + line_len / COPIED)?;
                let Some(row) = line.checked_sub(top).filter(|row| *row < rows.len()) else {
                    to.fill(0.0);
                    continue;
                };
                let (zeros, to) = to.split_at_mut(left * lanes);
                zeros.fill(0.0);
                let (to, zeros) = to.split_at_mut(columns.len() * lanes);
                zeros.fill(0.0);
                let from = (rows.start + row) * horizontal.input + columns.start;
                let from = (block * sizes.planes[0] + from) * lanes;
                to.copy_from_slice(&self.x[from..from + to.len()]);
            }
        }
        Ok(())
    }

    /// Copies a picture of the outputs for each tap of the window: the pixel that it sees.
    ///
    /// # Errors
    /// If the call is interrupted.
    pub(crate) fn gather(&self, scratch: &mut [f32], mut pace: Pace<'_>) -> Result<(), RunError> {
        let (sizes, distances) = (self.sizes, self.distances);
        let [vertical, horizontal] = &sizes.axes;
        let lanes = distances.lanes;
        let line_len = horizontal.output * lanes;
        for ky in 0..vertical.kernel {
            for kx in 0..horizontal.kernel {
                let columns = horizontal.outputs(kx);
                for block in 0..sizes.channels.div_ceil(lanes) {
                    for line in 0..self.units {
                        let at = distances.tap(ky, kx) + block * distances.block + line * line_len;
                        let to = &mut scratch[at..at + line_len];
                        pace.count(COPY + line_len / COPIED)?;
                        if !vertical.taps(self.first + line).contains(&ky) || columns.is_empty() {
                            to.fill(0.0);
                            continue;
                        }
                        to[..columns.start * lanes].fill(0.0);
                        to[columns.end * lanes..].fill(0.0);
                        let row = vertical.element(self.first + line, ky);
                        let from = block * sizes.planes[0] + row * horizontal.input;
                        for column in columns.clone() {
                            let from = (from + horizontal.element(column, kx)) * lanes;
                            to[column * lanes..][..lanes]
                                .copy_from_slice(&self.x[from..from + lanes]);
                        }
                    }
                }
            }
        }
        Ok(())
    }
}
