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
use crate::crew::{Crew, LINE};
use crate::isa::Isa;
use crate::run::{BindError, Run, RunError, Target};

/// How much work functions of that many numbers are: from a quarter, of those that memory keeps waiting, to several times of it.
const LINE_WORK: usize = LINE / 2;

pub(crate) use self::exponential::{exp, exp_of_negative, log, sigmoid, tanh};

/// Replaces numbers by a function of them.
///
/// # Panics
/// If `op` does not make f32 of f32; see [`check_float`].
#[inline(never)]
pub(crate) fn apply_in_place(op: UnaryOp, isa: Isa, data: &mut [f32]) {
    float::apply_in_place(op, float::scalar(op, data), isa, data);
}

/// As [`apply_in_place`], with a crew.
///
/// # Errors
/// If the call is interrupted.
#[cfg_attr(target_arch = "wasm32", inline(always))]
pub(crate) fn share_in_place(
    op: UnaryOp,
    isa: Isa,
    data: &mut [f32],
    crew: Crew<'_>,
) -> Result<(), RunError> {
    if cfg!(target_arch = "wasm32") {
        apply_in_place(op, isa, data);
        return Ok(());
    }
    let scalar = float::scalar(op, data);
    crew.divide(data, LINE, LINE_WORK, |_, data| {
        float::apply_in_place(op, scalar, isa, data);
        Ok(())
    })
}

/// Reports whether what a function makes of a number depends, in its last digits, on the numbers that it is given with.
pub(crate) fn sees_others(op: UnaryOp) -> bool {
    matches!(op, UnaryOp::Sin | UnaryOp::Cos)
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
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let x: &[f32] = bytemuck::cast_slice(inputs[0]);
        let y: &mut [f32] = bytemuck::cast_slice_mut(outputs[0]);
        assert_eq!(x.len(), y.len(), "a result for each number");
        let scalar = float::scalar(self.op, x);
        crew.divide(y, LINE, LINE_WORK, |first, y| {
            let x = &x[first * LINE..][..y.len()];
            float::apply(self.op, scalar, self.isa, x, y);
            Ok(())
        })
    }
}
