//! One lane, by Rust's own arithmetic.

use super::Simd;

/// One lane, by Rust's own arithmetic.
#[derive(Clone, Copy, Debug)]
pub struct Scalar;

impl Simd for Scalar {
    const LANES: usize = 1;
    const REGISTERS: usize = 16;
    type F32 = f32;
    type I32 = i32;
    type Mask = bool;

    #[inline(always)]
    fn splat(self, value: f32) -> f32 {
        value
    }
    #[inline(always)]
    fn add(self, a: f32, b: f32) -> f32 {
        a + b
    }
    #[inline(always)]
    fn sub(self, a: f32, b: f32) -> f32 {
        a - b
    }
    #[inline(always)]
    fn mul(self, a: f32, b: f32) -> f32 {
        a * b
    }
    #[inline(always)]
    fn div(self, a: f32, b: f32) -> f32 {
        a / b
    }
    #[inline(always)]
    fn mul_add(self, a: f32, b: f32, c: f32) -> f32 {
        // Rounding once would be a call of the mathematical library.
        a * b + c
    }
    #[inline(always)]
    fn max(self, a: f32, b: f32) -> f32 {
        if a > b { a } else { b }
    }
    #[inline(always)]
    fn min(self, a: f32, b: f32) -> f32 {
        if a < b { a } else { b }
    }
    #[inline(always)]
    fn abs(self, a: f32) -> f32 {
        a.abs()
    }
    #[inline(always)]
    fn neg(self, a: f32) -> f32 {
        -a
    }
    #[inline(always)]
    fn sqrt(self, a: f32) -> f32 {
        a.sqrt()
    }
    #[inline(always)]
    fn floor(self, a: f32) -> f32 {
        a.floor()
    }
    #[inline(always)]
    fn ceil(self, a: f32) -> f32 {
        a.ceil()
    }
    #[inline(always)]
    fn round(self, a: f32) -> f32 {
        a.round_ties_even()
    }
    #[inline(always)]
    fn copysign(self, a: f32, b: f32) -> f32 {
        a.copysign(b)
    }

    #[inline(always)]
    fn less(self, a: f32, b: f32) -> bool {
        a < b
    }
    #[inline(always)]
    fn less_or_equal(self, a: f32, b: f32) -> bool {
        a <= b
    }
    #[inline(always)]
    fn equal(self, a: f32, b: f32) -> bool {
        a == b
    }
    #[inline(always)]
    fn select(self, mask: bool, a: f32, b: f32) -> f32 {
        if mask { a } else { b }
    }

    #[inline(always)]
    fn splat_i32(self, value: i32) -> i32 {
        value
    }
    #[inline(always)]
    fn add_i32(self, a: i32, b: i32) -> i32 {
        a.wrapping_add(b)
    }
    #[inline(always)]
    fn sub_i32(self, a: i32, b: i32) -> i32 {
        a.wrapping_sub(b)
    }
    #[inline(always)]
    fn and_i32(self, a: i32, b: i32) -> i32 {
        a & b
    }
    #[inline(always)]
    fn or_i32(self, a: i32, b: i32) -> i32 {
        a | b
    }
    #[inline(always)]
    fn shift_left_i32<const N: i32>(self, a: i32) -> i32 {
        a << N
    }
    #[inline(always)]
    fn shift_right_i32<const N: i32>(self, a: i32) -> i32 {
        a >> N
    }
    #[inline(always)]
    fn bits(self, a: f32) -> i32 {
        a.to_bits().cast_signed()
    }
    #[inline(always)]
    fn from_bits(self, a: i32) -> f32 {
        f32::from_bits(a.cast_unsigned())
    }
    #[inline(always)]
    fn to_i32(self, a: f32) -> i32 {
        a.round_ties_even() as i32
    }
    #[inline(always)]
    fn from_i32(self, a: i32) -> f32 {
        a as f32
    }

    #[inline(always)]
    fn sum(self, a: f32) -> f32 {
        a
    }
    #[inline(always)]
    fn max_lane(self, a: f32) -> f32 {
        a
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> f32 {
        // SAFETY: the caller's.
        unsafe { from.read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, a: f32) {
        // SAFETY: the caller's.
        unsafe { to.write_unaligned(a) }
    }
    #[inline(always)]
    unsafe fn load_first(self, from: *const f32, count: usize) -> f32 {
        if count == 0 {
            return 0.0;
        }
        // SAFETY: the caller's, there is a number.
        unsafe { from.read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, a: f32, count: usize) {
        if count != 0 {
            // SAFETY: the caller's, there is a number.
            unsafe { to.write_unaligned(a) }
        }
    }
    #[inline(always)]
    unsafe fn load_splat(self, from: *const f32) -> f32 {
        // SAFETY: the caller's.
        unsafe { from.read_unaligned() }
    }
    #[inline(always)]
    unsafe fn load_u16(self, from: *const u16) -> i32 {
        // SAFETY: the caller's.
        i32::from(unsafe { from.read_unaligned() })
    }
}
