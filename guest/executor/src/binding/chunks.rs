//! Pairs of steps that are computed chunk by chunk, so that what is between them never exists as a whole.
//!
//! A convolution that makes many channels is often followed by what looks at each channel by itself: a depthwise convolution, as in networks for small
//! machines, a pool, or a reduction. What is widest is written once and read once. Channels are stored in blocks of 16, and the second step
//! needs, for one block, that block alone. So the first step makes some blocks, the second reads them, and the next ones take their place:
//!
//! ```text
//! x ── conv, weights of block 0 ──► between ── depthwise, block 0 ──► block 0 of y
//! x ── conv, weights of block 1 ──► between ── depthwise, block 1 ──► block 1 of y
//! ```
//!
//! Each number is computed as without chunks. The arena is smaller by what is not there, and what is between stays in the caches.

use tensorlet_kernels::{Run, Target, TensorType};
use tensorlet_plan::kernel::ConvWeights;
use tensorlet_plan::{Kernel, Layout, Step, Storage, ValueId};

use super::joined;
use super::places::Places;
use crate::error::PredictError;
use crate::program::Program;
use crate::slices::{Operand, Operands, Place};

/// Channels of a block.
const BLOCK: usize = 16;

/// What is between two steps is made in chunks if it has more bytes, of no more bytes unless a block has. About what a core has for itself.
const CHUNK_BYTES: usize = 512 << 10;

/// There are so many chunks at most, as the operands of each are kept.
const MOST_CHUNKS: usize = 1024;

/// A chunk has so many blocks at least if it is made by windows of many channels. They are read, and what they see is mostly copied, for each chunk
/// again, which is to be little beside what is computed of it.
const WINDOW_BLOCKS: usize = 8;

/// How a step is computed together with the next one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Chunks {
    /// What is between the steps.
    pub(super) between: ValueId,
    /// How many chunks there are.
    pub(super) count: usize,
    /// How many bytes of `between` there are at a time.
    pub(super) bytes: usize,
}

/// Two steps, bound to the sizes of a chunk.
pub(super) struct BoundChunks {
    pub(super) first: Box<dyn Run>,
    pub(super) second: Box<dyn Run>,
    /// Of both steps, for each chunk.
    pub(super) operands: Vec<[Operands; 2]>,
}

/// Finds out whether a step and the next are to be computed in chunks.
pub(super) fn find(
    program: &Program,
    types: &[Option<TensorType>],
    first: usize,
) -> Option<Chunks> {
    let [widen, look] = program.steps.get(first..first + 2)? else {
        return None;
    };
    let Kernel::Conv(conv) = &widen.kernel else {
        return None;
    };
    let min_blocks = match conv.weights {
        ConvWeights::Blocked if conv.kernel.iter().any(|&size| size != 1) => WINDOW_BLOCKS,
        ConvWeights::Blocked | ConvWeights::PlainInput => 1,
        ConvWeights::Depthwise | ConvWeights::Plain => return None,
    };
    let makes_blocks = conv.group == 1 && !conv.epilogue.residual;
    let reads_blocks = match &look.kernel {
        Kernel::Conv(conv) => conv.weights == ConvWeights::Depthwise && !conv.epilogue.residual,
        // Of blocked tensors they compute each channel by itself.
        Kernel::Pool(_) | Kernel::Reduce(_) => true,
        _ => false,
    };
    let between = joined::between(program, first)?;
    let &[out] = &*look.outputs else {
        return None;
    };
    let constants = widen.inputs[1..].iter().chain(&look.inputs[1..]);
    let are_constant =
        |id: &ValueId| matches!(program.values[id.index()].storage, Storage::Constant(_));
    if !makes_blocks
        || !reads_blocks
        // Part of it is written at a time.
        || !joined::is_in_arena(program, out)
        || joined::is_cut(program, first..first + 2)
        || !constants.clone().all(are_constant)
    {
        return None;
    }
    let tensor = types[between.index()].as_ref()?;
    let (&[1, channels, ..], bytes) = (&*tensor.dims, tensor.stored_bytes()?) else {
        return None;
    };
    let blocks = channels / BLOCK;
    // What is stored for each channel comes in whole blocks.
    let made = types[out.index()].as_ref()?;
    let are_blocks = channels.is_multiple_of(BLOCK)
        && [tensor.layout, made.layout] == [Layout::Blocked; 2]
        && made.dims.get(..2) == Some(&[1, channels][..])
        && constants.clone().all(|id| is_divided(types, *id, channels));
    if bytes <= CHUNK_BYTES || !are_blocks {
        return None;
    }
    let most = blocks / min_blocks;
    let mut counts = (2..=most).filter(|&count| blocks.is_multiple_of(count));
    // If none is small enough, as many as there may be.
    let count = counts.clone().find(|count| bytes / count <= CHUNK_BYTES);
    let count = count.or_else(|| counts.next_back())?;
    (count <= MOST_CHUNKS).then_some(Chunks {
        between,
        count,
        bytes: bytes / count,
    })
}

/// Reports whether a constant has one part for each block of channels: bias one number a channel, weights one row a block.
fn is_divided(types: &[Option<TensorType>], id: ValueId, channels: usize) -> bool {
    let dims = types[id.index()].as_ref().map(|tensor| &*tensor.dims);
    match dims {
        Some([numbers]) => *numbers == channels,
        Some([blocks, ..]) => *blocks == channels / BLOCK,
        _ => false,
    }
}

/// Binds both steps to the sizes of a chunk.
pub(super) fn bind(
    program: &Program,
    types: &[Option<TensorType>],
    first: usize,
    chunks: Chunks,
    target: &Target<'_>,
) -> Result<[Box<dyn Run>; 2], PredictError> {
    let whole = |id: ValueId| {
        let tensor = types[id.index()].clone();
        tensor.expect("`find` looked at its dims")
    };
    let part = |&id: &ValueId| {
        let mut tensor = whole(id);
        // Channels are the first axis of weights and bias, and the second of what is computed.
        let axis = match program.values[id.index()].storage {
            Storage::Constant(_) => 0,
            _ => 1,
        };
        tensor.dims[axis] /= chunks.count;
        tensor
    };
    let bind = |step: &Step, inputs: Vec<TensorType>| {
        let outputs: Vec<TensorType> = step.outputs.iter().map(part).collect();
        let mut kernel = step.kernel.clone();
        if let Kernel::Conv(conv) = &mut kernel
            && conv.weights == ConvWeights::Depthwise
        {
            conv.group /= u32::try_from(chunks.count).unwrap_or(u32::MAX);
        }
        tensorlet_kernels::bind(&kernel, &inputs, &outputs, target)
            .map_err(|error| PredictError::in_step(&step.name, &error))
    };
    let [widen, look] = [&program.steps[first], &program.steps[first + 1]];
    // The first step reads all channels of `x`, the second those that are there.
    let x = std::iter::once(whole(widen.inputs[0]));
    let of_first = x.chain(widen.inputs[1..].iter().map(part)).collect();
    let of_second = look.inputs.iter().map(part).collect();
    Ok([bind(widen, of_first)?, bind(look, of_second)?])
}

/// Returns the operands of both steps for each chunk.
pub(super) fn operands(
    program: &Program,
    types: &[Option<TensorType>],
    places: &Places,
    first: usize,
    chunks: Chunks,
    scratch: (usize, usize),
) -> Result<Vec<[Operands; 2]>, PredictError> {
    let whole = |id: ValueId| {
        let operand = places.operand(program, types, id);
        operand.expect("`find` looked at its dims")
    };
    let between = Operand {
        len: chunks.bytes,
        ..whole(chunks.between)
    };
    let [widen, look] = [&program.steps[first], &program.steps[first + 1]];
    let chunk = |index: usize| {
        let part = |&id: &ValueId| part(whole(id), chunks.count, index);
        let x = [whole(widen.inputs[0])].into_iter();
        let of_first = x.chain(widen.inputs[1..].iter().map(part)).collect();
        let of_second = [between]
            .into_iter()
            .chain(look.inputs[1..].iter().map(part));
        let of_second = of_second.collect();
        let out = [part(&look.outputs[0])].into();
        Ok([
            places.checked(&widen.name, of_first, [between].into(), scratch)?,
            places.checked(&look.name, of_second, out, scratch)?,
        ])
    };
    (0..chunks.count).map(chunk).collect()
}

/// Returns one of so many equal parts.
fn part(whole: Operand, count: usize, index: usize) -> Operand {
    let len = whole.len / count;
    let place = match whole.place {
        Place::Constant(offset) => Place::Constant(offset + index * len),
        Place::Arena(offset) => Place::Arena(offset + index * len),
        Place::Input { .. } | Place::Output { .. } => {
            unreachable!("`find` lets only constants and buffers be divided")
        }
    };
    Operand { place, len }
}
