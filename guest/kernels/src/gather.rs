//! Look-ups.
//!
//! What is looked up has any datum type; it is copied by width, or in rows.

pub(crate) mod elements;
pub(crate) mod index;
pub(crate) mod nd;
mod slices;

#[cfg(test)]
mod tests;

use tensorlet_plan::kernel::Gather;

use crate::arrange::check;
use crate::bind::Types;
use crate::run::{BindError, Run};
use crate::tensor_type::TensorType;

use index::IndexType;

pub(crate) fn bind(gather: Gather, types: Types<'_>) -> Result<Box<dyn Run>, BindError> {
    check::counts(types, 2, 1)?;
    let (x, indices, y) = (&types.inputs[0], &types.inputs[1], &types.outputs[0]);
    check::plain(&[x, indices, y])?;
    check::same_datum_type(x, y)?;
    let tensors = Tensors {
        x,
        indices,
        index_type: IndexType::of(indices)?,
        y,
    };
    match gather {
        Gather::Slices { axis, out_of_range } => slices::bind(axis, out_of_range, tensors),
        Gather::Elements { axis } => elements::bind(axis, tensors),
        Gather::Nd { batch_dims } => nd::bind(batch_dims, tensors),
    }
}

/// The tensors of a look-up, all row-major, `x` and `y` of the same datum type.
#[derive(Clone, Copy)]
struct Tensors<'a> {
    x: &'a TensorType,
    indices: &'a TensorType,
    index_type: IndexType,
    y: &'a TensorType,
}
