//! Copies between tensors whose elements lie at regular distances.
//!
//! Transpositions, slices, broadcasts, repetitions and joints are all of this kind. Axes that can be taken together are,
//! and the two that remain innermost are a *plane*, copied by one of four loops:
//!
//! ```text
//! run          both sides contiguous                      copied as bytes
//! repeated     one element of the source again and again  filled
//! transposed   each side contiguous along another axis    tiles
//! strided      anything else                              one element at a time
//! ```

use bytemuck::Pod;

use super::by_width::by_width;
use super::bytes::copy_bytes;
use super::number::fill;
use super::transposed;
use crate::crew::{Crew, Pace};
use crate::run::RunError;

/// The most axes that a copy may have: a repetition has two for each axis of a tensor.
const MAX_AXES: usize = 2 * tensorlet_tensor::MAX_RANK;

/// How many bytes are copied in a nanosecond.
const COPIED: usize = 8;

/// Longer runs are copied in pieces of so many bytes, so that an interruption is noticed soon.
const LONG: usize = 1 << 20;

/// What axes are shorter than is not worth tiles.
const MIN_TRANSPOSED: usize = 8;

/// One axis of a copy: how many elements, and their distances on both sides.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Axis {
    pub(crate) len: usize,
    pub(crate) from: isize,
    pub(crate) to: usize,
}

impl Axis {
    /// An axis that makes no difference.
    const UNIT: Self = Self {
        len: 1,
        from: 1,
        to: 1,
    };
}

/// One side of a copy: where its first element lies, and how many elements the whole tensor has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side {
    pub(crate) first: usize,
    pub(crate) len: usize,
}

/// A copy between tensors whose elements lie at regular distances.
#[derive(Debug)]
pub(crate) struct Strided {
    /// The size of what is copied at a time, in which everything else here is counted: 1, 2, 4 or 8.
    unit_bytes: usize,
    from: usize,
    to: usize,
    /// All axes but those of the plane, outermost first.
    outer: Vec<Axis>,
    plane: Plane,
}

#[derive(Debug)]
enum Plane {
    /// There is nothing to copy.
    Empty,
    /// Columns are contiguous on both sides.
    Run { rows: Axis, columns: usize },
    /// Rows are contiguous in the destination, columns in the source.
    Transposed { rows: Axis, columns: Axis },
    /// Columns are contiguous in the destination and the same element in the source.
    Repeated { rows: Axis, columns: usize },
    /// At any distances.
    Strided { rows: Axis, columns: Axis },
}

impl Strided {
    /// Prepares a copy along axes, outermost first, of elements of a datum type's width.
    ///
    /// # Panics
    /// If there are too many axes, or an element lies outside its tensor.
    pub(crate) fn new(width_bytes: usize, from: Side, to: Side, axes: &[Axis]) -> Self {
        let mut copy = Self {
            unit_bytes: width_bytes,
            from: from.first,
            to: to.first,
            outer: Vec::new(),
            plane: Plane::Empty,
        };
        if axes.iter().any(|axis| axis.len == 0) {
            return copy;
        }
        assert!(
            axes.len() <= MAX_AXES && lies_within(from, to, axes),
            "bound copies stay within their tensors"
        );
        copy.outer = merge(axes);
        copy.widen(from.len, to.len);
        copy.take_plane();
        copy
    }

    /// Takes a short innermost run as one wider unit.
    fn widen(&mut self, from_len: usize, to_len: usize) {
        let Some((run, others)) = self.outer.split_last() else {
            return;
        };
        let factor = run.len;
        let divides = |distance: usize| distance.is_multiple_of(factor);
        if run.from != 1
            || run.to != 1
            || !matches!(self.unit_bytes * factor, 2 | 4 | 8)
            || ![self.from, self.to, from_len, to_len]
                .into_iter()
                .chain(others.iter().map(|axis| axis.to))
                .chain(others.iter().map(|axis| axis.from.unsigned_abs()))
                .all(divides)
        {
            return;
        }
        self.outer.pop();
        self.unit_bytes *= factor;
        self.from /= factor;
        self.to /= factor;
        for axis in &mut self.outer {
            axis.from /= factor as isize;
            axis.to /= factor;
        }
    }

    /// Takes the innermost two axes away and decides how they are copied.
    fn take_plane(&mut self) {
        let columns = self.outer.pop().unwrap_or(Axis::UNIT);
        if columns.from == 1 && columns.to == 1 {
            let rows = self.outer.pop().unwrap_or(Axis::UNIT);
            self.count_in_bytes();
            let unit_bytes = std::mem::replace(&mut self.unit_bytes, 1);
            self.plane = Plane::Run {
                rows: scale(rows, unit_bytes),
                columns: columns.len * unit_bytes,
            };
            return;
        }
        // Tiles go forwards along disjoint rows; slices that run backwards and broadcasts are left to the general loop.
        let tiles = |axis: &Axis| axis.from == 1 && columns.from.cast_unsigned() >= axis.len;
        let contiguous = self.outer.iter().position(tiles);
        if let Some(position) = contiguous.filter(|_| columns.to == 1 && columns.from > 0) {
            let other = self.outer.remove(position);
            let tiled = columns.len.min(other.len) >= MIN_TRANSPOSED;
            let (longer, shorter) = if columns.len < other.len {
                (other, columns)
            } else {
                (columns, other)
            };
            self.plane = if tiled {
                Plane::Transposed {
                    rows: columns,
                    columns: other,
                }
            } else {
                Plane::Strided {
                    rows: shorter,
                    columns: longer,
                }
            };
            return;
        }
        let rows = self.outer.pop().unwrap_or(Axis::UNIT);
        self.plane = match columns {
            Axis {
                len,
                from: 0,
                to: 1,
            } => Plane::Repeated { rows, columns: len },
            _ => Plane::Strided { rows, columns },
        };
    }

    fn count_in_bytes(&mut self) {
        self.from *= self.unit_bytes;
        self.to *= self.unit_bytes;
        for axis in &mut self.outer {
            *axis = scale(*axis, self.unit_bytes);
        }
    }

    /// Copies.
    ///
    /// # Errors
    /// If the call is interrupted.
    /// # Panics
    /// If a slice is not as long as its tensor.
    pub(crate) fn run(&self, from: &[u8], to: &mut [u8], crew: Crew<'_>) -> Result<(), RunError> {
        if matches!(self.plane, Plane::Empty) {
            return Ok(());
        }
        let mut pace = Pace::of(crew);
        let mut index = [0; MAX_AXES];
        let (mut from_at, mut to_at) = (self.from, self.to);
        loop {
            self.copy_plane(from, to, [from_at, to_at], &mut pace)?;
            let mut axes = self.outer.iter().zip(&mut index).rev();
            loop {
                let Some((axis, index)) = axes.next() else {
                    return Ok(());
                };
                *index += 1;
                if *index < axis.len {
                    from_at = from_at.wrapping_add_signed(axis.from);
                    to_at += axis.to;
                    break;
                }
                *index = 0;
                from_at = step(from_at, axis.len - 1, axis.from.wrapping_neg());
                to_at -= (axis.len - 1) * axis.to;
            }
        }
    }

    fn copy_plane(
        &self,
        from: &[u8],
        to: &mut [u8],
        [from_at, to_at]: [usize; 2],
        pace: &mut Pace<'_>,
    ) -> Result<(), RunError> {
        match self.plane {
            Plane::Empty => {}
            Plane::Run { rows, columns } => {
                for row in 0..rows.len {
                    pace.count(1 + columns / COPIED)?;
                    let from_at = step(from_at, row, rows.from);
                    let to_at = to_at + row * rows.to;
                    let (from, to) = (&from[from_at..][..columns], &mut to[to_at..][..columns]);
                    if cfg!(not(target_arch = "wasm32")) && columns > LONG {
                        for (from, to) in from.chunks(LONG).zip(to.chunks_mut(LONG)) {
                            pace.count(LONG / COPIED)?;
                            to.copy_from_slice(from);
                        }
                        continue;
                    }
                    copy_bytes(from, to);
                }
            }
            Plane::Repeated { rows, columns } => {
                let unit = self.unit_bytes;
                for row in 0..rows.len {
                    pace.count(1 + columns * unit / COPIED)?;
                    let element = &from[step(from_at, row, rows.from) * unit..][..unit];
                    fill(
                        &mut to[(to_at + row * rows.to) * unit..][..columns * unit],
                        element,
                    );
                }
            }
            _ => by_width!(self.unit_bytes, T => {
                self.copy_units::<T>(from, to, [from_at, to_at], pace)?;
            }),
        }
        Ok(())
    }

    /// Copies a plane that is no run.
    fn copy_units<T: Pod>(
        &self,
        from: &[u8],
        to: &mut [u8],
        [from_at, to_at]: [usize; 2],
        pace: &mut Pace<'_>,
    ) -> Result<(), RunError> {
        let from: &[T] = bytemuck::cast_slice(from);
        let to: &mut [T] = bytemuck::cast_slice_mut(to);
        match self.plane {
            Plane::Transposed { rows, columns } => transposed::copy(
                &from[from_at..],
                rows.from.cast_unsigned(),
                &mut to[to_at..],
                columns.to,
                (rows.len, columns.len),
                pace,
            ),
            Plane::Strided { rows, columns } => {
                for row in 0..rows.len {
                    pace.count(1 + columns.len)?;
                    let from_at = step(from_at, row, rows.from);
                    copy_line(columns, from, &mut to[to_at + row * rows.to..], from_at);
                }
                Ok(())
            }
            Plane::Empty | Plane::Run { .. } | Plane::Repeated { .. } => Ok(()),
        }
    }
}

/// Returns the place so many steps further. The result lies within a tensor, so wrapping never shows.
fn step(at: usize, count: usize, distance: isize) -> usize {
    at.wrapping_add_signed((count as isize).wrapping_mul(distance))
}

fn scale(axis: Axis, factor: usize) -> Axis {
    Axis {
        len: axis.len,
        from: axis.from * factor as isize,
        to: axis.to * factor,
    }
}

/// Leaves out axes of size 1 and takes neighbours together that one pair of distances describes.
fn merge(axes: &[Axis]) -> Vec<Axis> {
    let mut merged: Vec<Axis> = Vec::with_capacity(axes.len());
    for axis in axes.iter().filter(|axis| axis.len != 1) {
        if let Some(outer) = merged.last_mut()
            && outer.from == axis.from * axis.len as isize
            && outer.to == axis.to * axis.len
        {
            *outer = Axis {
                len: outer.len * axis.len,
                ..*axis
            };
        } else {
            merged.push(*axis);
        }
    }
    merged
}

/// Reports whether all elements lie within both tensors. No axis is empty.
fn lies_within(from: Side, to: Side, axes: &[Axis]) -> bool {
    let extent = |first: usize, distance: &dyn Fn(&Axis) -> i128| {
        let reach = |axis: &Axis| (axis.len as i128 - 1) * distance(axis);
        let least = axes.iter().map(|axis| reach(axis).min(0)).sum::<i128>();
        let most = axes.iter().map(|axis| reach(axis).max(0)).sum::<i128>();
        (first as i128 + least, first as i128 + most)
    };
    let within = |side: Side, (least, most): (i128, i128)| least >= 0 && most < side.len as i128;
    within(from, extent(from.first, &|axis| axis.from as i128))
        && within(to, extent(to.first, &|axis| axis.to as i128))
}

/// Copies elements one at a time, beginning at the first of `to`.
fn copy_line<T: Copy>(columns: Axis, from: &[T], to: &mut [T], from_at: usize) {
    let to = to.iter_mut().step_by(columns.to.max(1)).take(columns.len);
    if columns.from > 0 {
        let from = from[from_at..].iter().step_by(columns.from.unsigned_abs());
        to.zip(from).for_each(|(to, from)| *to = *from);
    } else {
        let mut from_at = from_at;
        to.for_each(|to| {
            *to = from[from_at];
            from_at = from_at.wrapping_add_signed(columns.from);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(len: usize, from: isize, to: usize) -> Axis {
        Axis { len, from, to }
    }

    fn side(first: usize, len: usize) -> Side {
        Side { first, len }
    }

    #[test]
    fn axes_that_follow_each_other_are_taken_together() {
        let axes = [axis(2, 12, 12), axis(1, 7, 7), axis(3, 4, 4), axis(4, 1, 1)];
        assert_eq!(merge(&axes), [axis(24, 1, 1)]);
        let broadcast = [axis(5, 0, 12), axis(3, 0, 4), axis(4, 1, 1)];
        assert_eq!(merge(&broadcast), [axis(15, 0, 4), axis(4, 1, 1)]);
    }

    #[test]
    fn short_runs_become_wider_units() {
        let axes = [axis(3, 2, 10), axis(5, 6, 2), axis(2, 1, 1)];
        let copy = Strided::new(4, side(0, 30), side(0, 30), &axes);
        assert_eq!(copy.unit_bytes, 8);
        let odd = Strided::new(4, side(1, 31), side(0, 30), &axes);
        assert_eq!(odd.unit_bytes, 1, "an odd start keeps the run as bytes");
    }

    #[test]
    fn contiguous_copies_are_one_run() {
        let copy = Strided::new(
            4,
            side(0, 60),
            side(0, 60),
            &[axis(3, 20, 20), axis(20, 1, 1)],
        );
        assert!(matches!(copy.plane, Plane::Run { columns: 240, .. }));
    }

    #[test]
    fn a_plane_with_two_contiguous_axes_is_transposed() {
        let copy = Strided::new(
            4,
            side(0, 200),
            side(0, 200),
            &[axis(20, 1, 10), axis(10, 20, 1)],
        );
        assert!(matches!(copy.plane, Plane::Transposed { .. }));
    }

    #[test]
    fn one_element_is_repeated_with_or_without_gaps() {
        for gap in [1, 3] {
            let axes = [axis(2, 1, 5 * gap), axis(5, 0, gap)];
            let copy = Strided::new(1, side(0, 2), side(0, 10 * gap), &axes);
            let mut to = vec![0; 10 * gap];
            copy.run(&[7, 8], &mut to, Crew::default()).unwrap();
            for (place, found) in to.iter().enumerate() {
                let expected = if place < 5 * gap { 7 } else { 8 };
                let expected = if place % gap == 0 { expected } else { 0 };
                assert_eq!(*found, expected, "{place} with gaps of {gap}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "stay within")]
    fn a_copy_beyond_its_source_is_a_bug() {
        Strided::new(1, side(1, 4), side(0, 4), &[axis(4, 1, 1)]);
    }

    #[test]
    #[should_panic(expected = "stay within")]
    fn a_copy_before_its_source_is_a_bug() {
        Strided::new(1, side(2, 4), side(0, 4), &[axis(4, -1, 1)]);
    }
}
