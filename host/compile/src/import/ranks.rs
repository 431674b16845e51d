//! Operators about the order of elements along an axis.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::TopK;
use tensorlet_tensor::DatumType;
use tract_onnx::prelude::TDim;

use super::context::Context;
use super::dims::axis;
use super::registry::{Entry, Importer};

pub(super) const OPERATORS: &[Entry] = &[
    ("ArgMax", Importer::Function(arg_reduce)),
    ("ArgMin", Importer::Function(arg_reduce)),
    ("TopK", Importer::Function(top_k)),
    ("CumSum", Importer::Function(cum_sum)),
    ("Trilu", Importer::Function(trilu)),
    ("Hardmax", Importer::Function(hardmax)),
];

fn arg_reduce(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let mut dims = node.dims(x);
    let axis = axis(node.int_or("axis", 0), dims.len())?;
    dims[axis] = TDim::from(1);
    let kernel = Kernel::ArgReduce {
        minimum: node.operator() == "ArgMin",
        axis: axis as u32,
        last: node.flag("select_last_index", false),
    };
    let mut y = node.kernel(kernel, &[x], DatumType::I64, dims.clone())?;
    if !node.flag("keepdims", true) {
        dims.remove(axis);
        y = node.reshape(y, dims)?;
    }
    node.output_as(0, y, DatumType::I64)
}

/// `k` is an attribute until opset 10, then an input.
fn top_k(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let mut dims = node.dims(x);
    let axis = axis(node.int_or("axis", -1), dims.len())?;
    dims[axis] = if node.has(1) {
        <[TDim; 1]>::try_from(node.sizes(1)?).ok()?[0].clone()
    } else {
        node.int("k")?.into()
    };
    let kernel = Kernel::TopK(TopK {
        axis: axis as u32,
        largest: node.flag("largest", true),
    });
    let outputs = vec![(node.datum_type(x), dims.clone()), (DatumType::I64, dims)];
    let outputs = node.kernel_of(kernel, &[x], outputs)?;
    node.output(0, outputs[0])?;
    node.output_as(1, outputs[1], DatumType::I64)
}

fn cum_sum(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let dims = node.dims(x);
    let [index] = <[i64; 1]>::try_from(node.integers(1)?).ok()?;
    let kernel = Kernel::CumSum {
        axis: axis(index, dims.len())? as u32,
        exclusive: node.flag("exclusive", false),
        reverse: node.flag("reverse", false),
    };
    let datum_type = node.datum_type(x);
    let y = node.kernel(kernel, &[x], datum_type, dims)?;
    node.output(0, y)
}

fn trilu(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let diagonal = if node.has(1) {
        <[i64; 1]>::try_from(node.integers(1)?).ok()?[0]
    } else {
        0
    };
    let kernel = Kernel::Trilu {
        upper: node.flag("upper", true),
        diagonal,
    };
    let datum_type = node.datum_type(x);
    let y = node.kernel(kernel, &[x], datum_type, node.dims(x))?;
    node.output(0, y)
}

/// One at the first of the largest elements, else zero. Before opset 13, the axes from the given one on are one.
fn hardmax(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let (x, axis, shape) = super::normalisations::softmax_axis(node, x)?;
    let dims = node.dims(x);
    let mut without = dims.clone();
    without[axis] = TDim::from(1);
    let kernel = Kernel::ArgReduce {
        minimum: false,
        axis: axis as u32,
        last: false,
    };
    let index = node.kernel(kernel, &[x], DatumType::I64, without.clone())?;
    without.remove(axis);
    let index = node.reshape(index, without)?;
    let values = node.constant_f32(&[2], || vec![0.0, 1.0]);
    let kernel = Kernel::OneHot { axis: axis as u32 };
    let y = node.kernel(kernel, &[index, values], DatumType::F32, dims)?;
    let y = node.reshaped(y, shape)?;
    node.output(0, y)
}
