//! Local response normalisation: `x / (bias + α/size × Σ x²)^β`, the sum over neighbouring channels.

#![expect(unsafe_code, reason = "vectors are read and written at pointers")]

use crate::crew::{Crew, Pace};
use crate::isa::{Isa, Vectorised};
use crate::run::{Run, RunError};
use crate::simd::{Scalar, Simd};
use crate::unary::{exp, log};

/// A local response normalisation of `[N][channels][spatial]`.
pub(super) struct Lrn {
    pub(super) size: usize,
    /// α / size.
    pub(super) factor: f32,
    pub(super) beta: f32,
    pub(super) bias: f32,
    pub(super) channels: usize,
    pub(super) spatial: usize,
    pub(super) isa: Isa,
}

impl Run for Lrn {
    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        _scratch: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let x: &[f32] = bytemuck::cast_slice(inputs[0]);
        let y: &mut [f32] = bytemuck::cast_slice_mut(outputs[0]);
        if x.is_empty() {
            return Ok(());
        }
        let Self {
            channels, spatial, ..
        } = *self;
        let (before, after) = ((self.size - 1) / 2, self.size / 2);
        let work = spatial.saturating_mul(2 + self.size.min(channels) / 16);
        crew.divide(y, spatial, work, |begin, y| {
            for (index, y) in y.chunks_exact_mut(spatial).enumerate() {
                let (row, channel) = ((begin + index) / channels, (begin + index) % channels);
                let x = &x[row * channels * spatial..];
                let first = channel.saturating_sub(before);
                let last = channel.saturating_add(after).min(channels - 1);
                self.isa.run(Channel {
                    bound: self,
                    neighbours: &x[first * spatial..(last + 1) * spatial],
                    x: &x[channel * spatial..][..spatial],
                    y,
                    pace: Pace::of(crew),
                })?;
            }
            Ok(())
        })
    }
}

/// One channel, which is among its neighbours.
struct Channel<'a> {
    bound: &'a Lrn,
    neighbours: &'a [f32],
    x: &'a [f32],
    y: &'a mut [f32],
    pace: Pace<'a>,
}

impl Vectorised for Channel<'_> {
    type Output = Result<(), RunError>;

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) -> Result<(), RunError> {
        let len = self.x.len();
        let work = 16 + self.neighbours.len() / len;
        let mut begin = 0;
        // The last vector begins where it ends with the channel, and computes some results again.
        while len >= S::LANES && begin < len {
            self.pace.count(work)?;
            self.vector(simd, begin.min(len - S::LANES));
            begin += S::LANES;
        }
        while begin < len {
            self.pace.count(work)?;
            self.vector(Scalar, begin);
            begin += 1;
        }
        Ok(())
    }
}

impl Channel<'_> {
    #[inline(always)]
    fn vector<S: Simd>(&mut self, simd: S, begin: usize) {
        let Lrn {
            factor, beta, bias, ..
        } = *self.bound;
        let mut sum = simd.splat(0.0);
        for neighbour in self.neighbours.chunks_exact(self.x.len()) {
            let from = &neighbour[begin..][..S::LANES];
            // SAFETY: the slice is as long as a vector.
            let x = unsafe { simd.load(from.as_ptr()) };
            sum = simd.mul_add(x, x, sum);
        }
        let base = simd.mul_add(sum, simd.splat(factor), simd.splat(bias));
        let power = simd.mul(log(simd, base), simd.splat(-beta));
        let from = &self.x[begin..][..S::LANES];
        // SAFETY: the slice is as long as a vector.
        let x = unsafe { simd.load(from.as_ptr()) };
        let y = simd.mul(x, exp(simd, power));
        let to = &mut self.y[begin..][..S::LANES];
        // SAFETY: the slice is as long as a vector.
        unsafe { simd.store(to.as_mut_ptr(), y) };
    }
}
