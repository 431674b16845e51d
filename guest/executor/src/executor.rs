//! Runs the steps of a plan in order.

use tensorlet_plan::{Description, Plan, Step, Value, ValueId};
use tensorlet_tensor::{InvalidInput, NamedTensor};
use tract_onnx::prelude::TValue;

use crate::tract_step::LoadedTractStep;
use crate::tract_tensor::{from_tract, to_tract};

/// A plan, loaded and ready to predict.
///
/// Calls leave no trace in it: equal inputs give equal outputs.
pub struct Executor {
    description: Description,
    /// Name and datum type of each value. Invariant: step ids are in bounds (the plan was verified).
    values: Vec<Value>,
    steps: Vec<LoadedStep>,
    /// The value of each of the signature's outputs, in its order.
    outputs: Vec<ValueId>,
}

impl Executor {
    /// Loads a plan: parses and optimises its sub-graphs.
    ///
    /// # Errors
    /// If the plan is invalid, or a sub-graph cannot be loaded.
    pub fn load(plan: &Plan<'_>) -> Result<Self, LoadError> {
        plan.verify()
            .map_err(|error| LoadError(error.to_string()))?;
        let steps = plan
            .steps
            .iter()
            .map(|step| LoadedStep::load(plan, step))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            description: plan.description.clone(),
            values: plan.values.clone(),
            steps,
            outputs: output_ids(plan)?,
        })
    }

    /// Returns what the model says about itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Computes the outputs, in the signature's order.
    ///
    /// # Errors
    /// If an input does not fit the signature, or a step fails.
    pub fn predict(&self, inputs: &[NamedTensor]) -> Result<Vec<NamedTensor>, PredictError> {
        let signature = &self.description.signature;
        signature.bind(inputs)?;

        let mut values: Vec<Option<TValue>> = vec![None; self.values.len()];
        for (slot, spec) in values.iter_mut().zip(&signature.inputs) {
            let (_, tensor) = inputs
                .iter()
                .find(|(name, _)| *name == spec.name)
                .expect("`bind` found every input");
            *slot = Some(
                to_tract(tensor)
                    .map_err(|error| PredictError::failed(&spec.name, &error))?
                    .into(),
            );
        }
        for step in &self.steps {
            step.run(&mut values)?;
        }
        self.outputs
            .iter()
            .map(|id| {
                let spec = &self.values[id.index()];
                let value = values[id.index()]
                    .as_ref()
                    .expect("`verify` saw every output written");
                let tensor =
                    from_tract(value).map_err(|error| PredictError::failed(&spec.name, &error))?;
                Ok((spec.name.clone(), tensor))
            })
            .collect()
    }
}

/// A sub-graph or plan that cannot be loaded.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct LoadError(String);

impl LoadError {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// Why a call produced no outputs.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PredictError {
    /// An input does not fit the signature.
    #[error(transparent)]
    InvalidInput(#[from] InvalidInput),
    /// The model cannot be computed for these inputs.
    #[error("{0}")]
    Failed(String),
}

impl PredictError {
    fn failed(name: &str, error: &dyn std::fmt::Display) -> Self {
        Self::Failed(format!("`{name}`: {error}"))
    }
}

enum LoadedStep {
    Tract(LoadedTractStep),
}

impl LoadedStep {
    fn load(plan: &Plan<'_>, step: &Step) -> Result<Self, LoadError> {
        match step {
            Step::Tract(step) => LoadedTractStep::load(plan, step).map(Self::Tract),
        }
    }

    fn run(&self, values: &mut [Option<TValue>]) -> Result<(), PredictError> {
        match self {
            Self::Tract(step) => step.run(values),
        }
    }
}

fn output_ids(plan: &Plan<'_>) -> Result<Vec<ValueId>, LoadError> {
    let inputs = plan.description.signature.inputs.len();
    let find = |name: &str| {
        // A value that a step writes comes before an input of the same name.
        let written = (inputs..plan.values.len()).find(|&index| plan.values[index].name == name);
        let index = written.or_else(|| {
            plan.values[..inputs]
                .iter()
                .position(|value| value.name == name)
        })?;
        u32::try_from(index).ok().map(ValueId)
    };
    let outputs = &plan.description.signature.outputs;
    outputs
        .iter()
        .map(|output| {
            find(&output.name).ok_or_else(|| LoadError::new(format!("no value `{}`", output.name)))
        })
        .collect()
}
