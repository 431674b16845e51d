//! Sub-graphs that tract executes.

use std::sync::Arc;

use prost::Message;
use tensorlet_kernels::TensorType;
use tensorlet_plan::{Plan, Step, SubgraphFormat, TractStep, ValueId};
use tensorlet_tensor::Tensor;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::{
    self as tract, Framework, InferenceModelExt, IntoRunnable, IntoTValue, TValue, TVec,
    TractResult, TypedRunnableModel,
};
use tract_onnx::tract_core::internal::{IntoTensor, bail};

use crate::error::LoadError;
use crate::tract_tensor::{copy_from_tract, from_tract, slice_to_tract};

/// A sub-graph, parsed, optimised and packed.
pub(crate) struct LoadedTractStep {
    runnable: Arc<TypedRunnableModel>,
    one_row: bool,
}

impl LoadedTractStep {
    pub(crate) fn load(plan: &Plan<'_>, step: &Step, tract: &TractStep) -> Result<Self, LoadError> {
        let range = tract.subgraph.start as usize..tract.subgraph.end as usize;
        let SubgraphFormat::Onnx = tract.format;
        let runnable = load_onnx(&plan.constants[range])
            .map_err(|error| LoadError::new(format!("{error:#}")))?;
        let model = runnable.model();
        let (inputs, outputs) = (model.inputs.len(), model.outputs.len());
        let expected = (step.inputs.len(), step.outputs.len());
        if (inputs, outputs) != expected {
            return Err(LoadError::new(format!(
                "expected a sub-graph of {} inputs and {} outputs, found {inputs} and {outputs}",
                expected.0, expected.1
            )));
        }
        Ok(Self {
            runnable,
            one_row: tract.one_row,
        })
    }

    fn run(&self, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        match self.one_row {
            true => self.run_rows(inputs),
            false => self.runnable.run(inputs),
        }
    }

    /// Runs the sub-graph once for each row and joins what comes out.
    fn run_rows(&self, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let rows = inputs
            .first()
            .and_then(|input| input.shape().first())
            .copied()
            .unwrap_or(1);
        if rows == 1 {
            return self.runnable.run(inputs);
        }
        let outputs = self.runnable.model().outputs.len();
        let mut outputs: TVec<Vec<tract::Tensor>> =
            (0..outputs).map(|_| Vec::with_capacity(rows)).collect();
        for row in 0..rows {
            let row: TractResult<TVec<TValue>> = inputs
                .iter()
                .map(|input| Ok(input.slice(0, row, row + 1)?.into_tvalue()))
                .collect();
            for (rows, output) in outputs.iter_mut().zip(self.runnable.run(row?)?) {
                rows.push(output.into_tensor());
            }
        }
        outputs
            .iter()
            .map(|rows| Ok(tract::Tensor::stack_tensors(0, rows)?.into_tvalue()))
            .collect()
    }
}

/// A sub-graph with the types of what it reads and writes.
pub(crate) struct TractCall {
    loaded: Arc<LoadedTractStep>,
    inputs: Vec<Argument>,
    outputs: Vec<Argument>,
}

/// What a sub-graph reads or writes.
enum Argument {
    /// The next of the step's slices.
    Slice(TensorType),
    /// A tensor whose dims only the data decides.
    Dynamic(ValueId),
}

impl TractCall {
    pub(crate) fn new(
        loaded: Arc<LoadedTractStep>,
        step: &Step,
        types: &[Option<TensorType>],
    ) -> Self {
        let arguments = |ids: &[ValueId]| {
            ids.iter()
                .map(|&id| match &types[id.index()] {
                    Some(tensor) => Argument::Slice(tensor.clone()),
                    None => Argument::Dynamic(id),
                })
                .collect()
        };
        Self {
            loaded,
            inputs: arguments(&step.inputs),
            outputs: arguments(&step.outputs),
        }
    }

    /// Runs the sub-graph. The slices are those of the arguments that are slices.
    pub(crate) fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        dynamic: &mut DynamicValues,
    ) -> Result<(), String> {
        self.try_run(inputs, outputs, dynamic)
            .map_err(|error| format!("{error:#}"))
    }

    fn try_run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        dynamic: &mut DynamicValues,
    ) -> TractResult<()> {
        let mut slices = inputs.iter();
        let mut arguments = TVec::with_capacity(self.inputs.len());
        for argument in &self.inputs {
            arguments.push(match argument {
                Argument::Slice(tensor) => {
                    let bytes = slices
                        .next()
                        .expect("there is a slice for each such argument");
                    slice_to_tract(tensor.datum_type, &tensor.dims, bytes)?.into_tvalue()
                }
                Argument::Dynamic(id) => dynamic.tensor(*id)?.clone(),
            });
        }
        let results = self.loaded.run(arguments)?;
        let mut slices = outputs.iter_mut();
        for (argument, result) in self.outputs.iter().zip(results) {
            match argument {
                Argument::Slice(tensor) => {
                    let bytes = slices
                        .next()
                        .expect("there is a slice for each such argument");
                    copy_from_tract(&result, tensor.datum_type, &tensor.dims, bytes)?;
                }
                Argument::Dynamic(id) => dynamic.set(*id, result),
            }
        }
        Ok(())
    }
}

/// Values whose dims only the data decides, since a step wrote them.
#[derive(Debug, Default)]
pub(crate) struct DynamicValues(Vec<(ValueId, TValue)>);

impl DynamicValues {
    /// Drops all values.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Copies a value out.
    pub(crate) fn to_tensor(&self, id: ValueId) -> Result<Tensor, String> {
        self.tensor(id)
            .and_then(|tensor| from_tract(tensor))
            .map_err(|error| format!("{error:#}"))
    }

    fn tensor(&self, id: ValueId) -> TractResult<&TValue> {
        match self.0.iter().find(|(other, _)| *other == id) {
            Some((_, tensor)) => Ok(tensor),
            None => bail!("expected value %{} to be written, found none", id.0),
        }
    }

    fn set(&mut self, id: ValueId, tensor: TValue) {
        match self.0.iter_mut().find(|(other, _)| *other == id) {
            Some((_, slot)) => *slot = tensor,
            None => self.0.push((id, tensor)),
        }
    }
}

fn load_onnx(bytes: &[u8]) -> TractResult<Arc<TypedRunnableModel>> {
    let model = {
        let proto = ModelProto::decode(bytes)?;
        tract_onnx::onnx().model_for_proto_model(&proto)?
    };
    model.into_optimized()?.into_runnable()
}
