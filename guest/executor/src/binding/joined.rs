//! Steps that are computed together, so that what is between them never exists as a whole.

use std::ops::Range;

use tensorlet_plan::{Storage, ValueId};

use crate::program::Program;

/// Neighbouring steps that are computed together.
pub(super) struct Joined {
    pub(super) steps: Range<usize>,
    /// What is between them, and how many bytes of it there are at a time in the arena.
    pub(super) between: Vec<(ValueId, usize)>,
}

/// Returns what a step makes, if the next step reads it first, and nobody else ever.
pub(super) fn between(program: &Program, first: usize) -> Option<ValueId> {
    let [writer, reader] = program.steps.get(first..first + 2)? else {
        return None;
    };
    let &[between] = &*writer.outputs else {
        return None;
    };
    let reads = reader.inputs.iter();
    let reads = reads.filter(|&&input| program.lifetimes.root(input) == between);
    let last = program.lifetimes.lifetime(between)?.last;
    let is_read_once = usize::try_from(last) == Ok(first + 1)
        && reader.inputs.first() == Some(&between)
        && reads.count() == 1;
    (is_in_arena(program, between) && is_read_once).then_some(between)
}

/// Reports whether a value lies in the arena, whatever the caller's tensors are.
pub(super) fn is_in_arena(program: &Program, id: ValueId) -> bool {
    matches!(program.values[id.index()].storage, Storage::Buffer) && !program.outputs.contains(&id)
}

/// Reports whether a host may compute some of the steps without the others.
pub(super) fn is_cut(program: &Program, steps: Range<usize>) -> bool {
    let mut neighbours = steps.clone().zip(steps.skip(1));
    neighbours.any(|(one, next)| {
        let mut parts = program.parts();
        parts.any(|segment| segment.steps.contains(&one) != segment.steps.contains(&next))
    })
}
