//! A normalisation along an axis in the middle of a tensor seen as `[outer][len][inner]`.

#![expect(unsafe_code, reason = "vectors are read and written at pointers")]

use tensorlet_plan::kernel::Normalise;

use super::factors;
use crate::crew::{Crew, Pace};
use crate::isa::{Isa, Vectorised};
use crate::run::{Run, RunError};
use crate::simd::{Scalar, Simd};

/// A normalisation of columns.
pub(super) struct Columns {
    len: usize,
    inner: usize,
    epsilon: f32,
    scale: bool,
    bias: bool,
    isa: Isa,
}

impl Columns {
    pub(super) fn new(normalise: &Normalise, len: usize, inner: usize, isa: Isa) -> Self {
        Self {
            len,
            inner,
            epsilon: normalise.epsilon,
            scale: normalise.scale,
            bias: normalise.bias,
            isa,
        }
    }
}

impl Run for Columns {
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
        let size = self.len * self.inner;
        crew.divide(y, size, size / 2, |first, y| {
            let x = &x[first * size..];
            for (x, y) in x.chunks_exact(size).zip(y.chunks_exact_mut(size)) {
                self.isa.run(Matrix {
                    x,
                    y,
                    scale,
                    bias,
                    bound: self,
                    pace: Pace::of(crew),
                })?;
            }
            Ok(())
        })
    }
}

/// `len` rows of `inner` numbers, and `len` scales and biases.
struct Matrix<'a> {
    x: &'a [f32],
    y: &'a mut [f32],
    scale: Option<&'a [f32]>,
    bias: Option<&'a [f32]>,
    bound: &'a Columns,
    pace: Pace<'a>,
}

impl Vectorised for Matrix<'_> {
    type Output = Result<(), RunError>;

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) -> Result<(), RunError> {
        let len = self.bound.len;
        let inner = self.bound.inner;
        let mut begin = 0;
        // Whole lines of the cache while there are, which are four vectors at most.
        while inner - begin >= LINE {
            self.pace.count(len * LINE / 2)?;
            match LINE / S::LANES {
                1 => self.strip::<S, 1>(simd, begin),
                2 => self.strip::<S, 2>(simd, begin),
                _ => self.strip::<S, 4>(simd, begin),
            }
            begin += LINE.min(4 * S::LANES);
        }
        // The last vector begins where it ends with the row, and computes some results again.
        while inner >= S::LANES && begin < inner {
            self.pace.count(len * S::LANES / 2)?;
            self.strip::<S, 1>(simd, begin.min(inner - S::LANES));
            begin += S::LANES;
        }
        while begin < inner {
            self.pace.count(len)?;
            self.strip::<Scalar, 1>(Scalar, begin);
            begin += 1;
        }
        Ok(())
    }
}

/// How many numbers a line of the cache holds.
const LINE: usize = 16;

impl Matrix<'_> {
    /// Normalises `V` vectors of columns.
    #[inline(always)]
    fn strip<S: Simd, const V: usize>(&mut self, simd: S, begin: usize) {
        let &Columns {
            len,
            inner,
            epsilon,
            ..
        } = self.bound;
        let rows = self
            .x
            .chunks_exact(inner)
            .map(|row| &row[begin..][..V * S::LANES]);
        let share = simd.splat(1.0 / len as f32);
        let mut means = [simd.splat(0.0); V];
        for row in rows.clone() {
            for (mean, x) in means.iter_mut().zip(load::<S, V>(simd, row)) {
                *mean = simd.add(*mean, x);
            }
        }
        for mean in &mut means {
            *mean = simd.mul(*mean, share);
        }
        let mut factors = [simd.splat(0.0); V];
        for row in rows.clone() {
            let x: [S::F32; V] = load(simd, row);
            for i in 0..V {
                let x = simd.sub(x[i], means[i]);
                factors[i] = simd.mul_add(x, x, factors[i]);
            }
        }
        for factor in &mut factors {
            let variance = simd.mul_add(*factor, share, simd.splat(epsilon));
            *factor = simd.div(simd.splat(1.0), simd.sqrt(variance));
        }
        for (index, (row, y)) in rows.zip(self.y.chunks_exact_mut(inner)).enumerate() {
            let scale = simd.splat(self.scale.map_or(1.0, |scale| scale[index]));
            let bias = simd.splat(self.bias.map_or(0.0, |bias| bias[index]));
            let x: [S::F32; V] = load(simd, row);
            let y = &mut y[begin..][..V * S::LANES];
            for (i, y) in y.chunks_exact_mut(S::LANES).enumerate() {
                let normal = simd.mul(simd.sub(x[i], means[i]), factors[i]);
                let result = simd.mul_add(normal, scale, bias);
                // SAFETY: the slice is as long as a vector.
                unsafe { simd.store(y.as_mut_ptr(), result) };
            }
        }
    }
}

/// Reads `V` vectors.
#[inline(always)]
fn load<S: Simd, const V: usize>(simd: S, from: &[f32]) -> [S::F32; V] {
    let from = &from[..V * S::LANES];
    let mut vectors = [simd.splat(0.0); V];
    for (i, vector) in vectors.iter_mut().enumerate() {
        // SAFETY: the slice holds `V` vectors.
        *vector = unsafe { simd.load(from.as_ptr().add(i * S::LANES)) };
    }
    vectors
}
