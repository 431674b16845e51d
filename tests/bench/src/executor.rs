//! Tensorlet's plan and kernels.

use std::path::Path;

use anyhow::Result;
use tensorlet_answer::ModelToml;
use tensorlet_compile::{BuildOptions, Literal};
use tensorlet_executor::{Executor, LoadOptions};
use tensorlet_kernels::Crew;
use tensorlet_runtime::threads::Threads;
use tensorlet_tensor::TensorSpec;

use crate::figures::{self, Figures};
use crate::input::{self, Input};

/// Measures calls to the executor. Compiling the model to a plan is not counted: components carry plans.
pub(crate) fn measure(
    model: &Path,
    inputs: &[Input],
    iterations: u32,
    threads: usize,
) -> Result<Figures> {
    let plan = tensorlet_compile::plan(model, &options(model, inputs)?)?;
    let inputs = input::tensors(inputs)?;
    figures::measure(iterations, || {
        let executor = Executor::load(&plan, LoadOptions::default())?;
        let threads = Threads::new(threads);
        Ok(move || {
            let team = threads.recruit(threads.size());
            executor.predict_with(&inputs, Crew::new(Some(&team), None))?;
            Ok(())
        })
    })
}

/// Compiles the model and loads it, for calls on one thread.
pub(crate) fn load(model: &Path, inputs: &[Input]) -> Result<Executor> {
    let plan = tensorlet_compile::plan(model, &options(model, inputs)?)?;
    Ok(Executor::load(&plan, LoadOptions::default())?)
}

fn options(model: &Path, inputs: &[Input]) -> Result<BuildOptions> {
    let mut options = BuildOptions {
        name: "bench".into(),
        version: "1".into(),
        inputs: declared(model)?,
        ..BuildOptions::default()
    };
    for input in inputs.iter().filter(|input| input.is_bound()) {
        let value = input.value.unwrap_or_default();
        let literal = if input.spec.datum_type.is_float() {
            Literal::Float(value)
        } else {
            Literal::Int(value as i64)
        };
        options.bind.insert(input.spec.name.clone(), literal);
    }
    Ok(options)
}

/// Returns the inputs as a model.toml beside the model fixes them, so that the plan is that of the component.
fn declared(model: &Path) -> Result<Vec<TensorSpec>> {
    match std::fs::read_to_string(model.with_file_name("model.toml")) {
        Ok(text) => Ok(ModelToml::parse(&text)?.inputs),
        Err(_) => Ok(vec![]),
    }
}
