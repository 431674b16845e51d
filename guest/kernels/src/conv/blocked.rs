//! Dense convolutions between tensors in the blocked layout.

use tensorlet_plan::Layout;
use tensorlet_plan::kernel::{Conv, ConvWeights, Epilogue};
use tensorlet_tensor::DatumType;

use super::dense::{self, Dense, Sizes};
use super::inputs::Inputs;
use crate::attributes::Attributes;
use crate::bind::Types;
use crate::crew::Crew;
use crate::epilogue::{self, is_plain};
use crate::run::{BindError, Run, RunError, Target};
use crate::tensor_type::{BLOCK, TensorType};
use crate::tile::product::Shape;
use crate::tile::{Segment, Wanted};
use crate::window::{Axis, Windows};

/// Packs weights `[group × Co][Ci][taps]`, as ONNX has them, as `[group × ⌈Co/16⌉][taps][Ci][16]` with zeros beyond the last channel of
/// a group: what [`ConvWeights::Blocked`] expects.
///
/// # Panics
/// If there are not so many weights.
pub fn pack_blocked(
    weights: &[f32],
    group: usize,
    [out_channels, channels, taps]: [usize; 3],
) -> Vec<f32> {
    let [len, row_len] = [out_channels * channels * taps, channels * taps];
    assert_eq!(
        weights.len(),
        group * len,
        "expected {group} times {out_channels} × {channels} × {taps} weights"
    );
    let packed_len = out_channels.next_multiple_of(BLOCK) * row_len;
    let mut packed = vec![0.0; group * packed_len];
    for (i, &weight) in weights.iter().enumerate() {
        let (tap, channel) = (i % taps, i / taps % channels);
        let (out_channel, group) = (i % len / row_len, i / len);
        let row = out_channel / BLOCK * row_len + tap * channels + channel;
        packed[group * packed_len + row * BLOCK + out_channel % BLOCK] = weight;
    }
    packed
}

/// Packs weights `[Co][Ci][taps]`, as ONNX has them, as `[⌈Co/16⌉][Ci][taps][16]` with zeros beyond the last channel: what
/// [`ConvWeights::PlainInput`] expects.
///
/// # Panics
/// If there are not so many weights.
pub fn pack_plain_input(weights: &[f32], [out_channels, channels, taps]: [usize; 3]) -> Vec<f32> {
    // The same as if each weight of a row were a channel.
    pack_blocked(weights, 1, [out_channels, channels * taps, 1])
}

/// Binds a convolution with [`ConvWeights::Blocked`] or [`ConvWeights::PlainInput`].
pub(super) fn bind(
    conv: &Conv,
    types: Types<'_>,
    target: &Target<'_>,
) -> Result<Box<dyn Run>, BindError> {
    Ok(Box::new(Blocked {
        dense: Dense::new(check(conv, types)?, target)?,
        epilogue: conv.epilogue,
    }))
}

/// Returns the sizes of a convolution with [`ConvWeights::Blocked`] or [`ConvWeights::PlainInput`].
///
/// # Errors
/// If these are no types that it can be computed of.
pub(super) fn check(conv: &Conv, types: Types<'_>) -> Result<Sizes, BindError> {
    let mismatch = || {
        BindError::new(format!(
            "expected a dense convolution to a blocked tensor, found {} of {types}",
            Attributes(conv)
        ))
    };
    let ([x, weights, rest @ ..], [y]) = (types.inputs, types.outputs) else {
        return Err(mismatch());
    };
    let sizes = sizes(conv, x, y)?.ok_or_else(mismatch)?;
    let weights_len = sizes
        .weights_len()
        .and_then(|len| len.checked_mul(sizes.groups));
    if !is_plain(weights) || weights_len.is_none() || weights.stored_len() != weights_len {
        return Err(mismatch());
    }
    epilogue::check(&conv.epilogue, rest, y.dims[1], y)?;
    Ok(sizes)
}

/// Returns the sizes of a convolution; `None` if they contradict each other.
fn sizes(conv: &Conv, x: &TensorType, y: &TensorType) -> Result<Option<Sizes>, BindError> {
    let ([images, channels, input @ ..], [y_images, out_channels, output @ ..]) =
        (x.dims.as_slice(), y.dims.as_slice())
    else {
        return Ok(None);
    };
    let windows = Windows {
        kernel: &conv.kernel,
        strides: &conv.strides,
        dilations: &conv.dilations,
        pads_before: &conv.pads_before,
    };
    let axes: [Axis; 2] = windows.axes(input, output)?;
    let [vertical, horizontal] = &axes;
    // If there are so many pixels that their number overflows, there are no channels.
    let planes = [
        vertical.input.saturating_mul(horizontal.input),
        vertical.output.saturating_mul(horizontal.output),
    ];
    let fitting = axes[2 - input.len()..]
        .iter()
        .zip(&conv.pads_after)
        .all(|(axis, &pad)| axis.fitting_outputs(pad as usize).unwrap_or(0) == axis.output);
    let plain_input = conv.weights == ConvWeights::PlainInput;
    let (x_layout, groups) = if plain_input {
        (Layout::Plain, 1)
    } else {
        (Layout::Blocked, conv.group as usize)
    };
    let in_groups = |channels: usize| {
        channels.is_multiple_of(groups)
            && (groups == 1 || (channels / groups).is_multiple_of(BLOCK))
    };
    let fits = fitting
        && !input.is_empty()
        && conv.pads_after.len() == input.len()
        && images == y_images
        && groups > 0
        && groups == conv.group as usize
        && in_groups(*channels)
        && in_groups(*out_channels)
        && (x.layout, y.layout) == (x_layout, Layout::Blocked)
        && (x.datum_type, y.datum_type) == (DatumType::F32, DatumType::F32);
    Ok(fits.then(|| Sizes {
        images: *images,
        groups,
        channels: channels / groups,
        out_channels: out_channels / groups,
        axes,
        planes,
        plain_input,
        residual: conv.epilogue.residual,
        activation: conv.epilogue.activation,
    }))
}

/// Adds the functions that a convolution is faster with, given the dims of its input and output as far as they are known. Returns
/// `None` if there is nothing to know, or sizes do not fit.
pub(crate) fn want_tiles(
    conv: &Conv,
    x: &[Option<usize>],
    y: &[Option<usize>],
    wanted: &mut Wanted,
) -> Option<()> {
    let plain_input = match conv.weights {
        ConvWeights::Blocked => false,
        ConvWeights::PlainInput => true,
        ConvWeights::Depthwise | ConvWeights::Plain => return None,
    };
    let tensor = |dims: &[usize], layout: Layout| TensorType {
        datum_type: DatumType::F32,
        dims: dims.to_vec(),
        layout,
    };
    let x_layout = if plain_input {
        Layout::Plain
    } else {
        Layout::Blocked
    };
    let known = |dims: &[Option<usize>]| dims.iter().copied().collect::<Option<Vec<usize>>>();
    let ([images, x @ ..], [_, y @ ..]) = (x, y) else {
        return None;
    };
    if let (Some(x), Some(y)) = (known(x), known(y)) {
        // Images of one pixel are computed together, so that their number matters then.
        let images = images.map_or(vec![1, 2, 3, 4, 5, 6], |images| vec![images]);
        for images in images {
            let x = tensor(&[&[images], x.as_slice()].concat(), x_layout);
            let y = tensor(&[&[images], y.as_slice()].concat(), Layout::Blocked);
            dense::want_tiles(sizes(conv, &x, &y).ok()??, wanted)?;
        }
        return Some(());
    }
    let (channels, out_channels) = ((*x.first()?)?, (*y.first()?)?);
    let stride = *conv.strides.last()? as usize;
    let group = conv.group as usize;
    let row = |lhs_stride: usize| {
        let taps = conv.kernel.iter().map(|&size| size as usize);
        Some(Shape {
            segments: vec![Segment {
                offset_bytes: 0,
                len: taps.fold(channels.checked_div(group)?, usize::saturating_mul),
            }],
            lhs_stride,
            weights_step: BLOCK,
            weights_block: 0,
            columns: out_channels / group,
            out_stride: BLOCK,
            out_block: 0,
            whole_blocks: true,
            scale: 1.0,
            residual: conv.epilogue.residual,
            activation: conv.epilogue.activation,
        })
    };
    wanted.add(&row(stride * if plain_input { 1 } else { BLOCK })?, &[None]);
    if !plain_input {
        // Lines that turn out to be short are put together.
        wanted.add(&row(BLOCK)?, &[None]);
    }
    Some(())
}

/// A dense convolution, if there is anything to compute.
struct Blocked {
    dense: Option<Dense>,
    epilogue: Epilogue,
}

impl Run for Blocked {
    fn scratch_bytes(&self) -> usize {
        self.dense
            .as_ref()
            .map_or(0, |dense| dense.scratch_len() * size_of::<f32>())
    }

    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        scratch: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let Some(dense) = &self.dense else {
            return Ok(());
        };
        let inputs = Inputs::of(inputs, &self.epilogue);
        let y = bytemuck::cast_slice_mut(outputs[0]);
        dense.run(inputs, y, bytemuck::cast_slice_mut(scratch), crew)
    }
}
