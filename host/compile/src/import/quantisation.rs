//! Quantised tensors, computed as floats.

use tensorlet_plan::kernel::{BinaryOp, ReduceOp, UnaryOp};
use tensorlet_tensor::DatumType;
use tract_onnx::prelude::TDim;

use super::builder::computed_type;
use super::constants::datum_type_of;
use super::context::Context;
use super::convolutions::convolution;
use super::dims::{axis, mul};
use super::joins::part;
use super::matrices::product;
use super::registry::{Entry, Importer};
use crate::graph::ValueId;

pub(super) const OPERATORS: &[Entry] = &[
    ("QuantizeLinear", Importer::Function(quantize)),
    ("DequantizeLinear", Importer::Function(dequantize)),
    (
        "DynamicQuantizeLinear",
        Importer::Function(dynamic_quantize),
    ),
    ("MatMulInteger", Importer::Function(integer_product)),
    ("ConvInteger", Importer::Function(integer_conv)),
    ("QLinearMatMul", Importer::Function(quantised_product)),
    ("QLinearConv", Importer::Function(quantised_conv)),
    (
        "com.microsoft.QLinearAdd",
        Importer::Function(quantised_binary),
    ),
    (
        "com.microsoft.QLinearMul",
        Importer::Function(quantised_binary),
    ),
    (
        "com.microsoft.DynamicQuantizeMatMul",
        Importer::Function(float_product),
    ),
    (
        "com.microsoft.MatMulIntegerToFloat",
        Importer::Function(float_product),
    ),
];

/// `round(x / scale) + zero`, saturated. Blocks of an axis may have a scale each.
fn quantize(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let to = match node.has(2) {
        true => node.declared(2)?,
        false => match node.int_or("output_dtype", 0) {
            0 => DatumType::U8,
            data_type => datum_type_of(data_type)?,
        },
    };
    let scale = along_axis(node, x, 1)?;
    let zero = match node.has(2) {
        true => Some(along_axis(node, x, 2)?),
        false => None,
    };
    let x = node.cast(x, DatumType::F32)?;
    let y = quantized(node, x, scale, zero, to)?;
    node.output_as(0, y, to)
}

fn quantized(
    node: &mut Context<'_, '_>,
    x: ValueId,
    scale: ValueId,
    zero: Option<ValueId>,
    to: DatumType,
) -> Option<ValueId> {
    let (low, high) = match to {
        DatumType::U8 => (0.0, 255.0),
        DatumType::I8 => (-128.0, 127.0),
        DatumType::U16 => (0.0, 65535.0),
        DatumType::I16 => (-32768.0, 32767.0),
        _ => return None,
    };
    let scaled = node.binary(BinaryOp::Div, x, scale)?;
    let mut y = node.unary(UnaryOp::Round, scaled)?;
    if let Some(zero) = zero {
        let zero = node.cast(zero, DatumType::F32)?;
        y = node.binary(BinaryOp::Add, y, zero)?;
    }
    let y = node.unary(UnaryOp::Clip { low, high }, y)?;
    node.cast(y, to)
}

/// `(x - zero) × scale`.
fn dequantize(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let to = node.declared(1)?;
    let scale = along_axis(node, x, 1)?;
    let mut y = node.cast(x, DatumType::F32)?;
    if node.has(2) {
        let zero = along_axis(node, x, 2)?;
        let zero = node.cast(zero, DatumType::F32)?;
        y = node.binary(BinaryOp::Sub, y, zero)?;
    }
    let y = node.binary(BinaryOp::Mul, y, scale)?;
    if computed_type(to) != DatumType::F32 {
        return None;
    }
    node.output_as(0, y, to)
}

/// Returns scale or zero point so that it is broadcast along the axis; those of blocks are repeated for each element.
fn along_axis(node: &mut Context<'_, '_>, x: ValueId, index: usize) -> Option<ValueId> {
    let value = node.input(index)?;
    let (own, rank) = (node.dims(value), node.rank(x));
    let block = node.int_or("block_size", 0);
    match own.as_slice() {
        [] => Some(value),
        [one] if one.is_one() => node.reshape(value, vec![]),
        [count] if block == 0 => {
            let mut dims = vec![TDim::from(1); rank];
            dims[axis(node.int_or("axis", 1), rank)?] = count.clone();
            node.reshape(value, dims)
        }
        _ if block > 0 && own.len() == rank => {
            let axis = axis(node.int_or("axis", 1), rank)?;
            let mut dims = own.clone();
            dims.insert(axis + 1, TDim::from(1));
            let value = node.reshape(value, dims.clone())?;
            dims[axis + 1] = block.into();
            let value = node.expand(value, dims)?;
            let mut dims = own;
            dims[axis] = mul(&dims[axis], &block.into())?;
            let value = node.reshape(value, dims)?;
            let size = node.dims(x)[axis].clone();
            part(node, value, axis, 0, size)
        }
        _ => None,
    }
}

/// To u8, by the range of the input.
fn dynamic_quantize(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let axes: Vec<usize> = (0..node.rank(x)).collect();
    let (zero, range) = (
        node.scalar(0.0, DatumType::F32)?,
        node.scalar(255.0, DatumType::F32)?,
    );
    let bound = |node: &mut Context<'_, '_>, reduce, op| {
        let bound = node.reduce(reduce, x, &axes)?;
        let bound = node.reshaped(bound, vec![])?;
        node.binary(op, bound, zero)
    };
    let high = bound(node, ReduceOp::Max, BinaryOp::Max)?;
    let low = bound(node, ReduceOp::Min, BinaryOp::Min)?;
    let span = node.binary(BinaryOp::Sub, high, low)?;
    let scale = node.binary(BinaryOp::Div, span, range)?;
    let below = node.binary(BinaryOp::Div, low, scale)?;
    let negated = node.unary(UnaryOp::Neg, below)?;
    let limits = UnaryOp::Clip {
        low: 0.0,
        high: 255.0,
    };
    let point = node.unary(limits, negated)?;
    let point = node.unary(UnaryOp::Round, point)?;
    let y = quantized(node, x, scale, Some(point), DatumType::U8)?;
    let point = node.cast(point, DatumType::U8)?;
    node.output_as(0, y, DatumType::U8)?;
    node.output_as(1, scale, DatumType::F32)?;
    node.output_as(2, point, DatumType::U8)
}

/// Returns an operand as floats, less its zero point, times its scale, where it has these.
fn operand(
    node: &mut Context<'_, '_>,
    index: usize,
    scale: Option<usize>,
    zero: usize,
    dims: impl Fn(usize) -> Vec<TDim>,
) -> Option<ValueId> {
    let x = node.input(index)?;
    let mut y = node.cast(x, DatumType::F32)?;
    let spread = |node: &mut Context<'_, '_>, index: usize| {
        let value = node.input(index)?;
        let value = node.cast(value, DatumType::F32)?;
        match node.dims(value).as_slice() {
            [] => Some(value),
            [one] if one.is_one() => node.reshape(value, vec![]),
            [_] => node.reshape(value, dims(index)),
            _ => Some(value),
        }
    };
    if node.has(zero) {
        let zero = spread(node, zero)?;
        y = node.binary(BinaryOp::Sub, y, zero)?;
    }
    if let Some(scale) = scale {
        let scale = spread(node, scale)?;
        y = node.binary(BinaryOp::Mul, y, scale)?;
    }
    Some(y)
}

/// Along no axis: what has one number an element of an axis is refused.
fn nowhere(_: usize) -> Vec<TDim> {
    vec![]
}

/// In products of matrices, a vector belongs to the columns, if it is not the left one's.
fn columns(node: &Context<'_, '_>, count_at: usize) -> Option<Vec<TDim>> {
    let count = node.integers(count_at).map(|integers| integers.len());
    let count = count.or_else(|| Some(node.floats(count_at)?.len()))?;
    Some(vec![TDim::from(1), count.into()])
}

/// Sums of integers are exact in f32 up to 2²⁴, and rounded beyond.
fn integer_product(node: &mut Context<'_, '_>) -> Option<()> {
    let right = columns(node, 3).unwrap_or_default();
    let a = operand(node, 0, None, 2, nowhere)?;
    let b = operand(node, 1, None, 3, |_| right.clone())?;
    let y = product(node, a, b, false, 1.0)?;
    let y = node.cast(y, DatumType::I32)?;
    node.output_as(0, y, DatumType::I32)
}

fn integer_conv(node: &mut Context<'_, '_>) -> Option<()> {
    let x = operand(node, 0, None, 2, nowhere)?;
    let w = operand(node, 1, None, 3, |_| vec![])?;
    let y = convolution(node, x, w, None)?;
    let y = node.cast(y, DatumType::I32)?;
    node.output_as(0, y, DatumType::I32)
}

/// `a, a scale, a zero, b, b scale, b zero, y scale, y zero`.
fn quantised_product(node: &mut Context<'_, '_>) -> Option<()> {
    let to = node.declared(7)?;
    let right = columns(node, 4).unwrap_or_default();
    let a = operand(node, 0, Some(1), 2, nowhere)?;
    let b = operand(node, 3, Some(4), 5, |_| right.clone())?;
    let y = product(node, a, b, false, 1.0)?;
    let y = requantised(node, y, 6, 7, to)?;
    node.output_as(0, y, to)
}

/// As [`quantised_product`], then the bias, in steps of both scales.
fn quantised_conv(node: &mut Context<'_, '_>) -> Option<()> {
    let to = node.declared(7)?;
    let weights = node.input(3)?;
    let (rank, channels) = (node.rank(weights), node.dims(weights).first()?.clone());
    let per_channel = |_| {
        let mut dims = vec![TDim::from(1); rank];
        dims[0] = channels.clone();
        dims
    };
    let x = operand(node, 0, Some(1), 2, nowhere)?;
    let w = operand(node, 3, Some(4), 5, per_channel)?;
    let mut y = convolution(node, x, w, None)?;
    if node.has(8) {
        let mut dims = vec![TDim::from(1); rank - 1];
        dims[0] = channels.clone();
        let mut bias = node.input(8)?;
        bias = node.cast(bias, DatumType::F32)?;
        for index in [1, 4] {
            let scale = node.input(index)?;
            bias = node.binary(BinaryOp::Mul, bias, scale)?;
        }
        let bias = node.reshape(bias, dims)?;
        y = node.binary(BinaryOp::Add, y, bias)?;
    }
    let y = requantised(node, y, 6, 7, to)?;
    node.output_as(0, y, to)
}

/// `a, a scale, a zero, b, b scale, b zero, y scale, y zero`.
fn quantised_binary(node: &mut Context<'_, '_>) -> Option<()> {
    let op = match node.operator() {
        "QLinearAdd" => BinaryOp::Add,
        _ => BinaryOp::Mul,
    };
    let to = node.declared(0)?;
    let a = operand(node, 0, Some(1), 2, nowhere)?;
    let b = operand(node, 3, Some(4), 5, nowhere)?;
    let y = node.binary(op, a, b)?;
    let y = requantised(node, y, 6, 7, to)?;
    node.output_as(0, y, to)
}

fn requantised(
    node: &mut Context<'_, '_>,
    y: ValueId,
    scale: usize,
    zero: usize,
    to: DatumType,
) -> Option<ValueId> {
    let single = |node: &mut Context<'_, '_>, index: usize| {
        let value = node.input(index)?;
        node.reshaped(value, vec![])
    };
    let scale = single(node, scale)?;
    let zero = match node.has(zero) {
        true => Some(single(node, zero)?),
        false => None,
    };
    quantized(node, y, scale, zero, to)
}

/// ONNX Runtime's products of floats with quantised weights, and of quantised operands. The floats are not quantised on the way.
fn float_product(node: &mut Context<'_, '_>) -> Option<()> {
    let dynamic = node.operator() == "DynamicQuantizeMatMul";
    let (b_scale, b_zero, bias) = if dynamic { (2, 3, 4) } else { (3, 5, 6) };
    let right = columns(node, b_scale).unwrap_or_default();
    let a = match dynamic {
        true => node.input(0)?,
        false => operand(node, 0, Some(2), 4, nowhere)?,
    };
    let b = operand(node, 1, Some(b_scale), b_zero, |_| right.clone())?;
    let mut y = product(node, a, b, false, 1.0)?;
    if let Some(bias) = node.optional(bias)? {
        y = node.binary(BinaryOp::Add, y, bias)?;
    }
    node.output_as(0, y, DatumType::F32)
}
