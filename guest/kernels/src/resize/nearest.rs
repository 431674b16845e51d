//! Copies of the nearest elements.

use bytemuck::Pod;
use tensorlet_tensor::MAX_RANK;

use crate::arrange::by_width::by_width;
use crate::crew::{Crew, Pace};
use crate::run::{Run, RunError};
use crate::tensor_type::TensorType;

/// A table an axis, from the output's index to the input's.
struct Nearest {
    /// All resized axes but the last, outermost first, each with the input's size.
    outer: Vec<(Vec<u32>, usize)>,
    /// The last axis.
    inner: Vec<u32>,
    /// How many times each element of the last axis stands there, if equally often: 1 is the axis as it was.
    repeats: Option<usize>,
    /// The size of a row of the input.
    row_bytes: usize,
    /// The size of what a table's entry stands for.
    unit_bytes: usize,
}

/// Prepares a copy by tables of the axes from 2 on.
pub(super) fn bind(x: &TensorType, tables: &[Vec<u32>], lanes: usize) -> Box<dyn Run> {
    let unit_bytes = lanes * x.datum_type.width_bytes();
    let mut outer: Vec<(Vec<u32>, usize)> = tables
        .iter()
        .cloned()
        .zip(x.dims.iter().skip(2).copied())
        .collect();
    let (inner, len) = outer.pop().unwrap_or_default();
    Box::new(Nearest {
        outer,
        repeats: repeats(&inner, len),
        inner,
        row_bytes: len.saturating_mul(unit_bytes),
        unit_bytes,
    })
}

/// Returns how many times each element stands in a table, if equally often and in order.
fn repeats(table: &[u32], len: usize) -> Option<usize> {
    let times = table.len().checked_div(len)?;
    let mut expected = (0..len).flat_map(|from| std::iter::repeat_n(from, times));
    let repeated = times * len == table.len()
        && table
            .iter()
            .all(|&from| expected.next() == Some(from as usize));
    repeated.then_some(times)
}

impl Run for Nearest {
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
        let y_row = self.inner.len() * self.unit_bytes;
        let outputs: usize = self.outer.iter().map(|(table, _)| table.len()).product();
        let inputs: usize = self.outer.iter().map(|(_, len)| len).product();
        let (x_plane, y_plane) = (inputs * self.row_bytes, outputs * y_row);
        crew.divide(y, y_plane, y_plane / 8, |first, y| {
            let mut pace = Pace::of(crew);
            let planes = x[first * x_plane..].chunks_exact(x_plane);
            for (x, y) in planes.zip(y.chunks_exact_mut(y_plane)) {
                self.copy_plane(x, y, y_row, &mut pace)?;
            }
            Ok(())
        })
    }
}

impl Nearest {
    fn copy_plane(
        &self,
        x: &[u8],
        y: &mut [u8],
        y_row: usize,
        pace: &mut Pace<'_>,
    ) -> Result<(), RunError> {
        let mut index = [0; MAX_RANK];
        let mut previous = None;
        for begin in (0..y.len()).step_by(y_row) {
            pace.count(1 + y_row / 8)?;
            let axes = self.outer.iter().zip(&index);
            let row = axes.fold(0, |row, ((table, len), place)| {
                row * len + table[*place] as usize
            });
            if previous == Some(row) {
                y.copy_within(begin - y_row..begin, begin);
            } else {
                let x = &x[row * self.row_bytes..][..self.row_bytes];
                self.copy_row(x, &mut y[begin..][..y_row]);
            }
            previous = Some(row);
            for ((table, _), place) in self.outer.iter().zip(&mut index).rev() {
                *place += 1;
                if *place < table.len() {
                    break;
                }
                *place = 0;
            }
        }
        Ok(())
    }

    fn copy_row(&self, x: &[u8], y: &mut [u8]) {
        match self.unit_bytes {
            _ if self.repeats == Some(1) => y.copy_from_slice(x),
            64 => self.look_up::<[u64; 8]>(x, y),
            width => by_width!(width, T => self.look_up::<T>(x, y)),
        }
    }

    fn look_up<T: Pod>(&self, x: &[u8], y: &mut [u8]) {
        let x: &[T] = bytemuck::cast_slice(x);
        let y: &mut [T] = bytemuck::cast_slice_mut(y);
        if self.repeats == Some(2) {
            for (pair, from) in y.chunks_exact_mut(2).zip(x) {
                pair.fill(*from);
            }
            return;
        }
        for (y, from) in y.iter_mut().zip(&self.inner) {
            *y = x[*from as usize];
        }
    }
}
