//! The types of a plan.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use tensorlet_tensor::{Signature, TensorSpec};

/// What a compiled model computes.
///
/// Made by [`Plan::read`] or checked by [`Plan::verify`], it holds what [`verify`](crate::verify) promises.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan<'a> {
    /// What callers see of the model.
    pub description: Description,
    /// The tensors that flow between steps, by [`ValueId`].
    pub values: Vec<Value>,
    /// What to compute, in order.
    pub steps: Vec<Step>,
    /// Bytes that steps refer to by range.
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
pub type Value = TensorSpec;

/// One unit of computation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Step {
    /// Operators that have no kernel of Tensorlet's own.
    Tract(TractStep),
}

impl Step {
    /// Returns the values that the step reads.
    pub fn inputs(&self) -> &[ValueId] {
        match self {
            Self::Tract(step) => &step.inputs,
        }
    }

    /// Returns the values that the step writes.
    pub fn outputs(&self) -> &[ValueId] {
        match self {
            Self::Tract(step) => &step.outputs,
        }
    }
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
    /// The values bound to the sub-graph's inputs, in its order.
    pub inputs: Vec<ValueId>,
    /// The values bound to the sub-graph's outputs, in its order.
    pub outputs: Vec<ValueId>,
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
    /// Returns the operators of all steps and how often each occurs.
    pub fn operators(&self) -> BTreeMap<String, u32> {
        let mut operators = BTreeMap::<String, u32>::new();
        for Step::Tract(step) in &self.steps {
            for (operator, count) in &step.operators {
                let sum: &mut u32 = operators.entry(operator.clone()).or_default();
                *sum = sum.saturating_add(*count);
            }
        }
        operators
    }
}
