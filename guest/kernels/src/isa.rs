//! Instruction sets, and how a kernel is compiled for each.
//!
//! A kernel is a struct that implements [`Vectorised`]: one generic function, inlined into one function for each
//! instruction set by [`Isa::run`].

use crate::simd::Simd;

/// An instruction set that kernels are compiled for.
///
/// A value is proof that the machine has it: it is made by [`Isa::detect`] and [`Isa::available`] alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Isa(pub(crate) Kind);

/// Where WebAssembly has vectors every engine has them, so the plain loops are left out of the predictor.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    #[cfg(any(test, not(all(target_arch = "wasm32", target_feature = "simd128"))))]
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "aarch64")]
    Neon,
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    Wasm,
}

/// A computation that is compiled for every instruction set.
pub trait Vectorised {
    /// What it returns.
    type Output;

    /// Computes. Must be `#[inline(always)]`, and so must everything it calls that uses `S`.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

impl Isa {
    /// Plain loops, on any machine.
    #[cfg(any(test, not(all(target_arch = "wasm32", target_feature = "simd128"))))]
    pub const SCALAR: Self = Self(Kind::Scalar);

    /// Returns the best instruction set that this machine has.
    pub fn detect() -> Self {
        *Self::available()
            .last()
            .expect("every machine has an instruction set")
    }

    /// Returns every instruction set that this machine has, the best last.
    pub fn available() -> Vec<Self> {
        vec![
            #[cfg(any(test, not(all(target_arch = "wasm32", target_feature = "simd128"))))]
            Kind::Scalar,
            #[cfg(target_arch = "aarch64")]
            Kind::Neon,
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Kind::Wasm,
        ]
        .into_iter()
        .chain(detected())
        .map(Self)
        .collect()
    }

    /// Returns what people call it.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(any(test, not(all(target_arch = "wasm32", target_feature = "simd128"))))]
            Kind::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "AVX-512",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => "NEON",
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Kind::Wasm => "SIMD128",
        }
    }

    /// Runs a computation, compiled for this instruction set.
    pub fn run<V: Vectorised>(self, computation: V) -> V::Output {
        match self.0 {
            #[cfg(any(test, not(all(target_arch = "wasm32", target_feature = "simd128"))))]
            Kind::Scalar => computation.run(crate::simd::Scalar),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => x86::avx2(computation),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => x86::avx512(computation),
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => computation.run(crate::simd::Neon::new()),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Kind::Wasm => computation.run(crate::simd::Wasm),
        }
    }
}

/// Returns what only a look at the processor tells.
#[cfg(not(target_arch = "x86_64"))]
fn detected() -> impl Iterator<Item = Kind> {
    std::iter::empty()
}

/// Returns what only a look at the processor tells.
#[cfg(target_arch = "x86_64")]
fn detected() -> impl Iterator<Item = Kind> {
    let avx2 = is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c");
    let avx512 = avx2
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl");
    [avx2.then_some(Kind::Avx2), avx512.then_some(Kind::Avx512)]
        .into_iter()
        .flatten()
}

/// The functions that instruction sets beyond the target's own are switched on for.
#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "a function with more instructions than the caller's is unsafe to call"
)]
mod x86 {
    use super::Vectorised;
    use crate::simd::{Avx2, Avx512};

    /// To be called for [`Kind::Avx2`](super::Kind) only.
    #[inline(always)]
    pub(super) fn avx2<V: Vectorised>(computation: V) -> V::Output {
        #[target_feature(enable = "avx2,fma,f16c")]
        fn run<V: Vectorised>(computation: V) -> V::Output {
            // SAFETY: this function has the instructions.
            computation.run(unsafe { Avx2::new() })
        }
        // SAFETY: the caller has a `Kind::Avx2`, which `detected` makes only where the processor has the instructions.
        unsafe { run(computation) }
    }

    /// To be called for [`Kind::Avx512`](super::Kind) only.
    #[inline(always)]
    pub(super) fn avx512<V: Vectorised>(computation: V) -> V::Output {
        #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512dq,avx512bw,avx512vl")]
        fn run<V: Vectorised>(computation: V) -> V::Output {
            // SAFETY: this function has the instructions.
            computation.run(unsafe { Avx512::new() })
        }
        // SAFETY: the caller has a `Kind::Avx512`, which `detected` makes only where the processor has the instructions.
        unsafe { run(computation) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Lanes;

    impl Vectorised for Lanes {
        type Output = usize;

        #[inline(always)]
        fn run<S: Simd>(self, _simd: S) -> usize {
            S::LANES
        }
    }

    #[test]
    fn the_plain_loops_are_always_there_and_the_best_comes_last() {
        let available = Isa::available();
        assert_eq!(available[0], Isa::SCALAR);
        assert_eq!(available.last(), Some(&Isa::detect()));
        let lanes: Vec<usize> = available.iter().map(|isa| isa.run(Lanes)).collect();
        assert!(lanes.is_sorted(), "{lanes:?}");
        assert_eq!(lanes[0], 1);
    }

    #[test]
    fn names_are_different() {
        let mut names: Vec<&str> = Isa::available().iter().map(|isa| isa.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Isa::available().len());
    }
}
