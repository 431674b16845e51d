//! Products of two tensors that are both computed.
//!
//! Each matrix of the right-hand side is packed into scratch memory. Where one matrix serves all rows, they are rows of one product.

use super::Sizes;
use crate::epilogue::is_plain;
use crate::run::{BindError, Run, RunError, Target};
use crate::tensor_type::{BLOCK, TensorType};
use crate::tile::product::{Area, Operands, Product};

/// Which matrices are multiplied with each other.
pub(super) struct Batch {
    /// For each leading axis of the output, the last one first: its size, and the distance in matrices along it on either side.
    axes: Vec<(usize, [usize; 2])>,
    /// How many products there are.
    products: usize,
    /// How many rows each has.
    rows: usize,
}

impl Batch {
    /// Returns `None` if leading axes do not broadcast to those of the output. All of that are at least 1 long.
    pub(super) fn new([a, b, y]: [&[usize]; 3], rows: usize) -> Option<Self> {
        let mut axes = vec![];
        let mut distances = [1, 1];
        for back in 0..y.len().max(a.len()).max(b.len()) {
            let size = |dims: &[usize]| {
                let axis = dims.len().checked_sub(back + 1);
                axis.map_or(1, |axis| dims[axis])
            };
            let target = size(y);
            let mut along = [0, 0];
            for (side, dims) in [a, b].into_iter().enumerate() {
                let own = size(dims);
                if own == target {
                    along[side] = distances[side];
                } else if own != 1 {
                    return None;
                }
                distances[side] *= own;
            }
            axes.push((target, along));
        }
        let fits = a.len() <= y.len() && b.len() <= y.len();
        let one_b = b.iter().all(|&size| size == 1);
        if fits && one_b && a == y {
            // Rows of all matrices follow each other.
            let products: usize = y.iter().product();
            return Some(Self {
                axes: vec![],
                products: 1,
                rows: rows.checked_mul(products)?,
            });
        }
        fits.then(|| Self {
            products: y.iter().product(),
            axes,
            rows,
        })
    }

    /// Returns the matrices of a product.
    fn matrices(&self, product: usize) -> [usize; 2] {
        let mut rest = product;
        let mut matrices = [0, 0];
        for &(size, along) in &self.axes {
            matrices[0] += rest % size * along[0];
            matrices[1] += rest % size * along[1];
            rest /= size;
        }
        matrices
    }
}

/// Binds products. There is at least one, with at least one row.
pub(super) fn bind(
    sizes: Sizes,
    batch: Batch,
    b: &TensorType,
    is_transposed: bool,
    target: &Target<'_>,
) -> Result<Box<dyn Run>, BindError> {
    if !is_plain(b) {
        return Err(BindError::new(format!(
            "expected a right-hand side of plain f32, found {b}"
        )));
    }
    let packed = sizes
        .n
        .checked_next_multiple_of(BLOCK)
        .and_then(|n| n.checked_mul(sizes.k))
        .filter(|&len| len < isize::MAX as usize / 8);
    let Some(packed_len) = packed else {
        return Err(BindError::new("expected a product that fits in memory"));
    };
    Ok(Box::new(Dynamic {
        product: Product::new(sizes.shape(sizes.n), batch.rows, target)?,
        chunk: sizes.rows_at_a_time(batch.rows),
        packed_len,
        is_transposed,
        batch,
        sizes,
    }))
}

/// Products of matrices that are both computed.
struct Dynamic {
    sizes: Sizes,
    batch: Batch,
    is_transposed: bool,
    product: Product,
    chunk: usize,
    packed_len: usize,
}

impl Run for Dynamic {
    fn scratch_bytes(&self) -> usize {
        (self.sizes.bias_len() + self.packed_len) * size_of::<f32>()
    }

    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        scratch: &mut [u8],
    ) -> Result<(), RunError> {
        let Sizes { k, n, .. } = self.sizes;
        let slices = self.sizes.slices(inputs, outputs[0]);
        let b: &[f32] = bytemuck::cast_slice(slices.b);
        let scratch: &mut [f32] = bytemuck::cast_slice_mut(&mut scratch[..self.scratch_bytes()]);
        let (bias, packed) = scratch.split_at_mut(self.sizes.bias_len());
        let bias = self.sizes.padded_bias(slices.bias, bias);
        let mut packed_matrix = None;
        for product in 0..self.batch.products {
            let [a_matrix, b_matrix] = self.batch.matrices(product);
            if packed_matrix != Some(b_matrix) {
                let b = &b[b_matrix * k * n..][..k * n];
                if self.is_transposed {
                    pack_transposed(b, k, packed);
                } else {
                    pack(b, n, packed);
                }
                packed_matrix = Some(b_matrix);
            }
            let a = &slices.a[a_matrix * self.batch.rows * k..][..self.batch.rows * k];
            for first in (0..self.batch.rows).step_by(self.chunk) {
                let rows = self.chunk.min(self.batch.rows - first);
                let at = (product * self.batch.rows + first) * n;
                let y = &mut slices.y[at..][..rows * n];
                let operands = Operands {
                    lhs: &a[first * k..][..rows * k],
                    weights: packed,
                    bias,
                    residual: slices.residual.map(|residual| &residual[at..]),
                    out: &mut *y,
                };
                self.product.run(&Area::line(rows), operands);
                self.sizes.finish(y);
            }
        }
        Ok(())
    }
}

/// Packs rows of `n` numbers.
fn pack(b: &[f32], n: usize, packed: &mut [f32]) {
    let k = b.len() / n;
    for (row, b) in b.chunks_exact(n).enumerate() {
        for (block, b) in b.chunks(BLOCK).enumerate() {
            let to = &mut packed[(block * k + row) * BLOCK..][..BLOCK];
            to[..b.len()].copy_from_slice(b);
            to[b.len()..].fill(0.0);
        }
    }
}

/// Packs columns, given as rows of `k` numbers.
fn pack_transposed(b: &[f32], k: usize, packed: &mut [f32]) {
    if k == 0 {
        return;
    }
    let blocks = b.chunks(BLOCK * k);
    for (columns, packed) in blocks.zip(packed.chunks_exact_mut(BLOCK * k)) {
        for (row, to) in packed.chunks_exact_mut(BLOCK).enumerate() {
            to.fill(0.0);
            for (to, column) in to.iter_mut().zip(columns.chunks_exact(k)) {
                *to = column[row];
            }
        }
    }
}
