//! Whether a `model.toml` speaks of the inputs and outputs that the model has.
//!
//! Only the compiled model knows them all, so this comes after compiling and before anything is written.

use std::collections::BTreeMap;

use tensorlet_answer::{ModelToml, Postprocess, Preprocess};
use tensorlet_tensor::{Signature, TensorSpec};

use crate::exit::Failure;

/// Checks that pre-processing makes every input, and post-processing reads outputs that are there.
///
/// # Errors
/// If a name is not the model's, or an input of the model is not made.
pub(super) fn check(toml: &ModelToml, signature: &Signature) -> Result<(), Failure> {
    let (mut made, mut read) = (BTreeMap::new(), BTreeMap::new());
    match &toml.preprocess {
        None => return Ok(()),
        Some(Preprocess::Picture(picture)) => {
            made.insert(picture.input.as_str(), "preprocess.input");
        }
        Some(Preprocess::Bytes(bytes)) => {
            made.insert(bytes.input.as_str(), "preprocess.input");
        }
        Some(Preprocess::Audio(audio)) => {
            made.insert(audio.input.as_str(), "preprocess.input");
            for state in &audio.state {
                made.insert(state.input.as_str(), "preprocess.state");
                read.insert(state.output.as_str(), "preprocess.state");
            }
        }
    }
    match &toml.postprocess {
        None => {}
        Some(Postprocess::TopK(top_k)) => {
            read.insert(top_k.output.as_str(), "postprocess.output");
        }
        Some(Postprocess::Speech(speech)) => {
            read.insert(speech.output.as_str(), "postprocess.output");
        }
    }
    check_known("input", &made, &signature.inputs)?;
    check_known("output", &read, &signature.outputs)?;
    match signature
        .inputs
        .iter()
        .find(|input| !made.contains_key(input.name.as_str()))
    {
        Some(input) => {
            let expected = "expected it to be made by [preprocess], or bound to a value";
            Err(Failure::model(format!(
                "model.toml: input `{}`: {expected}, found neither",
                input.name
            )))
        }
        None => Ok(()),
    }
}

fn check_known(
    what: &str,
    names: &BTreeMap<&str, &str>,
    specs: &[TensorSpec],
) -> Result<(), Failure> {
    for (name, field) in names {
        if !specs.iter().any(|spec| spec.name == *name) {
            let known: Vec<String> = specs
                .iter()
                .map(|spec| format!("`{}`", spec.name))
                .collect();
            let known = known.join(", ");
            let message = format!(
                "model.toml, field `{field}`: expected an {what} of the model ({known}), found `{name}`"
            );
            return Err(Failure::model(message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_audio(inputs: &[&str], outputs: &[&str]) -> String {
        let text = std::fs::read_to_string(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../models/silero-vad/model.toml"
        ));
        let toml = ModelToml::parse(&text.unwrap()).unwrap();
        let specs = |names: &[&str]| {
            names
                .iter()
                .map(|name| format!("{name}:f32[1]").parse().unwrap())
                .collect()
        };
        match check(&toml, &Signature::new(specs(inputs), specs(outputs))) {
            Ok(()) => "fits".into(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn says_which_name_is_not_the_models() {
        assert_eq!(
            check_audio(&["input", "state"], &["output", "stateN", "other"]),
            "fits"
        );
        assert_eq!(
            check_audio(&["input", "state", "sr"], &["output", "stateN"]),
            "model.toml: input `sr`: expected it to be made by [preprocess], or bound to a value, found neither"
        );
        assert_eq!(
            check_audio(&["x", "state"], &["output", "stateN"]),
            "model.toml, field `preprocess.input`: expected an input of the model (`x`, `state`), found `input`"
        );
        assert_eq!(
            check_audio(&["input", "state"], &["output"]),
            "model.toml, field `preprocess.state`: expected an output of the model (`output`), found `stateN`"
        );
    }
}
