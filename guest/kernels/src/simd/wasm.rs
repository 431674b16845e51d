//! Four lanes, by WebAssembly's SIMD128.
//!
//! With relaxed SIMD, products and sums are rounded once where the machine can.

use core::arch::wasm32::*;

use super::Simd;

/// Four lanes, by WebAssembly's SIMD128.
#[derive(Clone, Copy, Debug)]
pub struct Wasm;

/// Methods in terms of WebAssembly's instructions.
macro_rules! methods {
    ($(
        fn $name:ident $(<const $n:ident: i32>)? ($($arg:ident: $type:ty),*) -> $out:ty = $body:expr;
    )*) => {
        $(
            #[inline(always)]
            fn $name $(<const $n: i32>)? (self, $($arg: $type),*) -> $out {
                $body
            }
        )*
    };
}

impl Simd for Wasm {
    const LANES: usize = 4;
    // What x86-64 has behind it.
    const REGISTERS: usize = 16;
    type F32 = v128;
    type I32 = v128;
    type Mask = v128;

    methods! {
        fn splat(value: f32) -> v128 = f32x4_splat(value);
        fn add(a: v128, b: v128) -> v128 = f32x4_add(a, b);
        fn sub(a: v128, b: v128) -> v128 = f32x4_sub(a, b);
        fn mul(a: v128, b: v128) -> v128 = f32x4_mul(a, b);
        fn div(a: v128, b: v128) -> v128 = f32x4_div(a, b);
        // These are one instruction of x86-64 each, unlike WebAssembly's `max` and `min`.
        fn max(a: v128, b: v128) -> v128 = f32x4_pmax(b, a);
        fn min(a: v128, b: v128) -> v128 = f32x4_pmin(b, a);
        fn abs(a: v128) -> v128 = f32x4_abs(a);
        fn neg(a: v128) -> v128 = f32x4_neg(a);
        fn sqrt(a: v128) -> v128 = f32x4_sqrt(a);
        fn floor(a: v128) -> v128 = f32x4_floor(a);
        fn ceil(a: v128) -> v128 = f32x4_ceil(a);
        fn round(a: v128) -> v128 = f32x4_nearest(a);
        fn copysign(a: v128, b: v128) -> v128 = v128_bitselect(b, a, u32x4_splat(0x8000_0000));

        fn less(a: v128, b: v128) -> v128 = f32x4_lt(a, b);
        fn less_or_equal(a: v128, b: v128) -> v128 = f32x4_le(a, b);
        fn equal(a: v128, b: v128) -> v128 = f32x4_eq(a, b);
        fn select(mask: v128, a: v128, b: v128) -> v128 = v128_bitselect(a, b, mask);

        fn splat_i32(value: i32) -> v128 = i32x4_splat(value);
        fn add_i32(a: v128, b: v128) -> v128 = i32x4_add(a, b);
        fn sub_i32(a: v128, b: v128) -> v128 = i32x4_sub(a, b);
        fn and_i32(a: v128, b: v128) -> v128 = v128_and(a, b);
        fn or_i32(a: v128, b: v128) -> v128 = v128_or(a, b);
        fn shift_left_i32<const N: i32>(a: v128) -> v128 = i32x4_shl(a, N.cast_unsigned());
        fn shift_right_i32<const N: i32>(a: v128) -> v128 = i32x4_shr(a, N.cast_unsigned());
        fn bits(a: v128) -> v128 = a;
        fn from_bits(a: v128) -> v128 = a;
        fn from_i32(a: v128) -> v128 = f32x4_convert_i32x4(a);

        fn sum(a: v128) -> f32 = {
            let two = f32x4_add(a, i32x4_shuffle::<2, 3, 0, 1>(a, a));
            f32x4_extract_lane::<0>(two) + f32x4_extract_lane::<1>(two)
        };
        fn max_lane(a: v128) -> f32 = {
            let two = f32x4_pmax(a, i32x4_shuffle::<2, 3, 0, 1>(a, a));
            let one = f32x4_pmax(two, i32x4_shuffle::<1, 0, 3, 2>(two, two));
            f32x4_extract_lane::<0>(one)
        };
    }

    #[inline(always)]
    fn mul_add(self, a: v128, b: v128, c: v128) -> v128 {
        #[cfg(target_feature = "relaxed-simd")]
        return f32x4_relaxed_madd(a, b, c);
        #[cfg(not(target_feature = "relaxed-simd"))]
        return f32x4_add(f32x4_mul(a, b), c);
    }

    #[inline(always)]
    fn to_i32(self, a: v128) -> v128 {
        let nearest = f32x4_nearest(a);
        #[cfg(target_feature = "relaxed-simd")]
        return i32x4_relaxed_trunc_f32x4(nearest);
        #[cfg(not(target_feature = "relaxed-simd"))]
        return i32x4_trunc_sat_f32x4(nearest);
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> v128 {
        // SAFETY: the caller's.
        unsafe { v128_load(from.cast()) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, a: v128) {
        // SAFETY: the caller's.
        unsafe { v128_store(to.cast(), a) }
    }
    #[inline(always)]
    unsafe fn load_first(self, from: *const f32, count: usize) -> v128 {
        debug_assert!(count <= 4);
        let mut lanes = [0.0f32; 4];
        // SAFETY: `count` numbers can be read, says the caller, and there is room for four.
        unsafe {
            core::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), count);
            v128_load(lanes.as_ptr().cast())
        }
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, a: v128, count: usize) {
        debug_assert!(count <= 4);
        let mut lanes = [0.0f32; 4];
        // SAFETY: there is room for four, and `count` numbers can be written, says the caller.
        unsafe {
            v128_store(lanes.as_mut_ptr().cast(), a);
            core::ptr::copy_nonoverlapping(lanes.as_ptr(), to, count);
        }
    }
    #[inline(always)]
    unsafe fn load_splat(self, from: *const f32) -> v128 {
        // SAFETY: the caller's.
        unsafe { v128_load32_splat(from.cast()) }
    }
    #[inline(always)]
    unsafe fn load_u16(self, from: *const u16) -> v128 {
        // SAFETY: the caller's.
        unsafe { u32x4_load_extend_u16x4(from.cast()) }
    }
}
