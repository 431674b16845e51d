//! Softmax and normalisations.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{BinaryOp, Normalise, NormaliseKind, ReduceOp, UnaryOp};
use tensorlet_tensor::DatumType;
use tract_onnx::prelude::TDim;

use super::activations::scale as scale_by;
use super::context::Context;
use super::dims::{axes, axis, product};
use super::registry::{Entry, Importer};
use crate::graph::ValueId;

pub(super) const OPERATORS: &[Entry] = &[
    ("Softmax", Importer::Function(softmax)),
    ("LogSoftmax", Importer::Function(softmax)),
    (
        "BatchNormalization",
        Importer::Function(batch_normalization),
    ),
    (
        "LayerNormalization",
        Importer::Function(layer_normalization),
    ),
    ("RMSNormalization", Importer::Function(rms_normalization)),
    (
        "SimplifiedLayerNormalization",
        Importer::Function(rms_normalization),
    ),
    (
        "com.microsoft.SkipLayerNormalization",
        Importer::Function(skip_layer_normalization),
    ),
    (
        "com.microsoft.SkipSimplifiedLayerNormalization",
        Importer::Function(skip_layer_normalization),
    ),
    (
        "InstanceNormalization",
        Importer::Function(instance_normalization),
    ),
    (
        "GroupNormalization",
        Importer::Function(group_normalization),
    ),
    ("LpNormalization", Importer::Function(lp_normalization)),
    (
        "MeanVarianceNormalization",
        Importer::Function(mean_variance_normalization),
    ),
    ("LRN", Importer::Function(lrn)),
];

fn softmax(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let (x, axis, shape) = softmax_axis(node, x)?;
    let kernel = Kernel::Softmax {
        axis: axis as u32,
        log: node.operator() == "LogSoftmax",
    };
    let (datum_type, dims) = (node.datum_type(x), node.dims(x));
    let y = node.kernel(kernel, &[x], datum_type, dims)?;
    let y = node.reshaped(y, shape)?;
    node.output(0, y)
}

/// Returns the input as it is normalised, along which axis, and the output's dims. Before opset 13, the input is a matrix whose
/// columns are the axes from the given one on.
pub(super) fn softmax_axis(
    node: &mut Context<'_, '_>,
    x: ValueId,
) -> Option<(ValueId, usize, Vec<TDim>)> {
    let dims = node.dims(x);
    let old = node.opset() < 13;
    let axis = axis(node.int_or("axis", if old { 1 } else { -1 }), dims.len())?;
    if !old || axis + 1 == dims.len() {
        return Some((x, axis, dims));
    }
    let matrix = vec![product(&dims[..axis])?, product(&dims[axis..])?];
    Some((node.reshape(x, matrix)?, 1, dims))
}

/// With what was learned: `x × scale / √(variance + ε) + (bias - mean × scale / √(variance + ε))`.
fn batch_normalization(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let dims = node.dims(x);
    if !node.flag("spatial", true) || dims.len() < 2 {
        return None;
    }
    if node.flag("training_mode", false) {
        return batch_statistics(node);
    }
    if (1..node.outputs()).any(|index| node.wants(index)) {
        return None;
    }
    let mut channel = vec![TDim::from(1); dims.len() - 1];
    channel[0] = dims[1].clone();
    let [factor, offset] = match batch_constants(node) {
        Some(constants) => constants,
        None => batch_values(node)?,
    };
    let (factor, offset) = (
        node.reshaped(factor, channel.clone())?,
        node.reshaped(offset, channel)?,
    );
    let scaled = node.binary(BinaryOp::Mul, x, factor)?;
    let y = node.binary(BinaryOp::Add, scaled, offset)?;
    node.output(0, y)
}

/// In training: with the mean and variance of the batch, which running ones move towards.
fn batch_statistics(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let mut channel = vec![TDim::from(1); node.rank(x)];
    channel[1] = node.dims(x)[1].clone();
    let axes: Vec<usize> = (0..channel.len()).filter(|&axis| axis != 1).collect();
    let mean = node.reduce(ReduceOp::Mean, x, &axes)?;
    let centred = node.binary(BinaryOp::Sub, x, mean)?;
    let squares = node.binary(BinaryOp::Mul, centred, centred)?;
    let variance = node.reduce(ReduceOp::Mean, squares, &axes)?;
    let deviation = deviation(node, variance)?;
    let normal = node.binary(BinaryOp::Div, centred, deviation)?;
    let (scale, bias) = (node.input(1)?, node.input(2)?);
    let (scale, bias) = (
        node.reshape(scale, channel.clone())?,
        node.reshape(bias, channel)?,
    );
    let scaled = node.binary(BinaryOp::Mul, normal, scale)?;
    let y = node.binary(BinaryOp::Add, scaled, bias)?;
    node.output(0, y)?;
    let momentum = node.float_or("momentum", 0.9);
    for (index, found) in [(1, mean), (2, variance)] {
        let running = node.input(2 + index)?;
        let dims = node.dims(running);
        let found = node.reshape(found, dims)?;
        let old = scale_by(node, running, momentum)?;
        let new = scale_by(node, found, 1.0 - momentum)?;
        let moved = node.binary(BinaryOp::Add, old, new)?;
        node.output(index, moved)?;
    }
    Some(())
}

/// The factor and offset of each channel, computed here.
fn batch_constants(node: &mut Context<'_, '_>) -> Option<[ValueId; 2]> {
    let rank = node.input(0).map(|x| node.rank(x))?;
    let [scale, bias, mean, variance] = [1, 2, 3, 4].map(|index| node.floats(index));
    let (scale, bias, mean, variance) = (scale?, bias?, mean?, variance?);
    let channels = scale.len();
    if [bias.len(), mean.len(), variance.len()] != [channels; 3] {
        return None;
    }
    let epsilon = f64::from(node.float_or("epsilon", 1e-5));
    let factor = |index: usize| -> f64 {
        f64::from(scale[index]) / (f64::from(variance[index]) + epsilon).sqrt()
    };
    let offset = |index: usize| f64::from(bias[index]) - f64::from(mean[index]) * factor(index);
    let mut dims = vec![1; rank - 1];
    dims[0] = channels;
    let factors = node.constant_f32(&dims, || (0..channels).map(|c| factor(c) as f32).collect());
    let offsets = node.constant_f32(&dims, || (0..channels).map(|c| offset(c) as f32).collect());
    Some([factors, offsets])
}

/// The same, computed by kernels.
fn batch_values(node: &mut Context<'_, '_>) -> Option<[ValueId; 2]> {
    let [scale, bias, mean, variance] = [1, 2, 3, 4].map(|index| node.input(index));
    let deviation = deviation(node, variance?)?;
    let factor = node.binary(BinaryOp::Div, scale?, deviation)?;
    let shift = node.binary(BinaryOp::Mul, mean?, factor)?;
    let offset = node.binary(BinaryOp::Sub, bias?, shift)?;
    Some([factor, offset])
}

/// `√(variance + ε)`.
fn deviation(node: &mut Context<'_, '_>, variance: ValueId) -> Option<ValueId> {
    let epsilon = node.float_or("epsilon", 1e-5);
    let epsilon = node.scalar(epsilon.into(), DatumType::F32)?;
    let sum = node.binary(BinaryOp::Add, variance, epsilon)?;
    node.unary(UnaryOp::Sqrt, sum)
}

fn layer_normalization(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let (scale, bias) = (node.optional(1)?, node.optional(2)?);
    let axis = axis(node.int_or("axis", -1), node.rank(x))?;
    let kind = NormaliseKind::Layer { axis: axis as u32 };
    let y = normalise(node, kind, x, scale, bias, axis)?;
    node.output(0, y)?;
    if !node.wants(1) && !node.wants(2) {
        return Some(());
    }
    let axes: Vec<usize> = (axis..node.rank(x)).collect();
    let mean = node.reduce(ReduceOp::Mean, x, &axes)?;
    let centred = node.binary(BinaryOp::Sub, x, mean)?;
    let squares = node.binary(BinaryOp::Mul, centred, centred)?;
    let variance = node.reduce(ReduceOp::Mean, squares, &axes)?;
    let deviation = deviation(node, variance)?;
    let inverse = node.unary(UnaryOp::Reciprocal, deviation)?;
    node.output_as(1, mean, DatumType::F32)?;
    node.output_as(2, inverse, DatumType::F32)
}

fn rms_normalization(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let scale = node.optional(1)?;
    if node.wants(1) {
        return None;
    }
    let axis = axis(node.int_or("axis", -1), node.rank(x))?;
    let kind = NormaliseKind::RootMeanSquare { axis: axis as u32 };
    let y = normalise(node, kind, x, scale, None, axis)?;
    node.output(0, y)
}

/// `input, skip, gamma, [beta], [bias]`, or `input, skip, gamma, [bias]` when simplified.
fn skip_layer_normalization(node: &mut Context<'_, '_>) -> Option<()> {
    let simplified = node.operator() == "SkipSimplifiedLayerNormalization";
    let (x, skip, scale) = (node.input(0)?, node.input(1)?, node.input(2)?);
    let beta = if simplified { None } else { node.optional(3)? };
    let bias = node.optional(if simplified { 3 } else { 4 })?;
    let mut sum = node.binary(BinaryOp::Add, x, skip)?;
    if let Some(bias) = bias {
        sum = node.binary(BinaryOp::Add, sum, bias)?;
    }
    if node.wants(1) || node.wants(2) {
        return None;
    }
    let axis = node.rank(sum).checked_sub(1)?;
    let kind = match simplified {
        true => NormaliseKind::RootMeanSquare { axis: axis as u32 },
        false => NormaliseKind::Layer { axis: axis as u32 },
    };
    let y = normalise_with(node, kind, sum, Some(scale), beta, axis, 1e-12)?;
    node.output(0, y)?;
    node.output(3, sum)
}

fn normalise(
    node: &mut Context<'_, '_>,
    kind: NormaliseKind,
    x: ValueId,
    scale: Option<ValueId>,
    bias: Option<ValueId>,
    axis: usize,
) -> Option<ValueId> {
    normalise_with(node, kind, x, scale, bias, axis, 1e-5)
}

/// Normalises the axes from `axis` on. Scale and bias are brought to their dims.
fn normalise_with(
    node: &mut Context<'_, '_>,
    kind: NormaliseKind,
    x: ValueId,
    scale: Option<ValueId>,
    bias: Option<ValueId>,
    axis: usize,
    default_epsilon: f32,
) -> Option<ValueId> {
    let dims = node.dims(x);
    let inner = dims[axis..].to_vec();
    let mut inputs = vec![x];
    for value in [scale, bias].into_iter().flatten() {
        let mut own = node.dims(value);
        while own.len() > inner.len() && own[0].is_one() {
            own.remove(0);
        }
        let value = node.reshaped(value, own)?;
        inputs.push(node.expand(value, inner.clone())?);
    }
    let kernel = Kernel::Normalise(Normalise {
        kind,
        epsilon: node.float_or("epsilon", default_epsilon),
        scale: scale.is_some(),
        bias: bias.is_some(),
    });
    node.kernel(kernel, &inputs, DatumType::F32, dims)
}

fn instance_normalization(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let channels = node.dims(x).get(1)?.as_i64()?;
    let (scale, bias) = (node.input(1)?, node.input(2)?);
    let y = group(node, x, channels, scale, bias)?;
    node.output(0, y)
}

/// Until opset 21, scale and bias are one number a group, then one a channel.
fn group_normalization(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let channels = node.dims(x).get(1)?.as_i64()?;
    let groups = node.int("num_groups").filter(|&groups| groups > 0)?;
    let per_channel = |node: &mut Context<'_, '_>, value: ValueId| {
        if node.opset() >= 21 {
            return Some(value);
        }
        let value = node.reshape(value, vec![groups.into(), TDim::from(1)])?;
        let spread = vec![groups.into(), (channels / groups).into()];
        let value = node.expand(value, spread)?;
        node.reshape(value, vec![channels.into()])
    };
    let (scale, bias) = (node.input(1)?, node.input(2)?);
    let (scale, bias) = (per_channel(node, scale)?, per_channel(node, bias)?);
    let y = group(node, x, groups, scale, bias)?;
    node.output(0, y)
}

fn group(
    node: &mut Context<'_, '_>,
    x: ValueId,
    groups: i64,
    scale: ValueId,
    bias: ValueId,
) -> Option<ValueId> {
    let kernel = Kernel::Normalise(Normalise {
        kind: NormaliseKind::Group {
            groups: u32::try_from(groups).ok()?,
        },
        epsilon: node.float_or("epsilon", 1e-5),
        scale: true,
        bias: true,
    });
    let dims = node.dims(x);
    node.kernel(kernel, &[x, scale, bias], DatumType::F32, dims)
}

/// Divides by the norm along an axis.
fn lp_normalization(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let axis = axis(node.int_or("axis", -1), node.rank(x))?;
    let op = match node.int_or("p", 2) {
        1 => ReduceOp::L1,
        2 => ReduceOp::L2,
        _ => return None,
    };
    let norm = node.reduce(op, x, &[axis])?;
    let y = node.binary(BinaryOp::Div, x, norm)?;
    node.output(0, y)
}

/// `(x - mean) / (√variance + 10⁻⁹)`.
fn mean_variance_normalization(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let axes = axes(node.ints("axes").unwrap_or(&[0, 2, 3]), node.rank(x))?;
    let mean = node.reduce(ReduceOp::Mean, x, &axes)?;
    let centred = node.binary(BinaryOp::Sub, x, mean)?;
    let squares = node.binary(BinaryOp::Mul, centred, centred)?;
    let variance = node.reduce(ReduceOp::Mean, squares, &axes)?;
    let deviation = node.unary(UnaryOp::Sqrt, variance)?;
    let epsilon = node.scalar(1e-9, DatumType::F32)?;
    let divisor = node.binary(BinaryOp::Add, deviation, epsilon)?;
    let y = node.binary(BinaryOp::Div, centred, divisor)?;
    node.output(0, y)
}

fn lrn(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let kernel = Kernel::Lrn {
        size: u32::try_from(node.int("size")?).ok()?,
        alpha: node.float_or("alpha", 1e-4),
        beta: node.float_or("beta", 0.75),
        bias: node.float_or("bias", 1.0),
    };
    let (datum_type, dims) = (node.datum_type(x), node.dims(x));
    let y = node.kernel(kernel, &[x], datum_type, dims)?;
    node.output(0, y)
}
