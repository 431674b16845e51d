//! LSTM, GRU and RNN.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{BinaryOp, Recurrent, RecurrentCell};
use tensorlet_tensor::DatumType;
use tract_onnx::prelude::TDim;

use super::context::Context;
use super::registry::{Entry, Importer};
use crate::graph::{Op, ValueId};

pub(super) const OPERATORS: &[Entry] = &[
    ("LSTM", Importer::Function(recurrent)),
    ("GRU", Importer::Function(recurrent)),
    ("RNN", Importer::Function(recurrent)),
    (
        "com.microsoft.DynamicQuantizeLSTM",
        Importer::Function(recurrent),
    ),
];

/// Weights must be constants, as they are packed.
fn recurrent(node: &mut Context<'_, '_>) -> Option<()> {
    let (cell, gates) = cell(node)?;
    let directions = match node.text_or("direction", "forward")? {
        "forward" | "reverse" => 1,
        "bidirectional" => 2,
        _ => return None,
    };
    let batch_first = match node.int_or("layout", 0) {
        0 => false,
        1 => true,
        _ => return None,
    };
    let mut x = node.input(0)?;
    if batch_first {
        x = node.transpose(x, &[1, 0, 2])?;
    }
    let [steps, batch, _] = <[TDim; 3]>::try_from(node.dims(x)).ok()?;
    let (w, r) = (weights(node, 1)?, weights(node, 2)?);
    let hidden = hidden(node, w, r, directions, gates)?;
    let (inputs, present) = optional_inputs(node, batch_first)?;

    let states = vec![directions.into(), batch.clone(), hidden.into()];
    let all = vec![steps, directions.into(), batch, hidden.into()];
    let lstm = cell == RecurrentCell::Lstm;
    let wanted = [node.wants(0), node.wants(1), lstm && node.wants(2)];
    if !wanted.contains(&true) {
        return None;
    }
    let types = [all, states.clone(), states].into_iter().zip(wanted);
    let types = types.filter(|(_, wanted)| *wanted);
    let types = types.map(|(dims, _)| (DatumType::F32, dims)).collect();
    let kernel = Kernel::Recurrent(Recurrent {
        cell,
        hidden: u32::try_from(hidden).ok()?,
        reverse: node.text_or("direction", "forward")? == "reverse",
        bidirectional: directions == 2,
        inputs: present,
        outputs: wanted,
    });
    let mut outputs = node
        .kernel_of(kernel, &[&[x, w, r], inputs.as_slice()].concat(), types)?
        .into_iter();
    let permutations: [&[usize]; 3] = [&[2, 0, 1, 3], &[1, 0, 2], &[1, 0, 2]];
    for (index, permutation) in permutations.into_iter().enumerate() {
        if !wanted[index] {
            continue;
        }
        let mut y = outputs.next()?;
        if batch_first {
            y = node.transpose(y, permutation)?;
        }
        node.output(index, y)?;
    }
    Some(())
}

/// Returns the cell and how many gates it has, if its functions are the usual ones.
fn cell(node: &Context<'_, '_>) -> Option<(RecurrentCell, usize)> {
    let (cell, gates, functions): (_, _, &[&str]) = match node.operator() {
        "LSTM" | "DynamicQuantizeLSTM" => (RecurrentCell::Lstm, 4, &["sigmoid", "tanh", "tanh"]),
        "GRU" => {
            let linear_before_reset = node.flag("linear_before_reset", false);
            let cell = RecurrentCell::Gru {
                linear_before_reset,
            };
            (cell, 3, &["sigmoid", "tanh"])
        }
        _ => (RecurrentCell::Tanh, 1, &["tanh"]),
    };
    if let Some(found) = node.texts("activations") {
        let usual = |(index, name): (usize, &&str)| {
            name.eq_ignore_ascii_case(functions[index % functions.len()])
        };
        if found.len() % functions.len() != 0 || !found.iter().enumerate().all(usual) {
            return None;
        }
    }
    let unusual = node.has_attribute("clip") || node.flag("input_forget", false);
    (!unusual).then_some((cell, gates))
}

/// Returns the size of the state; `None` if the weights contradict each other.
fn hidden(
    node: &Context<'_, '_>,
    w: ValueId,
    r: ValueId,
    directions: usize,
    gates: usize,
) -> Option<usize> {
    let dims = |id: ValueId| <[usize; 3]>::try_from(node.fixed(id)?).ok();
    let (w, r) = (dims(w)?, dims(r)?);
    let hidden = r[2];
    let rows = gates.checked_mul(hidden)?;
    let named = node.int("hidden_size");
    let agrees = named.is_none_or(|named| usize::try_from(named) == Ok(hidden));
    (agrees && w[..2] == [directions, rows] && r[..2] == [directions, rows]).then_some(hidden)
}

/// Returns weights `[D, G·H, columns]`. Quantised ones, which come as `[D, columns, G·H]`, are made floats.
fn weights(node: &mut Context<'_, '_>, index: usize) -> Option<ValueId> {
    node.constant(index)?;
    let weights = node.input(index)?;
    if node.operator() != "DynamicQuantizeLSTM" {
        return Some(weights);
    }
    let (scale_at, zero_at) = (6 + 2 * index, 7 + 2 * index);
    let per_row = |node: &mut Context<'_, '_>, index: usize| {
        node.constant(index)?;
        let value = node.input(index)?;
        let mut dims = node.dims(value);
        dims.insert(1, TDim::from(1));
        dims.resize(3, TDim::from(1));
        let value = node.reshape(value, dims)?;
        node.cast(value, DatumType::F32)
    };
    let (scale, zero) = (per_row(node, scale_at)?, per_row(node, zero_at)?);
    let weights = node.cast(weights, DatumType::F32)?;
    let shifted = node.binary(BinaryOp::Sub, weights, zero)?;
    let weights = node.binary(BinaryOp::Mul, shifted, scale)?;
    node.transpose(weights, &[0, 2, 1])
}

/// Returns the optional inputs: bias, lengths, h₀, c₀, peepholes. A state of zeros is as good as none.
fn optional_inputs(
    node: &mut Context<'_, '_>,
    batch_first: bool,
) -> Option<(Vec<ValueId>, [bool; 5])> {
    let mut inputs = vec![];
    let mut present = [false; 5];
    for (index, present) in present.iter_mut().enumerate() {
        let is_state = index == 2 || index == 3;
        let lstm_only = index > 2 && matches!(node.operator(), "GRU" | "RNN");
        let Some(mut value) = node.optional(3 + index)?.filter(|_| !lstm_only) else {
            continue;
        };
        if is_state && is_zeros(node, value) {
            continue;
        }
        if is_state && batch_first {
            value = node.transpose(value, &[1, 0, 2])?;
        }
        if index == 1 {
            value = node.cast(value, DatumType::I32)?;
        }
        *present = true;
        inputs.push(value);
    }
    Some((inputs, present))
}

/// Reports whether a value is zeros, written out or expanded.
fn is_zeros(node: &Context<'_, '_>, value: ValueId) -> bool {
    if node.is_zero(value) {
        return true;
    }
    let maker = node.maker(value);
    let source = maker.filter(|node| matches!(node.op, Op::Kernel(Kernel::Expand) | Op::Reshape));
    source.is_some_and(|source| is_zeros(node, source.inputs[0]))
}
