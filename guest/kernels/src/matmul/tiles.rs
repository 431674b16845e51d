//! Products by tiles.
//!
//! - Packed weights of f32 are used where they lie.
//! - Packed weights of f16, and right-hand sides that are no weights, are packed a slab of columns at a time, as many as stay in a
//!   cache.
//! - A plain right-hand side for few rows is read where it lies, but for the last columns if they fill no vector.

#![expect(
    unsafe_code,
    reason = "threads write pieces of one output, which lie in each other's midst"
)]

use tensorlet_plan::kernel::{Activation, MatMul, UnaryOp};

use super::division::{Division, Piece};
use super::pack::{self, Rhs};
use super::{Inputs, Sizes};
use crate::attributes::Attributes;
use crate::crew::Crew;
use crate::isa::Isa;
use crate::run::{BindError, RunError, Target};
use crate::tensor_type::BLOCK;
use crate::tile::output::Output;
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
    pub(super) parts: Vec<Part>,
    /// How many rows are computed at a time.
    chunk: usize,
    /// What right-hand sides are multiplied with when they are packed.
    scale: f32,
    activation: Activation,
}

/// Some neighbouring columns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns {
    /// The first column.
    first: usize,
    /// How many.
    count: usize,
    /// Whether they are packed before they are used.
    pub(super) packed: bool,
    /// How many are computed at a time.
    pub(super) slab: usize,
}

/// Some neighbouring columns, and what computes them.
pub(super) struct Part {
    pub(super) columns: Columns,
    /// Computes a slab.
    pub(super) product: Product,
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

    /// Computes all left-hand sides. Of `scratch`, each thread takes as many elements as it needs.
    ///
    /// # Errors
    /// If the call is interrupted.
    pub(super) fn run(
        &self,
        sizes: &Sizes,
        inputs: Inputs<'_>,
        y: &mut [f32],
        scratch: &mut [f32],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let work = self.parts.iter().map(|part| part.work(sizes)).sum();
        let crew = crew.for_work(work);
        let division = Division::of(self, sizes, crew);
        let op = match self.activation {
            Activation::Unary(op) => Some(op),
            _ => None,
        };
        let is_early = |op: &UnaryOp| division.has_whole_rows() && !unary::sees_others(*op);
        let early = op.filter(is_early);
        let output = Output::from(&mut *y);
        let places = crew.places(scratch, self.scratch_len(sizes));
        crew.share(0..division.count(), places, |index, scratch| {
            let piece = division.find(index);
            // SAFETY: no two pieces have results in common.
            let y = unsafe { output.another(piece.matrix * sizes.rows * sizes.columns) };
            let inputs = inputs.of(sizes, piece.matrix);
            self.run_piece(sizes, inputs, &piece, (y, early), scratch, crew)
        })?;
        match op {
            Some(op) if early.is_none() => unary::share_in_place(op, self.isa, y, crew),
            _ => Ok(()),
        }
    }

    /// Computes a piece, and a function of its results if there is one.
    fn run_piece(
        &self,
        sizes: &Sizes,
        inputs: Inputs<'_>,
        piece: &Piece<'_>,
        (mut y, op): (Output<'_>, Option<UnaryOp>),
        scratch: &mut [f32],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let Columns {
            first,
            packed,
            slab,
            ..
        } = piece.columns;
        let weights = if packed {
            let blocks = piece.product.blocks(&piece.groups);
            let begin = blocks.start * BLOCK;
            let count = (blocks.end * BLOCK).min(slab) - begin;
            let len = blocks.len() * BLOCK * sizes.len;
            pack::pack(
                self.isa,
                sizes,
                inputs.b,
                [first + begin, count],
                self.scale,
                &mut scratch[begin * sizes.len..][..len],
            );
            &*scratch
        } else {
            bytemuck::cast_slice(inputs.b)
        };
        for row in piece.rows.clone().step_by(self.chunk) {
            let rows = self.chunk.min(piece.rows.end - row);
            let at = row * sizes.columns + first;
            let operands = Operands {
                lhs: &inputs.a[row * sizes.len..],
                weights,
                bias: inputs.bias.map(|bias| &bias[first..]),
                residual: inputs.residual.map(|residual| &residual[at..]),
                // SAFETY: the product writes the rows and columns of the piece, which are this thread's.
                out: unsafe { y.another(at) },
            };
            let area = Area::line(rows);
            piece
                .product
                .run(&area, operands, piece.groups.clone(), crew)?;
            if let Some(op) = op {
                // SAFETY: as above, and these are whole rows. They are in a cache now.
                let y = unsafe { y.slice(at, rows * sizes.columns) };
                unary::apply_in_place(op, self.isa, y);
            }
        }
        Ok(())
    }
}

impl Part {
    /// Returns how much work all its columns are.
    fn work(&self, sizes: &Sizes) -> usize {
        let slab = self.product.work(sizes.rows);
        slab.saturating_mul(self.slabs() * sizes.matrices())
    }

    /// Returns how many slabs there are.
    pub(super) fn slabs(&self) -> usize {
        self.columns.count.div_ceil(self.columns.slab)
    }

    /// Returns the columns of a slab.
    pub(super) fn slab(&self, index: usize) -> Columns {
        let Columns {
            first, count, slab, ..
        } = self.columns;
        let begin = index * slab;
        Columns {
            first: first + begin,
            slab: slab.min(count - begin),
            ..self.columns
        }
    }

    /// Returns what computes a slab of so many columns.
    pub(super) fn product(&self, columns: usize) -> &Product {
        let last = self.last.as_ref();
        last.filter(|_| columns < self.columns.slab)
            .unwrap_or(&self.product)
    }
}
