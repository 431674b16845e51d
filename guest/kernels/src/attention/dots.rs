//! Scores of a few queries, one by one: keys are read where they are, and once for each query.

#![expect(unsafe_code, reason = "vectors are read at pointers")]

use crate::isa::{Isa, Vectorised};
use crate::simd::Simd;

/// How many keys are multiplied with a query at a time.
const KEYS: usize = 4;

/// Multiplies each row of queries with each row of keys, both `depth` numbers, and with `scale`.
pub(super) fn dots(
    isa: Isa,
    scale: f32,
    queries: &[f32],
    keys: &[f32],
    depth: usize,
    scores: &mut [f32],
) {
    let count = keys.len() / depth;
    let queries = queries.chunks_exact(depth);
    for (query, scores) in queries.zip(scores.chunks_exact_mut(count)) {
        isa.run(Dots {
            scale,
            query,
            keys,
            scores,
        });
    }
}

struct Dots<'a> {
    scale: f32,
    query: &'a [f32],
    keys: &'a [f32],
    scores: &'a mut [f32],
}

impl Vectorised for Dots<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let depth = self.query.len();
        let keys = self.keys.chunks(KEYS * depth);
        for (keys, scores) in keys.zip(self.scores.chunks_mut(KEYS)) {
            if let Ok(scores) = <&mut [f32; KEYS]>::try_from(&mut *scores) {
                *scores = dot::<S, KEYS>(simd, self.query, keys);
            } else {
                for (key, score) in keys.chunks_exact(depth).zip(&mut *scores) {
                    [*score] = dot::<S, 1>(simd, self.query, key);
                }
            }
            for score in scores {
                *score *= self.scale;
            }
        }
    }
}

/// Multiplies a query with `N` keys.
#[inline(always)]
fn dot<S: Simd, const N: usize>(simd: S, query: &[f32], keys: &[f32]) -> [f32; N] {
    let depth = query.len();
    assert_eq!(keys.len(), N * depth, "keys as deep as the query");
    let mut sums = [simd.splat(0.0); N];
    for at in (0..depth).step_by(S::LANES) {
        let count = (depth - at).min(S::LANES);
        // SAFETY: there are `count` numbers from `at` on of the query and of each key; beyond them lanes are 0.
        unsafe {
            let q = simd.load_first(query.as_ptr().add(at), count);
            for (i, sum) in sums.iter_mut().enumerate() {
                let key = keys.as_ptr().add(i * depth + at);
                let k = if count == S::LANES {
                    simd.load(key)
                } else {
                    simd.load_first(key, count)
                };
                *sum = simd.mul_add(q, k, *sum);
            }
        }
    }
    let mut dots = [0.0; N];
    for (dot, sum) in dots.iter_mut().zip(sums) {
        *dot = simd.sum(sum);
    }
    dots
}
