//! Sine and cosine.

use std::f32::consts::FRAC_2_PI;

use super::exponential::{ROUNDING, polynomial};
use crate::simd::Simd;

/// The largest magnitude that [`sin`] and [`cos`] take.
pub(super) const LIMIT: f32 = 10_000.0;

/// π/2 in four parts. The first three have 11 bits each, so that products with a number of quarters below 2¹³ are exact.
const HALF_PI: [f32; 4] = [1.570_312_5, 4.837_513e-4, 7.549_533_6e-8, 2.563_344e-12];

/// `(sin(r) / r - 1) / r²` as a function of `r²`, for `|r| ≤ π/4`.
const SIN: [f32; 3] = [-1.951_840_5e-4, 8.332_19e-3, -1.666_665_5e-1];

/// `(cos(r) - 1 + r²/2) / r⁴` as a function of `r²`, for `|r| ≤ π/4`.
const COS: [f32; 3] = [2.443_232_7e-5, -1.388_731e-3, 4.166_664_6e-2];

/// `sin(x + quarters × π/2)`.
#[inline(always)]
fn sin_of_quarters<S: Simd>(simd: S, x: S::F32, quarters: i32) -> S::F32 {
    let rounding = simd.splat(ROUNDING);
    let shifted = simd.mul_add(x, simd.splat(FRAC_2_PI), rounding);
    let n = simd.add_i32(simd.bits(shifted), simd.splat_i32(quarters));
    let whole = simd.sub(shifted, rounding);
    let mut r = x;
    for part in HALF_PI {
        r = simd.mul_add(whole, simd.splat(-part), r);
    }
    let one = simd.splat(1.0);
    let square = simd.mul(r, r);
    let sin = simd.mul_add(simd.mul(r, square), polynomial(simd, square, SIN), r);
    let cos = simd.mul_add(
        simd.mul(square, square),
        polynomial(simd, square, COS),
        simd.mul_add(square, simd.splat(-0.5), one),
    );
    // The lowest bit of the quarter says which curve, the next one its sign: ±1 with these bits as sign.
    let one_bits = simd.bits(one);
    let curve = simd.from_bits(simd.or_i32(simd.shift_left_i32::<31>(n), one_bits));
    let sign_bit = simd.and_i32(simd.shift_left_i32::<30>(n), simd.splat_i32(i32::MIN));
    let sign = simd.from_bits(simd.or_i32(sign_bit, one_bits));
    let odd = simd.less(curve, simd.splat(0.0));
    simd.mul(simd.select(odd, cos, sin), sign)
}

/// `sin(x)` for `|x|` up to [`LIMIT`], within 1 ulp.
#[inline(always)]
pub(super) fn sin<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    let sin = sin_of_quarters(simd, x, 0);
    // A zero keeps its sign.
    simd.select(simd.equal(x, simd.splat(0.0)), x, sin)
}

/// `cos(x)` for `|x|` up to [`LIMIT`], within 1 ulp.
#[inline(always)]
pub(super) fn cos<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    sin_of_quarters(simd, x, 1)
}
