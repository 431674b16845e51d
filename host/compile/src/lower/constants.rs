//! The constants of a plan, each once.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use tensorlet_plan::verify::CONSTANT_ALIGN_BYTES;

/// Bytes that a plan refers to by range. Each range begins at a multiple of 64; equal bytes are kept once.
#[derive(Debug, Default)]
pub(super) struct Constants {
    bytes: Vec<u8>,
    /// Ranges by the hash of their bytes.
    known: HashMap<u64, Vec<Range<u64>>>,
}

impl Constants {
    /// Adds bytes, unless they are there, and returns where they are.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Range<u64> {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let known = self.known.entry(hasher.finish()).or_default();
        let same =
            |range: &&Range<u64>| &self.bytes[range.start as usize..range.end as usize] == bytes;
        if let Some(range) = known.iter().find(same) {
            return range.clone();
        }
        let begin = (self.bytes.len() as u64).next_multiple_of(CONSTANT_ALIGN_BYTES);
        self.bytes.resize(begin as usize, 0);
        self.bytes.extend_from_slice(bytes);
        let range = begin..self.bytes.len() as u64;
        known.push(range.clone());
        range
    }

    /// Returns all bytes.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_bytes_are_kept_once() {
        let mut constants = Constants::default();
        assert_eq!(constants.add(&[1, 2, 3]), 0..3);
        assert_eq!(constants.add(&[4]), 64..65);
        assert_eq!(constants.add(&[1, 2, 3]), 0..3);
        assert_eq!(constants.add(&[]), 128..128);
        assert_eq!(constants.into_bytes().len(), 128);
    }
}
