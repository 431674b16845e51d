//! Resizing.
//!
//! Which elements of the input an element of the output depends on, and how much, is worked out for each axis when a kernel is
//! bound: in f32 and in the order of ONNX Runtime's computations, because a position close to that of an element, or to the middle
//! of two, is rounded one way or the other by its last bits.
//!
//! - `nearest`: copies, whatever the datum type.
//! - `interpolate`: linear and cubic, one axis after the other. Integers are computed as f32 and truncated.

mod interpolate;
mod nearest;
mod position;

#[cfg(test)]
mod examples;
#[cfg(test)]
mod tests;

use tensorlet_plan::Layout;
use tensorlet_plan::kernel::{Resize, ResizeMode};

use crate::arrange::check;
use crate::bind::Types;
use crate::run::{BindError, Nothing, Run, Target};
use crate::tensor_type::BLOCK;

use position::Axis;

pub(crate) fn bind(
    resize: &Resize,
    types: Types<'_>,
    target: &Target<'_>,
) -> Result<Box<dyn Run>, BindError> {
    check::counts(types, 1, 1)?;
    let (x, y) = (&types.inputs[0], &types.outputs[0]);
    check::same_datum_type(x, y)?;
    let rank = x.dims.len();
    if x.layout != y.layout || y.dims.len() != rank || rank < 3 || x.dims[..2] != y.dims[..2] {
        return Err(BindError::new(format!(
            "expected at least three axes, the same layout and the same first two dims, found {x} and {y}"
        )));
    }
    let scales = resize.scales.as_slice();
    if !(scales.is_empty() || scales.len() == rank && scales[..2] == [1.0, 1.0]) {
        return Err(check::mismatch(
            "no factors, or one for each axis, 1 for the first two, with a tensor",
            x,
        ));
    }
    let axes = (2..rank)
        .map(|axis| {
            let scale = resize.scales.get(axis).copied();
            Axis::new(x.dims[axis], y.dims[axis], scale, resize.coordinates)
        })
        .collect::<Result<Vec<Axis>, BindError>>()?;
    let lanes = match x.layout {
        Layout::Plain => 1,
        Layout::Blocked => BLOCK,
    };
    match resize.mode {
        _ if y.is_empty() => Ok(Box::new(Nothing)),
        ResizeMode::Nearest(rounding) => {
            let tables: Vec<Vec<u32>> = axes.iter().map(|axis| axis.nearest(rounding)).collect();
            Ok(nearest::bind(x, &tables, lanes))
        }
        ResizeMode::Linear => interpolate::bind(x, &axes, None, lanes, target.isa),
        ResizeMode::Cubic { coefficient } => {
            interpolate::bind(x, &axes, Some(coefficient), lanes, target.isa)
        }
    }
}
