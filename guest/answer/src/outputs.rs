//! Finds outputs by name and checks that they are what `model.toml` says.

use tensorlet_tensor::{DatumType, NamedTensor, Tensor};

/// An output that is not what `model.toml` says.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("output `{output}`: expected {expected}, found {found}")]
pub struct InvalidOutput {
    /// The name of the output.
    pub output: String,
    /// What `model.toml` asks for.
    pub expected: String,
    /// What predicting gave.
    pub found: String,
}

/// Finds an f32 output whose dims `accept` takes; `dims` says in words which those are.
///
/// # Errors
/// If there is none.
pub(crate) fn find_f32<'a>(
    outputs: &'a [NamedTensor],
    name: &str,
    dims: &str,
    accept: impl FnOnce(&Tensor) -> bool,
) -> Result<&'a Tensor, InvalidOutput> {
    let invalid = |found: String| InvalidOutput {
        output: name.into(),
        expected: format!("f32{dims}"),
        found,
    };
    let Some((_, tensor)) = outputs.iter().find(|(output, _)| output == name) else {
        let names: Vec<String> = outputs
            .iter()
            .map(|(output, _)| format!("`{output}`"))
            .collect();
        return Err(invalid(if names.is_empty() {
            "no outputs".into()
        } else {
            format!("only {}", names.join(", "))
        }));
    };
    if tensor.datum_type() == DatumType::F32 && accept(tensor) {
        Ok(tensor)
    } else {
        Err(invalid(tensor.type_text()))
    }
}
