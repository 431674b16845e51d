//! Products by tiles.
//!
//! - Packed weights of f32 are used where they lie.
//! - Packed weights of f16, and right-hand sides that are no weights, are packed a slab of columns at a time, as many as stay in a
//!   cache.
//! - A plain right-hand side for few rows is read where it lies, but for the last columns if they fill no vector.

use tensorlet_plan::kernel::{Activation, MatMul};

use super::pack::{self, Rhs};
use super::{Inputs, Sizes};
use crate::isa::Isa;
use crate::run::{BindError, Target};
use crate::tensor_type::BLOCK;
use crate::tile::Segment;
use crate::tile::product::{Area, Operands, PART, Product, Shape};
use crate::unary;

/// How many bytes of rows, or of packed columns, are computed with at a time: as many of both as stay in a cache of the second
/// level.
const CHUNK_BYTES: usize = 192 << 10;

/// For fewer rows, packing a right-hand side takes longer than reading it where it lies.
const ROWS_TO_PACK: usize = 12;

/// A product by tiles.
pub(super) struct Tiles {
    isa: Isa,
    parts: Vec<Part>,
    /// How many rows are computed at a time.
    chunk: usize,
    /// What right-hand sides are multiplied with when they are packed.
    scale: f32,
    activation: Activation,
}

/// Some neighbouring columns.
struct Part {
    /// The first column.
    first: usize,
    /// How many.
    columns: usize,
    /// Whether they are packed before they are used.
    packed: bool,
    /// How many are computed at a time.
    slab: usize,
    /// Computes a slab.
    product: Product,
    /// Computes the last slab, if it has fewer columns.
    last: Option<Product>,
}

fn overflow() -> BindError {
    BindError::new("expected a product of matrices that fit in memory, found larger ones")
}

impl Tiles {
    /// Binds a product.
    ///
    /// # Errors
    /// If a size overflows.
    pub(super) fn new(
        matmul: &MatMul,
        sizes: &Sizes,
        target: &Target<'_>,
    ) -> Result<Self, BindError> {
        let row_bytes = sizes.len.min(PART) * size_of::<f32>();
        let chunks = sizes.rows.div_ceil((CHUNK_BYTES / row_bytes.max(1)).max(1));
        let chunk = sizes.rows.div_ceil(chunks);
        let part = |first, columns, packed| {
            Part::new(matmul, sizes, chunk, target, [first, columns], packed)
        };
        let columns = sizes.columns;
        let whole = columns / (BLOCK / 2) * (BLOCK / 2);
        let parts = match sizes.rhs {
            Rhs::Packed => vec![part(0, columns, false)?],
            Rhs::Plain if sizes.rows < ROWS_TO_PACK && whole > 0 => {
                let mut parts = vec![part(0, whole, false)?];
                if whole < columns {
                    parts.push(part(whole, columns - whole, true)?);
                }
                parts
            }
            _ => vec![part(0, columns, true)?],
        };
        Ok(Self {
            isa: target.isa,
            parts,
            chunk,
            scale: matmul.scale,
            activation: matmul.epilogue.activation,
        })
    }

    /// Returns how many elements of scratch memory packed columns take.
    pub(super) fn scratch_len(&self, sizes: &Sizes) -> usize {
        let lens = self.parts.iter().map(|part| part.scratch_len(sizes.len));
        lens.max().unwrap_or(0)
    }

    /// Computes one left-hand side.
    pub(super) fn run(
        &self,
        sizes: &Sizes,
        inputs: Inputs<'_>,
        y: &mut [f32],
        scratch: &mut [f32],
    ) {
        let op = match self.activation {
            Activation::Unary(op) => Some(op),
            _ => None,
        };
        let is_one_slab = matches!(self.parts.as_slice(), [part] if part.slab == part.columns);
        for part in &self.parts {
            for first in (0..part.columns).step_by(part.slab) {
                let columns = part.slab.min(part.columns - first);
                let product = match &part.last {
                    Some(last) if columns < part.slab => last,
                    _ => &part.product,
                };
                let first = part.first + first;
                let weights = if part.packed {
                    let packed = &mut scratch[..columns.next_multiple_of(BLOCK) * sizes.len];
                    pack::pack(
                        self.isa,
                        sizes,
                        inputs.b,
                        [first, columns],
                        self.scale,
                        packed,
                    );
                    &*packed
                } else {
                    bytemuck::cast_slice(inputs.b)
                };
                for row in (0..sizes.rows).step_by(self.chunk) {
                    let rows = self.chunk.min(sizes.rows - row);
                    let at = row * sizes.columns + first;
                    let operands = Operands {
                        lhs: &inputs.a[row * sizes.len..],
                        weights,
                        bias: inputs.bias.map(|bias| &bias[first..]),
                        residual: inputs.residual.map(|residual| &residual[at..]),
                        out: &mut y[at..],
                    };
                    product.run(&Area::line(rows), operands);
                    if let Some(op) = op.filter(|_| is_one_slab) {
                        // While it is in a cache.
                        unary::apply_in_place(op, self.isa, &mut y[at..][..rows * sizes.columns]);
                    }
                }
            }
        }
        if let Some(op) = op.filter(|_| !is_one_slab) {
            unary::apply_in_place(op, self.isa, y);
        }
    }
}

impl Part {
    fn new(
        matmul: &MatMul,
        sizes: &Sizes,
        rows: usize,
        target: &Target<'_>,
        [first, columns]: [usize; 2],
        packed: bool,
    ) -> Result<Self, BindError> {
        let block_len = sizes.len.checked_mul(BLOCK).ok_or_else(overflow)?;
        let blocks = columns.div_ceil(BLOCK);
        let slab = if packed {
            let in_cache = CHUNK_BYTES / size_of::<f32>() / block_len.max(1);
            blocks.div_ceil(blocks.div_ceil(in_cache.max(2))) * BLOCK
        } else {
            columns
        };
        let slab = slab.min(columns);
        let is_in_place = !packed && sizes.rhs == Rhs::Plain;
        let product = |columns: usize| {
            let shape = Shape {
                segments: vec![
                    Segment {
                        offset_bytes: 0,
                        len: sizes.len
                    };
                    usize::from(sizes.len > 0)
                ],
                lhs_stride: sizes.len,
                weights_step: if is_in_place { sizes.columns } else { BLOCK },
                weights_block: if is_in_place { BLOCK } else { block_len },
                columns,
                out_stride: sizes.columns,
                out_block: BLOCK,
                whole_blocks: false,
                // Packing multiplies with it.
                scale: if packed { 1.0 } else { matmul.scale },
                residual: matmul.epilogue.residual,
                activation: matmul.epilogue.activation,
            };
            Product::new(shape, rows, target)
        };
        let rest = columns % slab;
        Ok(Self {
            first,
            columns,
            packed,
            slab,
            product: product(slab)?,
            last: if rest == 0 {
                None
            } else {
                Some(product(rest)?)
            },
        })
    }

    /// Returns how many elements of scratch memory packed columns take.
    fn scratch_len(&self, len: usize) -> usize {
        if self.packed {
            self.slab.next_multiple_of(BLOCK) * len
        } else {
            0
        }
    }
}
