//! Convolutions and transposed convolutions.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{BinaryOp, Conv, ConvTranspose, ConvWeights, Epilogue};
use tensorlet_tensor::DatumType;
use tract_onnx::prelude::TDim;

use super::context::Context;
use super::dims::fixed;
use super::pools::{AutoPad, Window};
use super::registry::{Entry, Importer};
use crate::graph::ValueId;

pub(super) const OPERATORS: &[Entry] = &[
    ("Conv", Importer::Function(conv)),
    ("ConvTranspose", Importer::Function(conv_transpose)),
    ("Col2Im", Importer::Function(col2im)),
];

fn conv(node: &mut Context<'_, '_>) -> Option<()> {
    let (x, w) = (node.input(0)?, node.input(1)?);
    let bias = node.optional(2)?;
    let packed_bias = bias.filter(|_| node.constant(2).is_some());
    let y = convolution(node, x, w, packed_bias)?;
    let y = match bias.filter(|_| packed_bias.is_none()) {
        Some(bias) => add_bias(node, y, bias)?,
        None => y,
    };
    node.output(0, y)
}

/// Adds a convolution with the attributes of the node; the bias must be a constant.
pub(super) fn convolution(
    node: &mut Context<'_, '_>,
    x: ValueId,
    w: ValueId,
    bias: Option<ValueId>,
) -> Option<ValueId> {
    let (x_dims, w_dims) = (node.dims(x), node.dims(w));
    let kernel = fixed(w_dims.get(2..)?)?;
    let group = group(node)?;
    let channels = x_dims.get(1)?.as_i64()?;
    if x_dims.len() != w_dims.len() || w_dims[1].as_i64()?.checked_mul(group)? != channels {
        return None;
    }
    let window = Window::read(node, &x_dims[2..], &kernel)?;
    let mut dims = vec![x_dims[0].clone(), w_dims[0].clone()];
    dims.extend(window.conv_sizes(&x_dims[2..])?);
    let mut inputs = vec![x, w];
    inputs.extend(bias);
    let kernel = Kernel::Conv(Conv {
        weights: ConvWeights::Plain,
        group: u32::try_from(group).ok()?,
        kernel: window.kernel,
        strides: window.strides,
        dilations: window.dilations,
        pads_before: window.pads_before,
        pads_after: window.pads_after,
        epilogue: Epilogue {
            bias: bias.is_some(),
            ..Epilogue::default()
        },
    });
    node.kernel(kernel, &inputs, DatumType::F32, dims)
}

fn group(node: &Context<'_, '_>) -> Option<i64> {
    Some(node.int_or("group", 1)).filter(|&group| group > 0)
}

/// Adds a bias that is computed, one number a channel.
fn add_bias(node: &mut Context<'_, '_>, y: ValueId, bias: ValueId) -> Option<ValueId> {
    let mut dims = vec![TDim::from(1); node.rank(y) - 1];
    dims[0] = node.dims(bias).first()?.clone();
    let bias = node.reshape(bias, dims)?;
    node.binary(BinaryOp::Add, y, bias)
}

fn conv_transpose(node: &mut Context<'_, '_>) -> Option<()> {
    let (x, w) = (node.input(0)?, node.input(1)?);
    let (x_dims, w_dims) = (node.dims(x), node.dims(w));
    let kernel = fixed(w_dims.get(2..)?)?;
    let group = group(node)?;
    if x_dims.len() != w_dims.len() || w_dims[0].as_i64()? != x_dims[1].as_i64()? {
        return None;
    }
    let spatial = kernel.len();
    let kernel_u32: Vec<u32> = kernel
        .iter()
        .map(|&k| u32::try_from(k).ok())
        .collect::<Option<_>>()?;
    let strides = super::pools::positive(node, "strides", spatial)?;
    let dilations = super::pools::positive(node, "dilations", spatial)?;
    let mut dims = vec![
        x_dims[0].clone(),
        (w_dims[1].as_i64()?.checked_mul(group)?).into(),
    ];
    let mut pads_before = vec![];
    for axis in 0..spatial {
        let whole = Whole {
            size: &x_dims[2 + axis],
            stride: strides[axis].into(),
            extent: i64::try_from(kernel[axis])
                .ok()?
                .checked_sub(1)?
                .checked_mul(dilations[axis].into())?
                + 1,
            axis,
            spatial,
        };
        let (size, before) = whole.cut(node)?;
        dims.push(size);
        pads_before.push(u32::try_from(before).ok()?);
    }
    let (mut inputs, bias) = (vec![x, w], node.optional(2)?);
    let packed_bias = bias.filter(|_| node.constant(2).is_some());
    inputs.extend(packed_bias);
    let kernel = Kernel::ConvTranspose(ConvTranspose {
        group: u32::try_from(group).ok()?,
        kernel: kernel_u32,
        strides,
        dilations,
        pads_before,
        epilogue: Epilogue {
            bias: packed_bias.is_some(),
            ..Epilogue::default()
        },
    });
    let y = node.kernel(kernel, &inputs, DatumType::F32, dims)?;
    let y = match bias.filter(|_| packed_bias.is_none()) {
        Some(bias) => add_bias(node, y, bias)?,
        None => y,
    };
    node.output(0, y)
}

/// One axis of the output of a transposed convolution, before padding is cut off.
struct Whole<'a> {
    size: &'a TDim,
    stride: i64,
    /// How far a window reaches.
    extent: i64,
    axis: usize,
    spatial: usize,
}

impl Whole<'_> {
    /// Returns the size of the output, and how much is cut off in front.
    fn cut(&self, node: &Context<'_, '_>) -> Option<(TDim, i64)> {
        let at = |name: &str| match node.ints(name) {
            Some(values) => values.get(self.axis).copied(),
            None => Some(0),
        };
        let extra = at("output_padding")?;
        let whole = (self.size.clone() - 1) * self.stride + self.extent + extra;
        let auto_pad = AutoPad::read(node)?;
        let wanted = match (node.ints("output_shape"), auto_pad) {
            // Some models give the whole shape.
            (Some(shape), _) => {
                let from_end = self.spatial - self.axis;
                Some((*shape.get(shape.len().checked_sub(from_end)?)?).into())
            }
            (None, AutoPad::SameUpper | AutoPad::SameLower) => {
                Some(self.size.clone() * self.stride)
            }
            (None, AutoPad::Explicit | AutoPad::Valid) => None,
        };
        if let Some(wanted) = wanted {
            let total = (whole - &wanted).simplify().as_i64()?.max(0);
            let before = match auto_pad {
                AutoPad::SameUpper => total / 2,
                _ => total - total / 2,
            };
            return Some((wanted, before));
        }
        if auto_pad == AutoPad::Valid {
            return Some((whole, 0));
        }
        let (before, after) = match node.ints("pads") {
            Some(pads) => (*pads.get(self.axis)?, *pads.get(self.spatial + self.axis)?),
            None => (0, 0),
        };
        Some((whole - before - after, before))
    }
}

/// Adds up overlapping blocks: a transposed convolution of each channel, with one weight a place in the block.
fn col2im(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let [batch, rows, _] = <[TDim; 3]>::try_from(node.dims(x)).ok()?;
    let (image, block) = (node.integers(1)?, node.integers(2)?);
    let spatial = block.len();
    let block: Vec<usize> = block
        .iter()
        .map(|&size| usize::try_from(size).ok().filter(|&size| size > 0))
        .collect::<Option<_>>()?;
    let places = block.iter().product::<usize>();
    let rows = usize::try_from(rows.as_i64()?).ok()?;
    let channels = rows.checked_div(places)?;
    let pads = match node.ints("pads") {
        Some(pads) if pads.len() == 2 * spatial => pads.to_vec(),
        Some(_) => return None,
        None => vec![0; 2 * spatial],
    };
    let strides = super::pools::positive(node, "strides", spatial)?;
    let dilations = super::pools::positive(node, "dilations", spatial)?;
    if image.len() != spatial || channels.checked_mul(places)? != rows {
        return None;
    }
    let mut dims = vec![batch, rows.into()];
    for axis in 0..spatial {
        let extent = (i64::try_from(block[axis]).ok()? - 1) * i64::from(dilations[axis]) + 1;
        let room = image[axis] + pads[axis] + pads[spatial + axis] - extent;
        dims.push((room / i64::from(strides[axis]) + 1).into());
    }
    let x = node.reshape(x, dims.clone())?;
    let w_dims = [&[rows, 1], block.as_slice()].concat();
    let w = node.constant_f32(&w_dims, || {
        let place = |index: usize| f32::from(u8::from(index / places % places == index % places));
        (0..rows * places).map(place).collect()
    });
    let before = pads[..spatial].iter().map(|&pad| u32::try_from(pad).ok());
    let kernel = Kernel::ConvTranspose(ConvTranspose {
        group: u32::try_from(channels).ok()?,
        kernel: block
            .iter()
            .map(|&size| u32::try_from(size).ok())
            .collect::<Option<_>>()?,
        strides,
        dilations,
        pads_before: before.collect::<Option<_>>()?,
        epilogue: Epilogue::default(),
    });
    dims.truncate(1);
    dims.push(channels.into());
    dims.extend(image.iter().map(TDim::from));
    let y = node.kernel(kernel, &[x, w], DatumType::F32, dims)?;
    node.output(0, y)
}
