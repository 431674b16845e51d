//! Brings weights into the form in which kernels read them.

use std::sync::Arc;

use tensorlet_kernels::conv::{pack_blocked, pack_depthwise, pack_plain_input};
use tensorlet_kernels::recurrent;
use tensorlet_kernels::tensor_type::BLOCK;
use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{Conv, ConvWeights, Epilogue, MatMul, MatMulRhs};
use tensorlet_tensor::DatumType;

use crate::graph::edit::Editor;
use crate::graph::{Graph, Node, Op, ValueId};

/// Packs the constant weights of all nodes, and pads biases.
pub(super) fn pack_weights(graph: &mut Graph) {
    let makers = graph.makers();
    for index in 0..graph.nodes.len() {
        let mut node = graph.nodes[index].clone();
        pack_node(graph, &makers, &mut node);
        graph.nodes[index] = node;
    }
    // Weights that were converted are not any more.
    Editor::new(graph).finish();
}

fn pack_node(graph: &mut Graph, makers: &[Option<usize>], node: &mut Node) {
    let Op::Kernel(kernel) = &mut node.op else {
        return;
    };
    match kernel {
        Kernel::Conv(conv) => {
            if let Some(packed) = pack_conv(graph, conv, node.inputs[1]) {
                node.inputs[1] = packed;
            }
            pad_bias(graph, &conv.epilogue, &mut node.inputs);
        }
        Kernel::ConvTranspose(conv) => pad_bias(graph, &conv.epilogue, &mut node.inputs),
        Kernel::MatMul(matmul) => {
            if let Some(packed) = pack_rhs(graph, makers, matmul, node.inputs[1]) {
                node.inputs[1] = packed;
                matmul.rhs = MatMulRhs::Packed;
            }
            pad_bias(graph, &matmul.epilogue, &mut node.inputs);
        }
        Kernel::Recurrent(_) => {
            for slot in [1, 2] {
                if let Some(packed) = pack_gates(graph, node.inputs[slot]) {
                    node.inputs[slot] = packed;
                }
            }
        }
        _ => {}
    }
}

fn pack_conv(graph: &mut Graph, conv: &Conv, weights: ValueId) -> Option<ValueId> {
    let elements = graph.constant_f32(weights)?;
    let dims = graph.fixed_dims(weights)?;
    let [out, channels, kernel @ ..] = dims.as_slice() else {
        return None;
    };
    let taps: usize = kernel.iter().product();
    let group = conv.group as usize;
    let (packed, packed_dims) = match conv.weights {
        ConvWeights::Plain => return None,
        ConvWeights::Depthwise => {
            let mut dims = vec![out.div_ceil(BLOCK)];
            dims.extend(kernel);
            dims.push(BLOCK);
            (pack_depthwise(&elements, *out, taps), dims)
        }
        ConvWeights::PlainInput => {
            let mut dims = vec![out.div_ceil(BLOCK), *channels];
            dims.extend(kernel);
            dims.push(BLOCK);
            (pack_plain_input(&elements, [*out, *channels, taps]), dims)
        }
        ConvWeights::Blocked => {
            let group_out = out / group;
            let mut dims = vec![group * group_out.div_ceil(BLOCK)];
            dims.extend(kernel);
            dims.extend([*channels, BLOCK]);
            (
                pack_blocked(&elements, group, [group_out, *channels, taps]),
                dims,
            )
        }
    };
    let name = graph.value(weights).name.clone();
    Some(graph.add_f32(name, &packed_dims, &packed))
}

/// Packs a constant `[K, N]` as `[⌈N/16⌉][K][16]`; f16 that is only converted to f32 stays f16.
fn pack_rhs(
    graph: &mut Graph,
    makers: &[Option<usize>],
    matmul: &MatMul,
    rhs: ValueId,
) -> Option<ValueId> {
    if matmul.rhs != MatMulRhs::Plain {
        return None;
    }
    let source = uncast(graph, makers, rhs);
    let value = graph.value(source).clone();
    let bytes = value.constant?;
    let [rows, columns] = graph.fixed_dims(source)?[..] else {
        return None;
    };
    if !matches!(value.datum_type, DatumType::F32 | DatumType::F16) {
        return None;
    }
    let packed = pack_columns(&bytes, rows, columns, value.datum_type.width_bytes());
    let dims = [columns.div_ceil(BLOCK), rows, BLOCK];
    Some(graph.add_constant(value.name, value.datum_type, &dims, packed))
}

/// Returns the value of f16 that a value is the conversion of, or the value.
fn uncast(graph: &Graph, makers: &[Option<usize>], value: ValueId) -> ValueId {
    let Some(maker) = makers[value.index()] else {
        return value;
    };
    let node = &graph.nodes[maker];
    let from_f16 = |&input: &ValueId| graph.value(input).datum_type == DatumType::F16;
    match &node.op {
        Op::Kernel(Kernel::Cast) => node.inputs.iter().copied().find(from_f16).unwrap_or(value),
        _ => value,
    }
}

/// Puts 16 columns of a matrix side by side: `[rows][columns]` becomes `[⌈columns/16⌉][rows][16]`.
fn pack_columns(bytes: &[u8], rows: usize, columns: usize, width: usize) -> Arc<[u8]> {
    let mut packed = vec![0; columns.next_multiple_of(BLOCK) * rows * width];
    for (row, elements) in bytes.chunks_exact((columns * width).max(1)).enumerate() {
        for (block, elements) in elements.chunks(BLOCK * width).enumerate() {
            let begin = (block * rows + row) * BLOCK * width;
            packed[begin..begin + elements.len()].copy_from_slice(elements);
        }
    }
    packed.into()
}

/// Packs weights `[D, G·H, K]` of a recurrent network as `[D][⌈G·H/16⌉][K][16]`.
fn pack_gates(graph: &mut Graph, weights: ValueId) -> Option<ValueId> {
    let elements = graph.constant_f32(weights)?;
    let [directions, rows, columns] = graph.fixed_dims(weights)?[..] else {
        return None;
    };
    let packed = recurrent::pack_gates(&elements, rows, columns);
    let dims = [directions, rows.div_ceil(BLOCK), columns, BLOCK];
    let name = graph.value(weights).name.clone();
    Some(graph.add_f32(name, &dims, &packed))
}

/// Pads a constant bias with zeros to whole blocks.
fn pad_bias(graph: &mut Graph, epilogue: &Epilogue, inputs: &mut [ValueId]) {
    if !epilogue.bias {
        return;
    }
    let Some(mut elements) = graph.constant_f32(inputs[2]) else {
        return;
    };
    let padded_len = elements.len().next_multiple_of(BLOCK);
    if elements.len() < padded_len {
        elements.resize(padded_len, 0.0);
        let name = graph.value(inputs[2]).name.clone();
        inputs[2] = graph.add_f32(name, &[padded_len], &elements);
    }
}
