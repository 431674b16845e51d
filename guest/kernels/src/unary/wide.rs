//! Functions of one element that is not f32, computed in a wider type.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use tensorlet_plan::kernel::UnaryOp;
use tensorlet_tensor::DatumType;

use crate::cast::wide::{self, CHUNK};
use crate::crew::Crew;
use crate::isa::Isa;
use crate::run::{BindError, Run, RunError};

/// A function of f16 or bf16, by way of f32.
pub(super) struct Half {
    op: UnaryOp,
    isa: Isa,
    datum_type: DatumType,
}

impl Half {
    pub(super) fn new(op: UnaryOp, isa: Isa, datum_type: DatumType) -> Self {
        Self {
            op,
            isa,
            datum_type,
        }
    }
}

impl Run for Half {
    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        _scratch: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let (x, y) = (inputs[0], &mut *outputs[0]);
        assert_eq!(x.len(), y.len(), "a result for each number");
        crew.divide(y, 2 * CHUNK, CHUNK, |first, y| {
            let mut chunk = [0.0f32; CHUNK];
            let x = &x[first * 2 * CHUNK..];
            for (x, y) in x.chunks(2 * CHUNK).zip(y.chunks_mut(2 * CHUNK)) {
                let chunk = &mut chunk[..x.len() / 2];
                let brief = self.datum_type == DatumType::Bf16;
                if brief {
                    bytemuck::cast_slice::<_, bf16>(x).convert_to_f32_slice(chunk);
                } else {
                    bytemuck::cast_slice::<_, f16>(x).convert_to_f32_slice(chunk);
                }
                super::apply_in_place(self.op, self.isa, chunk);
                if brief {
                    bytemuck::cast_slice_mut::<_, bf16>(y).convert_from_f32_slice(chunk);
                } else {
                    bytemuck::cast_slice_mut::<_, f16>(y).convert_from_f32_slice(chunk);
                }
            }
            Ok(())
        })
    }
}

/// Binds a function of integers, truth values or f64, or one to bool.
pub(super) fn bind(op: UnaryOp, datum_type: DatumType) -> Result<Box<dyn Run>, BindError> {
    use UnaryOp::{Abs, BitwiseNot, IsInf, IsNan, Neg, Not, Sign};
    let bound: Option<Box<dyn Run>> = match (op, datum_type) {
        (Not, DatumType::Bool) => Some(Box::new(Integers { op, datum_type })),
        (_, DatumType::Bool) => None,
        (Abs | Neg | Sign, DatumType::F64) => Some(Box::new(Floats { op, datum_type })),
        (IsNan | IsInf { .. }, _) if datum_type.is_float() => {
            Some(Box::new(Floats { op, datum_type }))
        }
        (Abs | Neg | Sign | BitwiseNot, _) if !datum_type.is_float() => {
            Some(Box::new(Integers { op, datum_type }))
        }
        _ => None,
    };
    bound.ok_or_else(|| {
        BindError::new(format!(
            "expected a datum type that the function is computed in, found {datum_type}"
        ))
    })
}

/// A function of integers or truth values.
struct Integers {
    op: UnaryOp,
    datum_type: DatumType,
}

impl Integers {
    fn apply(&self, numbers: &mut [i64]) {
        let unsigned = matches!(
            self.datum_type,
            DatumType::U8 | DatumType::U16 | DatumType::U32 | DatumType::U64
        );
        let each = |function: fn(i64) -> i64, numbers: &mut [i64]| {
            for number in numbers {
                *number = function(*number);
            }
        };
        match self.op {
            UnaryOp::Not => each(|x| i64::from(x == 0), numbers),
            UnaryOp::BitwiseNot => each(|x| !x, numbers),
            UnaryOp::Neg => each(i64::wrapping_neg, numbers),
            UnaryOp::Abs if unsigned => {}
            UnaryOp::Abs => each(i64::wrapping_abs, numbers),
            UnaryOp::Sign if unsigned => each(|x| i64::from(x != 0), numbers),
            UnaryOp::Sign => each(i64::signum, numbers),
            _ => panic!("`bind` refuses other functions of integers"),
        }
    }
}

impl Run for Integers {
    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        _scratch: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let (x, y) = (inputs[0], &mut *outputs[0]);
        assert_eq!(x.len(), y.len(), "a result for each number");
        let width = self.datum_type.width_bytes();
        crew.divide(y, CHUNK * width, CHUNK, |first, y| {
            let mut chunk = [0; CHUNK];
            let x = &x[first * CHUNK * width..];
            for (x, y) in x.chunks(CHUNK * width).zip(y.chunks_mut(CHUNK * width)) {
                let chunk = &mut chunk[..x.len() / width];
                wide::read_integers(self.datum_type, x, chunk);
                self.apply(chunk);
                wide::write_integers(self.datum_type, chunk, self.datum_type, y);
            }
            Ok(())
        })
    }
}

/// A function of f64, or a question to a floating-point number.
struct Floats {
    op: UnaryOp,
    datum_type: DatumType,
}

impl Floats {
    fn apply(&self, number: f64) -> f64 {
        let truth = |is: bool| f64::from(u8::from(is));
        match self.op {
            UnaryOp::Abs => number.abs(),
            UnaryOp::Neg => -number,
            UnaryOp::Sign if number == 0.0 || number.is_nan() => number,
            UnaryOp::Sign => 1f64.copysign(number),
            UnaryOp::IsNan => truth(number.is_nan()),
            UnaryOp::IsInf { negative, positive } => truth(
                (negative && number == f64::NEG_INFINITY) || (positive && number == f64::INFINITY),
            ),
            _ => panic!("`bind` refuses other functions of f64"),
        }
    }
}

impl Run for Floats {
    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        _scratch: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let to = match self.op {
            UnaryOp::IsNan | UnaryOp::IsInf { .. } => DatumType::Bool,
            _ => self.datum_type,
        };
        let (x, y) = (inputs[0], &mut *outputs[0]);
        let (x_width, y_width) = (self.datum_type.width_bytes(), to.width_bytes());
        assert_eq!(x.len() / x_width, y.len() / y_width, "a result for each");
        crew.divide(y, CHUNK * y_width, CHUNK, |first, y| {
            let mut chunk = [0.0; CHUNK];
            let x = &x[first * CHUNK * x_width..];
            for (x, y) in x.chunks(CHUNK * x_width).zip(y.chunks_mut(CHUNK * y_width)) {
                let chunk = &mut chunk[..x.len() / x_width];
                wide::read_floats(self.datum_type, x, chunk);
                for number in &mut *chunk {
                    *number = self.apply(*number);
                }
                wide::write_floats(chunk, to, y);
            }
            Ok(())
        })
    }
}
