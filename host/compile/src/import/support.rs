//! Asks the kernels whether they take what was imported.
//!
//! A kernel is bound to a few sizes of the symbols, and must take one of them. Not all, because a model may need an axis that is
//! a multiple of something, or two that are equal; what sizes a call has is checked when it is made.

use tensorlet_kernels::tensor_type::BLOCK;
use tensorlet_kernels::{Isa, Target, TensorType, bind};
use tensorlet_plan::Kernel;

use crate::graph::{Graph, Node, Op, ValueId};

/// Sizes for the symbols of a graph, to be tried in turn.
pub(super) struct Samples(Vec<Vec<u32>>);

/// Sizes that have few divisors in common.
const PRIMES: [u32; 8] = [5, 7, 11, 13, 3, 17, 19, 2];

/// What sizes are multiplied with.
const FACTORS: [u32; 4] = [1, 32, 9, 64];

impl Samples {
    /// Chooses sizes for so many symbols: different ones first, then equal ones.
    pub(super) fn new(symbols: usize) -> Self {
        if symbols == 0 {
            return Self(vec![vec![]]);
        }
        let different = |(skip, factor): (usize, &u32)| -> Vec<u32> {
            let primes = PRIMES.iter().cycle().skip(skip).take(symbols);
            primes.map(|prime| prime * factor).collect()
        };
        let equal = |factor: &u32| vec![6 * factor; symbols];
        let different = FACTORS.iter().enumerate().map(different);
        Self(different.chain(FACTORS.iter().map(equal)).collect())
    }

    /// Checks that there are kernels for a node.
    ///
    /// # Errors
    /// If there are none; the reason is what a kernel says.
    pub(super) fn check(&self, graph: &Graph, node: &Node) -> Result<(), String> {
        let mut reason = String::new();
        for sizes in &self.0 {
            let bound = types(graph, node, sizes)
                .and_then(|(inputs, outputs)| check_types(node, inputs, &outputs));
            match bound {
                Ok(()) => return Ok(()),
                Err(found) if reason.is_empty() => reason = found,
                Err(_) => {}
            }
        }
        Err(reason)
    }
}

type Types = (Vec<TensorType>, Vec<TensorType>);

fn types(graph: &Graph, node: &Node, sizes: &[u32]) -> Result<Types, String> {
    let types = |ids: &[ValueId]| -> Result<Vec<TensorType>, String> {
        ids.iter()
            .map(|&id| tensor_type(graph, id, sizes))
            .collect()
    };
    Ok((types(&node.inputs)?, types(&node.outputs)?))
}

fn tensor_type(graph: &Graph, id: ValueId, sizes: &[u32]) -> Result<TensorType, String> {
    let value = graph.value(id);
    let dims = value.dims.as_ref();
    let dims = dims.ok_or_else(|| format!("expected dims of `{}`, found none", value.name))?;
    let size = |dim: &tensorlet_plan::DimExpr| {
        let size = dim.evaluate(sizes);
        size.map(|size| size as usize)
            .map_err(|error| format!("`{}`: {error}", value.name))
    };
    let dims: Vec<usize> = dims.iter().map(size).collect::<Result<_, _>>()?;
    Ok(TensorType::plain(value.datum_type, &dims))
}

fn check_types(
    node: &Node,
    mut inputs: Vec<TensorType>,
    outputs: &[TensorType],
) -> Result<(), String> {
    match &node.op {
        Op::Kernel(kernel) => {
            pack(kernel, &mut inputs);
            let target = Target::of(Isa::SCALAR);
            let bound = bind(kernel, &inputs, outputs, &target);
            bound.map(drop).map_err(|error| error.to_string())
        }
        Op::Reshape => {
            let count = |tensor: Option<&TensorType>| tensor.and_then(TensorType::stored_len);
            if count(inputs.first()) == count(outputs.first()) {
                return Ok(());
            }
            let text =
                |tensor: Option<&TensorType>| tensor.map_or("none".into(), TensorType::to_string);
            let (from, to) = (text(inputs.first()), text(outputs.first()));
            Err(format!(
                "expected as many elements as in {from}, found {to}"
            ))
        }
        Op::Onnx(_) | Op::Subgraph(_) => Err("expected a kernel, found a node for tract".into()),
    }
}

/// Brings types into the form that they have when weights are packed.
fn pack(kernel: &Kernel, inputs: &mut [TensorType]) {
    let epilogue = match kernel {
        Kernel::Conv(conv) => &conv.epilogue,
        Kernel::ConvTranspose(conv) => &conv.epilogue,
        Kernel::MatMul(matmul) => &matmul.epilogue,
        Kernel::Recurrent(_) => {
            for weights in inputs.iter_mut().skip(1).take(2) {
                if let [directions, rows, columns] = *weights.dims {
                    weights.dims = vec![directions, rows.div_ceil(BLOCK), columns, BLOCK];
                }
            }
            return;
        }
        _ => return,
    };
    if let (true, Some(bias)) = (epilogue.bias, inputs.get_mut(2)) {
        bias.dims = vec![bias.len().next_multiple_of(BLOCK)];
    }
}
