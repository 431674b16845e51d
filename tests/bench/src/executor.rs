//! Tensorlet's plan and kernels.

use std::path::Path;

use anyhow::Result;
use tensorlet_answer::ModelToml;
use tensorlet_compile::{BuildOptions, Literal};
use tensorlet_executor::{Executor, LoadOptions};
use tensorlet_tensor::{NamedTensor, TensorSpec};

use crate::figures::{self, Figures};
use crate::input::Input;

/// Measures calls to the executor. Compiling the model to a plan is not counted: components carry plans.
pub(crate) fn measure(model: &Path, inputs: &[Input], iterations: u32) -> Result<Figures> {
    let mut options = BuildOptions {
        name: "bench".into(),
        version: "1".into(),
        inputs: declared(model)?,
        ..BuildOptions::default()
    };
    let (bound, free): (Vec<&Input>, Vec<&Input>) =
        inputs.iter().partition(|input| input.is_bound());
    for input in bound {
        let value = input.value.unwrap_or_default();
        let literal = if input.spec.datum_type.is_float() {
            Literal::Float(value)
        } else {
            Literal::Int(value as i64)
        };
        options.bind.insert(input.spec.name.clone(), literal);
    }
    let plan = tensorlet_compile::plan(model, &options)?;
    let inputs = free
        .into_iter()
        .map(|input| Ok((input.spec.name.clone(), input.tensor()?)))
        .collect::<Result<Vec<NamedTensor>>>()?;
    figures::measure(iterations, || {
        let executor = Executor::load(&plan, LoadOptions::default())?;
        Ok(move || {
            executor.predict(&inputs)?;
            Ok(())
        })
    })
}

/// Returns the inputs as a model.toml beside the model fixes them, so that the plan is that of the component.
fn declared(model: &Path) -> Result<Vec<TensorSpec>> {
    match std::fs::read_to_string(model.with_file_name("model.toml")) {
        Ok(text) => Ok(ModelToml::parse(&text)?.inputs),
        Err(_) => Ok(vec![]),
    }
}
