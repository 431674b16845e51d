//! Operators that put tensors together and take them apart along an axis.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::Slice;
use tract_onnx::prelude::TDim;

use super::context::Context;
use super::dims::{axis, simpler};
use super::registry::{Entry, Importer};
use crate::graph::ValueId;

pub(super) const OPERATORS: &[Entry] = &[
    ("Concat", Importer::Function(concat)),
    ("Split", Importer::Function(split)),
];

fn concat(node: &mut Context<'_, '_>) -> Option<()> {
    let parts: Vec<ValueId> = (0..node.inputs())
        .map(|index| node.input(index))
        .collect::<Option<_>>()?;
    let rank = node.rank(*parts.first()?);
    let axis = axis(node.int("axis")?, rank)?;
    let y = join(node, &parts, axis)?;
    node.output(0, y)
}

/// Joins values along an axis.
pub(super) fn join(node: &mut Context<'_, '_>, parts: &[ValueId], axis: usize) -> Option<ValueId> {
    let (&first, rest) = parts.split_first()?;
    if rest.is_empty() {
        return Some(first);
    }
    let datum_type = node.datum_type(first);
    let mut dims = node.dims(first);
    for &part in rest {
        let others = node.dims(part);
        if others.len() != dims.len() || node.datum_type(part) != datum_type {
            return None;
        }
        for (index, other) in others.into_iter().enumerate() {
            if index == axis {
                dims[index] += other;
            } else {
                dims[index] = simpler(dims[index].clone(), other);
            }
        }
    }
    let kernel = Kernel::Concat { axis: axis as u32 };
    node.kernel(kernel, parts, datum_type, dims)
}

/// The sizes are an attribute until opset 13, then an input; without them, the parts are equal, or the last one is smaller.
fn split(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let dims = node.dims(x);
    let axis = axis(node.int_or("axis", 0), dims.len())?;
    let sizes: Vec<TDim> = match node.ints("split") {
        Some(sizes) => sizes.iter().map(TDim::from).collect(),
        None if node.has(1) => node.sizes(1)?,
        None => equal_parts(node, &dims[axis])?,
    };
    if sizes.len() < node.outputs() {
        return None;
    }
    let mut begin = TDim::from(0);
    for (index, size) in sizes.into_iter().take(node.outputs()).enumerate() {
        let end = begin.clone() + &size;
        if node.wants(index) {
            let y = part(node, x, axis, begin.as_i64()?, size)?;
            node.output(index, y)?;
        }
        begin = end;
    }
    Some(())
}

fn equal_parts(node: &Context<'_, '_>, size: &TDim) -> Option<Vec<TDim>> {
    let count = match node.int("num_outputs") {
        Some(count) => usize::try_from(count).ok()?,
        None => node.outputs(),
    };
    if count == 0 || count > 1 << 16 {
        return None;
    }
    let part = size.clone().div_ceil(count as u64);
    let mut parts = vec![part.clone(); count];
    if let (Some(size), Some(part)) = (size.as_i64(), part.as_i64()) {
        *parts.last_mut()? = (size - part * (count as i64 - 1)).into();
    } else {
        // Which does not divide, does not compute.
        parts.fill(size.clone() / count as u64);
    }
    Some(parts)
}

/// Takes a range of an axis; a negative `begin` counts from its end.
pub(super) fn part(
    node: &mut Context<'_, '_>,
    x: ValueId,
    axis: usize,
    begin: i64,
    size: TDim,
) -> Option<ValueId> {
    let mut dims = node.dims(x);
    if begin == 0 && *dims.get(axis)? == size {
        return Some(x);
    }
    let mut starts = vec![0; dims.len()];
    starts[axis] = begin;
    dims[axis] = size;
    let kernel = Kernel::Slice(Slice {
        steps: vec![1; starts.len()],
        starts,
    });
    let datum_type = node.datum_type(x);
    node.kernel(kernel, &[x], datum_type, dims)
}
