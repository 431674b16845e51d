//! Joins tensors.

#[cfg(test)]
mod tests;

use tensorlet_plan::Layout;

use super::check;
use super::strided::{Axis, Side, Strided};
use crate::bind::Types;
use crate::crew::Crew;
use crate::run::{BindError, Run, RunError};
use crate::tensor_type::{BLOCK, TensorType};

/// One copy an input.
struct Concat(Vec<Strided>);

impl Run for Concat {
    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        _scratch: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        for (copy, from) in self.0.iter().zip(inputs) {
            copy.run(from, outputs[0], crew)?;
        }
        Ok(())
    }
}

pub(super) fn bind(axis: u32, types: Types<'_>) -> Result<Box<dyn Run>, BindError> {
    check::counts(types, types.inputs.len(), 1)?;
    let y = &types.outputs[0];
    let axis = check::axis(axis, y)?;
    check_inputs(types.inputs, axis, y)?;
    let width_bytes = y.datum_type.width_bytes();
    let dims = check::stored_dims(y);
    let to = check::strides(&dims);
    let to_len = y.stored_len().unwrap_or(0);
    let mut begin = 0;
    let mut copies = Vec::with_capacity(types.inputs.len());
    for x in types.inputs {
        let dims = check::stored_dims(x);
        let copied = dims
            .iter()
            .zip(check::strides(&dims))
            .zip(&to)
            .map(|((&len, from), &to)| Axis {
                len,
                from: from.cast_signed(),
                to,
            })
            .collect::<Vec<Axis>>();
        let from = Side {
            first: 0,
            len: x.stored_len().unwrap_or(0),
        };
        // The place is used only if something is copied there.
        let to = Side {
            first: to[axis].saturating_mul(begin),
            len: to_len,
        };
        copies.push(Strided::new(width_bytes, from, to, &copied));
        begin += dims[axis];
    }
    Ok(Box::new(Concat(copies)))
}

/// Checks that the inputs lie along the axis of the output, one after the other.
fn check_inputs(inputs: &[TensorType], axis: usize, y: &TensorType) -> Result<(), BindError> {
    let mut end = Some(0usize);
    for (i, x) in inputs.iter().enumerate() {
        check::same_datum_type(x, y)?;
        let mut dims = y.dims.clone();
        dims[axis] = x.dims.get(axis).copied().unwrap_or(0);
        if x.layout != y.layout || x.dims != dims {
            return Err(BindError::new(format!(
                "expected tensors of the layout and dims of {y} but for axis {axis}, found {x}"
            )));
        }
        let whole = dims[axis].is_multiple_of(BLOCK) || i + 1 == inputs.len();
        if y.layout == Layout::Blocked && axis == 1 && !whole {
            return Err(check::mismatch(
                "whole blocks of channels in all inputs but the last",
                x,
            ));
        }
        end = end.and_then(|end| end.checked_add(dims[axis]));
    }
    if end != Some(y.dims[axis]) {
        return Err(check::mismatch(
            "an axis as long as those of the inputs together",
            y,
        ));
    }
    Ok(())
}
