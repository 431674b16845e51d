//! Transposed convolutions: each element of the input adds a window to the output.
//!
//! For some output channels at a time, a product gives the windows of all elements,
//!
//! ```text
//! windows[channel × tap][pixel] = weights[channel × tap][input channel] × x[input channel][pixel]
//! ```
//!
//! and each tap is then added to the output where it belongs.

#[cfg(test)]
mod tests;

use tensorlet_plan::Layout;
use tensorlet_plan::kernel::{Activation, ConvTranspose};
use tensorlet_tensor::DatumType;

use crate::bind::Types;
use crate::crew::{Crew, LINE, Pace};
use crate::isa::Isa;
use crate::run::{BindError, Run, RunError, Target};
use crate::tensor_type::TensorType;
use crate::tile::Segment;
use crate::tile::product::{Area, Operands, Product, Shape};
use crate::unary;
use crate::window::{Axis, Windows};

/// Windows are computed for as many channels at a time as fit in so many numbers: what a cache holds.
const WINDOWS_LEN: usize = 64 << 10;

/// Binds a transposed convolution of plain tensors of f32.
pub(crate) fn bind(
    conv: &ConvTranspose,
    types: Types<'_>,
    target: &Target<'_>,
) -> Result<Box<dyn Run>, BindError> {
    let has_bias = conv.epilogue.bias;
    let ([x, weights, bias @ ..], [y]) = (types.inputs, types.outputs) else {
        return Err(BindError::new(
            "expected x, weights and one output of a transposed convolution",
        ));
    };
    let refuse = |what: &str| {
        BindError::new(format!(
            "expected {what}, found a transposed convolution of {x} with {weights} to {y}"
        ))
    };
    let is_plain =
        |tensor: &TensorType| tensor.datum_type == DatumType::F32 && tensor.layout == Layout::Plain;
    if !types.inputs.iter().chain([y]).all(is_plain) || conv.epilogue.residual {
        return Err(refuse("plain f32 tensors and no residual"));
    }
    if let Activation::Unary(op) = conv.epilogue.activation {
        unary::check_float(op)?;
    }
    let ([rows, channels, x_spatial @ ..], [y_rows, y_channels, y_spatial @ ..]) =
        (x.dims.as_slice(), y.dims.as_slice())
    else {
        return Err(refuse("axes of rows and channels"));
    };
    let groups = conv.group as usize;
    let divides = |channels: usize| groups > 0 && channels.is_multiple_of(groups);
    if rows != y_rows || !divides(*channels) || !divides(*y_channels) {
        return Err(refuse("equal rows, and groups that divide the channels"));
    }
    // An element of the input is what an output is to a convolution, and the other way round.
    let windows = Windows {
        kernel: &conv.kernel,
        strides: &conv.strides,
        dilations: &conv.dilations,
        pads_before: &conv.pads_before,
    };
    let axes: [Axis; 2] = windows.axes(y_spatial, x_spatial)?;
    let (ci, co) = (channels / groups, y_channels / groups);
    let mut weights_dims = vec![*channels, co];
    weights_dims.extend(conv.kernel.iter().map(|&size| size as usize));
    if weights.dims != weights_dims {
        return Err(refuse(&format!("weights of {weights_dims:?}")));
    }
    let bias_fits = |bias: &TensorType| bias.dims.len() == 1 && bias.dims[0] >= *y_channels;
    if bias.len() != usize::from(has_bias) || !bias.iter().all(bias_fits) {
        return Err(refuse("a bias with one number a channel, if there is one"));
    }
    Ok(Box::new(Transposed::new(
        conv, *rows, groups, ci, co, axes, target,
    )?))
}

/// A transposed convolution; channels are those of one group.
struct Transposed {
    rows: usize,
    groups: usize,
    ci: usize,
    co: usize,
    axes: [Axis; 2],
    taps: usize,
    /// Pixels of the input, and the same rounded up to what the product wants.
    pixels: usize,
    padded_pixels: usize,
    /// How many output channels at a time.
    chunk: usize,
    product: Product,
    bias: bool,
    activation: Activation,
    isa: Isa,
}

impl Transposed {
    fn new(
        conv: &ConvTranspose,
        rows: usize,
        groups: usize,
        ci: usize,
        co: usize,
        axes: [Axis; 2],
        target: &Target<'_>,
    ) -> Result<Self, BindError> {
        let overflow = || BindError::new("expected a transposed convolution that fits in memory");
        let pixels = axes[0]
            .output
            .checked_mul(axes[1].output)
            .ok_or_else(overflow)?;
        let padded_pixels = pixels.checked_next_multiple_of(8).ok_or_else(overflow)?;
        let taps = axes[0]
            .kernel
            .checked_mul(axes[1].kernel)
            .ok_or_else(overflow)?;
        let window = taps.checked_mul(pixels).ok_or_else(overflow)?;
        let chunk = (WINDOWS_LEN / window.max(1)).clamp(1, co.max(1));
        let lens = [
            co.checked_mul(taps),
            chunk.checked_mul(window),
            ci.checked_mul(padded_pixels),
        ];
        let lens: Option<usize> = lens
            .into_iter()
            .try_fold(0usize, |sum, len| sum.checked_add(len?));
        let weights = co.checked_mul(taps).and_then(|len| len.checked_mul(ci));
        let total = lens
            .zip(weights)
            .and_then(|(lens, weights)| lens.checked_add(weights));
        if total.is_none_or(|total| total > isize::MAX as usize / 8) {
            return Err(overflow());
        }
        let shape = Shape {
            segments: vec![Segment {
                offset_bytes: 0,
                len: ci.max(1),
            }],
            lhs_stride: ci,
            weights_step: padded_pixels,
            weights_block: 16,
            columns: pixels,
            out_stride: pixels,
            out_block: 16,
            whole_blocks: false,
            scale: 1.0,
            residual: false,
            activation: Activation::None,
        };
        Ok(Self {
            rows,
            groups,
            ci,
            co,
            axes,
            taps,
            pixels,
            padded_pixels,
            chunk,
            product: Product::new(shape, chunk * taps, target)?,
            bias: conv.epilogue.bias,
            activation: conv.epilogue.activation,
            isa: target.isa,
        })
    }

    fn lens(&self) -> [usize; 3] {
        [
            self.co * self.taps * self.ci,
            self.chunk * self.taps * self.pixels,
            self.ci * self.padded_pixels,
        ]
    }

    /// Adds what the channels of one group give to `y`.
    fn group(
        &self,
        [x, weights]: [&[f32]; 2],
        y: &mut [f32],
        scratch: &mut [f32],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let [weights_len, windows_len, x_len] = self.lens();
        let (transposed, scratch) = scratch.split_at_mut(weights_len);
        let (windows, padded) = scratch.split_at_mut(windows_len);
        let per_input = self.co * self.taps;
        let mut pace = Pace::of(crew);
        for (input, weights) in weights.chunks_exact(per_input).enumerate() {
            pace.count(per_input)?;
            for (row, &weight) in weights.iter().enumerate() {
                transposed[row * self.ci + input] = weight;
            }
        }
        let padded = &mut padded[..x_len];
        for (x, padded) in x
            .chunks_exact(self.pixels)
            .zip(padded.chunks_exact_mut(self.padded_pixels))
        {
            padded[..self.pixels].copy_from_slice(x);
            padded[self.pixels..].fill(0.0);
        }
        let plane = self.axes[0].input * self.axes[1].input;
        for first in (0..self.co).step_by(self.chunk) {
            let channels = self.chunk.min(self.co - first);
            let rows = channels * self.taps;
            let operands = Operands {
                lhs: &transposed[first * self.taps * self.ci..],
                weights: padded,
                bias: None,
                residual: None,
                out: (&mut *windows).into(),
            };
            self.product.share(&Area::line(rows), operands, crew)?;
            let windows = &*windows;
            let work = self.taps.saturating_mul(self.pixels);
            let y = &mut y[first * plane..][..channels * plane];
            crew.divide(y, plane, work, |first, y| {
                let mut pace = Pace::of(crew);
                let windows = windows[first * self.taps * self.pixels..].chunks_exact(self.pixels);
                let rows = y.len() / plane * self.taps;
                for (index, window) in windows.take(rows).enumerate() {
                    pace.count(self.pixels)?;
                    let y = &mut y[index / self.taps * plane..][..plane];
                    self.add(index % self.taps, window, y);
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Adds one tap of all windows to a plane of the output.
    fn add(&self, tap: usize, window: &[f32], y: &mut [f32]) {
        let [vertical, horizontal] = &self.axes;
        let (ky, kx) = (tap / horizontal.kernel, tap % horizontal.kernel);
        let columns = horizontal.outputs(kx);
        if columns.is_empty() {
            return;
        }
        let begin = horizontal.element(columns.start, kx);
        for row in vertical.outputs(ky) {
            let from = &window[row * horizontal.output..][columns.clone()];
            let to = &mut y[vertical.element(row, ky) * horizontal.input + begin..];
            if horizontal.stride == 1 {
                for (to, from) in to.iter_mut().zip(from) {
                    *to += from;
                }
            } else {
                for (to, from) in to.iter_mut().step_by(horizontal.stride).zip(from) {
                    *to += from;
                }
            }
        }
    }
}

impl Run for Transposed {
    fn scratch_bytes(&self) -> usize {
        self.lens().iter().sum::<usize>() * size_of::<f32>()
    }

    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        scratch: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let (x, weights): (&[f32], &[f32]) = (
            bytemuck::cast_slice(inputs[0]),
            bytemuck::cast_slice(inputs[1]),
        );
        let y: &mut [f32] = bytemuck::cast_slice_mut(outputs[0]);
        let len = self.lens().iter().sum::<usize>();
        let scratch: &mut [f32] = bytemuck::cast_slice_mut(scratch);
        let plane = self.axes[0].input * self.axes[1].input;
        if y.is_empty() {
            return Ok(());
        }
        let bias: Option<&[f32]> = self.bias.then(|| bytemuck::cast_slice(inputs[2]));
        let channels = self.groups * self.co;
        for (index, plane) in y.chunks_exact_mut(plane).enumerate() {
            plane.fill(bias.map_or(0.0, |bias| bias[index % channels]));
        }
        if !x.is_empty() {
            let (x_len, y_len) = (self.ci * self.pixels, self.co * plane);
            let weights_len = self.ci * self.co * self.taps;
            let parts = y.chunks_exact_mut(y_len).enumerate();
            let (around, within) = crew.around(self.rows * self.groups);
            around.share(parts, around.places(scratch, len), |(part, y), scratch| {
                let x = &x[part * x_len..][..x_len];
                let weights = &weights[part % self.groups * weights_len..][..weights_len];
                self.group([x, weights], y, scratch, within)
            })?;
        }
        match self.activation {
            Activation::None => {}
            Activation::Clamp { low, high } => {
                crew.divide(y, LINE, LINE / 8, |_, y| {
                    y.iter_mut().for_each(|y| *y = y.max(low).min(high));
                    Ok(())
                })?;
            }
            Activation::Unary(op) => unary::share_in_place(op, self.isa, y, crew)?,
        }
        Ok(())
    }
}
