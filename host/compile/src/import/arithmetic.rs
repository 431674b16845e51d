//! Functions of two and more elements.

use tensorlet_plan::kernel::BinaryOp;
use tensorlet_tensor::DatumType;

use super::activations::scale;
use super::context::Context;
use super::registry::{Entry, Importer};

pub(super) const OPERATORS: &[Entry] = &[
    ("Add", Importer::Binary(BinaryOp::Add)),
    ("Sub", Importer::Binary(BinaryOp::Sub)),
    ("Mul", Importer::Binary(BinaryOp::Mul)),
    ("Div", Importer::Binary(BinaryOp::Div)),
    ("PRelu", Importer::Binary(BinaryOp::PRelu)),
    ("And", Importer::Binary(BinaryOp::And)),
    ("Or", Importer::Binary(BinaryOp::Or)),
    ("Xor", Importer::Binary(BinaryOp::Xor)),
    ("BitwiseAnd", Importer::Binary(BinaryOp::BitwiseAnd)),
    ("BitwiseOr", Importer::Binary(BinaryOp::BitwiseOr)),
    ("BitwiseXor", Importer::Binary(BinaryOp::BitwiseXor)),
    ("Equal", Importer::Compare(BinaryOp::Equal)),
    ("Less", Importer::Compare(BinaryOp::Less)),
    ("LessOrEqual", Importer::Compare(BinaryOp::LessOrEqual)),
    ("Greater", Importer::Compare(BinaryOp::Greater)),
    (
        "GreaterOrEqual",
        Importer::Compare(BinaryOp::GreaterOrEqual),
    ),
    ("BitShift", Importer::Function(shift)),
    ("Mod", Importer::Function(modulo)),
    ("Pow", Importer::Function(pow)),
    ("Max", Importer::Function(variadic)),
    ("Min", Importer::Function(variadic)),
    ("Sum", Importer::Function(variadic)),
    ("Mean", Importer::Function(variadic)),
    ("Where", Importer::Function(select)),
];

fn shift(node: &mut Context<'_, '_>) -> Option<()> {
    let op = match node.text_or("direction", "")? {
        "LEFT" => BinaryOp::ShiftLeft,
        "RIGHT" => BinaryOp::ShiftRight,
        _ => return None,
    };
    Importer::Binary(op).import(node)
}

fn modulo(node: &mut Context<'_, '_>) -> Option<()> {
    let op = if node.flag("fmod", false) {
        BinaryOp::Fmod
    } else {
        BinaryOp::Mod
    };
    Importer::Binary(op).import(node)
}

/// The exponent may be of another datum type than the base, whose the result is.
fn pow(node: &mut Context<'_, '_>) -> Option<()> {
    let (x, exponent) = (node.input(0)?, node.input(1)?);
    let (base_type, exponent_type) = (node.datum_type(x), node.datum_type(exponent));
    let exponent = if base_type == exponent_type {
        exponent
    } else if base_type.is_float() || !exponent_type.is_float() {
        node.cast(exponent, base_type)?
    } else {
        // A power of integers that is not whole is truncated, which only a whole exponent can spare.
        let exponents = node.floats(1)?;
        let whole = exponents.iter().all(|exponent| exponent.fract() == 0.0);
        whole.then(|| node.cast(exponent, base_type))??
    };
    let y = node.binary(BinaryOp::Pow, x, exponent)?;
    node.output(0, y)
}

fn variadic(node: &mut Context<'_, '_>) -> Option<()> {
    let op = match node.operator() {
        "Max" => BinaryOp::Max,
        "Min" => BinaryOp::Min,
        _ => BinaryOp::Add,
    };
    let mut y = node.input(0)?;
    for index in 1..node.inputs() {
        let x = node.input(index)?;
        y = node.binary(op, y, x)?;
    }
    if node.operator() == "Mean" {
        if node.datum_type(y) != DatumType::F32 {
            return None;
        }
        y = scale(node, y, 1.0 / node.inputs() as f32)?;
    }
    node.output(0, y)
}

fn select(node: &mut Context<'_, '_>) -> Option<()> {
    let (condition, yes, no) = (node.input(0)?, node.input(1)?, node.input(2)?);
    let y = node.select(condition, yes, no)?;
    node.output(0, y)
}
