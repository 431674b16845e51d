//! Functions of two elements, with broadcasting.
//!
//! - `broadcast` finds the loops.
//! - `float` computes what networks are made of: sums, products and the like of f32, by vectors.
//! - `wide` computes everything else, in i64 or f64.

pub(crate) mod broadcast;
mod float;
mod wide;

#[cfg(test)]
mod tests;

use tensorlet_plan::kernel::BinaryOp;
use tensorlet_tensor::DatumType;

use self::broadcast::Nest;
use crate::bind::Types;
use crate::run::{BindError, Run, Target};

/// Binds a function of two elements. Operands have the same datum type; either both are blocked, or one of them is a single element,
/// or neither is.
pub(crate) fn bind(
    op: BinaryOp,
    types: Types<'_>,
    target: &Target<'_>,
) -> Result<Box<dyn Run>, BindError> {
    let ([a, b], [y]) = (types.inputs, types.outputs) else {
        return Err(BindError::new(format!(
            "expected two inputs and one output of {op:?}, found {} and {}",
            types.inputs.len(),
            types.outputs.len()
        )));
    };
    let output = output_type(op, a.datum_type);
    if a.datum_type != b.datum_type || output != Some(y.datum_type) {
        return Err(BindError::new(format!(
            "expected operands of one datum type that {op:?} is computed in and the result's, found {a}, {b} and {y}"
        )));
    }
    let nest = Nest::new([a, b, b], y)?;
    let nest = if y.datum_type == DatumType::F32 {
        match float::Float::new(op, target.isa, nest) {
            Ok(float) => return Ok(Box::new(float)),
            Err(nest) => nest,
        }
    } else {
        nest
    };
    Ok(Box::new(wide::Wide {
        op,
        operands: a.datum_type,
        output: y.datum_type,
        nest,
    }))
}

/// Returns the datum type of the result, or `None` if there is none for such operands.
fn output_type(op: BinaryOp, operands: DatumType) -> Option<DatumType> {
    let is_bool = operands == DatumType::Bool;
    let is_integer = !is_bool && !operands.is_float();
    let is_unsigned = matches!(
        operands,
        DatumType::U8 | DatumType::U16 | DatumType::U32 | DatumType::U64
    );
    match op {
        BinaryOp::Equal => Some(DatumType::Bool),
        BinaryOp::Less | BinaryOp::LessOrEqual | BinaryOp::Greater | BinaryOp::GreaterOrEqual => {
            (!is_bool).then_some(DatumType::Bool)
        }
        BinaryOp::And | BinaryOp::Or | BinaryOp::Xor => is_bool.then_some(operands),
        BinaryOp::BitwiseAnd | BinaryOp::BitwiseOr | BinaryOp::BitwiseXor => {
            is_integer.then_some(operands)
        }
        BinaryOp::ShiftLeft | BinaryOp::ShiftRight => is_unsigned.then_some(operands),
        BinaryOp::Add
        | BinaryOp::Sub
        | BinaryOp::Mul
        | BinaryOp::Div
        | BinaryOp::Pow
        | BinaryOp::Max
        | BinaryOp::Min
        | BinaryOp::Mod
        | BinaryOp::Fmod
        | BinaryOp::PRelu => (!is_bool).then_some(operands),
    }
}
