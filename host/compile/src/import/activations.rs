//! Functions of one element.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{BinaryOp, UnaryOp};
use tensorlet_tensor::DatumType;

use super::context::Context;
use super::registry::{Entry, Importer};
use crate::graph::ValueId;

pub(super) const OPERATORS: &[Entry] = &[
    ("Abs", Importer::Unary(UnaryOp::Abs)),
    ("Neg", Importer::Unary(UnaryOp::Neg)),
    ("Sign", Importer::Unary(UnaryOp::Sign)),
    ("Ceil", Importer::Unary(UnaryOp::Ceil)),
    ("Floor", Importer::Unary(UnaryOp::Floor)),
    ("Round", Importer::Unary(UnaryOp::Round)),
    ("Sqrt", Importer::Unary(UnaryOp::Sqrt)),
    ("Reciprocal", Importer::Unary(UnaryOp::Reciprocal)),
    ("Exp", Importer::Unary(UnaryOp::Exp)),
    ("Log", Importer::Unary(UnaryOp::Log)),
    ("Sin", Importer::Unary(UnaryOp::Sin)),
    ("Cos", Importer::Unary(UnaryOp::Cos)),
    ("Tan", Importer::Unary(UnaryOp::Tan)),
    ("Asin", Importer::Unary(UnaryOp::Asin)),
    ("Acos", Importer::Unary(UnaryOp::Acos)),
    ("Atan", Importer::Unary(UnaryOp::Atan)),
    ("Sinh", Importer::Unary(UnaryOp::Sinh)),
    ("Cosh", Importer::Unary(UnaryOp::Cosh)),
    ("Asinh", Importer::Unary(UnaryOp::Asinh)),
    ("Acosh", Importer::Unary(UnaryOp::Acosh)),
    ("Atanh", Importer::Unary(UnaryOp::Atanh)),
    ("Tanh", Importer::Unary(UnaryOp::Tanh)),
    ("Erf", Importer::Unary(UnaryOp::Erf)),
    ("Sigmoid", Importer::Unary(UnaryOp::Sigmoid)),
    ("Softplus", Importer::Unary(UnaryOp::Softplus)),
    ("Softsign", Importer::Unary(UnaryOp::Softsign)),
    ("Mish", Importer::Unary(UnaryOp::Mish)),
    ("HardSwish", Importer::Unary(UnaryOp::HardSwish)),
    ("Not", Importer::Unary(UnaryOp::Not)),
    ("BitwiseNot", Importer::Unary(UnaryOp::BitwiseNot)),
    ("Relu", Importer::Function(relu)),
    ("Clip", Importer::Function(clip)),
    ("HardSigmoid", Importer::Function(parametric)),
    ("LeakyRelu", Importer::Function(parametric)),
    ("Elu", Importer::Function(parametric)),
    ("Selu", Importer::Function(parametric)),
    ("Celu", Importer::Function(parametric)),
    ("ThresholdedRelu", Importer::Function(parametric)),
    ("Shrink", Importer::Function(parametric)),
    ("IsNaN", Importer::Function(is_nan)),
    ("IsInf", Importer::Function(is_inf)),
    ("Gelu", Importer::Function(gelu)),
    ("Swish", Importer::Function(swish)),
    ("com.microsoft.Gelu", Importer::Function(gelu)),
    ("com.microsoft.FastGelu", Importer::Function(biased_gelu)),
    ("com.microsoft.BiasGelu", Importer::Function(biased_gelu)),
    ("com.microsoft.QuickGelu", Importer::Function(swish)),
];

/// Opset 14 takes integers too.
fn relu(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let y = if node.datum_type(x) == DatumType::F32 {
        let (low, high) = (0.0, f32::INFINITY);
        node.unary(UnaryOp::Clip { low, high }, x)?
    } else {
        let zero = node.scalar(0.0, node.datum_type(x))?;
        node.binary(BinaryOp::Max, x, zero)?
    };
    node.output(0, y)
}

/// Opset 6 has the bounds as attributes, opset 11 as inputs, opset 12 takes integers too.
fn clip(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    if node.opset() < 11 {
        let low = node.float_or("min", f32::MIN);
        let high = node.float_or("max", f32::MAX);
        let y = node.unary(UnaryOp::Clip { low, high }, x)?;
        return node.output(0, y);
    }
    let bound = |index: usize, absent: f64| match node.has(index) {
        true => node.number(index),
        false => Some(absent),
    };
    let bounds = bound(1, f64::NEG_INFINITY).zip(bound(2, f64::INFINITY));
    let y = match bounds {
        Some((low, high)) if node.datum_type(x) == DatumType::F32 => {
            let (low, high) = (low as f32, high as f32);
            node.unary(UnaryOp::Clip { low, high }, x)?
        }
        _ => {
            let raised = match node.optional(1)? {
                Some(low) => node.binary(BinaryOp::Max, x, low)?,
                None => x,
            };
            match node.optional(2)? {
                Some(high) => node.binary(BinaryOp::Min, raised, high)?,
                None => raised,
            }
        }
    };
    // A bound of one element and one axis does not add an axis.
    let dims = node.dims(x);
    let y = node.reshaped(y, dims)?;
    node.output(0, y)
}

/// Functions with attributes, each with its default.
fn parametric(node: &mut Context<'_, '_>) -> Option<()> {
    let alpha = |default: f32| node.float_or("alpha", default);
    let op = match node.operator() {
        "HardSigmoid" => UnaryOp::HardSigmoid {
            alpha: alpha(0.2),
            beta: node.float_or("beta", 0.5),
        },
        "LeakyRelu" => UnaryOp::LeakyRelu { alpha: alpha(0.01) },
        "Elu" => UnaryOp::Elu { alpha: alpha(1.0) },
        "Selu" => UnaryOp::Selu {
            alpha: alpha(1.673_263_2),
            gamma: node.float_or("gamma", 1.050_701),
        },
        "Celu" => UnaryOp::Celu { alpha: alpha(1.0) },
        "ThresholdedRelu" => UnaryOp::ThresholdedRelu { alpha: alpha(1.0) },
        "Shrink" => UnaryOp::Shrink {
            lambda: node.float_or("lambd", 0.5),
            bias: node.float_or("bias", 0.0),
        },
        _ => return None,
    };
    let x = node.input(0)?;
    let y = node.unary(op, x)?;
    node.output(0, y)
}

fn is_nan(node: &mut Context<'_, '_>) -> Option<()> {
    to_bool(node, UnaryOp::IsNan)
}

fn is_inf(node: &mut Context<'_, '_>) -> Option<()> {
    let op = UnaryOp::IsInf {
        negative: node.flag("detect_negative", true),
        positive: node.flag("detect_positive", true),
    };
    to_bool(node, op)
}

fn to_bool(node: &mut Context<'_, '_>, op: UnaryOp) -> Option<()> {
    let x = node.input(0)?;
    let dims = node.dims(x);
    let y = node.kernel(Kernel::Unary(op), &[x], DatumType::Bool, dims)?;
    node.output(0, y)
}

fn gelu(node: &mut Context<'_, '_>) -> Option<()> {
    let op = match node.text_or("approximate", "none")? {
        "none" => UnaryOp::Gelu,
        "tanh" => UnaryOp::GeluTanh,
        _ => return None,
    };
    let x = node.input(0)?;
    let y = node.unary(op, x)?;
    node.output(0, y)
}

fn biased_gelu(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let biased = match node.optional(1)? {
        Some(bias) => node.binary(BinaryOp::Add, x, bias)?,
        None => x,
    };
    let op = if node.operator() == "FastGelu" {
        UnaryOp::GeluTanh
    } else {
        UnaryOp::Gelu
    };
    let y = node.unary(op, biased)?;
    node.output(0, y)
}

/// `x × sigmoid(alpha × x)`.
fn swish(node: &mut Context<'_, '_>) -> Option<()> {
    let default = if node.operator() == "QuickGelu" {
        1.702
    } else {
        1.0
    };
    let alpha = node.float_or("alpha", default);
    let x = node.input(0)?;
    let y = if alpha == 1.0 {
        node.unary(UnaryOp::Silu, x)?
    } else {
        let scaled = scale(node, x, alpha)?;
        let gate = node.unary(UnaryOp::Sigmoid, scaled)?;
        node.binary(BinaryOp::Mul, x, gate)?
    };
    node.output(0, y)
}

/// Multiplies a value of f32 with a number, unless that is 1.
pub(super) fn scale(node: &mut Context<'_, '_>, x: ValueId, factor: f32) -> Option<ValueId> {
    if factor == 1.0 {
        return Some(x);
    }
    let factor = node.scalar(factor.into(), DatumType::F32)?;
    node.binary(BinaryOp::Mul, x, factor)
}
