//! Sub-graphs that tract executes.

use std::sync::Arc;

use prost::Message;
use tensorlet_plan::{Plan, SubgraphFormat, TractStep, ValueId};
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::{
    Framework, InferenceModelExt, IntoRunnable, IntoTValue, TValue, TVec, Tensor, TractResult,
    TypedRunnableModel,
};
use tract_onnx::tract_core::internal::IntoTensor;

use crate::executor::{LoadError, PredictError};

/// A sub-graph, parsed, optimised and packed.
pub(crate) struct LoadedTractStep {
    runnable: Arc<TypedRunnableModel>,
    one_row: bool,
    inputs: Vec<ValueId>,
    outputs: Vec<ValueId>,
}

impl LoadedTractStep {
    pub(crate) fn load(plan: &Plan<'_>, step: &TractStep) -> Result<Self, LoadError> {
        let range = step.subgraph.start as usize..step.subgraph.end as usize;
        let SubgraphFormat::Onnx = step.format;
        let runnable = load_onnx(&plan.constants[range])
            .map_err(|error| LoadError::new(format!("{error:#}")))?;
        let (inputs, outputs) = (
            runnable.model().inputs.len(),
            runnable.model().outputs.len(),
        );
        if (inputs, outputs) != (step.inputs.len(), step.outputs.len()) {
            let expected = format!(
                "{} inputs and {} outputs",
                step.inputs.len(),
                step.outputs.len()
            );
            return Err(LoadError::new(format!(
                "expected a sub-graph of {expected}, found {inputs} and {outputs}"
            )));
        }
        Ok(Self {
            runnable,
            one_row: step.one_row,
            inputs: step.inputs.clone(),
            outputs: step.outputs.clone(),
        })
    }

    pub(crate) fn run(&self, values: &mut [Option<TValue>]) -> Result<(), PredictError> {
        let inputs: TVec<TValue> = self
            .inputs
            .iter()
            .map(|id| {
                values[id.index()]
                    .clone()
                    .expect("`verify` saw every input of a step written before it")
            })
            .collect();
        let result = if self.one_row {
            self.run_rows(&inputs)
        } else {
            self.runnable.run(inputs)
        };
        let outputs = result.map_err(|error| PredictError::Failed(format!("{error:#}")))?;
        for (id, output) in self.outputs.iter().zip(outputs) {
            values[id.index()] = Some(output);
        }
        Ok(())
    }

    /// Runs the sub-graph once for each row and joins what comes out.
    fn run_rows(&self, inputs: &[TValue]) -> TractResult<TVec<TValue>> {
        let rows = inputs
            .first()
            .and_then(|input| input.shape().first())
            .copied()
            .unwrap_or(1);
        if rows == 1 {
            return self.runnable.run(inputs.iter().cloned().collect());
        }
        let mut outputs: TVec<Vec<Tensor>> = self
            .outputs
            .iter()
            .map(|_| Vec::with_capacity(rows))
            .collect();
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
            .map(|rows| Ok(Tensor::stack_tensors(0, rows)?.into_tvalue()))
            .collect()
    }
}

fn load_onnx(bytes: &[u8]) -> TractResult<Arc<TypedRunnableModel>> {
    let model = {
        let proto = ModelProto::decode(bytes)?;
        tract_onnx::onnx().model_for_proto_model(&proto)?
    };
    model.into_optimized()?.into_runnable()
}
