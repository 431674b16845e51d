//! Attention, of ONNX and of ONNX Runtime.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{Attention, BinaryOp, MatMulRhs, Pad, PadMode, Slice, UnaryOp};
use tensorlet_tensor::DatumType;
use tract_onnx::prelude::TDim;

use super::activations::scale;
use super::context::Context;
use super::dims::{product, quotient};
use super::joins::{join, part};
use super::registry::{Entry, Importer};
use super::shapes::positions;
use crate::graph::ValueId;

pub(super) const OPERATORS: &[Entry] = &[
    ("Attention", Importer::Function(attention)),
    ("RotaryEmbedding", Importer::Function(rotary)),
    ("com.microsoft.RotaryEmbedding", Importer::Function(rotary)),
    (
        "com.microsoft.MultiHeadAttention",
        Importer::Function(multi_head),
    ),
    ("com.microsoft.Attention", Importer::Function(packed)),
];

/// Queries, keys and values as `[batch, heads, length, size]`, and what is done with them.
struct Heads {
    q: ValueId,
    k: ValueId,
    v: ValueId,
    mask: Option<ValueId>,
    scale: Option<f32>,
    softcap: f32,
}

/// ONNX's, from opset 23 on.
fn attention(node: &mut Context<'_, '_>) -> Option<()> {
    let [q, k, v] = [0, 1, 2].map(|index| node.input(index));
    let (q, k, v) = (q?, k?, v?);
    let is_flat = node.rank(q) == 3;
    let (mut q, mut k, mut v) = (q, k, v);
    if is_flat {
        let heads = node.int("q_num_heads")?;
        let shared = node.int("kv_num_heads")?;
        q = split_heads(node, q, heads)?;
        k = split_heads(node, k, shared)?;
        v = split_heads(node, v, shared)?;
    }
    let (past_k, past_v) = (node.optional(4)?, node.optional(5)?);
    if let Some(past) = past_k {
        k = join(node, &[past, k], 2)?;
    }
    if let Some(past) = past_v {
        v = join(node, &[past, v], 2)?;
    }
    if node.wants(1) {
        node.output(1, k)?;
    }
    if node.wants(2) {
        node.output(2, v)?;
    }
    let mask = attention_mask(node, q, k, past_k)?;
    let (k, v) = (repeat_heads(node, k, q)?, repeat_heads(node, v, q)?);
    let heads = Heads {
        q,
        k,
        v,
        mask,
        scale: node
            .has_attribute("scale")
            .then(|| node.float_or("scale", 1.0)),
        softcap: node.float_or("softcap", 0.0),
    };
    let mode = node
        .wants(3)
        .then(|| node.int_or("qk_matmul_output_mode", 0));
    let (mut y, scores) = attend(node, &heads, mode)?;
    if is_flat {
        y = join_heads(node, y)?;
    }
    node.output(0, y)?;
    match scores {
        Some(scores) => node.output(3, scores),
        None => Some(()),
    }
}

/// `[B, L, heads × size]` as `[B, heads, L, size]`.
fn split_heads(node: &mut Context<'_, '_>, x: ValueId, heads: i64) -> Option<ValueId> {
    let [batch, len, all] = <[TDim; 3]>::try_from(node.dims(x)).ok()?;
    let heads = TDim::from(Some(heads).filter(|&heads| heads > 0)?);
    let size = quotient(&[all], std::slice::from_ref(&heads))?;
    let x = node.reshape(x, vec![batch, len, heads, size])?;
    node.transpose(x, &[0, 2, 1, 3])
}

/// The inverse of [`split_heads`].
fn join_heads(node: &mut Context<'_, '_>, x: ValueId) -> Option<ValueId> {
    let x = node.transpose(x, &[0, 2, 1, 3])?;
    let [batch, len, heads, size] = <[TDim; 4]>::try_from(node.dims(x)).ok()?;
    node.reshape(x, vec![batch, len, product(&[heads, size])?])
}

/// Repeats each head of keys or values as often as queries share it.
fn repeat_heads(node: &mut Context<'_, '_>, x: ValueId, q: ValueId) -> Option<ValueId> {
    let [batch, heads, len, size] = <[TDim; 4]>::try_from(node.dims(x)).ok()?;
    let all = node.dims(q)[1].clone();
    if heads == all {
        return Some(x);
    }
    let times = quotient(std::slice::from_ref(&all), std::slice::from_ref(&heads))?;
    let one = TDim::from(1);
    let dims = |times: TDim| {
        vec![
            batch.clone(),
            heads.clone(),
            times,
            len.clone(),
            size.clone(),
        ]
    };
    let x = node.reshape(x, dims(one))?;
    let x = node.expand(x, dims(times))?;
    node.reshape(x, vec![batch.clone(), all, len.clone(), size.clone()])
}

/// Returns what is added to the scores: the model's mask, that of causality, and that of padding.
fn attention_mask(
    node: &mut Context<'_, '_>,
    q: ValueId,
    k: ValueId,
    past: Option<ValueId>,
) -> Option<Option<ValueId>> {
    let (rows, columns) = (node.dims(q)[2].clone(), node.dims(k)[2].clone());
    let mut mask = None;
    if let Some(given) = node.optional(3)? {
        let given = additive(node, given)?;
        mask = Some(padded_mask(node, given, &columns)?);
    }
    if node.flag("is_causal", false) {
        let own = causal_mask(node, rows, columns.clone(), past)?;
        mask = Some(add_masks(node, mask, own)?);
    }
    if let Some(lens) = node.optional(6)? {
        let batch = node.dims(lens).first()?.clone();
        let one = TDim::from(1);
        let lens = node.cast(lens, DatumType::I64)?;
        let lens = node.reshape(lens, vec![batch, one.clone(), one.clone(), one])?;
        let at = positions(node, columns)?;
        let within = node.compare(BinaryOp::Less, at, lens)?;
        let own = additive(node, within)?;
        mask = Some(add_masks(node, mask, own)?);
    }
    Some(mask)
}

fn add_masks(node: &mut Context<'_, '_>, mask: Option<ValueId>, other: ValueId) -> Option<ValueId> {
    match mask {
        Some(mask) => node.binary(BinaryOp::Add, mask, other),
        None => Some(other),
    }
}

/// Makes 0 of true and -∞ of false.
fn additive(node: &mut Context<'_, '_>, mask: ValueId) -> Option<ValueId> {
    if node.datum_type(mask) != DatumType::Bool {
        return Some(mask);
    }
    let zero = node.scalar(0.0, DatumType::F32)?;
    let never = node.scalar(f64::NEG_INFINITY, DatumType::F32)?;
    node.select(mask, zero, never)
}

/// A mask may be shorter than the keys; what it does not mention is left out.
fn padded_mask(node: &mut Context<'_, '_>, mask: ValueId, columns: &TDim) -> Option<ValueId> {
    let mut dims = node.dims(mask);
    let last = dims.last_mut()?;
    let shorter = last.as_i64().zip(columns.as_i64());
    if last.is_one() || shorter.is_none_or(|(own, all)| own >= all) {
        return Some(mask);
    }
    last.clone_from(columns);
    let kernel = Kernel::Pad(Pad {
        mode: PadMode::Constant(f64::NEG_INFINITY),
        before: vec![0; dims.len()],
    });
    node.kernel(kernel, &[mask], DatumType::F32, dims)
}

/// A query sees the keys up to its own position, which counts those of the past.
fn causal_mask(
    node: &mut Context<'_, '_>,
    rows: TDim,
    columns: TDim,
    past: Option<ValueId>,
) -> Option<ValueId> {
    let row = positions(node, rows.clone())?;
    let mut row = node.reshape(row, vec![rows, TDim::from(1)])?;
    if let Some(past) = past {
        let len = node.dims(past)[2].clone();
        let len = match len.as_i64() {
            Some(len) => node.scalar(len as f64, DatumType::I64)?,
            None => {
                let dims = node.kernel(
                    Kernel::Dims { begin: 2 },
                    &[past],
                    DatumType::I64,
                    vec![TDim::from(1)],
                )?;
                node.reshape(dims, vec![])?
            }
        };
        row = node.binary(BinaryOp::Add, row, len)?;
    }
    let column = positions(node, columns)?;
    let seen = node.compare(BinaryOp::LessOrEqual, column, row)?;
    additive(node, seen)
}

/// Computes attention; `mode` says which scores are wanted beside: of products, with mask, capped, or after softmax.
fn attend(
    node: &mut Context<'_, '_>,
    heads: &Heads,
    mode: Option<i64>,
) -> Option<(ValueId, Option<ValueId>)> {
    let Heads { q, k, v, .. } = *heads;
    let mut dims = node.dims(q);
    let scale_by = match heads.scale {
        Some(scale) => scale,
        None => (1.0 / (dims.last()?.as_i64()? as f64).sqrt()) as f32,
    };
    if mode.is_none() && heads.softcap == 0.0 {
        let mut inputs = vec![q, k, v];
        inputs.extend(heads.mask);
        let kernel = Kernel::Attention(Attention {
            scale: scale_by,
            mask: heads.mask.is_some(),
            transposed_k: false,
        });
        dims.pop();
        dims.push(node.dims(v).last()?.clone());
        return Some((node.kernel(kernel, &inputs, DatumType::F32, dims)?, None));
    }
    let q = scale(node, q, scale_by)?;
    let mut stages = [node.matmul(q, k, MatMulRhs::Transposed)?; 4];
    if let Some(mask) = heads.mask {
        stages[1] = node.binary(BinaryOp::Add, stages[0], mask)?;
    }
    stages[2] = stages[1];
    if heads.softcap > 0.0 {
        let small = scale(node, stages[1], 1.0 / heads.softcap)?;
        let bent = node.unary(UnaryOp::Tanh, small)?;
        stages[2] = scale(node, bent, heads.softcap)?;
    }
    stages[3] = node.softmax(stages[2], dims.len() - 1)?;
    let y = node.matmul(stages[3], v, MatMulRhs::Plain)?;
    let scores = match mode {
        Some(mode) => Some(*stages.get(usize::try_from(mode).ok()?)?),
        None => None,
    };
    Some((y, scores))
}

/// ONNX Runtime's, with queries, keys and values of rank 3, without a past.
fn multi_head(node: &mut Context<'_, '_>) -> Option<()> {
    let heads = node.int("num_heads")?;
    let lacks = [4, 6, 7].into_iter().any(|index| node.has(index));
    if lacks || node.flag("unidirectional", false) {
        return None;
    }
    let bias = node.optional(3)?;
    let mut begin = 0;
    let mut values = vec![];
    for index in 0..3 {
        let mut x = node.input(index)?;
        if let Some(bias) = bias {
            let size = node.dims(x).last()?.clone();
            let own = part(node, bias, 0, begin, size.clone())?;
            begin += size.as_i64()?;
            x = node.binary(BinaryOp::Add, x, own)?;
        }
        values.push(split_heads(node, x, heads)?);
    }
    let heads = Heads {
        q: values[0],
        k: values[1],
        v: values[2],
        mask: node.optional(5)?,
        scale: own_scale(node),
        softcap: 0.0,
    };
    let (y, _) = attend(node, &heads, None)?;
    let y = join_heads(node, y)?;
    node.output(0, y)?;
    node.output(1, values[1])?;
    node.output(2, values[2])
}

/// A scale of 0 means the usual one.
fn own_scale(node: &Context<'_, '_>) -> Option<f32> {
    Some(node.float_or("scale", 0.0)).filter(|&scale| scale != 0.0)
}

/// ONNX Runtime's, with one matrix for queries, keys and values: `x, weights, bias, [mask]`.
fn packed(node: &mut Context<'_, '_>) -> Option<()> {
    let lacks = [4, 5, 6].into_iter().any(|index| node.has(index));
    let unusual = node.has_attribute("qkv_hidden_sizes") || node.flag("do_rotary", false);
    if lacks || unusual || node.wants(1) {
        return None;
    }
    let (x, weights) = (node.input(0)?, super::matrices::weights(node, 1)?);
    let heads = node.int("num_heads")?;
    let mut all = super::matrices::product(node, x, weights, false, 1.0)?;
    if let Some(bias) = node.optional(2)? {
        all = node.binary(BinaryOp::Add, all, bias)?;
    }
    let hidden = node.dims(weights).last()?.as_i64()? / 3;
    let mut values = vec![];
    for index in 0..3 {
        let x = part(node, all, 2, index * hidden, hidden.into())?;
        values.push(split_heads(node, x, heads)?);
    }
    let mut mask = None;
    if node.has(3) {
        mask = Some(keys_mask(node)?);
    }
    if node.flag("unidirectional", false) {
        let len = node.dims(x)[1].clone();
        let own = causal_mask(node, len.clone(), len, None)?;
        mask = Some(add_masks(node, mask, own)?);
    }
    let heads = Heads {
        q: values[0],
        k: values[1],
        v: values[2],
        mask,
        scale: own_scale(node),
        softcap: 0.0,
    };
    let (y, _) = attend(node, &heads, None)?;
    let y = join_heads(node, y)?;
    node.output(0, y)
}

/// Makes a mask of one number a key: 1 is seen, 0 is not.
fn keys_mask(node: &mut Context<'_, '_>) -> Option<ValueId> {
    let given = node.input(3)?;
    let [batch, len] = <[TDim; 2]>::try_from(node.dims(given)).ok()?;
    let one = TDim::from(1);
    let given = node.reshape(given, vec![batch, one.clone(), one, len])?;
    let seen = node.cast(given, DatumType::Bool)?;
    let zero = node.scalar(0.0, DatumType::F32)?;
    let filter = node.float_or("mask_filter_value", -10000.0);
    let never = node.scalar(filter.into(), DatumType::F32)?;
    node.select(seen, zero, never)
}

/// Turns pairs of numbers by angles that grow with the position. ONNX has `x, cos, sin, [positions]`, ONNX Runtime
/// `x, positions, cos, sin`.
fn rotary(node: &mut Context<'_, '_>) -> Option<()> {
    let positions_first = node.declared(1) == Some(DatumType::I64);
    let (cos_at, sin_at, position_at) = if positions_first {
        (2, 3, 1)
    } else {
        (1, 2, 3)
    };
    let original = node.input(0)?;
    let flat = node.rank(original) == 3;
    let x = if flat {
        let heads = node.int("num_heads").filter(|&heads| heads > 0)?;
        split_heads(node, original, heads)?
    } else {
        original
    };
    let x_dims = node.dims(x);
    let size = x_dims.last()?.as_i64()?;
    let turned = Some(node.int_or("rotary_embedding_dim", 0)).filter(|&turned| turned != 0);
    let turned = turned.unwrap_or(size);
    let angles = |node: &mut Context<'_, '_>, index: usize| -> Option<ValueId> {
        let mut table = node.input(index)?;
        if node.has(position_at) {
            let at = node.input(position_at)?;
            table = super::gathers::slices(node, table, at, 0)?;
        }
        let mut dims = node.dims(table);
        // `[batch, length, half]`, the same for all heads.
        dims.insert(dims.len().checked_sub(2)?, TDim::from(1));
        node.reshape(table, dims)
    };
    let (cos, sin) = (angles(node, cos_at)?, angles(node, sin_at)?);
    let front = part(node, x, 3, 0, turned.into())?;
    let interleaved = node.flag("interleaved", false);
    let (a, b) = if interleaved {
        (every_second(node, front, 0)?, every_second(node, front, 1)?)
    } else {
        let half = turned / 2;
        (
            part(node, front, 3, 0, half.into())?,
            part(node, front, 3, half, half.into())?,
        )
    };
    let times = |node: &mut Context<'_, '_>, a, b| node.binary(BinaryOp::Mul, a, b);
    let (ac, bs) = (times(node, a, cos)?, times(node, b, sin)?);
    let (as_, bc) = (times(node, a, sin)?, times(node, b, cos)?);
    let real = node.binary(BinaryOp::Sub, ac, bs)?;
    let imaginary = node.binary(BinaryOp::Add, as_, bc)?;
    let dims = node.dims(front);
    let front = if interleaved {
        let mut split = node.dims(real);
        split.push(TDim::from(1));
        let (real, imaginary) = (
            node.reshape(real, split.clone())?,
            node.reshape(imaginary, split)?,
        );
        let pairs = join(node, &[real, imaginary], 4)?;
        node.reshape(pairs, dims)?
    } else {
        join(node, &[real, imaginary], 3)?
    };
    let mut y = front;
    if turned < size {
        let rest = part(node, x, 3, turned, (size - turned).into())?;
        y = join(node, &[front, rest], 3)?;
    }
    if flat {
        y = join_heads(node, y)?;
    }
    node.output(0, y)
}

/// Takes every second element of the last axis.
fn every_second(node: &mut Context<'_, '_>, x: ValueId, first: i64) -> Option<ValueId> {
    let mut dims = node.dims(x);
    let last = dims.len() - 1;
    let (mut starts, mut steps) = (vec![0; dims.len()], vec![1; dims.len()]);
    (starts[last], steps[last]) = (first, 2);
    dims[last] = dims[last].clone() / 2;
    let kernel = Kernel::Slice(Slice { starts, steps });
    let datum_type = node.datum_type(x);
    node.kernel(kernel, &[x], datum_type, dims)
}
