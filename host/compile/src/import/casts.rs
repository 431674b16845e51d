//! Operators that change nothing, or only the datum type.

use tensorlet_tensor::DatumType;

use super::builder::computed_type;
use super::constants::datum_type_of;
use super::context::Context;
use super::registry::{Entry, Importer};

pub(super) const OPERATORS: &[Entry] = &[
    ("Identity", Importer::Function(identity)),
    ("Dropout", Importer::Function(dropout)),
    ("Cast", Importer::Function(cast)),
    ("CastLike", Importer::Function(cast)),
];

fn identity(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let datum_type = node.declared(0)?;
    node.output_as(0, x, datum_type)
}

/// Drops nothing, unless the model is being trained.
fn dropout(node: &mut Context<'_, '_>) -> Option<()> {
    let trains = node.has(2) && node.number(2)? != 0.0;
    if trains && (!node.has(1) || node.number(1)? != 0.0) {
        return None;
    }
    let x = node.input(0)?;
    node.output(0, x)?;
    if node.wants(1) {
        let datum_type = if node.opset() < 10 {
            node.datum_type(x)
        } else {
            DatumType::Bool
        };
        let kept = node.scalar(1.0, datum_type)?;
        let dims = node.dims(x);
        let mask = node.expand(kept, dims)?;
        node.output_as(1, mask, datum_type)?;
    }
    Some(())
}

/// Between f16 and f32 nothing is done, as both are computed in f32.
fn cast(node: &mut Context<'_, '_>) -> Option<()> {
    let to = match node.operator() {
        "CastLike" => node.declared(1)?,
        _ => datum_type_of(node.int("to")?)?,
    };
    let x = node.input(0)?;
    let y = node.cast(x, computed_type(to))?;
    node.output_as(0, y, to)
}
