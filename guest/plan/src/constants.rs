//! Where the constants that values refer to lie when they are kept without the sub-graphs between them.
//!
//! A plan's constants also hold sub-graphs for tract, which are not needed once they are loaded.

use std::collections::BinaryHeap;

use crate::verify::CONSTANT_ALIGN_BYTES;
use crate::{Plan, Storage};

/// Where each range of constants goes. Made by [`Plan::constant_layout`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ConstantLayout {
    pieces: Vec<Piece>,
    total_bytes: usize,
}

/// Constants that stay side by side.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Piece {
    start: usize,
    end: usize,
    to: usize,
}

impl Plan<'_> {
    /// Decides where the constants of values go. Ranges that overlap are kept once.
    ///
    /// Of a plan that was not verified the answer may be wrong; there is one all the same.
    pub fn constant_layout(&self) -> ConstantLayout {
        // A heap, as sorting by one is the smallest code, and verifying sorts by none.
        let ranges: BinaryHeap<(u64, u64)> = self
            .values
            .iter()
            .filter_map(|value| match &value.storage {
                Storage::Constant(range) => Some((range.start, range.end)),
                _ => None,
            })
            .collect();
        let mut layout = ConstantLayout::default();
        for (start, end) in ranges.into_sorted_vec() {
            let (start, end) = (start as usize, end as usize);
            match layout.pieces.last_mut() {
                Some(last) if start < last.end => last.end = last.end.max(end),
                _ => layout.pieces.push(Piece { start, end, to: 0 }),
            }
        }
        for piece in &mut layout.pieces {
            piece.to = layout.total_bytes;
            let len = piece.end.saturating_sub(piece.start);
            let room = len.checked_next_multiple_of(CONSTANT_ALIGN_BYTES as usize);
            layout.total_bytes = layout.total_bytes.saturating_add(room.unwrap_or(len));
        }
        layout
    }
}

impl ConstantLayout {
    /// Returns how many bytes the constants take.
    pub fn total_bytes(&self) -> usize {
        self.total_bytes
    }

    /// Returns what is copied, as where it begins and ends in the plan, and where it goes.
    pub fn pieces(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        self.pieces
            .iter()
            .map(|piece| (piece.start, piece.end, piece.to))
    }

    /// Returns where a byte of the plan's constants goes.
    ///
    /// # Panics
    /// If no value of the plan has it.
    pub fn offset(&self, start: u64) -> usize {
        let start = start as usize;
        let next = self.pieces.partition_point(|piece| piece.start <= start);
        let index = next.checked_sub(1).expect("a value has this range");
        let piece = &self.pieces[index];
        piece.to + (start - piece.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::example;

    #[test]
    fn what_no_value_has_is_left_out() {
        let mut plan = example();
        let sub_graph = plan.constants.len() as u64;
        plan.constants.to_mut().resize(8192, 0);
        let Storage::Constant(range) = &mut plan.values[8].storage else {
            panic!("expected a constant");
        };
        let len = range.end - range.start;
        *range = 7168 - len..7168;
        let layout = plan.constant_layout();
        let pieces: Vec<_> = layout.pieces().collect();
        assert_eq!(pieces.first(), Some(&(0, 3456, 0)));
        assert_eq!(layout.offset(7168 - len), 3584);
        assert_eq!(layout.total_bytes(), 6144);
        assert!(layout.total_bytes() < sub_graph as usize);
    }

    #[test]
    fn ranges_that_overlap_are_kept_once() {
        let mut plan = example();
        plan.values[3].storage = Storage::Constant(64..192);
        plan.values[8].storage = Storage::Constant(3456..6016);
        let layout = plan.constant_layout();
        assert_eq!(layout.pieces().count(), 2);
        assert_eq!(layout.offset(64), 64);
        assert_eq!(layout.total_bytes(), 6016);
    }
}
