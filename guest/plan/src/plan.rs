//! The types of a plan.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use tensorlet_tensor::{DatumType, Signature};

use crate::dims::{DimExpr, SymbolId};
use crate::kernel::Kernel;

/// What a compiled model computes.
///
/// Made by [`Plan::read`] or checked by [`Plan::verify`], it holds what [`verify`](crate::verify) promises.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan<'a> {
    /// What callers see of the model.
    pub description: Description,
    /// The names of sizes that a call decides, by [`SymbolId`]. Each is a dim of an input.
    pub symbols: Vec<String>,
    /// The symbol of the batch, if rows are independent and best computed one after the other: the executor binds it to 1 and
    /// runs the steps once a row.
    pub row_symbol: Option<SymbolId>,
    /// The tensors that flow between steps, by [`ValueId`]: the signature's inputs first, in its order.
    pub values: Vec<Value>,
    /// What to compute, in order.
    pub steps: Vec<Step>,
    /// The values of the signature's outputs, in its order.
    pub outputs: Vec<ValueId>,
    /// Functions that the compiler wrote for this plan, in the order of the predictor's table.
    pub tiles: Vec<TileSpec>,
    /// Bytes that values and steps refer to by range.
    pub constants: Cow<'a, [u8]>,
}

/// What a model says about itself.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The model's name.
    pub name: String,
    /// The model's version.
    pub version: String,
    /// What it takes and gives.
    pub signature: Signature,
    /// Other things known at build time, by key.
    pub metadata: BTreeMap<String, String>,
}

/// The index of a value in [`Plan::values`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct ValueId(pub u32);

impl ValueId {
    /// Returns the index as `usize`.
    pub fn index(self) -> usize {
        // A wasm32 or 64-bit `usize` holds every `u32`.
        self.0 as usize
    }
}

/// A tensor that a step reads or writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Value {
    /// What the model calls it; for people.
    pub name: String,
    /// The type of its elements.
    pub datum_type: DatumType,
    /// Its sizes, outermost first, as ONNX sees them whatever the layout. `None` if only the data decides the sizes: a tract step
    /// writes such a value, and only tract steps and callers read it.
    #[serde(deserialize_with = "crate::wire::bounded_dims")]
    pub dims: Option<Vec<DimExpr>>,
    /// How its elements lie in memory.
    pub layout: Layout,
    /// Where it lies.
    pub storage: Storage,
}

/// How the elements of a tensor lie in memory.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub enum Layout {
    /// Row-major.
    #[default]
    Plain,
    /// Of rank 3 or more, f32, with channels (axis 1) in blocks of 16, innermost: `[N][⌈C/16⌉][spatial…][16]`.
    Blocked,
}

/// Where the bytes of a value are.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Storage {
    /// The caller's: one of the first values.
    Input,
    /// A range of the constants, aligned to 64 bytes.
    Constant(Range<u64>),
    /// The bytes of another value, with dims of equal size; both plain.
    Alias(ValueId),
    /// Memory that the executor gives it from the step that writes it to the last that reads it.
    Buffer,
}

/// One unit of computation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What the model calls it; for people.
    pub name: String,
    /// What is computed.
    pub kernel: Kernel,
    /// The values it reads. Optional ones that are absent are left out; the kernel's attributes tell.
    pub inputs: Vec<ValueId>,
    /// The values it writes.
    pub outputs: Vec<ValueId>,
}

/// A function that computes tiles of a product, specialised and written as WebAssembly by the compiler. See
/// `tensorlet_kernels::tile` for what it is given.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TileSpec {
    /// The distance in bytes between rows (pixels) of the left-hand side.
    pub lhs_stride_bytes: u32,
    /// The distance in bytes between rows (pixels) of the output.
    pub out_stride_bytes: u32,
    /// How many rows (pixels) a tile has.
    pub rows: u32,
    /// How many output channels a tile has: 4, 8, 12 or 16.
    pub channels: u32,
    /// Whether a residual is added.
    pub residual: bool,
    /// Whether the result is clamped.
    pub clamp: bool,
}

/// A sub-graph that tract executes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TractStep {
    /// How the sub-graph is written.
    pub format: SubgraphFormat,
    /// Where it lies in [`Plan::constants`].
    pub subgraph: Range<u64>,
    /// Whether the sub-graph computes one row, and is run once for each index of axis 0 of its inputs.
    pub one_row: bool,
    /// The operators in the sub-graph and how often each occurs.
    pub operators: BTreeMap<String, u32>,
}

/// How a sub-graph is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum SubgraphFormat {
    /// An ONNX `ModelProto` without external data.
    Onnx,
}

impl Plan<'_> {
    /// Returns the operators of all tract steps and how often each occurs. None if there is no tract step.
    pub fn tract_operators(&self) -> BTreeMap<String, u32> {
        let mut operators = BTreeMap::<String, u32>::new();
        for step in &self.steps {
            let Kernel::Tract(tract) = &step.kernel else {
                continue;
            };
            for (operator, count) in &tract.operators {
                let sum: &mut u32 = operators.entry(operator.clone()).or_default();
                *sum = sum.saturating_add(*count);
            }
        }
        operators
    }
}
