//! Gives every value a place in memory.
//!
//! ```text
//! constant           where it is
//! input              the caller's; room for a copy until its last reader
//! output             the caller's; room for a copy from the step that writes it to the end
//! any other buffer   room from the step that writes it to its last reader
//! alias              the place of its root
//! ```
//!
//! Steps that are computed in chunks are like one step, and what is between them has room for a chunk. A segment that a host may compute is like one step as well: what it reads stays until its end, and what it leaves exists from its beginning.
//!
//! Room for copies is part of the arena's size, though a copy is made only where the caller's tensors are not aligned. Mostly
//! it is room that other buffers have later or earlier.

use tensorlet_kernels::TensorType;
use tensorlet_plan::{Segment, Storage, ValueId};

use super::chunks::Chunks;
use crate::arena::Arena;
use crate::error::PredictError;
use crate::offload::Offloaded;
use crate::program::Program;
use crate::slices::{Operand, Operands, Place};

/// The place of every root; aliases and values of unknown dims have none.
pub(super) struct Places {
    places: Vec<Option<Place>>,
    /// How much room each takes.
    bytes: Vec<usize>,
    /// Which of them have returned their memory.
    is_free: Vec<bool>,
    arena: Arena,
    max_bytes: usize,
}

impl Places {
    /// Walks through the steps, taking and returning memory.
    pub(super) fn assign(
        program: &Program,
        types: &[Option<TensorType>],
        chunks: &[Option<Chunks>],
    ) -> Result<Self, PredictError> {
        let mut places = Self {
            places: vec![None; program.values.len()],
            bytes: (0..program.values.len())
                .map(|id| bytes(types, id))
                .collect(),
            is_free: vec![false; program.values.len()],
            arena: Arena::default(),
            max_bytes: program.max_arena_bytes,
        };
        let mut last_uses = last_uses(program);
        for (chunks, first) in chunks.iter().zip(0..) {
            let Some(chunks) = chunks else { continue };
            places.bytes[chunks.between.index()] = chunks.bytes;
            // What the first step reads is read until the last chunk.
            for &input in &program.steps[first as usize].inputs {
                let last = &mut last_uses[program.lifetimes.root(input).index()];
                *last = last.map(|last| last.max(first + 1));
            }
        }
        for (id, value) in program.values.iter().enumerate() {
            let bytes = places.bytes[id];
            places.places[id] = match &value.storage {
                Storage::Constant(range) => {
                    Some(Place::Constant(program.constants.offset(range.start)))
                }
                Storage::Input if last_uses[id].is_some() => Some(Place::Input {
                    index: id,
                    copy: places.allocate(bytes)?,
                }),
                Storage::Input => Some(Place::Input { index: id, copy: 0 }),
                Storage::Alias(_) | Storage::Buffer => None,
            };
        }
        let outputs = first_outputs(program);
        let mut segments = segments(program).peekable();
        for (index, step) in program.steps.iter().enumerate() {
            let segment = segments.peek().copied();
            let begins = segment.filter(|segment| segment.steps.start == index);
            let early = begins.map_or(&[][..], |segment| &segment.outputs);
            // The second of two steps in chunks writes while the first still reads.
            let next = chunks[index].map_or(&[][..], |_| &program.steps[index + 1].outputs);
            for output in early.iter().chain(&step.outputs).chain(next) {
                places.place(types, output.index(), &outputs)?;
            }
            let before = index
                .checked_sub(1)
                .filter(|&before| chunks[before].is_some());
            let before = before.map_or(&[][..], |before| &program.steps[before].inputs);
            for inputs in [before, &step.inputs] {
                places.free_after(program, index, (inputs, &step.outputs), &last_uses);
            }
            if let Some(segment) = segment.filter(|segment| segment.steps.end == index + 1) {
                places.free_after(program, index, (&segment.inputs, &[]), &last_uses);
                segments.next();
            }
        }
        Ok(places)
    }

    /// Gives a value that steps write a place, unless it has one.
    fn place(
        &mut self,
        types: &[Option<TensorType>],
        id: usize,
        outputs: &[Option<usize>],
    ) -> Result<(), PredictError> {
        if types[id].is_none() || self.places[id].is_some() {
            return Ok(());
        }
        let offset = self.allocate(self.bytes[id])?;
        self.places[id] = Some(match outputs[id] {
            Some(index) => Place::Output {
                index,
                copy: offset,
            },
            None => Place::Arena(offset),
        });
        Ok(())
    }

    /// Returns the memory of values that no later step needs, of those that a step or segment reads and writes.
    fn free_after(
        &mut self,
        program: &Program,
        index: usize,
        (inputs, outputs): (&[ValueId], &[ValueId]),
        last_uses: &[Option<u32>],
    ) {
        for &id in inputs.iter().chain(outputs) {
            let id = program.lifetimes.root(id).index();
            let is_needed = last_uses[id] != Some(index as u32);
            // A step may read a value several times.
            if is_needed || std::mem::replace(&mut self.is_free[id], true) {
                continue;
            }
            if let Some(Place::Arena(offset) | Place::Input { copy: offset, .. }) = self.places[id]
            {
                self.arena.free(offset, self.bytes[id]);
            }
        }
    }

    /// Takes memory.
    fn allocate(&mut self, len: usize) -> Result<usize, PredictError> {
        let offset = self.arena.allocate(len);
        self.within_limit(offset)
    }

    /// Takes memory that no value has at any time.
    pub(super) fn allocate_scratch(&mut self, len: usize) -> Result<usize, PredictError> {
        let offset = self.arena.extend(len);
        self.within_limit(offset)
    }

    fn within_limit(&self, offset: Option<usize>) -> Result<usize, PredictError> {
        match offset {
            Some(offset) if self.arena.len() <= self.max_bytes => Ok(offset),
            _ => Err(PredictError::OutOfMemory {
                expected_bytes: offset.map_or(isize::MAX as usize, |_| self.arena.len()),
            }),
        }
    }

    pub(super) fn arena_bytes(&self) -> usize {
        self.arena.len()
    }

    /// Returns the operand that a value is; `None` if its dims are unknown.
    pub(super) fn operand(
        &self,
        program: &Program,
        types: &[Option<TensorType>],
        id: ValueId,
    ) -> Option<Operand> {
        let place = self.places[program.lifetimes.root(id).index()]?;
        types[id.index()].as_ref()?;
        Some(Operand {
            place,
            len: bytes(types, id.index()),
        })
    }

    /// Returns the operands of a step or segment of this name, those of unknown dims left out.
    pub(super) fn operands(
        &self,
        program: &Program,
        types: &[Option<TensorType>],
        name: &str,
        (inputs, outputs): (&[ValueId], &[ValueId]),
        scratch: (usize, usize),
    ) -> Result<Operands, PredictError> {
        let of = |ids: &[ValueId]| {
            ids.iter()
                .filter_map(|&id| self.operand(program, types, id))
                .collect()
        };
        self.checked(name, of(inputs), of(outputs), scratch)
    }

    /// Returns operands of a step of this name that nobody writes but who may.
    pub(super) fn checked(
        &self,
        name: &str,
        inputs: Box<[Operand]>,
        outputs: Box<[Operand]>,
        scratch: (usize, usize),
    ) -> Result<Operands, PredictError> {
        Operands::new(inputs, outputs, scratch).map_err(|_| {
            PredictError::in_step(
                name,
                &"expected outputs of their own, found memory shared with other values",
            )
        })
    }

    /// Returns the inputs that steps read.
    pub(super) fn inputs_to_copy(
        &self,
        program: &Program,
        types: &[Option<TensorType>],
    ) -> Vec<Operand> {
        let last_uses = last_uses(program);
        (0..program.inputs)
            .filter(|&id| last_uses[id].is_some())
            .filter_map(|id| self.operand(program, types, ValueId(id as u32)))
            .collect()
    }
}

fn bytes(types: &[Option<TensorType>], id: usize) -> usize {
    types[id]
        .as_ref()
        .and_then(TensorType::stored_bytes)
        .unwrap_or(0)
}

/// Returns, for each root, the last step that needs it; for inputs the last that reads it.
fn last_uses(program: &Program) -> Vec<Option<u32>> {
    let mut last: Vec<Option<u32>> = (0..program.values.len() as u32)
        .map(|id| Some(program.lifetimes.lifetime(ValueId(id))?.last))
        .collect();
    for (step, index) in program.steps.iter().zip(0..) {
        for &input in &step.inputs {
            let root = program.lifetimes.root(input).index();
            if root < program.inputs {
                last[root] = Some(index);
            }
        }
    }
    for segment in segments(program) {
        let end = segment.steps.end as u32 - 1;
        for input in &segment.inputs {
            let last = &mut last[input.index()];
            *last = (*last).max(Some(end));
        }
    }
    last
}

/// Returns the segments between tract steps that a host may compute.
fn segments(program: &Program) -> impl Iterator<Item = &Segment> {
    program.offloaded.iter().flat_map(Offloaded::parts)
}

/// Returns, for each root, the first output that it is, if it is written by a step.
fn first_outputs(program: &Program) -> Vec<Option<usize>> {
    let mut outputs = vec![None; program.values.len()];
    for (index, &id) in program.outputs.iter().enumerate() {
        outputs[program.lifetimes.root(id).index()].get_or_insert(index);
    }
    outputs
}
