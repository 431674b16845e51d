//! Copies of few bytes.

use crate::crew::{Crew, LINE};
use crate::run::RunError;

/// From how many bytes on a copy is left to the machine's or the host's own function.
const MANY: usize = 256;

/// Copies bytes, quickly also where there are few of them: a call costs more than copying some, above all in WebAssembly, where it
/// leaves the sandbox.
///
/// # Panics
/// If the slices have different lengths.
#[inline]
pub(crate) fn copy_bytes(from: &[u8], to: &mut [u8]) {
    match from.len() {
        4 => copy_first::<4>(from, to),
        8 => copy_first::<8>(from, to),
        16..MANY => copy_pieces::<16>(from, to),
        9..16 => copy_pieces::<8>(from, to),
        5..8 => copy_pieces::<4>(from, to),
        2..4 => copy_pieces::<2>(from, to),
        1 => copy_first::<1>(from, to),
        _ => to.copy_from_slice(from),
    }
}

/// Copies any number of bytes, with a crew.
///
/// # Errors
/// If the call is interrupted.
/// # Panics
/// If the slices have different lengths.
pub(crate) fn copy(from: &[u8], to: &mut [u8], crew: Crew<'_>) -> Result<(), RunError> {
    assert_eq!(from.len(), to.len(), "a copy of each byte");
    crew.divide(to, LINE, LINE / 16, |first, to| {
        to.copy_from_slice(&from[first * LINE..][..to.len()]);
        Ok(())
    })
}

/// Copies so many bytes.
#[inline(always)]
fn copy_first<const SIZE: usize>(from: &[u8], to: &mut [u8]) {
    to[..SIZE].copy_from_slice(&from[..SIZE]);
}

/// Copies so many bytes at a time, and the last of them once more if they do not come out even.
#[inline(always)]
fn copy_pieces<const SIZE: usize>(from: &[u8], to: &mut [u8]) {
    let last = from.len() - SIZE;
    for (to, from) in to.chunks_exact_mut(SIZE).zip(from.chunks_exact(SIZE)) {
        copy_first::<SIZE>(from, to);
    }
    copy_first::<SIZE>(&from[last..], &mut to[last..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_any_number_of_bytes() {
        let from: Vec<u8> = (0..2 * MANY).map(|i| (i % 251) as u8).collect();
        for len in 0..from.len() {
            let mut to = vec![255; len + 1];
            copy_bytes(&from[..len], &mut to[..len]);
            assert_eq!(to[..len], from[..len], "{len} bytes");
            assert_eq!(to[len], 255, "{len} bytes and no more");
        }
    }
}
