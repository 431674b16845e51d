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
//! Steps that are computed together are like one step, and what is between them has room for as much of it as there is at a time. A segment that a host may compute is like one step as well: what it reads stays until its end, and what it leaves exists from its beginning.
//!
//! Room for copies is part of the arena's size, though a copy is made only where the caller's tensors are not aligned. Mostly
//! it is room that other buffers have later or earlier.

use tensorlet_kernels::TensorType;
use tensorlet_plan::{Storage, Value, ValueId};

use super::joined::Joined;
use crate::arena::{Buffer, pack};
use crate::error::PredictError;
use crate::memory::ALIGN_BYTES;
use crate::program::Program;
use crate::slices::{Operand, Operands, Place};

/// The place of every root; aliases and values of unknown dims have none.
pub(super) struct Places {
    places: Vec<Option<Place>>,
    arena_bytes: usize,
    max_bytes: usize,
}

impl Places {
    /// Finds room for all that has none.
    pub(super) fn assign(
        program: &Program,
        types: &[Option<TensorType>],
        joined: &[Joined],
    ) -> Result<Self, PredictError> {
        let (ids, buffers) = buffers(program, types, joined);
        let packed = pack(&buffers);
        let (offsets, arena_bytes) = packed.ok_or(PredictError::OutOfMemory {
            expected_bytes: isize::MAX as usize,
        })?;
        let mut offset_of = vec![None; program.values.len()];
        for (id, offset) in ids.into_iter().zip(offsets) {
            offset_of[id] = Some(offset);
        }
        let outputs = first_outputs(program);
        let place = |(id, value): (usize, &Value)| match &value.storage {
            Storage::Constant(range) => {
                let offset = program.constants.offset(range.start);
                Some(Place::Constant(offset))
            }
            Storage::Input => Some(Place::Input {
                index: id,
                copy: offset_of[id].unwrap_or(0),
            }),
            Storage::Alias(_) | Storage::Buffer => offset_of[id].map(|offset| match outputs[id] {
                Some(index) => Place::Output {
                    index,
                    copy: offset,
                },
                None => Place::Arena(offset),
            }),
        };
        let places = Self {
            places: program.values.iter().enumerate().map(place).collect(),
            arena_bytes,
            max_bytes: program.max_arena_bytes,
        };
        places.check_limit()?;
        Ok(places)
    }

    /// Takes memory that no value has at any time.
    pub(super) fn allocate_scratch(&mut self, len: usize) -> Result<usize, PredictError> {
        let offset = self.arena_bytes;
        let end = len.checked_next_multiple_of(ALIGN_BYTES);
        let end = end.and_then(|len| offset.checked_add(len));
        let end = end.filter(|&end| isize::try_from(end).is_ok());
        self.arena_bytes = end.ok_or(PredictError::OutOfMemory {
            expected_bytes: isize::MAX as usize,
        })?;
        self.check_limit()?;
        Ok(offset)
    }

    fn check_limit(&self) -> Result<(), PredictError> {
        match self.arena_bytes <= self.max_bytes {
            true => Ok(()),
            false => Err(PredictError::OutOfMemory {
                expected_bytes: self.arena_bytes,
            }),
        }
    }

    pub(super) fn arena_bytes(&self) -> usize {
        self.arena_bytes
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

/// Returns the values that need room, and during which steps.
fn buffers(
    program: &Program,
    types: &[Option<TensorType>],
    joined: &[Joined],
) -> (Vec<usize>, Vec<Buffer>) {
    let mut first_uses: Vec<Option<u32>> = vec![None; program.values.len()];
    let mut last_uses = last_uses(program);
    for (step, index) in program.steps.iter().zip(0..) {
        for output in &step.outputs {
            first_uses[output.index()] = Some(index);
        }
    }
    for segment in program.parts() {
        for output in &segment.outputs {
            let first = &mut first_uses[program.lifetimes.root(*output).index()];
            *first = first.map(|first| first.min(segment.steps.start as u32));
        }
    }
    let mut lens: Vec<usize> = (0..program.values.len())
        .map(|id| bytes(types, id))
        .collect();
    for joined in joined {
        for &(between, bytes) in &joined.between {
            lens[between.index()] = bytes;
        }
        let (begin, end) = (joined.steps.start as u32, joined.steps.end as u32 - 1);
        let steps = &program.steps[joined.steps.clone()];
        // The last one writes while the others still read.
        for output in steps.iter().flat_map(|step| &step.outputs) {
            let first = &mut first_uses[output.index()];
            *first = first.map(|first| first.min(begin));
        }
        for &input in steps.iter().flat_map(|step| &step.inputs) {
            let last = &mut last_uses[program.lifetimes.root(input).index()];
            *last = last.map(|last| last.max(end));
        }
    }
    let needs_room = |(id, value): (usize, &Value)| {
        let (first, last) = match value.storage {
            Storage::Input => (0, last_uses[id]?),
            Storage::Buffer => {
                types[id].as_ref()?;
                let first = first_uses[id]?;
                (first, last_uses[id]?.max(first))
            }
            Storage::Constant(_) | Storage::Alias(_) => return None,
        };
        let len = lens[id];
        Some((id, Buffer { len, first, last }))
    };
    let values = program.values.iter().enumerate();
    values.filter_map(needs_room).unzip()
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
    for segment in program.parts() {
        let end = segment.steps.end as u32 - 1;
        for input in &segment.inputs {
            let last = &mut last[input.index()];
            *last = (*last).max(Some(end));
        }
    }
    last
}

/// Returns, for each root, the first output that it is, if it is written by a step.
fn first_outputs(program: &Program) -> Vec<Option<usize>> {
    let mut outputs = vec![None; program.values.len()];
    for (index, &id) in program.outputs.iter().enumerate() {
        outputs[program.lifetimes.root(id).index()].get_or_insert(index);
    }
    outputs
}
