//! Divides a guest's memory into what is read and what is written.

use std::ops::Range;

/// Slices of a memory that are read, and such that are written.
pub(super) type Slices<'m> = (Vec<&'m [u8]>, Vec<&'m mut [u8]>);

/// Reads address and length of a list from the 8 bytes that it has in memory.
pub(super) fn pair(bytes: &[u8]) -> (u32, u32) {
    let number = |at: usize| {
        let bytes = bytes[at..][..4].try_into();
        u32::from_le_bytes(bytes.expect("four bytes are four bytes"))
    };
    (number(0), number(4))
}

/// Takes inputs and outputs out of a memory. Returns `None` if one reaches beyond it, or an output shares a byte with another of them.
pub(super) fn split<'m>(
    memory: &'m mut [u8],
    inputs: &[Range<usize>],
    outputs: &[Range<usize>],
) -> Option<Slices<'m>> {
    let mut order: Vec<usize> = (0..outputs.len())
        .filter(|&index| !outputs[index].is_empty())
        .collect();
    order.sort_by_key(|&index| outputs[index].start);

    // Where what lies between outputs begins, and what it is.
    let mut gaps: Vec<(usize, &'m [u8])> = Vec::with_capacity(order.len() + 1);
    let mut written: Vec<&'m mut [u8]> = outputs.iter().map(|_| &mut [][..]).collect();
    let (mut rest, mut at) = (memory, 0);
    for index in order {
        let output = &outputs[index];
        let (gap, after) = rest.split_at_mut_checked(output.start.checked_sub(at)?)?;
        let (slice, after) = after.split_at_mut_checked(output.len())?;
        gaps.push((at, gap));
        written[index] = slice;
        (rest, at) = (after, output.end);
    }
    gaps.push((at, rest));

    let read = inputs.iter().map(|input| {
        if input.is_empty() {
            return Some(&[][..]);
        }
        let next = gaps.partition_point(|(begin, _)| *begin <= input.start);
        let (begin, gap) = &gaps[next.checked_sub(1)?];
        gap.get(input.start - begin..input.end - begin)
    });
    Some((read.collect::<Option<_>>()?, written))
}

#[cfg(test)]
#[expect(
    clippy::single_range_in_vec_init,
    reason = "a list of one range is what is meant"
)]
mod tests {
    use super::*;

    /// Splits a memory whose bytes are their addresses; returns what is read, and writes 255 to all that may be.
    fn check(
        inputs: &[Range<usize>],
        outputs: &[Range<usize>],
    ) -> Option<(Vec<Vec<u8>>, Vec<usize>)> {
        let mut memory: Vec<u8> = (0..100).collect();
        let (read, written) = split(&mut memory, inputs, outputs)?;
        let lens: Vec<usize> = written.iter().map(|slice| slice.len()).collect();
        assert_eq!(
            lens,
            outputs
                .iter()
                .map(ExactSizeIterator::len)
                .collect::<Vec<_>>()
        );
        written.into_iter().for_each(|slice| slice.fill(255));
        let read = read.into_iter().map(<[u8]>::to_vec).collect();
        let changed = (0..100).filter(|&at| memory[at] == 255).collect();
        Some((read, changed))
    }

    #[test]
    fn what_lies_apart_is_split() {
        let (read, written) = check(&[0..2, 50..52, 99..100], &[60..62, 2..4]).unwrap();
        assert_eq!(read, [vec![0, 1], vec![50, 51], vec![99]]);
        assert_eq!(written, [2, 3, 60, 61]);
        assert!(check(&[0..100], &[]).is_some());
        assert!(check(&[], &[0..100]).is_some());
        let neighbours = check(&[10..20], &[0..10, 20..30]).unwrap();
        assert_eq!(neighbours.0[0], (10..20).collect::<Vec<u8>>());
    }

    #[test]
    fn inputs_may_be_the_same() {
        let (read, _) = check(&[5..7, 5..7, 6..8], &[20..30]).unwrap();
        assert_eq!(read, [vec![5, 6], vec![5, 6], vec![6, 7]]);
    }

    #[test]
    fn outputs_share_nothing() {
        assert!(check(&[], &[0..10, 9..20]).is_none());
        assert!(check(&[], &[0..10, 0..10]).is_none());
        assert!(check(&[], &[5..6, 0..10]).is_none());
        assert!(check(&[9..11], &[0..10]).is_none(), "an input's begin");
        assert!(check(&[8..11], &[10..20]).is_none(), "an input's end");
        assert!(check(&[0..100], &[10..20]).is_none(), "within an input");
        assert!(check(&[12..13], &[10..20]).is_none(), "around an input");
    }

    #[test]
    fn what_lies_beyond_is_refused() {
        assert!(check(&[99..101], &[]).is_none());
        assert!(check(&[200..201], &[]).is_none());
        assert!(check(&[], &[99..101]).is_none());
        assert!(check(&[], &[usize::MAX - 1..usize::MAX]).is_none());
    }

    #[test]
    fn nothing_is_nowhere() {
        let (read, written) = check(&[5..5, 1000..1000], &[7..7, 0..10, 5..5]).unwrap();
        assert!(read.len() == 2 && read.concat().is_empty());
        assert_eq!(written, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn pairs_are_little_endian() {
        assert_eq!(pair(&[1, 2, 0, 0, 0xff, 0, 0, 0x80]), (0x201, 0x8000_00ff));
    }
}
