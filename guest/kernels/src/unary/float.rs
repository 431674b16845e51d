//! Functions from f32 to f32, over slices.

#![expect(
    unsafe_code,
    reason = "one loop reads and writes either the same numbers or two slices"
)]

use std::marker::PhantomData;

use tensorlet_plan::kernel::UnaryOp;

use super::{exponential, normal, simple, trigonometric};
use crate::isa::{Isa, Vectorised};
use crate::simd::Simd;

/// The most lanes that a vector has.
const MAX_LANES: usize = 16;

/// Replaces numbers by a function of them, the scalar one if there is one: see [`scalar`].
///
/// # Panics
/// If `op` is not one of [`is_float`].
#[inline(never)]
pub(super) fn apply_in_place(op: UnaryOp, scalar: Option<Scalar>, isa: Isa, data: &mut [f32]) {
    if let Some(function) = scalar {
        for number in data {
            *number = function(*number);
        }
        return;
    }
    let (whole, rest) = data.split_at_mut(data.len() - data.len() % MAX_LANES);
    run(op, isa, None, whole);
    if !rest.is_empty() {
        let mut filled = [0.0; MAX_LANES];
        filled[..rest.len()].copy_from_slice(rest);
        run(op, isa, None, &mut filled);
        rest.copy_from_slice(&filled[..rest.len()]);
    }
}

/// Writes a function of each number, the scalar one if there is one: see [`scalar`].
///
/// # Panics
/// If `op` is not one of [`is_float`], or the lengths differ.
pub(super) fn apply(op: UnaryOp, scalar: Option<Scalar>, isa: Isa, from: &[f32], to: &mut [f32]) {
    assert_eq!(from.len(), to.len(), "a result for each number");
    let at = match scalar {
        Some(_) => 0,
        None => from.len() - from.len() % MAX_LANES,
    };
    let (whole, rest) = to.split_at_mut(at);
    run(op, isa, Some(&from[..at]), whole);
    if rest.is_empty() {
        return;
    }
    rest.copy_from_slice(&from[at..]);
    apply_in_place(op, scalar, isa, rest);
}

/// Writes a function of each number of `from`, or of what is there to begin with; whole vectors. Large, hence once for all.
#[inline(never)]
fn run(op: UnaryOp, isa: Isa, from: Option<&[f32]>, to: &mut [f32]) {
    assert_eq!(to.len() % MAX_LANES, 0, "whole vectors");
    if to.is_empty() {
        return;
    }
    let (to, len) = (to.as_mut_ptr(), to.len());
    let from = match from {
        Some(from) => {
            assert_eq!(from.len(), len, "a result for each number");
            from.as_ptr()
        }
        None => to.cast_const(),
    };
    isa.run(Apply {
        op,
        from,
        to,
        len,
        lifetime: PhantomData,
    });
}

/// Reports whether there is such a function from f32 to f32.
pub(super) fn is_float(op: UnaryOp) -> bool {
    !matches!(
        op,
        UnaryOp::Not | UnaryOp::BitwiseNot | UnaryOp::IsNan | UnaryOp::IsInf { .. }
    )
}

/// A function of one number.
pub(super) type Scalar = fn(f32) -> f32;

/// Returns the function of one number, if vectors do not compute it of these numbers.
pub(super) fn scalar(op: UnaryOp, data: &[f32]) -> Option<Scalar> {
    let is_huge = |number: &f32| number.abs() > trigonometric::LIMIT;
    Some(match op {
        UnaryOp::Sin if data.iter().any(is_huge) => f32::sin,
        UnaryOp::Cos if data.iter().any(is_huge) => f32::cos,
        UnaryOp::Tan => f32::tan,
        UnaryOp::Asin => f32::asin,
        UnaryOp::Acos => f32::acos,
        UnaryOp::Atan => f32::atan,
        UnaryOp::Sinh => f32::sinh,
        UnaryOp::Cosh => f32::cosh,
        // Rust computes these by sums that lose digits near 0 or 1.
        UnaryOp::Asinh => |x| f64::from(x).asinh() as f32,
        UnaryOp::Acosh => |x| f64::from(x).acosh() as f32,
        UnaryOp::Atanh => |x| f64::from(x).atanh() as f32,
        _ => return None,
    })
}

/// Made by [`run`] alone: there are `len` numbers to read, and as many to write, the same ones or others, in whole vectors.
struct Apply<'a> {
    op: UnaryOp,
    from: *const f32,
    to: *mut f32,
    len: usize,
    lifetime: PhantomData<&'a mut [f32]>,
}

impl Vectorised for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self {
            op, from, to, len, ..
        } = self;
        // A macro, so that what it is given becomes part of the loop on any instruction set.
        macro_rules! each {
            ($x:ident => $y:expr) => {
                for i in (0..len).step_by(S::LANES) {
                    // SAFETY: there are `len` numbers, in whole vectors.
                    let $x = unsafe { simd.load(from.add(i)) };
                    let y = $y;
                    // SAFETY: as above.
                    unsafe { simd.store(to.add(i), y) };
                }
            };
        }
        match op {
            UnaryOp::Abs => each!(x => simd.abs(x)),
            UnaryOp::Neg => each!(x => simd.neg(x)),
            UnaryOp::Sign => each!(x => simple::sign(simd, x)),
            UnaryOp::Ceil => each!(x => simd.ceil(x)),
            UnaryOp::Floor => each!(x => simd.floor(x)),
            UnaryOp::Round => each!(x => simd.round(x)),
            UnaryOp::Sqrt => each!(x => simd.sqrt(x)),
            UnaryOp::Reciprocal => each!(x => simd.div(simd.splat(1.0), x)),
            UnaryOp::Rsqrt => each!(x => simd.div(simd.splat(1.0), simd.sqrt(x))),
            UnaryOp::Exp => each!(x => exponential::exp(simd, x)),
            UnaryOp::Log => each!(x => exponential::log(simd, x)),
            UnaryOp::Sin => each!(x => trigonometric::sin(simd, x)),
            UnaryOp::Cos => each!(x => trigonometric::cos(simd, x)),
            UnaryOp::Tanh => each!(x => exponential::tanh(simd, x)),
            UnaryOp::Erf => each!(x => normal::erf(simd, x)),
            UnaryOp::Sigmoid => each!(x => exponential::sigmoid(simd, x)),
            UnaryOp::Silu => each!(x => simd.mul(x, exponential::sigmoid(simd, x))),
            UnaryOp::Gelu => each!(x => normal::gelu(simd, x)),
            UnaryOp::GeluTanh => each!(x => normal::gelu_tanh(simd, x)),
            UnaryOp::HardSwish => each!(x => simple::hard_swish(simd, x)),
            UnaryOp::HardSigmoid { alpha, beta } => {
                each!(x => simple::hard_sigmoid(simd, x, alpha, beta))
            }
            UnaryOp::LeakyRelu { alpha } => each!(x => simple::leaky_relu(simd, x, alpha)),
            UnaryOp::Elu { alpha } => each!(x => simple::elu(simd, x, 1.0, alpha, 1.0)),
            UnaryOp::Selu { alpha, gamma } => {
                each!(x => simple::elu(simd, x, gamma, gamma * alpha, 1.0))
            }
            UnaryOp::Celu { alpha } => each!(x => simple::elu(simd, x, 1.0, alpha, alpha)),
            UnaryOp::Softplus => each!(x => exponential::softplus(simd, x)),
            UnaryOp::Softsign => each!(x => simple::softsign(simd, x)),
            UnaryOp::Mish => each!(x => exponential::mish(simd, x)),
            UnaryOp::ThresholdedRelu { alpha } => {
                each!(x => simple::thresholded_relu(simd, x, alpha))
            }
            UnaryOp::Shrink { lambda, bias } => each!(x => simple::shrink(simd, x, lambda, bias)),
            UnaryOp::Clip { low, high } => each!(x => simple::clip(simd, x, low, high)),
            _ => panic!("functions that are not from f32 to f32 are refused when they are bound"),
        }
    }
}
