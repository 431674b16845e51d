//! Decides where in the arena buffers lie.
//!
//! All of them are known beforehand, with the steps during which each is needed. The largest is placed first, each in the smallest gap between those
//! that are needed at the same time: large ones leave few gaps, which small ones fill. So an arena is mostly as long as the buffers of one step
//! together, and what a call touches is all there is.

use std::cmp::Reverse;

use crate::memory::ALIGN_BYTES;

/// Bytes that are needed for some steps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Buffer {
    pub(crate) len: usize,
    /// The first step that needs it.
    pub(crate) first: u32,
    /// The last one.
    pub(crate) last: u32,
}

impl Buffer {
    fn is_needed_with(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Finds room for each buffer, at multiples of 64, and returns how long the arena has to be. Returns `None` if it would not fit in
/// memory.
///
/// Takes as long as there are pairs of buffers.
pub(crate) fn pack(buffers: &[Buffer]) -> Option<(Vec<usize>, usize)> {
    let mut order: Vec<usize> = (0..buffers.len()).collect();
    // The sort is stable, so that equal plans have equal arenas.
    order.sort_by_key(|&index| Reverse(buffers[index].len));
    let mut offsets = vec![0; buffers.len()];
    let mut arena_len = 0;
    // Those that have room, by where it begins.
    let mut placed: Vec<(usize, usize)> = Vec::with_capacity(buffers.len());
    for index in order {
        let len = buffers[index].len.checked_next_multiple_of(ALIGN_BYTES)?;
        if len == 0 {
            continue;
        }
        let beside = placed
            .iter()
            .filter(|&&(_, other)| buffers[other].is_needed_with(&buffers[index]));
        let mut best: Option<(usize, usize)> = None;
        let mut end = 0;
        for &(begin, other) in beside {
            let gap = begin.saturating_sub(end);
            if gap >= len && best.is_none_or(|(smallest, _)| gap < smallest) {
                best = Some((gap, end));
            }
            // It was rounded up when it was placed.
            end = end.max(begin + buffers[other].len.next_multiple_of(ALIGN_BYTES));
        }
        let offset = best.map_or(end, |(_, offset)| offset);
        let arena_end = offset.checked_add(len);
        let arena_end = arena_end.filter(|&end| isize::try_from(end).is_ok())?;
        arena_len = arena_len.max(arena_end);
        offsets[index] = offset;
        let at = placed.partition_point(|&(begin, _)| begin <= offset);
        placed.insert(at, (offset, index));
    }
    Some((offsets, arena_len))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(len: usize, first: u32, last: u32) -> Buffer {
        Buffer { len, first, last }
    }

    #[test]
    fn a_chain_takes_as_much_as_two_neighbours() {
        let sizes = [100, 1000, 300, 2000, 64];
        let chain: Vec<Buffer> = (0..)
            .zip(sizes)
            .map(|(step, len)| buffer(len, step, step + 1))
            .collect();
        let (offsets, len) = pack(&chain).unwrap();
        assert_eq!(offsets, [1024, 0, 2048, 0, 2048]);
        assert_eq!(len, 2048 + 320, "2000 and 300 bytes, in whole 64s");
    }

    #[test]
    fn small_ones_fill_the_smallest_gap() {
        let buffers = [
            buffer(6400, 0, 1),
            buffer(640, 1, 9),
            buffer(128, 2, 2),
            buffer(64, 3, 3),
            buffer(64, 0, 9),
        ];
        let (offsets, len) = pack(&buffers).unwrap();
        assert_eq!(offsets, [0, 6400, 0, 0, 7040]);
        assert_eq!(len, 7104);
    }

    #[test]
    fn nothing_takes_no_room() {
        assert_eq!(pack(&[]), Some((vec![], 0)));
        assert_eq!(
            pack(&[buffer(0, 0, 5), buffer(1, 0, 5)]),
            Some((vec![0, 0], 64))
        );
    }

    #[test]
    fn what_does_not_fit_in_memory_is_refused() {
        let most = isize::MAX as usize - 63;
        assert_eq!(pack(&[buffer(usize::MAX, 0, 0)]), None);
        assert_eq!(pack(&[buffer(most, 0, 1), buffer(64, 1, 2)]), None);
        assert_eq!(
            pack(&[buffer(most, 0, 0), buffer(64, 1, 2)]),
            Some((vec![0, 0], most))
        );
    }

    #[test]
    fn buffers_needed_at_the_same_time_never_overlap() {
        let mut random = 1u64;
        let mut next = |below: u64| {
            random = random
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (random >> 33) % below
        };
        for _ in 0..50 {
            let buffers: Vec<Buffer> = (0..60)
                .map(|_| {
                    let first = next(50) as u32;
                    buffer(next(1000) as usize, first, first + next(8) as u32)
                })
                .collect();
            let (offsets, len) = pack(&buffers).unwrap();
            for (index, one) in buffers.iter().enumerate() {
                let end = offsets[index] + one.len;
                assert!(offsets[index].is_multiple_of(ALIGN_BYTES) && end <= len);
                for (other, at) in buffers.iter().zip(&offsets).take(index) {
                    let is_free = end <= *at || at + other.len <= offsets[index];
                    assert!(
                        is_free || one.len == 0 || other.len == 0 || !one.is_needed_with(other),
                        "{one:?} at {} and {other:?} at {at}",
                        offsets[index]
                    );
                }
            }
            let least = (0..60).map(|step| {
                let needed = buffers
                    .iter()
                    .filter(|one| (one.first..=one.last).contains(&step));
                needed
                    .map(|one| one.len.next_multiple_of(ALIGN_BYTES))
                    .sum::<usize>()
            });
            let least = least.max().unwrap();
            assert!(
                len <= least + least / 5,
                "expected about {least} bytes, found {len}"
            );
        }
    }
}
