//! Vectors, as kernels see them.
//!
//! [`Simd`] is a thin trait over `core::arch`: one implementation an instruction set, each method one or a few instructions.

#![expect(
    unsafe_code,
    reason = "instructions are chosen at run time, and read and write at pointers"
)]

mod scalar;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;

#[cfg(test)]
mod tests;

#[cfg(target_arch = "x86_64")]
pub use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub use avx512::Avx512;
#[cfg(target_arch = "aarch64")]
pub use neon::Neon;
pub use scalar::Scalar;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub use wasm::Wasm;

/// Vectors of one instruction set. A value is proof that the machine has it.
///
/// Methods are `#[inline(always)]` and compute lane by lane. The `unsafe` ones read or write memory at a pointer, unaligned.
#[expect(
    clippy::wrong_self_convention,
    reason = "`self` is the instruction set, not what is converted"
)]
pub trait Simd: Copy + Send + Sync + 'static {
    /// How many lanes a vector has: 1, 4, 8 or 16.
    const LANES: usize;
    /// How many vectors fit in registers at a time.
    const REGISTERS: usize;
    /// A vector of f32.
    type F32: Copy;
    /// A vector of i32.
    type I32: Copy;
    /// A condition a lane.
    type Mask: Copy;

    /// Puts one number into all lanes.
    fn splat(self, value: f32) -> Self::F32;
    /// `a + b`.
    fn add(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a - b`.
    fn sub(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a × b`.
    fn mul(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a / b`.
    fn div(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a × b + c`, rounded once where the instruction set does so.
    fn mul_add(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    /// The larger; `b` if either is NaN or both are zeros.
    fn max(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// The smaller; `b` if either is NaN or both are zeros.
    fn min(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `|a|`.
    fn abs(self, a: Self::F32) -> Self::F32;
    /// `-a`.
    fn neg(self, a: Self::F32) -> Self::F32;
    /// The square root.
    fn sqrt(self, a: Self::F32) -> Self::F32;
    /// The largest integer that is not above.
    fn floor(self, a: Self::F32) -> Self::F32;
    /// The smallest integer that is not below.
    fn ceil(self, a: Self::F32) -> Self::F32;
    /// To the nearest integer, ties to even.
    fn round(self, a: Self::F32) -> Self::F32;
    /// The magnitude of `a` with the sign of `b`.
    fn copysign(self, a: Self::F32, b: Self::F32) -> Self::F32;

    /// `a < b`; false if either is NaN.
    fn less(self, a: Self::F32, b: Self::F32) -> Self::Mask;
    /// `a ≤ b`; false if either is NaN.
    fn less_or_equal(self, a: Self::F32, b: Self::F32) -> Self::Mask;
    /// `a = b`; false if either is NaN.
    fn equal(self, a: Self::F32, b: Self::F32) -> Self::Mask;
    /// `a` where the condition holds, else `b`.
    fn select(self, mask: Self::Mask, a: Self::F32, b: Self::F32) -> Self::F32;

    /// Puts one number into all lanes.
    fn splat_i32(self, value: i32) -> Self::I32;
    /// `a + b`, wrapping around.
    fn add_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    /// `a - b`, wrapping around.
    fn sub_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    /// The bits that both have.
    fn and_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    /// The bits that either has.
    fn or_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    /// `a × 2^N`, for `N` from 1 to 31.
    fn shift_left_i32<const N: i32>(self, a: Self::I32) -> Self::I32;
    /// `a / 2^N` rounded down, for `N` from 1 to 31.
    fn shift_right_i32<const N: i32>(self, a: Self::I32) -> Self::I32;
    /// The bits of a number.
    fn bits(self, a: Self::F32) -> Self::I32;
    /// The number of given bits.
    fn from_bits(self, a: Self::I32) -> Self::F32;
    /// Rounds to the nearest integer, ties to even; what does not fit gives any number.
    fn to_i32(self, a: Self::F32) -> Self::I32;
    /// The nearest number.
    fn from_i32(self, a: Self::I32) -> Self::F32;

    /// Adds the lanes, in an order of the instruction set's choice.
    fn sum(self, a: Self::F32) -> f32;
    /// The largest lane; any number if one is NaN.
    fn max_lane(self, a: Self::F32) -> f32;

    /// Reads a vector.
    /// # Safety
    /// `LANES` numbers can be read.
    unsafe fn load(self, from: *const f32) -> Self::F32;
    /// Writes a vector.
    /// # Safety
    /// `LANES` numbers can be written.
    unsafe fn store(self, to: *mut f32, a: Self::F32);
    /// Reads the first `count ≤ LANES` lanes; others are 0.
    /// # Safety
    /// `count` numbers can be read.
    unsafe fn load_first(self, from: *const f32, count: usize) -> Self::F32;
    /// Writes the first `count ≤ LANES` lanes.
    /// # Safety
    /// `count` numbers can be written.
    unsafe fn store_first(self, to: *mut f32, a: Self::F32, count: usize);
    /// Puts one number into all lanes.
    /// # Safety
    /// One number can be read.
    unsafe fn load_splat(self, from: *const f32) -> Self::F32;
    /// Reads numbers of 16 bits.
    /// # Safety
    /// `LANES` numbers can be read.
    unsafe fn load_u16(self, from: *const u16) -> Self::I32;

    /// Reads a vector of f16, given as bits.
    /// # Safety
    /// `LANES` numbers can be read.
    #[inline(always)]
    unsafe fn load_f16(self, from: *const u16) -> Self::F32 {
        // SAFETY: the caller's.
        let half = unsafe { self.load_u16(from) };
        // Shifted into place, exponent and fraction make a number that is 2^112 too small; the product is exact, and
        // what was subnormal becomes normal.
        let magnitude = self.and_i32(half, self.splat_i32(0x7fff));
        let small = self.from_bits(self.shift_left_i32::<13>(magnitude));
        let scaled = self.mul(small, self.splat(f32::from_bits((127 + 112) << 23)));
        // The largest exponent means infinity or NaN, here as there.
        let infinite = self.less_or_equal(self.splat(65536.0), scaled);
        let exponent = self.splat_i32(0x7f80_0000);
        let infinity = self.from_bits(self.or_i32(self.bits(scaled), exponent));
        let unsigned = self.select(infinite, infinity, scaled);
        let sign = self.shift_left_i32::<16>(self.sub_i32(half, magnitude));
        self.from_bits(self.or_i32(self.bits(unsigned), sign))
    }
}

/// Methods that are safe because a value of the type exists only where the machine has the instructions.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! instructions {
    ($(
        fn $name:ident $(<const $n:ident: i32>)? ($($arg:ident: $type:ty),*) -> $out:ty = $body:expr;
    )*) => {
        $(
            #[inline(always)]
            fn $name $(<const $n: i32>)? (self, $($arg: $type),*) -> $out {
                // SAFETY: a value of this type is made only where the machine has the instructions.
                unsafe { $body }
            }
        )*
    };
}
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) use instructions;
