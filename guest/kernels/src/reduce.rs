//! Reductions.
//!
//! - `shape` finds the loops.
//! - `float` folds f32 by vectors, `integer` everything else.

mod float;
mod integer;
mod shape;
mod way;

#[cfg(test)]
mod tests;

use tensorlet_plan::kernel::{Reduce, ReduceOp};
use tensorlet_tensor::DatumType;

use self::float::Fold;
use self::shape::Shape;
use self::way::{Extreme, Sum};
use crate::bind::Types;
use crate::crew::Crew;
use crate::isa::Isa;
use crate::run::{BindError, Run, RunError, Target};

/// Binds a reduction. A reduction of nothing is what changes nothing: 0 for a sum, minus infinity for a maximum.
pub(crate) fn bind(
    reduce: &Reduce,
    types: Types<'_>,
    target: &Target<'_>,
) -> Result<Box<dyn Run>, BindError> {
    let ([x], [y]) = (types.inputs, types.outputs) else {
        return Err(BindError::new(format!(
            "expected one input and one output of a reduction, found {} and {}",
            types.inputs.len(),
            types.outputs.len()
        )));
    };
    let (op, datum_type) = (reduce.op, x.datum_type);
    let is_float = datum_type == DatumType::F32;
    if y.datum_type != datum_type || !(is_float || integer::Integers::is_there(op, datum_type)) {
        return Err(BindError::new(format!(
            "expected datum types that {op:?} is computed in, found {x} and {y}"
        )));
    }
    let shape = Shape::new(&reduce.axes, x, y)?;
    if is_float {
        return Ok(Box::new(Float {
            op,
            isa: target.isa,
            shape,
        }));
    }
    Ok(Box::new(integer::Integers {
        op,
        datum_type,
        shape,
    }))
}

/// What is made of a fold, given how many numbers were folded.
type Finish = fn(f32, f32) -> f32;

/// A reduction of f32.
struct Float {
    op: ReduceOp,
    isa: Isa,
    shape: Shape,
}

impl Run for Float {
    fn scratch_bytes(&self) -> usize {
        match self.op {
            // The largest numbers.
            ReduceOp::LogSumExp => self.shape.output_len * size_of::<f32>(),
            _ => 0,
        }
    }

    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        scratch: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let x: &[f32] = bytemuck::cast_slice(inputs[0]);
        let y: &mut [f32] = bytemuck::cast_slice_mut(outputs[0]);
        let (how, finish): (Fold<'_>, Option<Finish>) = match self.op {
            ReduceOp::Sum => (Fold::Sum(Sum::OF_NUMBERS), None),
            ReduceOp::Mean => (Fold::Sum(Sum::OF_NUMBERS), Some(|sum, count| sum / count)),
            ReduceOp::Max | ReduceOp::LogSumExp => (Fold::Extreme(Extreme::LARGEST), None),
            ReduceOp::Min => (Fold::Extreme(Extreme::SMALLEST), None),
            ReduceOp::Product => return float::multiply(&self.shape, x, y, crew),
            ReduceOp::L1 => (Fold::Sum(Sum::OF_MAGNITUDES), None),
            ReduceOp::L2 => (Fold::Squares, Some(|sum, _| sum.sqrt())),
            ReduceOp::SumSquare => (Fold::Squares, None),
            ReduceOp::LogSum => (Fold::Sum(Sum::OF_NUMBERS), Some(|sum, _| sum.ln())),
        };
        float::fold(how, self.isa, &self.shape, x, y, crew)?;
        if let Some(finish) = finish {
            let count = self.shape.count() as f32;
            y.iter_mut().for_each(|y| *y = finish(*y, count));
        }
        if self.op == ReduceOp::LogSumExp {
            let offsets = &mut bytemuck::cast_slice_mut(scratch)[..y.len()];
            // Infinity minus itself would be NaN.
            for (offset, max) in offsets.iter_mut().zip(&*y) {
                *offset = if max.is_finite() { *max } else { 0.0 };
            }
            let how = Fold::Exponentials(offsets);
            float::fold(how, self.isa, &self.shape, x, y, crew)?;
            for (y, offset) in y.iter_mut().zip(offsets) {
                *y = y.ln() + *offset;
            }
        }
        Ok(())
    }
}
