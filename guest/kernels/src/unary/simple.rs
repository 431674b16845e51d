//! Functions of a few instructions.

use super::exponential::exp_m1_of_negative;
use crate::simd::Simd;

/// `min(max(x, low), high)`. NaN stays NaN.
#[inline(always)]
pub(super) fn clip<S: Simd>(simd: S, x: S::F32, low: f32, high: f32) -> S::F32 {
    simd.min(simd.splat(high), simd.max(simd.splat(low), x))
}

/// 1 with the sign of `x`; zeros and NaN stay what they are.
#[inline(always)]
pub(super) fn sign<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    let one = simd.copysign(simd.splat(1.0), x);
    simd.select(simd.less(simd.splat(0.0), simd.abs(x)), one, x)
}

/// `min(max(alpha × x + beta, 0), 1)`.
#[inline(always)]
pub(super) fn hard_sigmoid<S: Simd>(simd: S, x: S::F32, alpha: f32, beta: f32) -> S::F32 {
    let line = simd.mul_add(x, simd.splat(alpha), simd.splat(beta));
    clip(simd, line, 0.0, 1.0)
}

/// `x × min(max(x / 6 + 0.5, 0), 1)`, within 3 ulp of `x / 2`.
#[inline(always)]
pub(super) fn hard_swish<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    simd.mul(x, hard_sigmoid(simd, x, 1.0 / 6.0, 0.5))
}

/// `x` above 0, else `alpha × x`.
#[inline(always)]
pub(super) fn leaky_relu<S: Simd>(simd: S, x: S::F32, alpha: f32) -> S::F32 {
    let scaled = simd.mul(x, simd.splat(alpha));
    simd.select(simd.less(simd.splat(0.0), x), x, scaled)
}

/// `above × x` above 0, else `below × (exp(x / width) - 1)`, within 3 ulp.
#[inline(always)]
pub(super) fn elu<S: Simd>(simd: S, x: S::F32, above: f32, below: f32, width: f32) -> S::F32 {
    let curve = exp_m1_of_negative(simd, simd.div(x, simd.splat(width)));
    simd.select(
        simd.less(simd.splat(0.0), x),
        simd.mul(x, simd.splat(above)),
        simd.mul(curve, simd.splat(below)),
    )
}

/// `x / (1 + |x|)`.
#[inline(always)]
pub(super) fn softsign<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    simd.div(x, simd.add(simd.splat(1.0), simd.abs(x)))
}

/// `x` above `alpha`, else 0.
#[inline(always)]
pub(super) fn thresholded_relu<S: Simd>(simd: S, x: S::F32, alpha: f32) -> S::F32 {
    simd.select(simd.less(simd.splat(alpha), x), x, simd.splat(0.0))
}

/// `x + bias` below `-lambda`, `x - bias` above `lambda`, else 0.
#[inline(always)]
pub(super) fn shrink<S: Simd>(simd: S, x: S::F32, lambda: f32, bias: f32) -> S::F32 {
    let below = simd.less(x, simd.splat(-lambda));
    let above = simd.less(simd.splat(lambda), x);
    let zero = simd.splat(0.0);
    let shrunk = simd.select(above, simd.sub(x, simd.splat(bias)), zero);
    simd.select(below, simd.add(x, simd.splat(bias)), shrunk)
}
