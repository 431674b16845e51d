//! tract, as those who embed it use it: dims fixed, then optimised.

use std::path::Path;

use anyhow::{Result, anyhow};
use tensorlet_executor::tract_tensor::to_tract;
use tract_onnx::prelude::{
    Framework, InferenceFact, InferenceModelExt, IntoRunnable, IntoTValue, TValue, TVec, TractError,
};

use crate::figures::{self, Figures};
use crate::input::Input;

/// Measures calls to tract.
pub(crate) fn measure(model: &Path, inputs: &[Input], iterations: u32) -> Result<Figures> {
    let tensors = inputs
        .iter()
        .map(|input| Ok((input, to_tract(&input.tensor()?).map_err(wrap)?)))
        .collect::<Result<Vec<_>>>()?;
    figures::measure(iterations, || {
        let mut inference = tract_onnx::onnx().model_for_path(model).map_err(wrap)?;
        let names: Vec<String> = inference
            .input_outlets()
            .map_err(wrap)?
            .iter()
            .map(|outlet| inference.node(outlet.node).name.clone())
            .collect();
        let mut values: TVec<TValue> = TVec::new();
        for (index, name) in names.iter().enumerate() {
            let found = tensors.iter().find(|(input, _)| input.spec.name == *name);
            let (input, tensor) = found.ok_or_else(|| anyhow!("no input `{name}` is given"))?;
            let fact = if input.is_bound() {
                InferenceFact::from(tensor.clone())
            } else {
                InferenceFact::dt_shape(tensor.datum_type(), tensor.shape())
            };
            inference.set_input_fact(index, fact).map_err(wrap)?;
            values.push(tensor.clone().into_tvalue());
        }
        let model = inference.into_optimized().map_err(wrap)?;
        let runnable = model.into_runnable().map_err(wrap)?;
        Ok(move || {
            runnable.run(values.clone()).map_err(wrap)?;
            Ok(())
        })
    })
}

fn wrap(error: TractError) -> anyhow::Error {
    anyhow!("{error:#}")
}
