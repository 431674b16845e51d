//! Exponential and logarithm, and what is made of them.
//!
//! Each function is generic over the instruction set, to be inlined into a loop. Polynomials and rational functions are
//! minimax approximations of ours. Errors are stated in units in the last place (ulp) of the exact result and are tested.

use std::f32::consts::LOG2_E;

use crate::simd::Simd;

/// Added to a number below 2²² it leaves the nearest integer in the lowest bits.
pub(super) const ROUNDING: f32 = 1.5 * (1 << 23) as f32;

/// ln 2 in two parts. The first has so few bits that its product with an exponent is exact.
const LN_2_HIGH: f32 = 355.0 / 512.0;
const LN_2_LOW: f32 = -2.121_944_4e-4;

/// `(exp(r) - 1 - r) / r²` for `|r| ≤ ln 2 / 2`, the highest power first. The error is 1.4e-8 of `exp(r) - 1`.
const EXP: [f32; 5] = [
    1.383_786_1e-3,
    8.367_088e-3,
    4.166_775e-2,
    1.666_653_9e-1,
    4.999_999_7e-1,
];

/// `(log(1 + f) - f + f²/2) / f³` for `1 + f` from √½ to √2. The error is 6e-9 of `log(1 + f)`.
const LOG: [f32; 8] = [
    -7.634_499e-2,
    1.276_543_3e-1,
    -1.316_196e-1,
    1.420_136_4e-1,
    -1.662_315e-1,
    2.000_123_6e-1,
    -2.500_082_6e-1,
    3.333_333e-1,
];

/// `tanh(x) / x = P(x²) / Q(x²)` for `|x| ≤ 9.02`. The error is 2.1e-8.
const TANH_P: [f32; 5] = [
    1.331_877_9e-8,
    2.058_325e-5,
    3.494_019_4e-3,
    1.337_970_5e-1,
    1.0,
];
const TANH_Q: [f32; 5] = [
    7.761_893e-7,
    3.283_069e-4,
    2.587_101_4e-2,
    4.671_302e-1,
    1.0,
];

/// Computes a polynomial, given its coefficients with that of the highest power first.
#[inline(always)]
pub(super) fn polynomial<S: Simd, const N: usize>(
    simd: S,
    x: S::F32,
    coefficients: [f32; N],
) -> S::F32 {
    let mut sum = simd.splat(coefficients[0]);
    for coefficient in &coefficients[1..] {
        sum = simd.mul_add(sum, x, simd.splat(*coefficient));
    }
    sum
}

/// Splits `x` into `n ln 2 + r` with `|r| ≤ ln 2 / 2`, for `|n| < 2⁸`. Returns `n` and `exp(r) - 1`.
#[inline(always)]
fn reduced_exp_m1<S: Simd>(simd: S, x: S::F32) -> (S::I32, S::F32) {
    let rounding = simd.splat(ROUNDING);
    let shifted = simd.mul_add(x, simd.splat(LOG2_E), rounding);
    let n = simd.sub_i32(simd.bits(shifted), simd.bits(rounding));
    let whole = simd.sub(shifted, rounding);
    let r = simd.mul_add(whole, simd.splat(-LN_2_HIGH), x);
    let r = simd.mul_add(whole, simd.splat(-LN_2_LOW), r);
    let curve = polynomial(simd, r, EXP);
    (n, simd.mul_add(simd.mul(r, r), curve, r))
}

/// `2ⁿ`, for `n` from -126 to 127.
#[inline(always)]
fn power_of_two<S: Simd>(simd: S, n: S::I32) -> S::F32 {
    simd.from_bits(simd.shift_left_i32::<23>(simd.add_i32(n, simd.splat_i32(127))))
}

/// `exp(x)`, within 2 ulp. Overflows to infinity; underflows through the subnormal numbers to 0.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    // Beyond these bounds the result is infinity or 0. NaN passes both.
    let x = simd.max(simd.splat(-104.0), x);
    let x = simd.min(simd.splat(89.0), x);
    let (n, less_one) = reduced_exp_m1(simd, x);
    // From -150 to 128, `n` is too large for one exponent.
    let half = simd.shift_right_i32::<1>(n);
    let rest = simd.sub_i32(n, half);
    let exp = simd.add(less_one, simd.splat(1.0));
    simd.mul(
        simd.mul(exp, power_of_two(simd, half)),
        power_of_two(simd, rest),
    )
}

/// `exp(x)` for `x ≤ 0`, within 2 ulp where it is above 1e-38; below it is 0. For sums of such numbers.
#[inline(always)]
pub(crate) fn exp_of_negative<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    let clamped = simd.max(simd.splat(-87.0), x);
    let (n, less_one) = reduced_exp_m1(simd, clamped);
    let power = power_of_two(simd, n);
    let exp = simd.mul_add(less_one, power, power);
    simd.select(simd.less(x, simd.splat(-87.0)), simd.splat(0.0), exp)
}

/// `exp(x) - 1` for `x ≤ 0`, within 3 ulp.
#[inline(always)]
pub(super) fn exp_m1_of_negative<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    // At -18 the result has long been -1.
    let x = simd.max(simd.splat(-18.0), x);
    let (n, less_one) = reduced_exp_m1(simd, x);
    let power = power_of_two(simd, n);
    let power_less_one = simd.sub(power, simd.splat(1.0));
    simd.mul_add(less_one, power, power_less_one)
}

/// The logarithm of a positive number that is not subnormal, within 2 ulp.
#[inline(always)]
fn log_of_normal<S: Simd>(simd: S, x: S::F32, exponent_offset: S::F32) -> S::F32 {
    // The number is 2ᵉ (1 + f) with 1 + f from √½ to √2.
    let bits = simd.bits(x);
    let from_sqrt_half = simd.sub_i32(bits, simd.splat_i32(0x3f35_04f3));
    let e = simd.shift_right_i32::<23>(from_sqrt_half);
    let one_and_f = simd.from_bits(simd.sub_i32(bits, simd.shift_left_i32::<23>(e)));
    let e = simd.add(simd.from_i32(e), exponent_offset);
    let f = simd.sub(one_and_f, simd.splat(1.0));
    let square = simd.mul(f, f);
    let curve = simd.mul(polynomial(simd, f, LOG), simd.mul(square, f));
    let curve = simd.mul_add(e, simd.splat(LN_2_LOW), curve);
    let curve = simd.mul_add(square, simd.splat(-0.5), curve);
    simd.mul_add(e, simd.splat(LN_2_HIGH), simd.add(f, curve))
}

/// `log(x)`, within 2 ulp: of 0 it is minus infinity, of numbers below it is NaN.
#[inline(always)]
pub(crate) fn log<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    let zero = simd.splat(0.0);
    let subnormal = simd.less(x, simd.splat(f32::MIN_POSITIVE));
    let scaled = simd.mul(x, simd.splat((1 << 23) as f32));
    let offset = simd.select(subnormal, simd.splat(-23.0), zero);
    let log = log_of_normal(simd, simd.select(subnormal, scaled, x), offset);
    // Infinity and NaN are what they were.
    let log = simd.select(simd.less(x, simd.splat(f32::INFINITY)), log, x);
    let log = simd.select(simd.equal(x, zero), simd.splat(f32::NEG_INFINITY), log);
    simd.select(simd.less(x, zero), simd.splat(f32::NAN), log)
}

/// `log(1 + x)` for `x` from 0 to 1, within 3 ulp.
#[inline(always)]
fn log_1p_of_fraction<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    let one = simd.splat(1.0);
    let sum = simd.add(x, one);
    // What rounding took from the sum, to be added as its derivative at 1 has it.
    let lost = simd.sub(x, simd.sub(sum, one));
    simd.add(log_of_normal(simd, sum, simd.splat(0.0)), lost)
}

/// `1 / (1 + exp(-x))`, within 3 ulp also where it is close to 0.
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    let one = simd.splat(1.0);
    let exp = exp(simd, simd.neg(simd.abs(x)));
    let numerator = simd.select(simd.less(x, simd.splat(0.0)), exp, one);
    simd.div(numerator, simd.add(one, exp))
}

/// `tanh(x)`, within 5 ulp and never beyond ±1.
#[inline(always)]
pub(crate) fn tanh<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    // NaN passes both bounds.
    let x = simd.max(simd.splat(-9.02), x);
    let x = simd.min(simd.splat(9.02), x);
    let square = simd.mul(x, x);
    let p = simd.mul(polynomial(simd, square, TANH_P), x);
    let tanh = simd.div(p, polynomial(simd, square, TANH_Q));
    let tanh = simd.max(simd.splat(-1.0), tanh);
    simd.min(simd.splat(1.0), tanh)
}

/// `log(1 + exp(x))`, within 3 ulp.
#[inline(always)]
pub(super) fn softplus<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    let exp = exp(simd, simd.neg(simd.abs(x)));
    simd.add(simd.max(simd.splat(0.0), x), log_1p_of_fraction(simd, exp))
}

/// `x × tanh(softplus(x))`, within 5 ulp where the second factor is not subnormal.
#[inline(always)]
pub(super) fn mish<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    // tanh(log(1 + e)) = e (e + 2) / (e (e + 2) + 2), which is 1 long before it overflows.
    let two = simd.splat(2.0);
    let e = exp(simd, simd.min(simd.splat(20.0), x));
    let product = simd.mul(e, simd.add(e, two));
    simd.mul(x, simd.div(product, simd.add(product, two)))
}
