//! Convolutions with any grouping, of plain tensors and weights as ONNX has them.
//!
//! For one group of channels and some rows of outputs at a time, the windows become columns of a matrix, and a product gives
//!
//! ```text
//! y[channel][output] = weights[channel][input channel × tap] × windows[input channel × tap][output]
//! ```

#[cfg(test)]
pub(super) mod reference;
#[cfg(test)]
mod tests;

use tensorlet_plan::kernel::{Activation, Conv, Epilogue};

use super::inputs::Inputs;
use crate::attributes::Attributes;
use crate::bind::Types;
use crate::crew::Crew;
use crate::epilogue::is_plain;
use crate::isa::Isa;
use crate::run::{BindError, Nothing, Run, RunError, Target};
use crate::tile::Segment;
use crate::tile::product::{Area, Operands, Product, Shape};
use crate::unary;
use crate::window::{Axis, conv_axes};

/// So many numbers of windows are gathered at a time, or those of one row of outputs: 256 KiB.
const WINDOWS_LEN: usize = 64 << 10;

/// What a product wants the columns of its weights to be a multiple of.
const COLUMNS: usize = 8;

/// Binds a convolution with [`ConvWeights::Plain`](tensorlet_plan::kernel::ConvWeights).
pub(super) fn bind(
    conv: &Conv,
    types: Types<'_>,
    target: &Target<'_>,
) -> Result<Box<dyn Run>, BindError> {
    let refuse = || {
        BindError::new(format!(
            "expected a convolution of plain tensors, found {} of {types}",
            Attributes(conv)
        ))
    };
    let ([x, weights, rest @ ..], [y]) = (types.inputs, types.outputs) else {
        return Err(refuse());
    };
    let Epilogue {
        bias,
        residual,
        activation,
    } = conv.epilogue;
    if let Activation::Unary(op) = activation {
        unary::check_float(op)?;
    }
    let axes = conv_axes(conv, x, y)?;
    let groups = conv.group as usize;
    let (channels, y_channels) = (x.dims[1], y.dims[1]);
    let divides = |channels: usize| groups > 0 && channels.is_multiple_of(groups);
    if !types.inputs.iter().chain([y]).all(is_plain)
        || x.dims[0] != y.dims[0]
        || !divides(channels)
        || !divides(y_channels)
        || rest.len() != usize::from(bias) + usize::from(residual)
    {
        return Err(refuse());
    }
    let (ci, co) = (channels / groups, y_channels / groups);
    let mut weights_dims = vec![y_channels, ci];
    weights_dims.extend(conv.kernel.iter().map(|&size| size as usize));
    let bias_fits = !bias || rest[0].dims.len() == 1 && rest[0].dims[0] >= y_channels;
    let residual_fits = !residual || rest[rest.len() - 1] == *y;
    if weights.dims != weights_dims || !bias_fits || !residual_fits {
        return Err(refuse());
    }
    if y.is_empty() {
        return Ok(Box::new(Nothing));
    }
    let parts = x.dims[0] * groups;
    Ok(Box::new(Grouped::new(conv, parts, ci, co, axes, target)?))
}

/// A convolution; channels are those of one group.
struct Grouped {
    /// Rows of the batch times groups.
    parts: usize,
    groups: usize,
    ci: usize,
    co: usize,
    axes: [Axis; 2],
    /// How many rows of outputs at a time.
    chunk: usize,
    product: Product,
    epilogue: Epilogue,
    isa: Isa,
}

impl Grouped {
    fn new(
        conv: &Conv,
        parts: usize,
        ci: usize,
        co: usize,
        axes: [Axis; 2],
        target: &Target<'_>,
    ) -> Result<Self, BindError> {
        let overflow = || BindError::new("expected a convolution that fits in memory");
        let [vertical, horizontal] = axes;
        let window = vertical
            .kernel
            .checked_mul(horizontal.kernel)
            .and_then(|taps| taps.checked_mul(ci))
            .ok_or_else(overflow)?;
        let row = window.checked_mul(horizontal.output).ok_or_else(overflow)?;
        let chunk = (WINDOWS_LEN / row.max(1)).clamp(1, vertical.output);
        let columns = chunk * horizontal.output;
        let len = columns
            .checked_next_multiple_of(COLUMNS)
            .and_then(|columns| columns.checked_mul(window));
        if len.is_none_or(|len| len > isize::MAX as usize / size_of::<f32>()) {
            return Err(overflow());
        }
        let shape = Shape {
            segments: vec![Segment {
                offset_bytes: 0,
                len: window.max(1),
            }],
            lhs_stride: window,
            weights_step: columns.next_multiple_of(COLUMNS),
            weights_block: 16,
            columns,
            out_stride: vertical.output * horizontal.output,
            out_block: 16,
            whole_blocks: false,
            scale: 1.0,
            residual: false,
            activation: Activation::None,
        };
        // The last rows of outputs may be fewer.
        Ok(Self {
            parts,
            groups: conv.group as usize,
            ci,
            co,
            axes,
            chunk,
            product: Product::new(shape, co, target)?,
            epilogue: conv.epilogue,
            isa: target.isa,
        })
    }

    fn window(&self) -> usize {
        self.ci * self.axes[0].kernel * self.axes[1].kernel
    }

    fn columns(&self) -> usize {
        self.chunk * self.axes[1].output
    }

    /// Gathers the windows of `chunk` rows of outputs, some of which may lie beyond the last.
    ///
    /// # Errors
    /// If the call is interrupted.
    fn gather(
        &self,
        x: &[f32],
        first: usize,
        windows: &mut [f32],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let [vertical, horizontal] = &self.axes;
        let taps = vertical.kernel * horizontal.kernel;
        let width = horizontal.output;
        let step = self.columns().next_multiple_of(COLUMNS);
        let gather = |index: usize, windows: &mut [f32]| {
            let (channel, tap) = (index / taps, index % taps);
            let (ky, kx) = (tap / horizontal.kernel, tap % horizontal.kernel);
            let columns = horizontal.outputs(kx);
            windows.fill(0.0);
            if columns.is_empty() {
                return;
            }
            let plane = &x[channel * vertical.input * horizontal.input..];
            let rows = vertical.outputs(ky);
            for row in rows.start.max(first)..rows.end.min(first + self.chunk) {
                let from = vertical.element(row, ky) * horizontal.input
                    + horizontal.element(columns.start, kx);
                let to = &mut windows[(row - first) * width..][columns.clone()];
                if horizontal.stride == 1 {
                    to.copy_from_slice(&plane[from..][..to.len()]);
                } else {
                    let from = plane[from..].iter().step_by(horizontal.stride);
                    for (to, from) in to.iter_mut().zip(from) {
                        *to = *from;
                    }
                }
            }
        };
        crew.divide(windows, step, step / 8, |first, windows| {
            let windows = windows.chunks_exact_mut(step);
            for (index, windows) in windows.enumerate() {
                gather(first + index, windows);
            }
            Ok(())
        })
    }

    /// Computes `chunk` rows of outputs, the last of which may be computed again if fewer are left.
    ///
    /// # Errors
    /// If the call is interrupted.
    fn rows(
        &self,
        [x, weights]: [&[f32]; 2],
        first: usize,
        y: &mut [f32],
        windows: &mut [f32],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        self.gather(x, first, windows, crew)?;
        let width = self.axes[1].output;
        let operands = Operands {
            lhs: weights,
            weights: windows,
            bias: None,
            residual: None,
            out: (&mut y[first * width..]).into(),
        };
        self.product.share(&Area::line(self.co), operands, crew)
    }

    /// Adds bias and residual to the outputs of a part, and applies the activation.
    ///
    /// # Errors
    /// If the call is interrupted.
    fn finish(
        &self,
        bias: &[f32],
        residual: &[f32],
        y: &mut [f32],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let plane = self.axes[0].output * self.axes[1].output;
        let finish = |channel: usize, y: &mut [f32]| {
            if let Some(&bias) = bias.get(channel) {
                y.iter_mut().for_each(|y| *y += bias);
            }
            if let Some(residual) = residual.get(channel * plane..) {
                y.iter_mut()
                    .zip(residual)
                    .for_each(|(y, residual)| *y += residual);
            }
            match self.epilogue.activation {
                Activation::None => {}
                Activation::Clamp { low, high } => {
                    y.iter_mut().for_each(|y| *y = y.max(low).min(high));
                }
                Activation::Unary(op) => unary::apply_in_place(op, self.isa, y),
            }
        };
        crew.divide(y, plane, plane / 4, |first, y| {
            for (index, y) in y.chunks_exact_mut(plane).enumerate() {
                finish(first + index, y);
            }
            Ok(())
        })
    }
}

impl Run for Grouped {
    fn scratch_bytes(&self) -> usize {
        self.window() * self.columns().next_multiple_of(COLUMNS) * size_of::<f32>()
    }

    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        scratch: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let Inputs {
            x,
            weights,
            bias,
            residual,
        } = Inputs::of(inputs, &self.epilogue);
        let [bias, residual] = [bias, residual].map(Option::unwrap_or_default);
        let y: &mut [f32] = bytemuck::cast_slice_mut(outputs[0]);
        let scratch: &mut [f32] = bytemuck::cast_slice_mut(scratch);
        let [vertical, horizontal] = &self.axes;
        let x_len = self.ci * vertical.input * horizontal.input;
        let y_len = self.co * vertical.output * horizontal.output;
        let weights_len = self.co * self.window();
        let (around, within) = crew.around(self.parts);
        let places = around.places(scratch, self.scratch_bytes() / size_of::<f32>());
        let parts = y.chunks_exact_mut(y_len).enumerate();
        around.share(parts, places, |(part, out), windows| {
            let group = part % self.groups;
            let x = &x[part * x_len..][..x_len];
            let weights = &weights[group * weights_len..][..weights_len];
            if self.ci == 0 {
                out.fill(0.0);
            } else {
                // The last chunk begins early enough to be whole.
                let last = vertical.output - self.chunk;
                for first in (0..vertical.output).step_by(self.chunk) {
                    self.rows([x, weights], first.min(last), out, windows, within)?;
                }
            }
            let bias = bias
                .get(group * self.co..)
                .map_or(&[][..], |bias| &bias[..self.co.min(bias.len())]);
            let residual = residual
                .get(part * y_len..)
                .map_or(&[][..], |rest| &rest[..y_len.min(rest.len())]);
            self.finish(bias, residual, out, within)
        })
    }
}
