//! Functions of one element.
//!
//! - `exponential`, `normal`, `trigonometric` and `simple` hold the functions of a vector, which other families use too.
//! - `float` applies them to slices of f32.
//! - Whatever is not f32 is computed in a wider type, a chunk at a time.

mod exponential;
mod float;
mod normal;
mod simple;
mod trigonometric;
mod wide;

#[cfg(test)]
pub(crate) mod reference;
#[cfg(test)]
mod tests;

use tensorlet_plan::kernel::UnaryOp;
use tensorlet_tensor::DatumType;

use crate::bind::Types;
use crate::crew::Crew;
use crate::isa::Isa;
use crate::run::{BindError, Run, RunError, Target};

pub(crate) use self::exponential::{exp, exp_of_negative, log, sigmoid, tanh};

/// Replaces numbers by a function of them.
///
/// # Panics
/// If `op` does not make f32 of f32; see [`check_float`].
pub(crate) fn apply_in_place(op: UnaryOp, isa: Isa, data: &mut [f32]) {
    float::apply_in_place(op, isa, data);
}

// Errors do not print the function: to print its numbers would take more code than all functions have.

/// Checks that an operator makes f32 of f32, as it must where it is part of another kernel.
pub(crate) fn check_float(op: UnaryOp) -> Result<(), BindError> {
    if !float::is_float(op) {
        return Err(BindError::new(
            "expected a function from f32 to f32, found one of or to another datum type",
        ));
    }
    match op {
        UnaryOp::Celu { alpha } if alpha.is_nan() || alpha <= 0.0 => Err(BindError::new(
            "expected an alpha of Celu above 0, found another",
        )),
        _ => Ok(()),
    }
}

/// Binds a function of each element. Both tensors have the same dims and layout, and the same datum type but for those to bool.
pub(crate) fn bind(
    op: UnaryOp,
    types: Types<'_>,
    target: &Target<'_>,
) -> Result<Box<dyn Run>, BindError> {
    let ([x], [y]) = (types.inputs, types.outputs) else {
        return Err(BindError::new(format!(
            "expected one input and one output of a function, found {} and {}",
            types.inputs.len(),
            types.outputs.len()
        )));
    };
    let to_bool = matches!(op, UnaryOp::IsNan | UnaryOp::IsInf { .. });
    let expected = if to_bool {
        DatumType::Bool
    } else {
        x.datum_type
    };
    if x.dims != y.dims || x.layout != y.layout || y.datum_type != expected {
        return Err(BindError::new(format!(
            "expected a function of {x} to make {expected} of the same dims and layout, found {y}"
        )));
    }
    let isa = target.isa;
    match x.datum_type {
        DatumType::F32 if !to_bool => {
            check_float(op)?;
            Ok(Box::new(Float { op, isa }))
        }
        DatumType::F16 | DatumType::Bf16 if float::is_float(op) => {
            check_float(op)?;
            Ok(Box::new(wide::Half::new(op, isa, x.datum_type)))
        }
        datum_type => wide::bind(op, datum_type),
    }
}

/// A function from f32 to f32.
struct Float {
    op: UnaryOp,
    isa: Isa,
}

impl Run for Float {
    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        _scratch: &mut [u8],
        _crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let x = bytemuck::cast_slice(inputs[0]);
        let y = bytemuck::cast_slice_mut(outputs[0]);
        float::apply(self.op, self.isa, x, y);
        Ok(())
    }
}
