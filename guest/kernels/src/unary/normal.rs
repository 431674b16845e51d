//! The error function, and what is made of it.

use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, SQRT_2};

use super::exponential::{polynomial, sigmoid};
use crate::simd::Simd;

/// `erf(x) / x = P(x²) / Q(x²)` for `|x| ≤ 3.925`. The error is 1.9e-8.
const ERF_P: [f32; 6] = [
    2.046_017_7e-6,
    2.848_450_7e-4,
    3.772_613_8e-3,
    5.276_949_7e-2,
    1.905_952_2e-1,
    FRAC_2_SQRT_PI,
];
const ERF_Q: [f32; 6] = [
    3.804_775_4e-5,
    1.163_873_4e-3,
    1.498_332_5e-2,
    1.141_833_4e-1,
    5.022_433_4e-1,
    1.0,
];

/// `erf(x)`, within 6 ulp and never beyond ±1.
#[inline(always)]
pub(super) fn erf<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    // NaN passes both bounds.
    let x = simd.max(simd.splat(-3.925), x);
    let x = simd.min(simd.splat(3.925), x);
    let square = simd.mul(x, x);
    let p = simd.mul(polynomial(simd, square, ERF_P), x);
    let erf = simd.div(p, polynomial(simd, square, ERF_Q));
    let erf = simd.max(simd.splat(-1.0), erf);
    simd.min(simd.splat(1.0), erf)
}

/// `x × Φ(x)`, within 5 ulp of `x / 2` (as `Φ` is made by a sum with 1, small results have fewer digits).
#[inline(always)]
pub(super) fn gelu<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    let half = simd.mul(x, simd.splat(0.5));
    let erf = erf(simd, simd.mul(x, simd.splat(FRAC_1_SQRT_2)));
    simd.mul_add(half, erf, half)
}

/// `x × (1 + tanh(√(2/π) × (x + 0.044715 x³))) / 2`, within 4 ulp of `x / 2`.
#[inline(always)]
pub(super) fn gelu_tanh<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    // (1 + tanh(u)) / 2 = sigmoid(2u), which keeps the digits of small results.
    const FACTOR: f32 = SQRT_2 * FRAC_2_SQRT_PI;
    let square = simd.mul(x, x);
    let factor = simd.mul_add(square, simd.splat(FACTOR * 0.044_715), simd.splat(FACTOR));
    simd.mul(x, sigmoid(simd, simd.mul(x, factor)))
}
