//! Computes a graph, or one node of it.
//!
//! This folds constants, and tells whether a rewritten graph still computes the same. It is slow: kernels are bound
//! anew for each node, and nothing is used twice.

use std::ops::Deref;

use tensorlet_kernels::tensor_type::BLOCK;
use tensorlet_kernels::{Crew, Isa, Target, TensorType, bind, recurrent};
use tensorlet_plan::{DimExpr, Kernel};

use super::{Graph, Node, Op, ValueId};

/// Kernels want tensors that begin at multiples of this.
const ALIGN_BYTES: usize = 64;

/// Why a graph or a node cannot be computed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("node `{node}`: {reason}")]
pub(crate) struct InterpretError {
    node: String,
    reason: String,
}

/// Bytes that begin at a multiple of 64.
#[derive(Debug)]
pub(crate) struct Bytes {
    // Never grows after `begin` was found.
    buffer: Vec<u8>,
    begin: usize,
    len: usize,
}

impl Bytes {
    /// Copies bytes.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let mut copy = Self::zeros(bytes.len());
        copy.as_mut_slice().copy_from_slice(bytes);
        copy
    }

    /// Returns zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        let buffer = vec![0; len + ALIGN_BYTES];
        let begin = buffer.as_ptr().addr().wrapping_neg() % ALIGN_BYTES;
        Self { buffer, begin, len }
    }

    fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.buffer[self.begin..][..self.len]
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.buffer[self.begin..][..self.len]
    }
}

/// Computes the outputs of a graph, given the sizes of its symbols and its inputs in order.
///
/// # Errors
/// If a node has no kernel, or its kernel cannot be bound or run.
#[cfg(test)]
pub(crate) fn interpret(
    graph: &Graph,
    symbols: &[u32],
    inputs: &[Bytes],
) -> Result<Vec<Bytes>, InterpretError> {
    let mut values: Vec<Option<Bytes>> = graph
        .values
        .iter()
        .map(|value| value.constant.as_deref().map(Bytes::new))
        .collect();
    for (id, input) in graph.inputs.iter().zip(inputs) {
        values[id.index()] = Some(Bytes::new(input));
    }
    let missing = |node: &str, id: ValueId| InterpretError {
        node: node.to_owned(),
        reason: format!("expected `{}` to be computed before", graph.value(id).name),
    };
    for node in &graph.nodes {
        let inputs: Option<Vec<&Bytes>> = node
            .inputs
            .iter()
            .map(|id| values[id.index()].as_ref())
            .collect();
        let absent = node.inputs.iter().find(|id| values[id.index()].is_none());
        let inputs = match (inputs, absent) {
            (Some(inputs), _) => inputs,
            (None, absent) => return Err(missing(&node.name, *absent.unwrap_or(&ValueId(0)))),
        };
        let outputs = interpret_node(graph, node, symbols, &inputs)?;
        for (id, output) in node.outputs.iter().zip(outputs) {
            values[id.index()] = Some(output);
        }
    }
    let output = |id: &ValueId| {
        let value = values[id.index()].as_ref();
        value
            .map(|bytes| Bytes::new(bytes))
            .ok_or_else(|| missing("outputs", *id))
    };
    graph.outputs.iter().map(output).collect()
}

/// Computes the outputs of one node.
///
/// The result is the same on every machine: the kernels are those without special instructions.
///
/// # Errors
/// If it has no kernel, or its kernel cannot be bound or run.
pub(crate) fn interpret_node(
    graph: &Graph,
    node: &Node,
    symbols: &[u32],
    inputs: &[&Bytes],
) -> Result<Vec<Bytes>, InterpretError> {
    let fail = |reason: String| InterpretError {
        node: node.name.clone(),
        reason,
    };
    let kernel = match &node.op {
        Op::Kernel(kernel) => kernel,
        Op::Reshape => return Ok(vec![Bytes::new(inputs[0])]),
        Op::Onnx(onnx) => {
            let reason = format!("expected a kernel, found ONNX's {}", onnx.op_type);
            return Err(fail(reason));
        }
        Op::Subgraph(_) => return Err(fail("expected a kernel, found a sub-graph".into())),
    };
    let types = |ids: &[ValueId]| -> Result<Vec<TensorType>, InterpretError> {
        let types = ids.iter().map(|&id| tensor_type(graph, id, symbols));
        types.collect::<Result<_, _>>().map_err(fail)
    };
    let (mut input_types, output_types) = (types(&node.inputs)?, types(&node.outputs)?);
    let packed = pack_inputs(kernel, &mut input_types, inputs);
    let mut slices: Vec<&[u8]> = inputs.iter().map(|bytes| &***bytes).collect();
    for (slot, bytes) in &packed {
        slices[*slot] = bytes;
    }
    let bound = bind(
        kernel,
        &input_types,
        &output_types,
        &Target::of(Isa::SCALAR),
    )
    .map_err(|error| fail(error.to_string()))?;
    let stored = |tensor: &TensorType| tensor.stored_bytes().unwrap_or(0);
    let mut outputs: Vec<Bytes> = output_types
        .iter()
        .map(|tensor| Bytes::zeros(stored(tensor)))
        .collect();
    let mut output_slices: Vec<&mut [u8]> = outputs.iter_mut().map(Bytes::as_mut_slice).collect();
    let mut scratch = Bytes::zeros(bound.scratch_bytes());
    bound
        .run(
            &slices,
            &mut output_slices,
            scratch.as_mut_slice(),
            Crew::default(),
        )
        .map_err(|error| fail(error.to_string()))?;
    Ok(outputs)
}

/// Brings inputs into the form in which the kernels want them, which is done for good when weights are packed.
fn pack_inputs(
    kernel: &Kernel,
    types: &mut [TensorType],
    inputs: &[&Bytes],
) -> Vec<(usize, Bytes)> {
    let epilogue = match kernel {
        Kernel::Conv(conv) => &conv.epilogue,
        Kernel::ConvTranspose(conv) => &conv.epilogue,
        Kernel::MatMul(matmul) => &matmul.epilogue,
        Kernel::Recurrent(_) => {
            let weights = types.iter_mut().enumerate().skip(1).take(2);
            let packed =
                weights.map(|(slot, weights)| Some((slot, pack_gates(weights, inputs[slot])?)));
            return packed.flatten().collect();
        }
        _ => return vec![],
    };
    if !epilogue.bias || types.len() < 3 {
        return vec![];
    }
    let bias = &mut types[2];
    let padded_len = bias.len().next_multiple_of(BLOCK);
    bias.dims = vec![padded_len];
    let mut padded = Bytes::zeros(padded_len * bias.datum_type.width_bytes());
    padded.as_mut_slice()[..inputs[2].len()].copy_from_slice(inputs[2]);
    vec![(2, padded)]
}

/// Packs the weights `[D, G·H, K]` of a recurrent network; `None` if they are packed.
fn pack_gates(weights: &mut TensorType, bytes: &Bytes) -> Option<Bytes> {
    let &[directions, rows, columns] = weights.dims.as_slice() else {
        return None;
    };
    let words = bytes.as_chunks().0.iter();
    let elements: Vec<f32> = words.map(|&word| f32::from_le_bytes(word)).collect();
    let packed = recurrent::pack_gates(&elements, rows, columns);
    weights.dims = vec![directions, rows.div_ceil(BLOCK), columns, BLOCK];
    let bytes: Vec<u8> = packed.into_iter().flat_map(f32::to_le_bytes).collect();
    Some(Bytes::new(&bytes))
}

/// Returns what a kernel is told about a value, given the sizes of symbols.
fn tensor_type(graph: &Graph, id: ValueId, symbols: &[u32]) -> Result<TensorType, String> {
    let value = graph.value(id);
    let dims = value.dims.as_ref();
    let dims = dims.ok_or_else(|| format!("expected dims of `{}`, found none", value.name))?;
    let size = |dim: &DimExpr| {
        let size = dim.evaluate(symbols).map(|size| size as usize);
        size.map_err(|error| format!("`{}`: {error}", value.name))
    };
    Ok(TensorType {
        datum_type: value.datum_type,
        dims: dims.iter().map(size).collect::<Result<_, _>>()?,
        layout: value.layout,
    })
}
