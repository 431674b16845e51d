//! Constants where they are already: in the component's compiled file, which is mapped.
//!
//! A guest's memory begins as a copy-on-write mapping of an image that lies in the compiled component, and the component is mapped as a
//! whole as long as it exists. So the constants that a guest hands over are there a second time, backed by the same pages of the same file, read-only
//! and shared between processes. Where in the file an image begins is Wasmtime's business. But images begin at pages, which leaves few places to
//! look, and what is found is compared byte by byte.

#![expect(
    unsafe_code,
    reason = "the fence around the bytes of a compiled component, which Wasmtime gives as pointers, and around pages of memory"
)]

use std::ops::Range;
use std::sync::Arc;

use tensorlet_executor::SharedConstants;
use wasmtime::component::Component;

use crate::accelerator::{MemoryBudget, Reservation, SegmentError};

/// Images begin at multiples of this, or of a multiple of it.
const PAGE_BYTES: usize = 4096;

/// Where constants begin is a multiple of this.
const ALIGN_BYTES: usize = 64;

/// Constants, and how many bytes had to be copied for them.
pub(super) type Shared = (SharedConstants, u64);

/// Returns the constants in a guest's memory for as long as they are needed: those in the component's image if they are there, else a copy.
///
/// # Errors
/// If they must be copied and memory is short.
pub(super) fn share(
    component: &Component,
    memory: &mut [u8],
    range: Range<usize>,
    budget: &MemoryBudget,
) -> Result<Shared, SegmentError> {
    let image = Image(component.clone());
    let constants = &mut memory[range.clone()];
    if let Some(begin) = find(image.bytes(), constants, range.start) {
        let len = constants.len();
        unmap(constants, &image.bytes()[begin..][..len]);
        return Ok((Arc::new(InImage { image, begin, len }), 0));
    }
    let len = constants.len() + ALIGN_BYTES;
    let reservation = budget.reserve(len as u64).ok_or_else(|| {
        SegmentError::OutOfMemory(format!(
            "expected constants of less than {len} bytes beside what the component has"
        ))
    })?;
    let mut room: Box<[u8]> = bytemuck::try_zeroed_slice_box(len).map_err(|()| {
        SegmentError::OutOfMemory(format!("expected {len} bytes for constants, found fewer"))
    })?;
    let begin = room.as_ptr().addr().wrapping_neg() % ALIGN_BYTES;
    room[begin..][..constants.len()].copy_from_slice(constants);
    let copied = Copied {
        room,
        begin,
        len: constants.len(),
        _reservation: reservation,
    };
    Ok((Arc::new(copied), constants.len() as u64))
}

/// Returns where in an image bytes of a guest's memory are.
fn find(image: &[u8], bytes: &[u8], address: usize) -> Option<usize> {
    let is_aligned =
        address.is_multiple_of(ALIGN_BYTES) && image.as_ptr().addr().is_multiple_of(PAGE_BYTES);
    if !is_aligned || bytes.is_empty() {
        return None;
    }
    let places = (address % PAGE_BYTES..image.len()).step_by(PAGE_BYTES);
    // Elsewhere than where the image begins, honest bytes differ at once. Those of a component that makes them alike at every place would take
    // the square of their number to compare: they are copied.
    let mut left = image.len() + bytes.len();
    for place in places.take_while(|&place| bytes.len() <= image.len() - place) {
        let same = same_pages(&image[place..][..bytes.len()], bytes);
        if same == bytes.len() {
            return Some(place);
        }
        left = left.checked_sub(same)?;
    }
    None
}

/// Returns how many bytes are the same from the beginning on, in whole pages, or all.
fn same_pages(a: &[u8], b: &[u8]) -> usize {
    let pages = a.chunks(PAGE_BYTES).zip(b.chunks(PAGE_BYTES));
    let same = pages.take_while(|(a, b)| a == b);
    same.map(|(page, _)| page.len()).sum()
}

/// Takes the pages of a guest's constants out of its page table: comparing put them there, the guest has no use for them, and resetting an instance
/// takes time for each that is there. What the guest finds when it looks at them again is the same.
fn unmap(constants: &mut [u8], same: &[u8]) {
    let begin = constants.as_ptr().addr().wrapping_neg() % PAGE_BYTES;
    let Some(pages) = constants.get_mut(begin..) else {
        return;
    };
    let len = pages.len() - pages.len() % PAGE_BYTES;
    let pages = &mut pages[..len];
    let same = &same[begin..][..len];
    let Some(witness) = same.iter().position(|&byte| byte != 0) else {
        return;
    };
    // SAFETY: these are whole pages of memory that is borrowed for writing. Pages of a private mapping are found as the file has them
    // afterwards, others as zeros, and both are bytes.
    let result = unsafe {
        rustix::mm::madvise(
            pages.as_mut_ptr().cast(),
            len,
            rustix::mm::Advice::LinuxDontNeed,
        )
    };
    // Wasmtime maps images where it can. Where it copied this one, the pages are zeros now, and are written again.
    if result.is_ok() && std::hint::black_box(&*pages)[witness] != same[witness] {
        pages.copy_from_slice(same);
    }
}

/// A component's compiled form.
struct Image(Component);

impl Image {
    fn bytes(&self) -> &[u8] {
        let range = self.0.image_range();
        let len = range.end.addr() - range.start.addr();
        // SAFETY: Wasmtime keeps a component mapped while a clone of it exists, and nothing writes to it after it was made.
        unsafe { std::slice::from_raw_parts(range.start, len) }
    }
}

/// Constants in a component's compiled form.
struct InImage {
    image: Image,
    begin: usize,
    len: usize,
}

impl AsRef<[u8]> for InImage {
    fn as_ref(&self) -> &[u8] {
        &self.image.bytes()[self.begin..][..self.len]
    }
}

/// Constants that had to be copied.
struct Copied {
    /// The constants, and room around them.
    room: Box<[u8]>,
    begin: usize,
    len: usize,
    _reservation: Reservation,
}

impl AsRef<[u8]> for Copied {
    fn as_ref(&self) -> &[u8] {
        &self.room[self.begin..][..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image of three pages, which begins at one.
    fn with_image(test: impl FnOnce(&mut [u8])) {
        let mut room = vec![0; 4 * PAGE_BYTES];
        let begin = room.as_ptr().addr().wrapping_neg() % PAGE_BYTES;
        test(&mut room[begin..][..3 * PAGE_BYTES]);
    }

    #[test]
    fn bytes_are_found_at_the_same_place_of_a_page() {
        with_image(|image| {
            image[PAGE_BYTES + 128..][..100].fill(7);
            image[256..][..100].fill(7);
            let bytes = [7; 100];
            assert_eq!(
                find(image, &bytes, 9 * PAGE_BYTES + 128),
                Some(PAGE_BYTES + 128)
            );
            assert_eq!(find(image, &bytes, 256), Some(256));
            assert_eq!(find(image, &bytes, 64), None, "another place of the page");
            assert_eq!(find(image, &bytes, 257), None, "not aligned");
            image[PAGE_BYTES + 227] = 8;
            assert_eq!(find(image, &bytes, 128), None, "other bytes");
        });
    }

    #[test]
    fn pages_that_are_no_image_are_written_again() {
        let mut bytes: Vec<u8> = (0..5 * PAGE_BYTES).map(|at| (at % 251) as u8).collect();
        let same = bytes.clone();
        unmap(&mut bytes[100..], &same[100..]);
        assert!(bytes == same);
        unmap(&mut bytes[..PAGE_BYTES / 2], &same[..PAGE_BYTES / 2]);
        unmap(&mut [], &[]);
        assert!(bytes == same);
    }

    #[test]
    fn bytes_that_are_alike_everywhere_are_not_looked_for_long() {
        let mut room = vec![7; 65 * PAGE_BYTES];
        let begin = room.as_ptr().addr().wrapping_neg() % PAGE_BYTES;
        let image = &mut room[begin..][..64 * PAGE_BYTES];
        image[64 * PAGE_BYTES - 1] = 8;
        let bytes = image[32 * PAGE_BYTES..].to_vec();
        assert_eq!(find(image, &bytes, 0), None, "it is at the last place");
        let few = image[62 * PAGE_BYTES..].to_vec();
        assert_eq!(find(image, &few, 0), Some(62 * PAGE_BYTES));
    }

    #[test]
    fn bytes_beyond_the_image_are_not_looked_for() {
        with_image(|image| {
            let whole = image.to_vec();
            assert_eq!(find(image, &whole, 0), Some(0));
            assert_eq!(find(image, &whole, 64), None);
            assert_eq!(find(image, &[whole, vec![0]].concat(), 0), None);
            assert_eq!(find(image, &[], 0), None);
            assert_eq!(find(&[], &[1], 0), None);
        });
    }
}
