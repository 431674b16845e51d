//! Memory that begins at a multiple of 64 bytes, as kernels want it.

/// Where memory for kernels begins is a multiple of this.
pub(crate) const ALIGN_BYTES: usize = 64;

/// A fixed number of bytes.
#[derive(Debug, Default)]
pub(crate) struct AlignedBytes {
    /// The bytes, and room around them: an allocator that is asked for aligned zeros writes them all, one that is asked for
    /// zeros alone leaves fresh memory of the system untouched.
    room: Box<[u8]>,
    begin: usize,
    len: usize,
}

impl AlignedBytes {
    /// Allocates zeros, or returns `None` when memory is short.
    pub(crate) fn zeroed(len: usize) -> Option<Self> {
        let room: Box<[u8]> =
            bytemuck::try_zeroed_slice_box(len.checked_add(ALIGN_BYTES - 1)?).ok()?;
        let begin = room.as_ptr().addr().wrapping_neg() % ALIGN_BYTES;
        Some(Self { room, begin, len })
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.room[self.begin..][..self.len]
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.room[self.begin..][..self.len]
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

/// Reports whether a slice begins where kernels want it, even if it is empty.
pub(crate) fn is_aligned(bytes: *const [u8]) -> bool {
    bytes.cast::<u8>().addr().is_multiple_of(ALIGN_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_aligned_and_zero() {
        for len in [0, 1, 63, 64, 65, 1000, 100_000] {
            let mut bytes = AlignedBytes::zeroed(len).unwrap();
            assert_eq!(bytes.len(), len);
            assert!(is_aligned(bytes.as_slice()));
            assert!(bytes.as_mut_slice().iter().all(|&byte| byte == 0));
            assert_eq!(bytes.as_slice().len(), len);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(AlignedBytes::zeroed(isize::MAX as usize - 64).is_none());
        assert!(AlignedBytes::zeroed(usize::MAX).is_none());
    }
}
