//! Decides where in the arena buffers lie.
//!
//! Steps ask for memory and return it in the order of the plan. A buffer goes into the smallest hole that it fits, else
//! to the end.

use std::collections::{BTreeMap, BTreeSet};

use crate::memory::ALIGN_BYTES;

/// The free and the used parts of an arena that is as long as it must be.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    len: usize,
    /// Lengths of holes by where they begin. Never empty, never side by side, none reaches beyond `len`.
    holes: BTreeMap<usize, usize>,
    /// The same, ordered by length.
    by_len: BTreeSet<(usize, usize)>,
}

impl Arena {
    /// Finds room, at a multiple of 64. Returns `None` if the arena would not fit in memory.
    pub(crate) fn allocate(&mut self, len: usize) -> Option<usize> {
        let len = len.checked_next_multiple_of(ALIGN_BYTES)?;
        if len == 0 {
            return Some(0);
        }
        if let Some(&(hole_len, offset)) = self.by_len.range((len, 0)..).next() {
            self.remove_hole(offset, hole_len);
            if hole_len > len {
                self.add_hole(offset + len, hole_len - len);
            }
            return Some(offset);
        }
        // A hole at the end can be extended.
        let last = self.holes.last_key_value().map(|(&at, &len)| (at, len));
        let offset = match last {
            Some((offset, hole_len)) if offset + hole_len == self.len => {
                self.remove_hole(offset, hole_len);
                offset
            }
            _ => self.len,
        };
        self.len = offset
            .checked_add(len)
            .filter(|&len| isize::try_from(len).is_ok())?;
        Some(offset)
    }

    /// Adds room at the end that nothing had before.
    pub(crate) fn extend(&mut self, len: usize) -> Option<usize> {
        let offset = self.len;
        let len = len.checked_next_multiple_of(ALIGN_BYTES)?;
        self.len = offset
            .checked_add(len)
            .filter(|&len| isize::try_from(len).is_ok())?;
        Some(offset)
    }

    /// Takes back what `allocate` gave for this length.
    pub(crate) fn free(&mut self, mut offset: usize, len: usize) {
        // `allocate` rounded this up before.
        let mut len = len.next_multiple_of(ALIGN_BYTES);
        if len == 0 {
            return;
        }
        let before = self.holes.range(..offset).next_back();
        if let Some((begin, hole_len)) = before.map(|(&begin, &len)| (begin, len))
            && begin + hole_len == offset
        {
            self.remove_hole(begin, hole_len);
            offset = begin;
            len += hole_len;
        }
        if let Some(&hole_len) = self.holes.get(&(offset + len)) {
            self.remove_hole(offset + len, hole_len);
            len += hole_len;
        }
        self.add_hole(offset, len);
    }

    /// Returns how long the arena has to be.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    fn add_hole(&mut self, offset: usize, len: usize) {
        self.holes.insert(offset, len);
        self.by_len.insert((len, offset));
    }

    fn remove_hole(&mut self, offset: usize, len: usize) {
        self.holes.remove(&offset);
        self.by_len.remove(&(len, offset));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_used_again() {
        let mut arena = Arena::default();
        let a = arena.allocate(100).unwrap();
        let b = arena.allocate(64).unwrap();
        let c = arena.allocate(300).unwrap();
        assert_eq!((a, b, c, arena.len()), (0, 128, 192, 512));
        arena.free(a, 100);
        arena.free(c, 300);
        assert_eq!(arena.allocate(128), Some(0), "the smallest hole that fits");
        assert_eq!(arena.allocate(1), Some(192));
        assert_eq!(arena.len(), 512);
    }

    #[test]
    fn neighbouring_holes_become_one() {
        let mut arena = Arena::default();
        let offsets = [64; 4].map(|len| arena.allocate(len).unwrap());
        for offset in [offsets[0], offsets[2], offsets[1]] {
            arena.free(offset, 64);
        }
        assert_eq!(arena.allocate(192), Some(0));
        assert_eq!(arena.len(), 256);
    }

    #[test]
    fn a_hole_at_the_end_grows() {
        let mut arena = Arena::default();
        let a = arena.allocate(64).unwrap();
        let b = arena.allocate(64).unwrap();
        arena.free(b, 64);
        assert_eq!(arena.allocate(640), Some(64));
        arena.free(a, 64);
        assert_eq!(arena.len(), 704);
    }

    #[test]
    fn an_extension_is_no_hole() {
        let mut arena = Arena::default();
        let a = arena.allocate(1000).unwrap();
        arena.free(a, 1000);
        assert_eq!(arena.extend(10), Some(1024));
        assert_eq!(arena.len(), 1088);
        assert_eq!(arena.extend(0), Some(1088));
        assert_eq!(arena.extend(usize::MAX), None);
    }

    #[test]
    fn nothing_takes_no_room() {
        let mut arena = Arena::default();
        assert_eq!(arena.allocate(0), Some(0));
        arena.free(0, 0);
        assert_eq!(arena.allocate(1), Some(0));
        assert_eq!(arena.len(), 64);
    }

    #[test]
    fn what_does_not_fit_in_memory_is_refused() {
        let mut arena = Arena::default();
        assert_eq!(arena.allocate(usize::MAX), None);
        assert_eq!(arena.allocate(isize::MAX as usize), None);
        arena.allocate(isize::MAX as usize - 64).unwrap();
        assert_eq!(arena.allocate(isize::MAX as usize - 64), None);
    }

    #[test]
    fn buffers_alive_at_the_same_time_never_overlap() {
        let mut random = 1u64;
        let mut next = |below: u64| {
            random = random
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (random >> 33) % below
        };
        let mut arena = Arena::default();
        let mut alive: Vec<(usize, usize)> = Vec::new();
        for _ in 0..2000 {
            if alive.len() > 20 || (!alive.is_empty() && next(3) == 0) {
                let (offset, len) = alive.swap_remove(next(alive.len() as u64) as usize);
                arena.free(offset, len);
            } else {
                let len = next(1000) as usize;
                let offset = arena.allocate(len).unwrap();
                let free = |&(other, other_len): &(usize, usize)| {
                    offset + len <= other
                        || other + other_len <= offset
                        || len == 0
                        || other_len == 0
                };
                assert!(
                    alive.iter().all(free),
                    "{len} bytes at {offset} of {alive:?}"
                );
                assert!(offset.is_multiple_of(ALIGN_BYTES) && offset + len <= arena.len());
                alive.push((offset, len));
            }
        }
        for (offset, len) in alive {
            arena.free(offset, len);
        }
        assert_eq!(arena.holes.len(), 1);
        assert_eq!(arena.holes.get(&0), Some(&arena.len()));
    }
}
