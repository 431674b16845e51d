//! Four lanes, by NEON.

use core::arch::aarch64::*;

use super::{Simd, instructions};

/// Four lanes, by NEON.
#[derive(Clone, Copy, Debug)]
pub struct Neon(());

impl Neon {
    /// Every AArch64 processor has NEON.
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self(())
    }
}

impl Simd for Neon {
    const LANES: usize = 4;
    const REGISTERS: usize = 32;
    type F32 = float32x4_t;
    type I32 = int32x4_t;
    type Mask = uint32x4_t;

    instructions! {
        fn splat(value: f32) -> float32x4_t = vdupq_n_f32(value);
        fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t = vaddq_f32(a, b);
        fn sub(a: float32x4_t, b: float32x4_t) -> float32x4_t = vsubq_f32(a, b);
        fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t = vmulq_f32(a, b);
        fn div(a: float32x4_t, b: float32x4_t) -> float32x4_t = vdivq_f32(a, b);
        fn mul_add(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t = vfmaq_f32(c, a, b);
        fn max(a: float32x4_t, b: float32x4_t) -> float32x4_t = vbslq_f32(vcgtq_f32(a, b), a, b);
        fn min(a: float32x4_t, b: float32x4_t) -> float32x4_t = vbslq_f32(vcltq_f32(a, b), a, b);
        fn abs(a: float32x4_t) -> float32x4_t = vabsq_f32(a);
        fn neg(a: float32x4_t) -> float32x4_t = vnegq_f32(a);
        fn sqrt(a: float32x4_t) -> float32x4_t = vsqrtq_f32(a);
        fn floor(a: float32x4_t) -> float32x4_t = vrndmq_f32(a);
        fn ceil(a: float32x4_t) -> float32x4_t = vrndpq_f32(a);
        fn round(a: float32x4_t) -> float32x4_t = vrndnq_f32(a);
        fn copysign(a: float32x4_t, b: float32x4_t) -> float32x4_t =
            vbslq_f32(vdupq_n_u32(0x8000_0000), b, a);

        fn less(a: float32x4_t, b: float32x4_t) -> uint32x4_t = vcltq_f32(a, b);
        fn less_or_equal(a: float32x4_t, b: float32x4_t) -> uint32x4_t = vcleq_f32(a, b);
        fn equal(a: float32x4_t, b: float32x4_t) -> uint32x4_t = vceqq_f32(a, b);
        fn select(mask: uint32x4_t, a: float32x4_t, b: float32x4_t) -> float32x4_t = vbslq_f32(mask, a, b);

        fn splat_i32(value: i32) -> int32x4_t = vdupq_n_s32(value);
        fn add_i32(a: int32x4_t, b: int32x4_t) -> int32x4_t = vaddq_s32(a, b);
        fn sub_i32(a: int32x4_t, b: int32x4_t) -> int32x4_t = vsubq_s32(a, b);
        fn and_i32(a: int32x4_t, b: int32x4_t) -> int32x4_t = vandq_s32(a, b);
        fn or_i32(a: int32x4_t, b: int32x4_t) -> int32x4_t = vorrq_s32(a, b);
        fn shift_left_i32<const N: i32>(a: int32x4_t) -> int32x4_t = vshlq_n_s32::<N>(a);
        fn shift_right_i32<const N: i32>(a: int32x4_t) -> int32x4_t = vshrq_n_s32::<N>(a);
        fn bits(a: float32x4_t) -> int32x4_t = vreinterpretq_s32_f32(a);
        fn from_bits(a: int32x4_t) -> float32x4_t = vreinterpretq_f32_s32(a);
        fn to_i32(a: float32x4_t) -> int32x4_t = vcvtnq_s32_f32(a);
        fn from_i32(a: int32x4_t) -> float32x4_t = vcvtq_f32_s32(a);

        fn sum(a: float32x4_t) -> f32 = vaddvq_f32(a);
        fn max_lane(a: float32x4_t) -> f32 = vmaxvq_f32(a);
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> float32x4_t {
        // SAFETY: the caller's.
        unsafe { vld1q_f32(from) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, a: float32x4_t) {
        // SAFETY: the caller's.
        unsafe { vst1q_f32(to, a) }
    }
    #[inline(always)]
    unsafe fn load_first(self, from: *const f32, count: usize) -> float32x4_t {
        debug_assert!(count <= 4);
        let mut lanes = [0.0f32; 4];
        // SAFETY: `count` numbers can be read, says the caller, and there is room for four.
        unsafe {
            core::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), count);
            vld1q_f32(lanes.as_ptr())
        }
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, a: float32x4_t, count: usize) {
        debug_assert!(count <= 4);
        let mut lanes = [0.0f32; 4];
        // SAFETY: there is room for four, and `count` numbers can be written, says the caller.
        unsafe {
            vst1q_f32(lanes.as_mut_ptr(), a);
            core::ptr::copy_nonoverlapping(lanes.as_ptr(), to, count);
        }
    }
    #[inline(always)]
    unsafe fn load_splat(self, from: *const f32) -> float32x4_t {
        // SAFETY: the caller's.
        unsafe { vld1q_dup_f32(from) }
    }
    #[inline(always)]
    unsafe fn load_u16(self, from: *const u16) -> int32x4_t {
        // SAFETY: the caller's.
        unsafe { vreinterpretq_s32_u32(vmovl_u16(vld1_u16(from))) }
    }
}
