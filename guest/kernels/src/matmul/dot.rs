//! Products row by row: sums of products of two rows that both lie in one piece.

#![expect(unsafe_code, reason = "vectors are read at pointers")]

use tensorlet_plan::kernel::Activation;

use super::Inputs;
use crate::crew::Crew;
use crate::isa::{Isa, Vectorised};
use crate::run::RunError;
use crate::simd::Simd;

/// How rows are multiplied with columns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dot {
    /// How many elements a row and a column has.
    pub(super) len: usize,
    /// How many columns there are; at least one.
    pub(super) columns: usize,
    /// What each sum is multiplied with.
    pub(super) scale: f32,
    /// What is done last, if it is a clamp.
    pub(super) activation: Activation,
}

impl Dot {
    /// Multiplies all rows with all columns, which lie one after the other: some rows at a time, or some columns of a row if there are
    /// more of these.
    ///
    /// # Errors
    /// If the call is interrupted.
    /// # Panics
    /// If there are fewer columns than there must be.
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) fn share(
        &self,
        isa: Isa,
        inputs: Inputs<'_>,
        columns: &[f32],
        y: &mut [f32],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let (len, width) = (self.len, self.columns);
        // A number is read for each product.
        let work = 1 + len / 4;
        if width <= super::FEW {
            return crew.divide(y, width * SUMS, work * width * SUMS, |first, y| {
                let (first, count) = (first * SUMS, y.len() / width);
                let inputs = Inputs {
                    a: &inputs.a[first * len..][..count * len],
                    residual: inputs.residual.map(|all| &all[first * width..]),
                    ..inputs
                };
                self.run(isa, inputs, columns, y);
                Ok(())
            });
        }
        for (row, y) in y.chunks_exact_mut(width).enumerate() {
            crew.divide(y, SUMS, work * SUMS, |first, y| {
                let first = first * SUMS;
                let inputs = Inputs {
                    a: &inputs.a[row * len..][..len],
                    bias: inputs.bias.map(|bias| &bias[first..]),
                    residual: inputs.residual.map(|all| &all[row * width + first..]),
                    ..inputs
                };
                let columns = &columns[first * len..];
                let columns_of_piece = Self {
                    columns: y.len(),
                    ..*self
                };
                columns_of_piece.run(isa, inputs, columns, y);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Multiplies all rows with all columns, which lie one after the other.
    ///
    /// # Errors
    /// None.
    /// # Panics
    /// If there are fewer columns than there must be.
    #[cfg(target_arch = "wasm32")]
    pub(super) fn share(
        &self,
        isa: Isa,
        inputs: Inputs<'_>,
        columns: &[f32],
        y: &mut [f32],
        _crew: Crew<'_>,
    ) -> Result<(), RunError> {
        self.run(isa, inputs, columns, y);
        Ok(())
    }

    fn run(&self, isa: Isa, inputs: Inputs<'_>, columns: &[f32], y: &mut [f32]) {
        isa.run(Rows {
            dot: self,
            inputs,
            columns: &columns[..self.len * self.columns],
            y,
        });
    }
}

struct Rows<'a> {
    dot: &'a Dot,
    inputs: Inputs<'a>,
    columns: &'a [f32],
    y: &'a mut [f32],
}

/// How many sums are computed at a time, so that one product need not wait for another.
const SUMS: usize = 4;

impl Vectorised for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Dot { len, columns, .. } = *self.dot;
        let a = self.inputs.a;
        let whole = columns / SUMS * SUMS;
        let rows = a.len() / len;
        for row in 0..rows {
            let one = [&a[row * len..][..len]];
            for column in (0..whole).step_by(SUMS) {
                let four = std::array::from_fn(|i| &self.columns[(column + i) * len..][..len]);
                let sums: [[f32; SUMS]; 1] = sums(simd, one, four);
                for (i, sum) in sums[0].iter().enumerate() {
                    let at = row * columns + column + i;
                    self.y[at] = self.finish(*sum, at, column + i);
                }
            }
        }
        for column in whole..columns {
            let one = [&self.columns[column * len..][..len]];
            let fours = rows / SUMS * SUMS;
            for row in (0..fours).step_by(SUMS) {
                let four = std::array::from_fn(|i| &a[(row + i) * len..][..len]);
                let sums: [[f32; 1]; SUMS] = sums(simd, four, one);
                for (i, [sum]) in sums.iter().enumerate() {
                    let at = (row + i) * columns + column;
                    self.y[at] = self.finish(*sum, at, column);
                }
            }
            for row in fours..rows {
                let at = row * columns + column;
                let [[sum]] = sums(simd, [&a[row * len..][..len]], one);
                self.y[at] = self.finish(sum, at, column);
            }
        }
    }
}

impl Rows<'_> {
    #[inline(always)]
    fn finish(&self, sum: f32, at: usize, column: usize) -> f32 {
        let mut sum = sum * self.dot.scale;
        if let Some(bias) = self.inputs.bias {
            sum += bias[column];
        }
        if let Some(residual) = self.inputs.residual {
            sum += residual[at];
        }
        match self.dot.activation {
            Activation::Clamp { low, high } => {
                // NaN becomes `low`.
                let sum = if sum > low { sum } else { low };
                if sum < high { sum } else { high }
            }
            Activation::None | Activation::Unary(_) => sum,
        }
    }
}

/// Multiplies rows with columns that have all the same length.
#[inline(always)]
fn sums<S: Simd, const R: usize, const C: usize>(
    simd: S,
    rows: [&[f32]; R],
    columns: [&[f32]; C],
) -> [[f32; C]; R] {
    let len = rows[0].len();
    assert!(rows.iter().chain(&columns).all(|slice| slice.len() == len));
    let mut vectors = [[simd.splat(0.0); C]; R];
    let mut k = 0;
    while k < len {
        let count = S::LANES.min(len - k);
        let mut factors = [simd.splat(0.0); C];
        for c in 0..C {
            // SAFETY: a column has `len` numbers, of which `count` are left.
            factors[c] = unsafe { load(simd, columns[c].as_ptr().add(k), count) };
        }
        for r in 0..R {
            // SAFETY: a row has `len` numbers, of which `count` are left.
            let row = unsafe { load(simd, rows[r].as_ptr().add(k), count) };
            for c in 0..C {
                vectors[r][c] = simd.mul_add(row, factors[c], vectors[r][c]);
            }
        }
        k += count;
    }
    let mut sums = [[0.0; C]; R];
    for r in 0..R {
        for c in 0..C {
            sums[r][c] = simd.sum(vectors[r][c]);
        }
    }
    sums
}

/// Reads the first lanes.
///
/// # Safety
/// `count ≤ LANES` numbers can be read.
#[inline(always)]
unsafe fn load<S: Simd>(simd: S, from: *const f32, count: usize) -> S::F32 {
    // SAFETY: the caller's.
    unsafe {
        if count == S::LANES {
            simd.load(from)
        } else {
            simd.load_first(from, count)
        }
    }
}
