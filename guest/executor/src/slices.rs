//! Hands a step its inputs and outputs as slices.
//!
//! They lie in one arena, so the borrow checker cannot tell them apart. [`Operands::new`] does, once, when a plan is bound to
//! sizes; [`Frame::slices`] relies on it at every call. Nothing else knows where memory is shared.
//!
//! ```text
//! constants   read only
//! inputs      the caller's, read only       ┐ or, where they do not begin at a multiple of 64 bytes,
//! outputs     the caller's                  ┘ copies in the arena
//! arena       buffers, such copies, scratch
//! ```

#![expect(
    unsafe_code,
    reason = "the fence around slices of one arena that do not overlap"
)]

use std::collections::BinaryHeap;
use std::marker::PhantomData;

use crate::memory::{ALIGN_BYTES, is_aligned};

/// Where the bytes of a value are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Operand {
    pub(crate) place: Place,
    pub(crate) len: usize,
}

/// In which memory an operand begins, and where.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// In the constants, at this offset.
    Constant(usize),
    /// In the arena, at this offset.
    Arena(usize),
    /// The caller's input of this index, or at `copy` in the arena.
    Input { index: usize, copy: usize },
    /// The caller's output of this index, or at `copy` in the arena.
    Output { index: usize, copy: usize },
}

/// The operands of one step.
///
/// Invariant: no output overlaps another operand or the scratch memory, and no input overlaps the scratch memory, whether the
/// caller's tensors are used in place or copied.
#[derive(Debug)]
pub(crate) struct Operands {
    inputs: Box<[Operand]>,
    outputs: Box<[Operand]>,
    /// Where it begins in the arena, and how long that of one thread is.
    scratch: (usize, usize),
    /// Where the last of the others ends that lies in the arena.
    arena_end: usize,
}

/// Operands that share bytes, though one of them is written.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Overlap;

impl Operands {
    pub(crate) fn new(
        inputs: Box<[Operand]>,
        outputs: Box<[Operand]>,
        scratch: (usize, usize),
    ) -> Result<Self, Overlap> {
        let mut parts = vec![Part::new(Region::Arena, scratch.0, scratch.1, true)?];
        for (operand, is_written) in inputs
            .iter()
            .map(|operand| (operand, false))
            .chain(outputs.iter().map(|operand| (operand, true)))
        {
            let len = operand.len;
            match operand.place {
                Place::Constant(_) if is_written => return Err(Overlap),
                Place::Constant(_) => {}
                Place::Arena(offset) => {
                    parts.push(Part::new(Region::Arena, offset, len, is_written)?);
                }
                Place::Input { .. } if is_written => return Err(Overlap),
                Place::Input { copy, .. } => {
                    parts.push(Part::new(Region::Arena, copy, len, is_written)?);
                }
                Place::Output { index, copy } => {
                    parts.push(Part::new(Region::Arena, copy, len, is_written)?);
                    parts.push(Part::new(Region::Output(index), 0, len, is_written)?);
                }
            }
        }
        let others = parts[1..]
            .iter()
            .filter(|part| part.region == Region::Arena);
        let arena_end = others.map(|part| part.end).max().unwrap_or(0);
        if Part::overlap(parts) {
            return Err(Overlap);
        }
        Ok(Self {
            inputs,
            outputs,
            scratch,
            arena_end,
        })
    }

    /// Returns where the scratch memory of so many threads lies, each beginning at a multiple of 64 bytes.
    ///
    /// # Panics
    /// If there are several, and memory that is not for scratch lies behind where it begins.
    fn scratch_of(&self, threads: usize) -> (usize, usize) {
        let (begin, len) = self.scratch;
        if threads == 1 || len == 0 {
            return self.scratch;
        }
        assert!(
            self.arena_end <= begin,
            "expected scratch memory at the end of the arena"
        );
        (begin, len.next_multiple_of(ALIGN_BYTES) * threads)
    }
}

/// A range of bytes that an operand may be.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Part {
    region: Region,
    begin: usize,
    end: usize,
    is_written: bool,
}

/// Memory that overlaps no other.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Region {
    Arena,
    Output(usize),
}

impl Part {
    fn new(region: Region, begin: usize, len: usize, is_written: bool) -> Result<Self, Overlap> {
        Ok(Self {
            region,
            begin,
            end: begin.checked_add(len).ok_or(Overlap)?,
            is_written,
        })
    }

    /// Reports whether two of them share a byte and one is written.
    fn overlap(mut parts: Vec<Self>) -> bool {
        parts.retain(|part| part.begin < part.end);
        let mut region = None;
        let (mut end, mut written_end) = (0, 0);
        for part in BinaryHeap::from(parts).into_sorted_vec() {
            if region != Some(part.region) {
                (region, end, written_end) = (Some(part.region), 0, 0);
            }
            if part.begin < if part.is_written { end } else { written_end } {
                return true;
            }
            end = end.max(part.end);
            if part.is_written {
                written_end = written_end.max(part.end);
            }
        }
        false
    }
}

/// Room for the slices of one step, used again and again.
#[derive(Debug, Default)]
pub(crate) struct SliceLists {
    inputs: Vec<*const [u8]>,
    outputs: Vec<*mut [u8]>,
}

// SAFETY: the pointers of the last step stay in the lists, but nobody uses them: `Frame::slices` clears the lists before it
// fills them, and hands out what it filled in as slices that borrow the frame.
unsafe impl Send for SliceLists {}

/// The caller's tensors, row by row.
pub(crate) struct Rows<'a> {
    next: Row<'a>,
}

/// One row of the caller's tensors. There is one of these for each row, and its holder has the bytes of the row for itself.
pub(crate) struct Row<'a> {
    inputs: &'a [&'a [u8]],
    outputs: *const [*mut [u8]],
    index: usize,
    count: usize,
    /// What `outputs` was, for as long as the row is there.
    borrowed: PhantomData<&'a mut [u8]>,
}

// SAFETY: what `outputs` points at is borrowed for `'a`, and everyone reads the list alone. Its slices are written, by the holder of
// each row other bytes: `Frame::wanted` sees to it.
unsafe impl Send for Row<'_> {}

impl<'a> Rows<'a> {
    /// Rows of tensors that hold so many of them.
    pub(crate) fn new(inputs: &'a [&'a [u8]], outputs: &'a mut [&mut [u8]], count: usize) -> Self {
        // References to slices and pointers to them have the same layout.
        let outputs = (&raw const *outputs) as *const [*mut [u8]];
        Self {
            next: Row {
                inputs,
                outputs,
                index: 0,
                count,
                borrowed: PhantomData,
            },
        }
    }
}

impl Rows<'_> {
    /// Returns how many are left.
    pub(crate) fn len(&self) -> usize {
        self.next.count - self.next.index
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = Row<'a>;

    fn next(&mut self) -> Option<Row<'a>> {
        let row = Row { ..self.next };
        if row.index == row.count {
            return None;
        }
        self.next.index += 1;
        Some(row)
    }
}

/// All memory that the steps of one row touch.
pub(crate) struct Frame<'a> {
    constants: &'a [u8],
    arena: *mut [u8],
    row: Row<'a>,
    lists: &'a mut SliceLists,
    /// What `arena` was.
    borrowed: PhantomData<&'a mut [u8]>,
}

/// The slices of a step: inputs, outputs, scratch.
pub(crate) type Slices<'a> = (&'a [&'a [u8]], &'a mut [&'a mut [u8]], &'a mut [u8]);

impl<'a> Frame<'a> {
    /// The caller's tensors hold rows as long as their operands.
    pub(crate) fn new(
        constants: &'a [u8],
        arena: &'a mut [u8],
        row: Row<'a>,
        lists: &'a mut SliceLists,
    ) -> Self {
        Self {
            constants,
            arena,
            row,
            lists,
            borrowed: PhantomData,
        }
    }

    /// Copies an input of the caller into the arena, if it cannot be used in place.
    pub(crate) fn copy_in(&mut self, input: &Operand) {
        let Place::Input { index, copy } = input.place else {
            return;
        };
        let given = self.given(index, input.len);
        if !is_aligned(given) {
            // SAFETY: nobody else holds a part of the arena: slices that were handed out borrow the frame.
            let arena = unsafe { &mut *self.arena };
            arena[copy..][..input.len].copy_from_slice(given);
        }
    }

    /// Copies an output of the caller out of the arena, if it could not be written in place.
    pub(crate) fn copy_out(&mut self, output: &Operand) {
        let Place::Output { index, copy } = output.place else {
            return;
        };
        let wanted = self.wanted(index, output.len);
        // SAFETY: as for `slices`: `wanted` is in bounds, and nobody holds a part of the caller's outputs.
        let wanted = unsafe { &mut *wanted };
        if !is_aligned(wanted) {
            // SAFETY: nobody else holds a part of the arena, and the caller's outputs are no part of it.
            let arena = unsafe { &*self.arena };
            wanted.copy_from_slice(&arena[copy..][..output.len]);
        }
    }

    /// Copies an operand into a caller's output that is the place of no operand.
    ///
    /// Inputs are copied from the caller's: what was made of them in the arena need not be there any more.
    pub(crate) fn copy_to(&mut self, operand: &Operand, index: usize) {
        assert!(
            !matches!(operand.place, Place::Output { index: other, .. } if other == index),
            "an output is not copied onto itself"
        );
        let wanted = self.wanted(index, operand.len);
        let from = match operand.place {
            Place::Input { index, .. } => self.given(index, operand.len),
            _ => self.readable(operand),
        };
        // SAFETY: both are in bounds, nobody holds a part of either, and the assertion says that they are not the same.
        let (from, to) = unsafe { (&*from, &mut *wanted) };
        to.copy_from_slice(from);
    }

    /// Returns the slices of a step that so many threads compute.
    ///
    /// # Panics
    /// If an operand reaches beyond the memory that it lies in.
    pub(crate) fn slices<'f>(&'f mut self, operands: &Operands, threads: usize) -> Slices<'f> {
        self.lists.inputs.clear();
        for operand in &operands.inputs {
            let input = self.readable(operand);
            self.lists.inputs.push(input);
        }
        self.lists.outputs.clear();
        for operand in &operands.outputs {
            let output = match operand.place {
                Place::Arena(offset) => self.in_arena(offset, operand.len),
                Place::Output { index, copy } => self.placed(index, copy, operand.len),
                Place::Constant(_) | Place::Input { .. } => {
                    unreachable!("`Operands::new` refuses outputs that callers own")
                }
            };
            self.lists.outputs.push(output);
        }
        let (begin, len) = operands.scratch_of(threads);
        let scratch = self.in_arena(begin, len);
        let inputs: *const [*const [u8]] = self.lists.inputs.as_slice();
        let outputs: *mut [*mut [u8]] = self.lists.outputs.as_mut_slice();
        // SAFETY: each pointer was made of memory that is borrowed for `'a`, checked to be in bounds, and by the invariant
        // of `Operands` those that are written overlap no other. Slices handed out before are gone, as they borrow the frame.
        // Pointers to slices and references to slices have the same layout.
        unsafe {
            (
                &*(inputs as *const [&[u8]]),
                &mut *(outputs as *mut [&mut [u8]]),
                &mut *scratch,
            )
        }
    }

    fn readable(&self, operand: &Operand) -> *const [u8] {
        match operand.place {
            Place::Constant(offset) => &self.constants[offset..][..operand.len],
            Place::Arena(offset) => self.in_arena(offset, operand.len),
            Place::Input { index, copy } => {
                let given = self.given(index, operand.len);
                match is_aligned(given) {
                    true => given,
                    false => self.in_arena(copy, operand.len),
                }
            }
            Place::Output { index, copy } => self.placed(index, copy, operand.len),
        }
    }

    /// Returns where an output of the caller is while steps run.
    fn placed(&self, index: usize, copy: usize, len: usize) -> *mut [u8] {
        let wanted = self.wanted(index, len);
        match is_aligned(wanted) {
            true => wanted,
            false => self.in_arena(copy, len),
        }
    }

    fn in_arena(&self, offset: usize, len: usize) -> *mut [u8] {
        let in_bounds = offset
            .checked_add(len)
            .is_some_and(|end| end <= self.arena.len());
        assert!(in_bounds, "expected an operand within the arena");
        let begin = self.arena.cast::<u8>();
        // SAFETY: the arena has at least `offset` bytes.
        std::ptr::slice_from_raw_parts_mut(unsafe { begin.add(offset) }, len)
    }

    /// Returns the row of a caller's input.
    fn given(&self, index: usize, len: usize) -> &'a [u8] {
        &self.row.inputs[index][self.row.index * len..][..len]
    }

    /// Returns the row of a caller's output, which no other row has a byte of.
    fn wanted(&self, index: usize, len: usize) -> *mut [u8] {
        let row = &self.row;
        assert!(
            index < row.outputs.len(),
            "expected an output of the caller"
        );
        // SAFETY: the index is in bounds. The list is borrowed for `'a`, and only read.
        let output = unsafe { *row.outputs.cast::<*mut [u8]>().add(index) };
        assert!(
            len.checked_mul(row.count) == Some(output.len()),
            "expected an output of so many rows"
        );
        let begin = row.index * len;
        // SAFETY: the row is one of those that the output has, so it has at least `begin` bytes.
        std::ptr::slice_from_raw_parts_mut(unsafe { output.cast::<u8>().add(begin) }, len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::AlignedBytes;

    fn at(place: Place) -> Operand {
        Operand { place, len: 64 }
    }

    fn arena(offset: usize) -> Operand {
        at(Place::Arena(offset))
    }

    fn input(index: usize, copy: usize) -> Operand {
        at(Place::Input { index, copy })
    }

    fn output(index: usize, copy: usize) -> Operand {
        at(Place::Output { index, copy })
    }

    fn accepts(inputs: &[Operand], outputs: &[Operand], scratch: (usize, usize)) -> bool {
        Operands::new(inputs.into(), outputs.into(), scratch).is_ok()
    }

    #[test]
    fn operands_side_by_side_are_taken() {
        assert!(accepts(&[arena(0)], &[arena(64)], (128, 64)));
        assert!(accepts(&[arena(0), arena(32)], &[arena(96)], (160, 1)));
        assert!(accepts(
            &[input(0, 0), input(0, 0)],
            &[output(0, 64)],
            (0, 0)
        ));
        assert!(accepts(&[output(1, 0)], &[output(0, 64)], (128, 8)));
        assert!(accepts(&[at(Place::Constant(0))], &[arena(0)], (64, 8)));
    }

    #[test]
    fn what_is_written_overlaps_nothing() {
        assert!(!accepts(&[arena(0)], &[arena(0)], (128, 64)));
        assert!(!accepts(&[arena(0)], &[arena(63)], (128, 64)));
        assert!(!accepts(&[arena(63)], &[arena(0)], (128, 64)));
        assert!(!accepts(&[], &[arena(0), arena(32)], (128, 64)));
        assert!(!accepts(&[], &[arena(0)], (32, 8)), "scratch");
        assert!(!accepts(&[arena(0)], &[], (32, 8)), "scratch");
        assert!(!accepts(&[input(0, 0)], &[arena(0)], (128, 0)), "a copy");
        assert!(!accepts(&[output(0, 0)], &[output(0, 64)], (128, 0)));
        assert!(!accepts(&[], &[output(0, 0), output(0, 64)], (128, 0)));
        assert!(!accepts(&[], &[output(0, 0), output(1, 0)], (128, 0)));
        assert!(!accepts(&[], &[input(0, 0)], (128, 0)), "an input");
        assert!(!accepts(&[], &[at(Place::Constant(0))], (128, 0)));
        let long = Operand {
            place: Place::Arena(0),
            len: 1000,
        };
        assert!(!accepts(&[long, arena(64)], &[arena(512)], (2000, 0)));
        assert!(!accepts(&[arena(usize::MAX - 8)], &[], (0, 0)), "overflow");
    }

    #[test]
    fn nothing_overlaps_nothing() {
        let empty = Operand {
            place: Place::Arena(32),
            len: 0,
        };
        assert!(accepts(&[arena(0)], &[empty], (64, 0)));
        assert!(accepts(&[empty], &[arena(0)], (16, 0)));
    }

    /// Runs `test` with a frame of 256 bytes each, and one row of 64 of them.
    fn with_frame(test: impl FnOnce(&mut Frame<'_>)) {
        let mut memory: Vec<AlignedBytes> =
            (0..4).map(|_| AlignedBytes::zeroed(256).unwrap()).collect();
        for (byte, bytes) in (1..).zip(&mut memory) {
            bytes.as_mut_slice().fill(byte);
        }
        let [constants, arena, input, output] = memory.as_mut_slice() else {
            unreachable!("there are four")
        };
        let inputs = [input.as_slice()];
        let mut outputs = [output.as_mut_slice()];
        let row = Rows::new(&inputs, &mut outputs, 4).nth(1);
        test(&mut Frame::new(
            constants.as_slice(),
            arena.as_mut_slice(),
            row.unwrap(),
            &mut SliceLists::default(),
        ));
    }

    #[test]
    fn rows_are_handed_out_once_and_have_bytes_of_their_own() {
        let input: Vec<u8> = (0..30).collect();
        let mut output = [0u8; 30];
        let inputs = [input.as_slice()];
        let mut outputs = [output.as_mut_slice()];
        let mut rows = Rows::new(&inputs, &mut outputs, 3);
        assert_eq!(rows.len(), 3);
        let all: Vec<Row<'_>> = rows.by_ref().collect();
        assert_eq!((all.len(), rows.len()), (3, 0));
        std::thread::scope(|scope| {
            for row in all {
                scope.spawn(|| {
                    let mut lists = SliceLists::default();
                    let mut frame = Frame::new(&[], &mut [], row, &mut lists);
                    let input = Operand {
                        place: Place::Input { index: 0, copy: 0 },
                        len: 10,
                    };
                    frame.copy_to(&input, 0);
                });
            }
        });
        assert_eq!(output.as_slice(), input);
    }

    #[test]
    fn scratch_memory_of_several_threads_lies_behind_everything() {
        let operands = Operands::new([arena(0)].into(), [arena(64)].into(), (128, 60)).unwrap();
        assert_eq!(operands.scratch_of(1), (128, 60));
        assert_eq!(operands.scratch_of(3), (128, 192));
        let between = Operands::new([arena(0)].into(), [arena(256)].into(), (128, 60)).unwrap();
        assert_eq!(between.scratch_of(1), (128, 60));
        assert!(std::panic::catch_unwind(|| between.scratch_of(2)).is_err());
    }

    #[test]
    fn each_operand_is_found_in_its_memory() {
        with_frame(|frame| {
            let inputs = [at(Place::Constant(192)), arena(0), input(0, 0)];
            let operands = Operands::new(inputs.into(), [output(0, 64)].into(), (200, 8)).unwrap();
            for _ in 0..2 {
                let (inputs, outputs, scratch) = frame.slices(&operands, 1);
                let first: Vec<u8> = inputs.iter().map(|input| input[0]).collect();
                assert_eq!(first, [1, 2, 3]);
                assert!(inputs.iter().all(|input| input.len() == 64));
                assert_eq!((outputs[0].len(), scratch.len()), (64, 8));
                outputs[0].fill(9);
                scratch.fill(8);
            }
            let readers = [output(0, 64), arena(192)];
            let operands = Operands::new(readers.into(), [].into(), (0, 0)).unwrap();
            let (inputs, ..) = frame.slices(&operands, 1);
            assert_eq!((inputs[0][0], inputs[0][63]), (9, 9));
            assert_eq!((inputs[1][7], inputs[1][8], inputs[1][16]), (2, 8, 2));
        });
    }

    #[test]
    fn operands_beyond_their_memory_are_refused() {
        for operand in [
            arena(193),
            arena(usize::MAX - 64),
            at(Place::Constant(193)),
            input(1, 0),
            output(1, 0),
        ] {
            let operands = Operands::new([operand].into(), [].into(), (0, 0)).unwrap();
            let result = std::panic::catch_unwind(|| {
                with_frame(|frame| {
                    let _ = frame.slices(&operands, 1);
                });
            });
            assert!(result.is_err(), "{operand:?}");
        }
        let operands = Operands::new([].into(), [].into(), (250, 7)).unwrap();
        let result = std::panic::catch_unwind(|| {
            with_frame(|frame| {
                let _ = frame.slices(&operands, 1);
            });
        });
        assert!(result.is_err(), "scratch");
    }
}
