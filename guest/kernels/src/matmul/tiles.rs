//! Products by tiles.
//!
//! - Packed weights of f32 are used where they lie.
//! - Packed weights of f16, and right-hand sides that are no weights, are packed a slab of columns at a time, as many as stay in a
//!   cache.
//! - A plain right-hand side for few rows is read where it lies, but for the last columns if they fill no vector.

use tensorlet_plan::kernel::{Activation, MatMul};

use super::pack::{self, Rhs};
use super::{Inputs, Sizes};
use crate::attributes::Attributes;
use crate::isa::Isa;
use crate::run::{BindError, Target};
use crate::tensor_type::BLOCK;
use crate::tile::product::{Area, Operands, PART, Product, Shape};
use crate::tile::{Segment, Wanted};
use crate::unary;

/// How many bytes of rows, or of packed columns, are computed with at a time: as many of both as stay in a cache of the second
/// level.
const CHUNK_BYTES: usize = 384 << 10;

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
#[derive(Clone, Copy, Debug)]
struct Columns {
    /// The first column.
    first: usize,
    /// How many.
    count: usize,
    /// Whether they are packed before they are used.
    packed: bool,
    /// How many are computed at a time.
    slab: usize,
}

/// Some neighbouring columns, and what computes them.
struct Part {
    columns: Columns,
    /// Computes a slab.
    product: Product,
    /// Computes the last slab, if it has fewer columns.
    last: Option<Product>,
}

/// Returns how many rows are computed at a time.
fn chunk(sizes: &Sizes) -> usize {
    let row_bytes = sizes.len.min(PART) * size_of::<f32>();
    let chunks = sizes.rows.div_ceil((CHUNK_BYTES / row_bytes.max(1)).max(1));
    sizes.rows.div_ceil(chunks)
}

impl Columns {
    /// Divides the columns.
    fn divide(sizes: &Sizes) -> Vec<Self> {
        let all = sizes.columns;
        let whole = all / (BLOCK / 2) * (BLOCK / 2);
        match sizes.rhs {
            Rhs::Packed => vec![Self::in_place(all)],
            Rhs::Plain if sizes.rows < ROWS_TO_PACK && whole == all => vec![Self::in_place(all)],
            Rhs::Plain if sizes.rows < ROWS_TO_PACK && whole > 0 => vec![
                Self::in_place(whole),
                Self::packed(sizes, whole, all - whole),
            ],
            _ => vec![Self::packed(sizes, 0, all)],
        }
    }

    fn in_place(count: usize) -> Self {
        Self {
            first: 0,
            count,
            packed: false,
            slab: count,
        }
    }

    fn packed(sizes: &Sizes, first: usize, count: usize) -> Self {
        let block_bytes = sizes.len.saturating_mul(BLOCK * size_of::<f32>());
        let in_cache = (CHUNK_BYTES / block_bytes.max(1)).max(2);
        let blocks = count.div_ceil(BLOCK);
        let slab = blocks.div_ceil(blocks.div_ceil(in_cache)) * BLOCK;
        Self {
            first,
            count,
            packed: true,
            slab: slab.min(count),
        }
    }

    /// Returns the product that computes some of the columns.
    ///
    /// # Errors
    /// If a size overflows.
    fn shape(&self, matmul: &MatMul, sizes: &Sizes, columns: usize) -> Result<Shape, BindError> {
        let block_len = sizes.len.checked_mul(BLOCK).ok_or_else(|| {
            BindError::new(format!(
                "expected a product of matrices that fit in memory, found {}",
                Attributes(sizes)
            ))
        })?;
        let segment = Segment {
            offset_bytes: 0,
            len: sizes.len,
        };
        let (weights_step, weights_block) = if !self.packed && sizes.rhs == Rhs::Plain {
            (sizes.columns, BLOCK)
        } else {
            (BLOCK, block_len)
        };
        Ok(Shape {
            segments: vec![segment; usize::from(sizes.len > 0)],
            lhs_stride: sizes.len,
            weights_step,
            weights_block,
            columns,
            out_stride: sizes.columns,
            out_block: BLOCK,
            whole_blocks: false,
            // Packing multiplies with it.
            scale: if self.packed { 1.0 } else { matmul.scale },
            residual: matmul.epilogue.residual,
            activation: matmul.epilogue.activation,
        })
    }
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
        let chunk = chunk(sizes);
        let mut parts = Vec::new();
        for columns in Columns::divide(sizes) {
            let product = |count: usize| {
                let shape = columns.shape(matmul, sizes, count)?;
                Product::new(shape, chunk, target)
            };
            let rest = columns.count % columns.slab;
            parts.push(Part {
                columns,
                product: product(columns.slab)?,
                last: if rest == 0 {
                    None
                } else {
                    Some(product(rest)?)
                },
            });
        }
        Ok(Self {
            isa: target.isa,
            parts,
            chunk,
            scale: matmul.scale,
            activation: matmul.epilogue.activation,
        })
    }

    /// Adds the functions that a product is faster with; for any number of rows, if it is not known.
    ///
    /// # Errors
    /// If a size overflows.
    pub(super) fn want(
        matmul: &MatMul,
        sizes: &Sizes,
        rows_are_known: bool,
        wanted: &mut Wanted,
    ) -> Result<(), BindError> {
        let chunk = chunk(sizes);
        let rows = [Some(chunk), Some(sizes.rows % chunk)];
        let rows = if rows_are_known { &rows[..] } else { &[None] };
        for columns in Columns::divide(sizes) {
            for count in [columns.slab, columns.count % columns.slab] {
                let shape = columns.shape(matmul, sizes, count)?;
                if shape.weights_step == BLOCK {
                    wanted.add(&shape, rows);
                }
            }
        }
        Ok(())
    }

    /// Returns how many elements of scratch memory packed columns take.
    pub(super) fn scratch_len(&self, sizes: &Sizes) -> usize {
        let lens = self.parts.iter().map(|part| match part.columns {
            Columns {
                packed: true, slab, ..
            } => slab.next_multiple_of(BLOCK) * sizes.len,
            _ => 0,
        });
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
        let is_one_slab =
            matches!(self.parts.as_slice(), [part] if part.columns.slab == part.columns.count);
        for part in &self.parts {
            let Columns {
                first,
                count,
                packed,
                slab,
            } = part.columns;
            for start in (0..count).step_by(slab) {
                let count = slab.min(count - start);
                let first = first + start;
                let product = part.last.as_ref().filter(|_| count < slab);
                let product = product.unwrap_or(&part.product);
                let weights = if packed {
                    let packed = &mut scratch[..count.next_multiple_of(BLOCK) * sizes.len];
                    pack::pack(
                        self.isa,
                        sizes,
                        inputs.b,
                        [first, count],
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
