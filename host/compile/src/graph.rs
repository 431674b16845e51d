//! The graph that models are optimised in: kernels on values.
//!
//! ```text
//! ModelProto ─ import ─► Graph of plain kernels ─ passes ─► fused Graph ─ lower ─► plan
//! ```
//!
//! At every point between import and lowering, a graph can be executed: a convolution has plain tensors and weights as ONNX
//! has them until the layouts are assigned, a product has a plain right-hand side until it is packed. So each pass can be
//! tested by computing the graph before and after.

pub(crate) mod dims;
pub(crate) mod edit;
pub(crate) mod interpret;
#[cfg(test)]
pub(crate) mod testing;
mod text;

use std::collections::BTreeMap;
use std::sync::Arc;

use tensorlet_plan::{DimExpr, Kernel, Layout, SymbolId};
use tensorlet_tensor::DatumType;
use tract_onnx::pb::NodeProto;

pub(crate) use tensorlet_plan::ValueId;

/// A model as kernels on values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    /// The names of sizes that a call decides, by [`SymbolId`]. Each is a dim of an input.
    pub(crate) symbols: Vec<String>,
    /// By [`ValueId`].
    pub(crate) values: Vec<Value>,
    /// Each after those whose outputs it reads.
    pub(crate) nodes: Vec<Node>,
    /// The inputs, in the signature's order.
    pub(crate) inputs: Vec<ValueId>,
    /// The outputs, in the signature's order.
    pub(crate) outputs: Vec<ValueId>,
}

/// A tensor that flows between nodes.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    /// What the model calls it; values made by passes have names derived from those around them.
    pub(crate) name: String,
    /// The type of its elements.
    pub(crate) datum_type: DatumType,
    /// Its sizes; `None` if only the data decides them.
    pub(crate) dims: Option<Vec<DimExpr>>,
    /// How it lies in memory. Plain until layouts are assigned.
    pub(crate) layout: Layout,
    /// Its bytes, if it is a constant.
    pub(crate) constant: Option<Arc<[u8]>>,
}

/// A computation.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// What the model calls it.
    pub(crate) name: String,
    /// What is computed.
    pub(crate) op: Op,
    /// What it reads. Optional inputs that are absent are left out.
    pub(crate) inputs: Vec<ValueId>,
    /// What it writes.
    pub(crate) outputs: Vec<ValueId>,
}

/// What a node computes.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// A kernel of Tensorlet's own.
    Kernel(Kernel),
    /// The same elements with the dims of the output, at no cost.
    Reshape,
    /// An operator without kernel, to be run by tract. Its inputs and outputs are those of the node that are not empty, in
    /// order, then what its sub-graphs read from outside; the graph's values have the names that the node knows.
    Onnx(Box<NodeProto>),
    /// Several operators without kernel, joined for tract.
    Subgraph(Box<Subgraph>),
}

/// A model that tract computes in place of a node. Its inputs and outputs are those of the node, in order.
#[derive(Clone, Debug)]
pub(crate) struct Subgraph {
    /// An ONNX `ModelProto`.
    pub(crate) model: Vec<u8>,
    /// Whether it computes one row, and is run once for each index of axis 0 of its inputs.
    pub(crate) one_row: bool,
    /// The operators in it and how often each occurs.
    pub(crate) operators: BTreeMap<String, u32>,
}

impl Node {
    /// A node of one output that calls a kernel.
    pub(crate) fn kernel(
        name: impl Into<String>,
        kernel: Kernel,
        inputs: &[ValueId],
        output: ValueId,
    ) -> Self {
        Self::new(name, Op::Kernel(kernel), inputs, output)
    }

    /// A node of one output.
    pub(crate) fn new(
        name: impl Into<String>,
        op: Op,
        inputs: &[ValueId],
        output: ValueId,
    ) -> Self {
        Self {
            name: name.into(),
            op,
            inputs: inputs.to_vec(),
            outputs: vec![output],
        }
    }
}

impl Graph {
    /// Returns a value.
    pub(crate) fn value(&self, id: ValueId) -> &Value {
        &self.values[id.index()]
    }

    /// Adds a value that a node will write.
    pub(crate) fn add_value(
        &mut self,
        name: impl Into<String>,
        datum_type: DatumType,
        dims: Option<Vec<DimExpr>>,
    ) -> ValueId {
        self.push(Value {
            name: name.into(),
            datum_type,
            dims,
            layout: Layout::Plain,
            constant: None,
        })
    }

    /// Adds a constant of fixed dims.
    pub(crate) fn add_constant(
        &mut self,
        name: impl Into<String>,
        datum_type: DatumType,
        dims: &[usize],
        bytes: impl Into<Arc<[u8]>>,
    ) -> ValueId {
        let dims = dims.iter().map(|&dim| DimExpr::number(dim as i64));
        self.push(Value {
            name: name.into(),
            datum_type,
            dims: Some(dims.collect()),
            layout: Layout::Plain,
            constant: Some(bytes.into()),
        })
    }

    /// Adds a constant of f32.
    pub(crate) fn add_f32(
        &mut self,
        name: impl Into<String>,
        dims: &[usize],
        elements: &[f32],
    ) -> ValueId {
        let bytes: Vec<u8> = elements.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.add_constant(name, DatumType::F32, dims, bytes)
    }

    fn push(&mut self, value: Value) -> ValueId {
        self.values.push(value);
        ValueId(u32::try_from(self.values.len() - 1).expect("limits keep graphs far smaller"))
    }

    /// Returns a name for a value that a pass makes of another: `y_flat` of `y`, and of `y_flat` again.
    pub(crate) fn derived_name(&self, id: ValueId, suffix: &str) -> String {
        let name = &self.value(id).name;
        match name
            .strip_suffix(suffix)
            .and_then(|stem| stem.strip_suffix('_'))
        {
            Some(_) => name.clone(),
            None => format!("{name}_{suffix}"),
        }
    }

    /// Returns the dims, if they are all numbers.
    pub(crate) fn fixed_dims(&self, id: ValueId) -> Option<Vec<usize>> {
        let dims = self.value(id).dims.as_ref()?.iter();
        dims.map(|dim| usize::try_from(dim.as_number()?).ok())
            .collect()
    }

    /// Returns the dims, if they are known before the data.
    pub(crate) fn dims(&self, id: ValueId) -> Option<&[DimExpr]> {
        self.value(id).dims.as_deref()
    }

    /// Reports whether two values have the same datum type and the same dims, which are known.
    pub(crate) fn same_type(&self, a: ValueId, b: ValueId) -> bool {
        self.value(a).datum_type == self.value(b).datum_type && self.same_dims(a, b)
    }

    /// Reports whether two values have the same dims, which are known.
    pub(crate) fn same_dims(&self, a: ValueId, b: ValueId) -> bool {
        matches!((self.dims(a), self.dims(b)), (Some(a), Some(b)) if dims::same_dims(a, b))
    }

    /// Returns the elements of a constant of f32 that varies along one axis only of the tensors of this rank that it is
    /// broadcast to, `len` of them.
    pub(crate) fn constant_along(
        &self,
        id: ValueId,
        rank: usize,
        axis: usize,
        len: usize,
    ) -> Option<Vec<f32>> {
        if let Some(element) = self.constant_scalar(id) {
            return (self.rank(id)? <= rank).then(|| vec![element; len]);
        }
        let dims = self.fixed_dims(id)?;
        let missing = rank.checked_sub(dims.len())?;
        let fits =
            |(index, &dim): (usize, &usize)| dim == if index + missing == axis { len } else { 1 };
        let elements = self.constant_f32(id)?;
        (elements.len() == len && dims.iter().enumerate().all(fits)).then_some(elements)
    }

    /// Returns the rank, if it is known.
    pub(crate) fn rank(&self, id: ValueId) -> Option<usize> {
        self.value(id).dims.as_ref().map(Vec::len)
    }

    /// Returns the elements of a constant of f32.
    pub(crate) fn constant_f32(&self, id: ValueId) -> Option<Vec<f32>> {
        let value = self.value(id);
        if value.datum_type != DatumType::F32 {
            return None;
        }
        let words = value.constant.as_ref()?.chunks_exact(4);
        Some(
            words
                .map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]]))
                .collect(),
        )
    }

    /// Returns the element of a constant of f32 all of whose elements are equal, whatever its dims.
    pub(crate) fn constant_scalar(&self, id: ValueId) -> Option<f32> {
        let value = self.value(id);
        let bytes = value.constant.as_ref()?;
        let (first, rest) = bytes.split_first_chunk::<4>()?;
        let mut rest = rest.chunks_exact(4);
        let is_one = value.datum_type == DatumType::F32 && rest.all(|word| word == first);
        is_one.then(|| f32::from_le_bytes(*first))
    }

    /// Returns the elements of a constant of i64 or i32.
    pub(crate) fn constant_integers(&self, id: ValueId) -> Option<Vec<i64>> {
        let value = self.value(id);
        let bytes = value.constant.as_ref()?;
        Some(match value.datum_type {
            DatumType::I64 => bytes
                .chunks_exact(8)
                .map(|word| i64::from_le_bytes(word.try_into().expect("chunks of 8")))
                .collect(),
            DatumType::I32 => bytes
                .chunks_exact(4)
                .map(|word| i64::from(i32::from_le_bytes(word.try_into().expect("chunks of 4"))))
                .collect(),
            _ => return None,
        })
    }

    /// Returns, for each value, the index of the node that writes it.
    pub(crate) fn makers(&self) -> Vec<Option<usize>> {
        let mut makers = vec![None; self.values.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            for output in &node.outputs {
                makers[output.index()] = Some(index);
            }
        }
        makers
    }

    /// Returns, for each value, the indices of the nodes that read it, each as often as it does.
    pub(crate) fn readers(&self) -> Vec<Vec<usize>> {
        let mut readers = vec![vec![]; self.values.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            for input in &node.inputs {
                readers[input.index()].push(index);
            }
        }
        readers
    }

    /// Reports whether a value is an output of the graph.
    pub(crate) fn is_output(&self, id: ValueId) -> bool {
        self.outputs.contains(&id)
    }

    /// Returns the symbol's id, which it gets if it has none.
    pub(crate) fn symbol(&mut self, name: &str) -> SymbolId {
        let index = self.symbols.iter().position(|known| known == name);
        let index = index.unwrap_or_else(|| {
            self.symbols.push(name.to_owned());
            self.symbols.len() - 1
        });
        SymbolId(index as u32)
    }
}
