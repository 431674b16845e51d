//! Depthwise convolutions: each channel by itself, 16 of them side by side.
//!
//! A plane of one block of channels is computed row by row, a row in chunks of up to 8 outputs whose sums stay in registers:
//!
//! ```text
//! columns of a row   ▸▸ left ▸▸│▸▸▸▸ inner chunks ▸▸▸▸│▸▸ right ▸▸
//! ```
//!
//! - [`unrolled`] has windows 3, 5 and 7 wide, which load each element once for all outputs of a chunk; where a chunk lies at
//!   a border it skips the columns that are not there.
//! - [`taps`] has all others, and takes one tap of the window after another.
//!
//! Rows beyond a border are skipped by both. Nothing is copied or padded.

mod chunks;
#[expect(
    unsafe_code,
    reason = "sums stay in registers, and elements are read and written at pointers"
)]
mod plane;
#[expect(unsafe_code, reason = "elements are read at pointers")]
mod taps;
#[expect(unsafe_code, reason = "elements are read at pointers")]
mod unrolled;

#[cfg(test)]
mod tests;

use tensorlet_plan::Layout;
use tensorlet_plan::kernel::{Activation, Conv, Epilogue};

use super::inputs::Inputs;
use crate::attributes::Attributes;
use crate::bind::Types;
use crate::crew::Crew;
use crate::epilogue::{self, is_plain};
use crate::isa::Isa;
use crate::run::{BindError, Nothing, Run, RunError, Target};
use crate::tensor_type::BLOCK;
use crate::unary;
use crate::window::{Axis, conv_axes};
use chunks::{Chunk, chunks};
use plane::{Plane, Span, spans};

/// How many numbers of the output are computed before an activation is applied to them: 16 KiB, which caches hold.
const BAND: usize = 4096;

/// Packs weights `[C][1][Kh][Kw]`, as ONNX has them, as `[⌈C/16⌉][Kh][Kw][16]` with zeros beyond the last channel.
///
/// # Panics
/// If there are not `channels × taps` weights.
pub fn pack_depthwise(weights: &[f32], channels: usize, taps: usize) -> Vec<f32> {
    assert_eq!(
        weights.len(),
        channels * taps,
        "expected {channels} channels of {taps} weights"
    );
    let mut packed = vec![0.0; channels.next_multiple_of(BLOCK) * taps];
    for (channel, weights) in weights.chunks_exact(taps.max(1)).enumerate() {
        let block = &mut packed[channel / BLOCK * BLOCK * taps..];
        for (tap, &weight) in weights.iter().enumerate() {
            block[tap * BLOCK + channel % BLOCK] = weight;
        }
    }
    packed
}

/// Binds a convolution with [`ConvWeights::Depthwise`](tensorlet_plan::kernel::ConvWeights).
pub(super) fn bind(
    conv: &Conv,
    types: Types<'_>,
    target: &Target<'_>,
) -> Result<Box<dyn Run>, BindError> {
    let axes = check(conv, types)?;
    let y = &types.outputs[0];
    if y.is_empty() {
        return Ok(Box::new(Nothing));
    }
    let [vertical, horizontal] = &axes;
    let x_plane = vertical.input * horizontal.input;
    let depthwise = Depthwise::new(axes, x_plane, y.blocks(), conv.epilogue, target.isa);
    Ok(Box::new(depthwise))
}

/// Returns the windows of a convolution with [`ConvWeights::Depthwise`](tensorlet_plan::kernel::ConvWeights).
///
/// # Errors
/// If these are no types that it can be computed of.
pub(super) fn check(conv: &Conv, types: Types<'_>) -> Result<[Axis; 2], BindError> {
    let ([x, weights, rest @ ..], [y]) = (types.inputs, types.outputs) else {
        return Err(mismatch(conv, types));
    };
    let is_depthwise = x.layout == Layout::Blocked
        && y.layout == Layout::Blocked
        && x.dims[..2] == y.dims[..2]
        && conv.group as usize == x.dims[1]
        && is_plain(weights);
    if !is_depthwise {
        return Err(mismatch(conv, types));
    }
    let axes = conv_axes(conv, x, y)?;
    let [vertical, horizontal] = axes;
    let expected = (x.blocks() * BLOCK)
        .checked_mul(vertical.kernel)
        .and_then(|count| count.checked_mul(horizontal.kernel));
    if weights.stored_len() != expected {
        return Err(mismatch(conv, types));
    }
    epilogue::check(&conv.epilogue, rest, x.dims[1], y)?;
    Ok(axes)
}

fn mismatch(conv: &Conv, types: Types<'_>) -> BindError {
    BindError::new(format!(
        "expected a depthwise convolution of blocked tensors, found {} of {types}",
        Attributes(conv)
    ))
}

/// Computes the rows of a plane.
type Compute = fn(Isa, &mut Plane<'_>);

/// Reports whether [`unrolled`] has windows like these.
fn is_unrolled(horizontal: &Axis) -> bool {
    horizontal.dilation == 1
        && matches!(
            (horizontal.kernel, horizontal.stride),
            (3 | 5, 1 | 2) | (7, 1)
        )
}

/// Returns what computes windows like these.
fn compute(horizontal: &Axis) -> Compute {
    if !is_unrolled(horizontal) {
        return taps::compute;
    }
    match (horizontal.kernel, horizontal.stride) {
        (3, 1) => unrolled::compute::<3, 1>,
        (3, _) => unrolled::compute::<3, 2>,
        (5, 1) => unrolled::compute::<5, 1>,
        (5, _) => unrolled::compute::<5, 2>,
        _ => unrolled::compute::<7, 1>,
    }
}

/// A depthwise convolution.
pub(super) struct Depthwise {
    isa: Isa,
    compute: Compute,
    chunks: Vec<Chunk>,
    spans: Vec<Span>,
    axes: [Axis; 2],
    /// How many pixels lie between blocks of the input.
    x_plane: usize,
    blocks: usize,
    epilogue: Epilogue,
}

impl Depthwise {
    /// A convolution of so many blocks of channels, between which there are `x_plane` pixels in the input: as many as it has, or more if it is some
    /// rows of an image. There is an output.
    pub(super) fn new(
        axes: [Axis; 2],
        x_plane: usize,
        blocks: usize,
        epilogue: Epilogue,
        isa: Isa,
    ) -> Self {
        let [vertical, horizontal] = &axes;
        Self {
            isa,
            compute: compute(horizontal),
            chunks: chunks(horizontal, is_unrolled(horizontal), vertical.kernel),
            spans: spans(vertical),
            axes,
            x_plane,
            blocks,
            epilogue,
        }
    }

    /// Returns how much work a row of a plane is.
    fn row_work(&self) -> usize {
        /// How many products a fast machine adds in a nanosecond.
        const PRODUCTS: usize = 24;
        let [vertical, horizontal] = &self.axes;
        let taps = vertical.kernel.saturating_mul(horizontal.kernel);
        taps.saturating_mul(horizontal.output * BLOCK) / PRODUCTS
    }

    /// Returns the chunks of a row, as many at a time as may be computed before it is asked whether to go on.
    #[cfg(not(target_arch = "wasm32"))]
    fn parts(&self, crew: Crew<'_>) -> impl Iterator<Item = &[Chunk]> {
        self.chunks.chunks(
            crew.alone()
                .step(self.chunks.len(), self.row_work() / self.chunks.len()),
        )
    }

    /// Returns the chunks of a row.
    #[cfg(target_arch = "wasm32")]
    fn parts(&self, _crew: Crew<'_>) -> impl Iterator<Item = &[Chunk]> {
        std::iter::once(self.chunks.as_slice())
    }

    /// Returns how many elements the output has.
    pub(super) fn y_len(&self) -> usize {
        let [vertical, horizontal] = &self.axes;
        self.blocks * vertical.output * horizontal.output * BLOCK
    }

    /// Computes.
    ///
    /// # Errors
    /// If the call is interrupted.
    /// # Panics
    /// If a slice is not as long as it must be.
    pub(super) fn run_on(
        &self,
        inputs: Inputs<'_>,
        y: &mut [f32],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let Inputs {
            x,
            weights,
            bias,
            residual,
        } = inputs;
        let [vertical, horizontal] = &self.axes;
        let x_len = vertical.input * horizontal.input * BLOCK;
        let y_row = horizontal.output * BLOCK;
        let block_weights = vertical.kernel * horizontal.kernel * BLOCK;
        let band = match self.epilogue.activation {
            Activation::Unary(_) => (BAND / y_row).clamp(1, vertical.output),
            _ => vertical.output,
        };
        // Of functions that see other numbers, rows are given whole planes of.
        let unit = match self.epilogue.activation {
            Activation::Unary(op) if unary::sees_others(op) => vertical.output,
            _ => 1,
        };
        let compute = |first: usize, mut y: &mut [f32]| {
            let mut row = first * unit;
            while !y.is_empty() {
                let (index, first) = (row / vertical.output, row % vertical.output);
                let spans = &self.spans[first..];
                let spans = &spans[..band.min(spans.len()).min(y.len() / y_row)];
                let out = y.split_off_mut(..spans.len() * y_row).unwrap_or_default();
                let (block, at) = (index % self.blocks, row * y_row);
                let mut plane = Plane {
                    vertical,
                    horizontal,
                    chunks: &self.chunks,
                    spans,
                    input: &x[index * self.x_plane * BLOCK..][..x_len],
                    weights: &weights[block * block_weights..][..block_weights],
                    bias: bias.and_then(|bias| bias.get(block * BLOCK..)?.first_chunk()),
                    residual: residual.and_then(|residual| residual.get(at..)?.get(..out.len())),
                    clamp: match self.epilogue.activation {
                        Activation::Clamp { low, high } => Some((low, high)),
                        _ => None,
                    },
                    out: &mut *out,
                };
                for chunks in self.parts(crew) {
                    plane.chunks = chunks;
                    crew.check()?;
                    (self.compute)(self.isa, &mut plane);
                }
                if let Activation::Unary(op) = self.epilogue.activation {
                    unary::apply_in_place(op, self.isa, out);
                }
                row += spans.len();
            }
            Ok(())
        };
        let work = self.row_work().saturating_mul(unit);
        crew.divide(y, unit * y_row, work, compute)
    }
}

impl Run for Depthwise {
    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        _scratch: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let inputs = Inputs::of(inputs, &self.epilogue);
        self.run_on(inputs, bytemuck::cast_slice_mut(outputs[0]), crew)
    }
}
