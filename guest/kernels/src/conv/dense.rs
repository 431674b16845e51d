//! Dense convolutions as products of matrices: a row is what the window of one output sees.
//!
//! A row is read as a few [segments](crate::tile::Segment), and the rows of a line lie equally far apart. So nothing is copied where
//! no window reaches into the padding. Otherwise what a chunk of outputs sees is put into scratch memory first; see
//! [`Source`].

#![expect(
    unsafe_code,
    reason = "threads write pieces of one output, which lie in each other's midst"
)]

mod copy;
mod distances;
mod division;

#[cfg(test)]
mod tests;

use tensorlet_plan::kernel::Activation;

use super::inputs::Inputs;
use crate::attributes::Attributes;
use crate::crew::{Crew, Pace};
use crate::isa::Isa;
use crate::run::{BindError, RunError, Target};
use crate::tensor_type::BLOCK;
use crate::tile::output::Output;
use crate::tile::product::{Operands, Product};
use crate::tile::{Machine, Wanted};
use crate::unary;
use crate::window::Axis;
use copy::Chunk;
use distances::{Distances, Source};
use division::{Division, Piece};

/// What a dense convolution with blocked output computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sizes {
    /// How many images there are.
    pub(super) images: usize,
    /// How many groups the channels are divided into.
    pub(super) groups: usize,
    /// How many channels a group has in the input.
    pub(super) channels: usize,
    /// How many channels a group has in the output.
    pub(super) out_channels: usize,
    /// The windows, vertical and horizontal.
    pub(super) axes: [Axis; 2],
    /// How many pixels lie between channels or blocks of them, in the input and in the output: those of an image, or more if it is some rows of one.
    pub(super) planes: [usize; 2],
    /// Whether the input is plain. Then there is one group.
    pub(super) plain_input: bool,
    /// Whether a residual is added.
    pub(super) residual: bool,
    /// What is done last.
    pub(super) activation: Activation,
}

/// A dense convolution with blocked output.
#[derive(Debug)]
pub(super) struct Dense {
    isa: Isa,
    sizes: Sizes,
    distances: Distances,
    product: Product,
    /// How many elements of weights a group has.
    weights_len: usize,
}

impl Sizes {
    /// Returns how many blocks of channels a group has in the output.
    fn out_blocks(&self) -> usize {
        self.out_channels.div_ceil(BLOCK)
    }

    /// Returns how many elements of weights a group has; `None` if that overflows.
    pub(super) fn weights_len(&self) -> Option<usize> {
        self.out_channels
            .checked_next_multiple_of(BLOCK)?
            .checked_mul(self.row_len()?)
    }

    /// Returns how many elements a row has.
    fn row_len(&self) -> Option<usize> {
        let [vertical, horizontal] = &self.axes;
        self.channels
            .checked_mul(vertical.kernel)?
            .checked_mul(horizontal.kernel)
    }

    /// Makes one line of all pixels, if every output sees the pixel in its place alone, or if they lie in one column.
    fn flat(mut self) -> Self {
        let [vertical, horizontal] = &mut self.axes;
        if vertical.is_in_place() && horizontal.is_in_place() && !self.plain_input {
            // They fit in memory.
            horizontal.input *= vertical.input;
            horizontal.output = horizontal.input;
            *vertical = Axis::NONE;
        } else if horizontal.is_in_place() && horizontal.output == 1 {
            std::mem::swap(vertical, horizontal);
        }
        self
    }

    /// Reports whether there is nothing to compute.
    fn is_empty(&self) -> bool {
        let [vertical, horizontal] = &self.axes;
        let outputs = [vertical.output, horizontal.output];
        outputs.contains(&0) || [self.images, self.groups, self.out_channels].contains(&0)
    }
}

/// Adds the functions that a convolution is faster with. Returns `None` if a size overflows.
pub(super) fn want_tiles(sizes: Sizes, wanted: &mut Wanted) -> Option<()> {
    if sizes.is_empty() {
        return Some(());
    }
    let sizes = sizes.flat();
    let distances = Distances::of(&sizes, &Machine::WASM)?;
    let rest = distances.units % distances.chunk;
    let rows = |units: usize| Some(distances.area(&sizes, units).rows);
    let rows = [
        rows(distances.chunk),
        if rest == 0 { Some(0) } else { rows(rest) },
    ];
    wanted.add(&distances.shape(&sizes)?, &rows);
    Some(())
}

impl Dense {
    /// Binds a convolution; returns `None` if it has no outputs.
    ///
    /// # Errors
    /// If a size overflows.
    pub(super) fn new(sizes: Sizes, target: &Target<'_>) -> Result<Option<Self>, BindError> {
        if sizes.is_empty() {
            return Ok(None);
        }
        let overflow = || {
            let reason = format!(
                "expected a convolution that fits in memory, found {}",
                Attributes(&sizes)
            );
            BindError::new(reason)
        };
        let weights_len = sizes.weights_len().ok_or_else(overflow)?;
        let sizes = sizes.flat();
        let distances = Distances::of(&sizes, &Machine::of(target.isa)).ok_or_else(overflow)?;
        let shape = distances.shape(&sizes).ok_or_else(overflow)?;
        let rows = distances.area(&sizes, distances.chunk).rows;
        Ok(Some(Self {
            isa: target.isa,
            product: Product::new(shape, rows, target)?,
            sizes,
            distances,
            weights_len,
        }))
    }

    /// Returns how many elements of scratch memory `run` needs.
    pub(super) fn scratch_len(&self) -> usize {
        self.distances.scratch_len
    }

    /// Computes. Of `scratch`, each thread takes as many elements as it needs.
    ///
    /// # Errors
    /// If the call is interrupted.
    /// # Panics
    /// If a slice is not as long as it must be.
    pub(super) fn run(
        &self,
        inputs: Inputs<'_>,
        y: &mut [f32],
        scratch: &mut [f32],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        // SAFETY: nobody else has the slice.
        unsafe { self.run_to(inputs, Output::from(y), scratch, crew) }
    }

    /// As [`run`](Self::run), to an output of which others write other rows.
    ///
    /// # Errors
    /// If the call is interrupted.
    /// # Safety
    /// Nobody else reads or writes the rows of any block meanwhile.
    /// # Panics
    /// If an operand is not as long as it must be.
    pub(super) unsafe fn run_to(
        &self,
        inputs: Inputs<'_>,
        y: Output<'_>,
        scratch: &mut [f32],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let (sizes, distances) = (&self.sizes, &self.distances);
        let parts = distances.images * sizes.groups;
        let rows = distances.area(sizes, distances.units).count();
        let crew = crew.for_work(self.product.work(rows).saturating_mul(parts));
        let division = Division::of(self, crew);
        let scratch = crew.places(scratch, distances.scratch_len);
        crew.share(0..parts * division.pieces(), scratch, |index, scratch| {
            let (part, piece) = division.find(index);
            let group = part % sizes.groups;
            let y_at = part * sizes.out_blocks() * distances.out_block;
            let bias_at = group * sizes.out_blocks() * BLOCK;
            let inputs = Inputs {
                x: &inputs.x[part * distances.group..],
                weights: &inputs.weights[group * self.weights_len..],
                bias: inputs.bias.map(|bias| &bias[bias_at..]),
                residual: inputs.residual.map(|residual| &residual[y_at..]),
            };
            // SAFETY: no two parts, and no two pieces of a part, have units and columns in common.
            let y = unsafe { y.another(y_at) };
            self.run_piece(inputs, y, scratch, &piece, crew)
        })
    }

    /// Computes a piece of one group of one image.
    fn run_piece(
        &self,
        inputs: Inputs<'_>,
        mut y: Output<'_>,
        scratch: &mut [f32],
        piece: &Piece,
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let (sizes, distances) = (&self.sizes, &self.distances);
        let (first, count) = (piece.first, piece.units);
        let chunk = Chunk {
            sizes,
            distances,
            x: inputs.x,
            first,
            units: count,
        };
        let lhs = match distances.source {
            Source::Input => &inputs.x[first * distances.unit..],
            Source::Padded => {
                chunk.pad(scratch, Pace::of(crew))?;
                &*scratch
            }
            Source::Gathered => {
                chunk.gather(scratch, Pace::of(crew))?;
                &*scratch
            }
        };
        let at = first * distances.out_unit;
        let operands = Operands {
            lhs,
            weights: inputs.weights,
            bias: inputs.bias,
            residual: inputs.residual.map(|residual| &residual[at..]),
            // SAFETY: the product writes the units and columns of the piece, which are this thread's.
            out: unsafe { y.another(at) },
        };
        let area = distances.area(sizes, count);
        self.product
            .run(&area, operands, piece.columns.clone(), crew)?;
        if let Activation::Unary(op) = sizes.activation {
            // What was written lies in one piece in each block, or all in one piece.
            let len = count * distances.out_unit;
            let blocks = if distances.out_row == BLOCK {
                self.product.blocks(&piece.columns)
            } else {
                0..1
            };
            for block in blocks {
                let at = at + block * distances.out_block;
                // SAFETY: as above, and pieces begin and end where blocks do.
                unary::apply_in_place(op, self.isa, unsafe { y.slice(at, len) });
            }
        }
        Ok(())
    }
}
