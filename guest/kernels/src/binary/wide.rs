//! Operations that are rare, or not on f32: in i64 or f64, a chunk at a time.

use tensorlet_plan::kernel::BinaryOp;
use tensorlet_tensor::DatumType;

use super::broadcast::Nest;
use crate::cast::wide::{self, CHUNK};
use crate::crew::Crew;
use crate::run::{Run, RunError};

/// How much work 16 results are.
const WORK: usize = 32;

/// An operation that is bound to dims.
pub(super) struct Wide {
    pub(super) op: BinaryOp,
    /// Of both operands.
    pub(super) operands: DatumType,
    pub(super) output: DatumType,
    pub(super) nest: Nest,
}

/// A type to compute in.
trait Number: Copy + Default {
    fn read(datum_type: DatumType, from: &[u8], to: &mut [Self]);
    /// Replaces `a` by the result.
    fn apply(op: BinaryOp, operands: DatumType, a: &mut [Self], b: &[Self])
    -> Result<(), RunError>;
    fn write(from: &[Self], datum_type: DatumType, to: &mut [u8]);
}

impl Run for Wide {
    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        _scratch: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        if self.operands.is_float() {
            self.run_in::<f64>(inputs[0], inputs[1], outputs[0], crew)
        } else {
            self.run_in::<i64>(inputs[0], inputs[1], outputs[0], crew)
        }
    }
}

impl Wide {
    fn run_in<N: Number>(
        &self,
        a: &[u8],
        b: &[u8],
        y: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let y_width = self.output.width_bytes();
        self.nest
            .share_rows((y, y_width), WORK, crew, |[a_begin, b_begin, _], y| {
                self.run_row::<N>([a, b], [a_begin, b_begin], y)
            })
    }

    /// Computes one row, whose operands begin at these elements.
    fn run_row<N: Number>(
        &self,
        [a, b]: [&[u8]; 2],
        [a_begin, b_begin]: [usize; 2],
        y: &mut [u8],
    ) -> Result<(), RunError> {
        let (width, y_width) = (self.operands.width_bytes(), self.output.width_bytes());
        let [a_stride, b_stride, _] = self.nest.row.strides;
        let mut chunks = [[N::default(); CHUNK]; 2];
        let [a_chunk, b_chunk] = &mut chunks;
        for (i, y) in y.chunks_mut(CHUNK * y_width).enumerate() {
            let (i, len) = (i * CHUNK, y.len() / y_width);
            let read = |bytes: &[u8], begin: usize, step: usize, chunk: &mut [N]| {
                let moving = if step == 0 { 1 } else { len };
                let bytes = &bytes[(begin + i * step) * width..][..moving * width];
                N::read(self.operands, bytes, &mut chunk[..moving]);
                if step == 0 {
                    chunk.fill(chunk[0]);
                }
            };
            read(a, a_begin, a_stride, a_chunk);
            read(b, b_begin, b_stride, b_chunk);
            N::apply(self.op, self.operands, &mut a_chunk[..len], &b_chunk[..len])?;
            N::write(&a_chunk[..len], self.output, y);
        }
        Ok(())
    }
}

/// Replaces each `a` by a function of it and its `b`.
fn each<N: Copy>(a: &mut [N], b: &[N], function: impl Fn(N, N) -> N) {
    for (a, b) in a.iter_mut().zip(b) {
        *a = function(*a, *b);
    }
}

impl Number for i64 {
    fn read(datum_type: DatumType, from: &[u8], to: &mut [i64]) {
        wide::read_integers(datum_type, from, to);
    }

    fn apply(op: BinaryOp, operands: DatumType, a: &mut [i64], b: &[i64]) -> Result<(), RunError> {
        if matches!(op, BinaryOp::Div | BinaryOp::Mod | BinaryOp::Fmod) && b.contains(&0) {
            return Err(RunError::new("expected a divisor other than 0, found 0"));
        }
        if operands == DatumType::U64 && apply_unsigned(op, a, b) {
            return Ok(());
        }
        // A 1 or a 0, as all datum types have it.
        let is = i64::from;
        match op {
            BinaryOp::Add => each(a, b, i64::wrapping_add),
            BinaryOp::Sub => each(a, b, i64::wrapping_sub),
            BinaryOp::Mul => each(a, b, i64::wrapping_mul),
            BinaryOp::Div => each(a, b, i64::wrapping_div),
            BinaryOp::Pow => each(a, b, |a, b| (a as f64).powf(b as f64) as i64),
            BinaryOp::Max => each(a, b, i64::max),
            BinaryOp::Min => each(a, b, i64::min),
            BinaryOp::Mod => each(a, b, |a, b| {
                let rest = a.wrapping_rem(b);
                if rest != 0 && (rest < 0) != (b < 0) {
                    rest + b
                } else {
                    rest
                }
            }),
            BinaryOp::Fmod => each(a, b, i64::wrapping_rem),
            BinaryOp::PRelu => each(a, b, |a, b| if a > 0 { a } else { a.wrapping_mul(b) }),
            BinaryOp::Equal => each(a, b, |a, b| is(a == b)),
            BinaryOp::Less => each(a, b, |a, b| is(a < b)),
            BinaryOp::LessOrEqual => each(a, b, |a, b| is(a <= b)),
            BinaryOp::Greater => each(a, b, |a, b| is(a > b)),
            BinaryOp::GreaterOrEqual => each(a, b, |a, b| is(a >= b)),
            BinaryOp::And | BinaryOp::BitwiseAnd => each(a, b, |a, b| a & b),
            BinaryOp::Or | BinaryOp::BitwiseOr => each(a, b, |a, b| a | b),
            BinaryOp::Xor | BinaryOp::BitwiseXor => each(a, b, |a, b| a ^ b),
            // Operands are unsigned, in the bits of an i64.
            BinaryOp::ShiftLeft => each(a, b, |a, b| {
                let bits = u32::try_from(b).ok();
                bits.and_then(|bits| a.checked_shl(bits)).unwrap_or(0)
            }),
            BinaryOp::ShiftRight => each(a, b, |a, b| {
                let bits = u32::try_from(b).ok();
                let shifted = bits.and_then(|bits| a.cast_unsigned().checked_shr(bits));
                shifted.unwrap_or(0).cast_signed()
            }),
        }
        Ok(())
    }

    fn write(from: &[i64], datum_type: DatumType, to: &mut [u8]) {
        wide::write_integers(DatumType::I64, from, datum_type, to);
    }
}

/// The square root, but as a power: not negative, nor NaN of minus infinity.
fn power_of_half(number: f64) -> f64 {
    if number == f64::NEG_INFINITY {
        f64::INFINITY
    } else {
        (number + 0.0).sqrt()
    }
}

/// Computes what differs if the bits are those of a u64. Returns whether `op` is such an operation.
fn apply_unsigned(op: BinaryOp, a: &mut [i64], b: &[i64]) -> bool {
    let of = |function: fn(u64, u64) -> u64| {
        move |a: i64, b: i64| function(a.cast_unsigned(), b.cast_unsigned()).cast_signed()
    };
    match op {
        BinaryOp::Div => each(a, b, of(|a, b| a / b)),
        BinaryOp::Mod | BinaryOp::Fmod => each(a, b, of(|a, b| a % b)),
        BinaryOp::Pow => each(a, b, of(|a, b| (a as f64).powf(b as f64) as u64)),
        BinaryOp::Max => each(a, b, of(u64::max)),
        BinaryOp::Min => each(a, b, of(u64::min)),
        BinaryOp::PRelu => each(a, b, of(|a, _| a)),
        BinaryOp::Less => each(a, b, of(|a, b| u64::from(a < b))),
        BinaryOp::LessOrEqual => each(a, b, of(|a, b| u64::from(a <= b))),
        BinaryOp::Greater => each(a, b, of(|a, b| u64::from(a > b))),
        BinaryOp::GreaterOrEqual => each(a, b, of(|a, b| u64::from(a >= b))),
        _ => return false,
    }
    true
}

impl Number for f64 {
    fn read(datum_type: DatumType, from: &[u8], to: &mut [f64]) {
        wide::read_floats(datum_type, from, to);
    }

    fn apply(op: BinaryOp, _operands: DatumType, a: &mut [f64], b: &[f64]) -> Result<(), RunError> {
        let is = |truth: bool| f64::from(u8::from(truth));
        let all = |number: f64| b.iter().all(|b| *b == number);
        match op {
            BinaryOp::Add => each(a, b, |a, b| a + b),
            BinaryOp::Sub => each(a, b, |a, b| a - b),
            BinaryOp::Mul => each(a, b, |a, b| a * b),
            BinaryOp::Div => each(a, b, |a, b| a / b),
            BinaryOp::Pow if all(2.0) => each(a, b, |a, _| a * a),
            BinaryOp::Pow if all(3.0) => each(a, b, |a, _| a * a * a),
            BinaryOp::Pow if all(-1.0) => each(a, b, |a, _| 1.0 / a),
            BinaryOp::Pow if all(0.5) => each(a, b, |a, _| power_of_half(a)),
            BinaryOp::Pow if all(-0.5) => each(a, b, |a, _| 1.0 / power_of_half(a)),
            BinaryOp::Pow => each(a, b, f64::powf),
            BinaryOp::Max => each(a, b, |a, b| if a > b || a.is_nan() { a } else { b }),
            BinaryOp::Min => each(a, b, |a, b| if a < b || a.is_nan() { a } else { b }),
            BinaryOp::Mod => each(a, b, |a, b| {
                let rest = a % b;
                if rest != 0.0 && (rest < 0.0) != (b < 0.0) {
                    rest + b
                } else {
                    rest
                }
            }),
            BinaryOp::Fmod => each(a, b, |a, b| a % b),
            BinaryOp::PRelu => each(a, b, |a, b| if a > 0.0 { a } else { a * b }),
            BinaryOp::Equal => each(a, b, |a, b| is(a == b)),
            BinaryOp::Less => each(a, b, |a, b| is(a < b)),
            BinaryOp::LessOrEqual => each(a, b, |a, b| is(a <= b)),
            BinaryOp::Greater => each(a, b, |a, b| is(a > b)),
            BinaryOp::GreaterOrEqual => each(a, b, |a, b| is(a >= b)),
            BinaryOp::And
            | BinaryOp::Or
            | BinaryOp::Xor
            | BinaryOp::BitwiseAnd
            | BinaryOp::BitwiseOr
            | BinaryOp::BitwiseXor
            | BinaryOp::ShiftLeft
            | BinaryOp::ShiftRight => panic!("{op:?} is not bound to numbers with fractions"),
        }
        Ok(())
    }

    fn write(from: &[f64], datum_type: DatumType, to: &mut [u8]) {
        wide::write_floats(from, datum_type, to);
    }
}
