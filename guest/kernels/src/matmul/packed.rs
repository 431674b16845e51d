//! Products with packed weights of f32 or f16.

#![expect(unsafe_code, reason = "vectors are read and written at pointers")]

use tensorlet_tensor::DatumType;

use super::Sizes;
use crate::isa::Vectorised;
use crate::run::{BindError, Run, RunError, Target};
use crate::simd::Simd;
use crate::tensor_type::{BLOCK, TensorType};
use crate::tile::product::{Area, Operands, Product};

/// So many columns of f16 are converted at a time, and multiplied with all rows.
const PANEL: usize = 4 * BLOCK;

/// Binds a product of `rows` rows, at least one.
pub(super) fn bind(
    sizes: Sizes,
    rows: usize,
    b: &TensorType,
    target: &Target<'_>,
) -> Result<Box<dyn Run>, BindError> {
    match b.datum_type {
        DatumType::F32 => Ok(Box::new(Packed {
            product: Product::new(sizes.shape(sizes.n), rows, target)?,
            rows,
            chunk: sizes.rows_at_a_time(rows),
            sizes,
        })),
        // Without elements there are no weights, of whatever type.
        DatumType::F16 if sizes.k == 0 => bind(
            sizes,
            rows,
            &TensorType::plain(DatumType::F32, &b.dims),
            target,
        ),
        DatumType::F16 => {
            let last = (sizes.n - 1) % PANEL + 1;
            Ok(Box::new(Halves {
                panel: Product::new(sizes.shape(PANEL.min(sizes.n)), rows, target)?,
                last: Product::new(sizes.shape(last), rows, target)?,
                rows,
                sizes,
            }))
        }
        other => Err(BindError::new(format!(
            "expected packed weights of f32 or f16, found {other}"
        ))),
    }
}

/// A product with weights of f32.
struct Packed {
    sizes: Sizes,
    product: Product,
    rows: usize,
    chunk: usize,
}

impl Run for Packed {
    fn scratch_bytes(&self) -> usize {
        self.sizes.bias_len() * size_of::<f32>()
    }

    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        scratch: &mut [u8],
    ) -> Result<(), RunError> {
        let Sizes { k, n, .. } = self.sizes;
        let slices = self.sizes.slices(inputs, outputs[0]);
        let scratch: &mut [f32] = bytemuck::cast_slice_mut(&mut scratch[..self.scratch_bytes()]);
        let bias = self.sizes.padded_bias(slices.bias, scratch);
        for first in (0..self.rows).step_by(self.chunk) {
            let rows = self.chunk.min(self.rows - first);
            let y = &mut slices.y[first * n..][..rows * n];
            let operands = Operands {
                lhs: &slices.a[first * k..][..rows * k],
                weights: bytemuck::cast_slice(slices.b),
                bias,
                residual: slices.residual.map(|residual| &residual[first * n..]),
                out: &mut *y,
            };
            self.product.run(&Area::line(rows), operands);
            self.sizes.finish(y);
        }
        Ok(())
    }
}

/// A product with weights of f16, which are converted a panel of columns at a time.
struct Halves {
    sizes: Sizes,
    panel: Product,
    last: Product,
    rows: usize,
}

impl Run for Halves {
    fn scratch_bytes(&self) -> usize {
        (self.sizes.bias_len() + self.sizes.k * PANEL) * size_of::<f32>()
    }

    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        scratch: &mut [u8],
    ) -> Result<(), RunError> {
        let Sizes { k, n, isa, .. } = self.sizes;
        let slices = self.sizes.slices(inputs, outputs[0]);
        let scratch: &mut [f32] = bytemuck::cast_slice_mut(&mut scratch[..self.scratch_bytes()]);
        let (bias, panel) = scratch.split_at_mut(self.sizes.bias_len());
        let bias = self.sizes.padded_bias(slices.bias, bias);
        let weights: &[u16] = bytemuck::cast_slice(slices.b);
        for (index, weights) in weights.chunks(k * PANEL).enumerate() {
            let first = index * PANEL;
            let panel = &mut panel[..weights.len()];
            isa.run(Widen {
                from: weights,
                to: &mut *panel,
            });
            let product = if first + PANEL < n {
                &self.panel
            } else {
                &self.last
            };
            let operands = Operands {
                lhs: slices.a,
                weights: panel,
                bias: bias.map(|bias| &bias[first..]),
                residual: slices.residual.map(|residual| &residual[first..]),
                out: &mut slices.y[first..],
            };
            product.run(&Area::line(self.rows), operands);
        }
        self.sizes.finish(slices.y);
        Ok(())
    }
}

/// Converts numbers, a multiple of 16 of them, from f16.
struct Widen<'a> {
    from: &'a [u16],
    to: &'a mut [f32],
}

impl Vectorised for Widen<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let blocks = self.from.chunks_exact(BLOCK);
        for (from, to) in blocks.zip(self.to.chunks_exact_mut(BLOCK)) {
            for lane in (0..BLOCK).step_by(S::LANES) {
                // SAFETY: both blocks have 16 numbers, a multiple of the lanes.
                unsafe {
                    let numbers = simd.load_f16(from.as_ptr().add(lane));
                    simd.store(to.as_mut_ptr().add(lane), numbers);
                }
            }
        }
    }
}
