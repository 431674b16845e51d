//! Outputs for tensors in files.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use tensorlet_runtime::{CallOptions, Model};
use tensorlet_tensor::{InvalidInput, NamedTensor, Signature};

use super::outputs::Outputs;
use crate::args::PredictArgs;
use crate::clock::timed;
use crate::exit::Failure;
use crate::json;
use crate::output_file;
use crate::tensor_file;
use crate::units::{ms, ms_text};

/// Predicts once, and prints the outputs or writes them to files.
pub(super) fn run(args: &PredictArgs, model: &Model, options: &CallOptions) -> Result<()> {
    let inputs = inputs(args, &model.description().signature)?;
    let (outputs, latency) = timed(|| model.predict(&inputs, options));
    let outputs = outputs?;
    let files = args
        .output_dir
        .as_deref()
        .map(|dir| write(dir, &outputs))
        .transpose()?;
    let latency_ms = ms(latency);
    let outputs = Outputs::new(&outputs, files.as_deref(), latency_ms);
    if args.json {
        return Ok(json::print(&outputs)?);
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}\nlatency {}", outputs.table(), ms_text(latency_ms))?;
    Ok(())
}

fn inputs(args: &PredictArgs, signature: &Signature) -> Result<Vec<NamedTensor>> {
    let mut inputs: Vec<NamedTensor> = vec![];
    for (name, file) in &args.inputs {
        let Some(spec) = signature.inputs.iter().find(|spec| spec.name == *name) else {
            let names: Vec<String> = signature
                .inputs
                .iter()
                .map(|spec| format!("`{}`", spec.name))
                .collect();
            let expected = if names.is_empty() {
                "no inputs".into()
            } else {
                format!("one of {}", names.join(", "))
            };
            return Err(
                InvalidInput::new(name, expected, "an input that the model does not have").into(),
            );
        };
        inputs.push((name.clone(), tensor_file::read(file, spec)?));
    }
    // Those who typed no input at all did not know how.
    if let (true, Some(first)) = (inputs.is_empty(), signature.inputs.first()) {
        let missing = InvalidInput::new(&first.name, first.type_text(), "nothing");
        return Err(Failure::input(format!(
            "{missing}; give it with --input '{}=FILE', or give a FILE",
            first.name
        ))
        .into());
    }
    Ok(inputs)
}

/// Writes each output to a file of its own; returns the names of the files.
fn write(dir: &Path, outputs: &[NamedTensor]) -> Result<Vec<String>> {
    std::fs::create_dir_all(dir)
        .with_context(|| format!("cannot make the folder {}", dir.display()))?;
    let mut names = output_file::names(outputs.iter().map(|(name, _)| name.as_str()));
    for (name, (_, tensor)) in names.iter_mut().zip(outputs) {
        name.push_str(".npy");
        output_file::write(&dir.join(&name), &tensor_file::write_npy(tensor))?;
    }
    Ok(names)
}
