//! Ways to fold numbers, of which vectors fold many at a time.

use crate::simd::Simd;
use crate::unary::exp;

/// The most vectors that are folded side by side.
pub(super) const MOST: usize = 4;

/// A way to fold.
pub(super) trait Way: Copy {
    /// What a fold begins with.
    const START: f32;
    /// How many vectors are folded side by side, at most [`MOST`]: several where it is frequent and additions wait for each other.
    const VECTORS: usize = 1;

    /// A number that changes nothing.
    fn neutral(self) -> f32;

    /// Makes of a number what is folded.
    fn map<S: Simd>(self, simd: S, x: S::F32, offset: S::F32) -> S::F32;

    /// Folds two into one.
    #[inline(always)]
    fn join<S: Simd>(self, simd: S, a: S::F32, b: S::F32) -> S::F32 {
        simd.add(a, b)
    }

    /// Folds two into one, where results of short folds are folded.
    #[inline(always)]
    fn join_one(self, a: f64, b: f64) -> f64 {
        a + b
    }

    /// Folds the lanes of a vector.
    #[inline(always)]
    fn lanes<S: Simd>(self, simd: S, vector: S::F32) -> f64 {
        f64::from(simd.sum(vector))
    }

    /// Makes the result of what was folded.
    #[inline(always)]
    fn finish<S: Simd>(self, _simd: S, folded: S::F32) -> S::F32 {
        folded
    }
}

/// A sum of numbers, of whose bits only some count.
#[derive(Clone, Copy)]
pub(super) struct Sum {
    bits: i32,
}

impl Sum {
    pub(super) const OF_NUMBERS: Self = Self { bits: -1 };
    pub(super) const OF_MAGNITUDES: Self = Self { bits: i32::MAX };
}

impl Way for Sum {
    const START: f32 = 0.0;
    const VECTORS: usize = MOST;

    #[inline(always)]
    fn neutral(self) -> f32 {
        0.0
    }

    #[inline(always)]
    fn map<S: Simd>(self, simd: S, x: S::F32, _offset: S::F32) -> S::F32 {
        simd.from_bits(simd.and_i32(simd.bits(x), simd.splat_i32(self.bits)))
    }
}

/// A sum of squares.
#[derive(Clone, Copy)]
pub(super) struct Squares;

impl Way for Squares {
    const START: f32 = 0.0;
    const VECTORS: usize = MOST;

    #[inline(always)]
    fn neutral(self) -> f32 {
        0.0
    }

    #[inline(always)]
    fn map<S: Simd>(self, simd: S, x: S::F32, _offset: S::F32) -> S::F32 {
        simd.mul(x, x)
    }
}

/// A sum of exponentials of differences.
#[derive(Clone, Copy)]
pub(super) struct Exponentials;

impl Way for Exponentials {
    const START: f32 = 0.0;

    #[inline(always)]
    fn neutral(self) -> f32 {
        f32::NEG_INFINITY
    }

    #[inline(always)]
    fn map<S: Simd>(self, simd: S, x: S::F32, offset: S::F32) -> S::F32 {
        exp(simd, simd.sub(x, offset))
    }
}

/// The largest number, or the smallest, which is the largest of the negated ones. NaN if any number is.
#[derive(Clone, Copy)]
pub(super) struct Extreme {
    sign: f32,
}

impl Extreme {
    pub(super) const LARGEST: Self = Self { sign: 1.0 };
    pub(super) const SMALLEST: Self = Self { sign: -1.0 };
}

impl Way for Extreme {
    const START: f32 = f32::NEG_INFINITY;
    const VECTORS: usize = MOST;

    #[inline(always)]
    fn neutral(self) -> f32 {
        f32::NEG_INFINITY * self.sign
    }

    #[inline(always)]
    fn map<S: Simd>(self, simd: S, x: S::F32, _offset: S::F32) -> S::F32 {
        simd.mul(x, simd.splat(self.sign))
    }

    #[inline(always)]
    fn join<S: Simd>(self, simd: S, a: S::F32, b: S::F32) -> S::F32 {
        // Of two numbers of which one is NaN, `max` returns the second.
        simd.select(simd.equal(a, a), simd.max(a, b), a)
    }

    #[inline(always)]
    fn join_one(self, a: f64, b: f64) -> f64 {
        if a > b || a.is_nan() { a } else { b }
    }

    #[inline(always)]
    fn lanes<S: Simd>(self, simd: S, vector: S::F32) -> f64 {
        // `max_lane` says nothing of NaN.
        let (zero, one) = (simd.splat(0.0), simd.splat(1.0));
        let nans = simd.sum(simd.select(simd.equal(vector, vector), zero, one));
        if nans == 0.0 {
            f64::from(simd.max_lane(vector))
        } else {
            f64::NAN
        }
    }

    #[inline(always)]
    fn finish<S: Simd>(self, simd: S, folded: S::F32) -> S::F32 {
        simd.mul(folded, simd.splat(self.sign))
    }
}
