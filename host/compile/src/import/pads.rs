//! `Pad`.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{Pad, PadMode};

use super::context::Context;
use super::dims::axis;
use super::registry::{Entry, Importer};

pub(super) const OPERATORS: &[Entry] = &[("Pad", Importer::Function(pad))];

/// Pads and value are attributes until opset 11, then inputs; from opset 18 on for some axes only.
fn pad(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let mut dims = node.dims(x);
    let rank = dims.len();
    let pads = if node.opset() < 11 {
        let pads = node.ints("pads").or_else(|| node.ints("paddings"))?;
        pads.iter().map(tract_onnx::prelude::TDim::from).collect()
    } else {
        node.sizes(1)?
    };
    let axes: Vec<usize> = if node.has(3) {
        let axes = node.integers(3)?;
        axes.iter()
            .map(|&index| axis(index, rank))
            .collect::<Option<_>>()?
    } else {
        (0..rank).collect()
    };
    if pads.len() != 2 * axes.len() {
        return None;
    }
    let mut before = vec![0; rank];
    for (index, &axis) in axes.iter().enumerate() {
        before[axis] = pads[index].as_i64()?;
        dims[axis] += pads[index].clone() + &pads[axes.len() + index];
    }
    let mode = match node.text_or("mode", "constant")? {
        "constant" => PadMode::Constant(value(node)?),
        "reflect" => PadMode::Reflect,
        "edge" => PadMode::Edge,
        "wrap" => PadMode::Wrap,
        _ => return None,
    };
    let datum_type = node.datum_type(x);
    if dims == node.dims(x) && before.iter().all(|&before| before == 0) {
        return node.output(0, x);
    }
    let y = node.kernel(Kernel::Pad(Pad { mode, before }), &[x], datum_type, dims)?;
    node.output(0, y)
}

fn value(node: &Context<'_, '_>) -> Option<f64> {
    if node.opset() < 11 {
        return Some(node.float_or("value", 0.0).into());
    }
    if node.has(2) {
        node.number(2)
    } else {
        Some(0.0)
    }
}
