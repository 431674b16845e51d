//! Normalisations of numbers that lie side by side.

#![expect(unsafe_code, reason = "vectors are read and written at pointers")]

use tensorlet_plan::kernel::{Normalise, NormaliseKind};

use super::factors;
use crate::crew::{Crew, Pace};
use crate::isa::{Isa, Vectorised};
use crate::run::{Run, RunError};
use crate::simd::Simd;

/// A normalisation of each row of a tensor seen as rows of parts.
pub(super) struct Rows {
    /// How many numbers have a mean in common.
    len: usize,
    /// How many numbers have scale and bias in common: 1, or the pixels of a channel.
    part: usize,
    /// After how many numbers scales and biases begin anew.
    period: usize,
    centred: bool,
    epsilon: f32,
    scale: bool,
    bias: bool,
    isa: Isa,
}

impl Rows {
    /// Rows of `len` numbers with a scale and a bias each.
    pub(super) fn layer(normalise: &Normalise, len: usize, isa: Isa) -> Self {
        Self {
            len,
            part: 1,
            period: len,
            centred: !matches!(normalise.kind, NormaliseKind::RootMeanSquare { .. }),
            epsilon: normalise.epsilon,
            scale: normalise.scale,
            bias: normalise.bias,
            isa,
        }
    }

    /// Groups of channels of `spatial` pixels, with a scale and a bias a channel.
    pub(super) fn group(
        normalise: &Normalise,
        channels: usize,
        groups: usize,
        spatial: usize,
        isa: Isa,
    ) -> Self {
        Self {
            len: channels / groups * spatial,
            part: spatial,
            period: channels * spatial,
            ..Self::layer(normalise, 0, isa)
        }
    }
}

impl Run for Rows {
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
        let (scale, bias) = factors(inputs, self.scale, self.bias);
        let len = self.len;
        crew.divide(y, len, len / 4, |begin, y| {
            let mut pace = Pace::of(crew);
            let rows = x[begin * len..]
                .chunks_exact(len)
                .zip(y.chunks_exact_mut(len));
            for (row, (x, y)) in rows.enumerate() {
                pace.count(len / 4)?;
                let row = begin + row;
                let (mean, factor) = self.isa.run(Moments { x, bound: self });
                let first = row * self.len % self.period / self.part;
                if self.part == 1 {
                    let scale = scale.map(|scale| &scale[first..][..x.len()]);
                    let bias = bias.map(|bias| &bias[first..][..x.len()]);
                    self.isa.run(Apply {
                        x,
                        y,
                        mean,
                        factor,
                        scale,
                        bias,
                    });
                    continue;
                }
                let parts = x.chunks_exact(self.part).zip(y.chunks_exact_mut(self.part));
                for (part, (x, y)) in parts.enumerate() {
                    let factor = factor * scale.map_or(1.0, |scale| scale[first + part]);
                    let offset = bias.map_or(0.0, |bias| bias[first + part]);
                    for (x, y) in x.iter().zip(y) {
                        *y = (x - mean) * factor + offset;
                    }
                }
            }
            Ok(())
        })
    }
}

/// Finds the mean (0 if that is not subtracted) and the reciprocal of the deviation.
struct Moments<'a> {
    x: &'a [f32],
    bound: &'a Rows,
}

impl Vectorised for Moments<'_> {
    type Output = (f32, f32);

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> (f32, f32) {
        let len = self.x.len() as f32;
        let mean = if self.bound.centred {
            sum(simd, self.x, |_, x| x, |x| x) / len
        } else {
            0.0
        };
        let offset = simd.splat(mean);
        let square = |simd: S, x| {
            let x = simd.sub(x, offset);
            simd.mul(x, x)
        };
        let squares = sum(simd, self.x, square, |x| (x - mean) * (x - mean));
        (mean, 1.0 / (squares / len + self.bound.epsilon).sqrt())
    }
}

/// How many numbers are added before their sum is added to others.
const SHORT: usize = 4096;

/// Adds a function of each number: short sums, so that long ones keep their digits, each made of four.
#[inline(always)]
fn sum<S: Simd>(
    simd: S,
    x: &[f32],
    vector: impl Fn(S, S::F32) -> S::F32,
    scalar: impl Fn(f32) -> f32,
) -> f32 {
    let mut total = 0.0;
    for part in x.chunks(SHORT) {
        let mut sums = [simd.splat(0.0); 4];
        let quads = part.chunks_exact(4 * S::LANES);
        let vectors = quads.remainder().chunks_exact(S::LANES);
        let rest = vectors.remainder();
        for quad in quads {
            for (index, sum) in sums.iter_mut().enumerate() {
                // SAFETY: the chunk has four vectors.
                let x = unsafe { simd.load(quad.as_ptr().add(index * S::LANES)) };
                *sum = simd.add(*sum, vector(simd, x));
            }
        }
        for numbers in vectors {
            // SAFETY: the chunk is as long as a vector.
            let x = unsafe { simd.load(numbers.as_ptr()) };
            sums[0] = simd.add(sums[0], vector(simd, x));
        }
        let halves = [simd.add(sums[0], sums[1]), simd.add(sums[2], sums[3])];
        total += f64::from(simd.sum(simd.add(halves[0], halves[1])));
        total += f64::from(rest.iter().map(|&x| scalar(x)).sum::<f32>());
    }
    total as f32
}

/// Writes what is made of a row.
struct Apply<'a> {
    x: &'a [f32],
    y: &'a mut [f32],
    mean: f32,
    factor: f32,
    scale: Option<&'a [f32]>,
    bias: Option<&'a [f32]>,
}

impl Vectorised for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (mean, factor) = (simd.splat(self.mean), simd.splat(self.factor));
        let len = self.x.len();
        for at in (0..len).step_by(S::LANES) {
            let count = S::LANES.min(len - at);
            // SAFETY: x, y, scale and bias have `len` numbers, and `count` of them follow `at`.
            unsafe {
                let read = |from: &[f32]| {
                    let from = from.as_ptr().add(at);
                    if count == S::LANES {
                        simd.load(from)
                    } else {
                        simd.load_first(from, count)
                    }
                };
                let mut y = simd.mul(simd.sub(read(self.x), mean), factor);
                if let Some(scale) = self.scale {
                    y = simd.mul(y, read(scale));
                }
                if let Some(bias) = self.bias {
                    y = simd.add(y, read(bias));
                }
                let to = self.y.as_mut_ptr().add(at);
                if count == S::LANES {
                    simd.store(to, y);
                } else {
                    simd.store_first(to, y, count);
                }
            }
        }
    }
}
