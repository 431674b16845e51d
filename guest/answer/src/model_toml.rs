//! The `model.toml` beside a model: where the model is from, and how files become inputs and outputs answers.
//!
//! `reader` turns TOML into values that know their line; each part has a module that reads its table and
//! checks it. What leaves here is checked: nothing behind [`ModelToml`] looks at the text again.

mod constant;
mod error;
mod postprocess;
mod preprocess;
mod reader;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use tensorlet_tensor::TensorSpec;

pub use self::constant::{Constant, InvalidConstant};
pub use self::error::InvalidModelToml;
pub use self::postprocess::{Confidence, Postprocess, SpeechSegments, TopK};
pub use self::preprocess::{
    AudioInput, BytesInput, Channels, Filter, Layout, PictureInput, Preprocess, State,
};
use self::reader::{Table, Value, parse_document};
use crate::answerer::Answerer;
use crate::error::NoAnswerer;

/// The metadata of a component that holds the `model.toml` of which it was built.
pub const MODEL_TOML_KEY: &str = "model.toml";

/// The metadata of a component that holds the file of labels that the `model.toml` names.
pub const LABELS_KEY: &str = "labels";

/// The longest `model.toml` that is read, in bytes. Bounds the number of its entries, too.
const MAX_LEN_BYTES: usize = 1 << 20;

const FIELDS: [&str; 11] = [
    "name",
    "version",
    "description",
    "source",
    "licence",
    "file",
    "sha256",
    "inputs",
    "bind",
    "preprocess",
    "postprocess",
];

/// A `model.toml`, read and checked.
///
/// Whoever changes a field keeps to the range that its description gives.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelToml {
    /// The model's name: letters, digits, `.`, `_` and `-`, and not only dots.
    pub name: String,
    /// The model's version.
    pub version: String,
    /// What the model does, in a sentence.
    pub description: Option<String>,
    /// Where the model is from.
    pub source: String,
    /// The licence of the model.
    pub licence: String,
    /// The path of the ONNX file, relative to the `model.toml`, never leading out of its folder. The default
    /// is `model.onnx`.
    pub file: String,
    /// The SHA-256 of the ONNX file: 64 hexadecimal digits in lower case.
    pub sha256: String,
    /// Inputs whose dims are fixed or named, each at most once. Empty by default.
    pub inputs: Vec<TensorSpec>,
    /// Inputs that become constants, by name. Empty by default.
    pub bind: BTreeMap<String, Constant>,
    /// How a file becomes inputs.
    pub preprocess: Option<Preprocess>,
    /// How outputs become an answer. Fits `preprocess`, which is there if this is.
    pub postprocess: Option<Postprocess>,
}

impl ModelToml {
    /// Reads the text of a `model.toml`.
    ///
    /// # Errors
    /// If the text is longer than 1 MiB or no TOML, if a field is missing, unknown or of the wrong type, or if
    /// a value is out of range; the error names the line and the field.
    pub fn parse(text: &str) -> Result<Self, InvalidModelToml> {
        if text.len() > MAX_LEN_BYTES {
            return Err(InvalidModelToml {
                line: 1,
                field: None,
                expected: format!("at most {MAX_LEN_BYTES} bytes"),
                found: format!("{} bytes", text.len()),
            });
        }
        let document = parse_document(text)?;
        let table = Table::root(text, &document);
        table.only(&FIELDS)?;

        let preprocess = table.optional("preprocess", preprocess::read)?;
        let postprocess = table.optional("postprocess", |value| {
            postprocess::read(value, preprocess.as_ref())
        })?;
        Ok(Self {
            name: table.field("name").checked_text(NAME, is_name)?,
            version: table.field("version").text()?,
            description: table.optional("description", Value::text)?,
            source: table.field("source").text()?,
            licence: table.field("licence").text()?,
            file: table
                .optional("file", Value::path)?
                .unwrap_or_else(|| "model.onnx".into()),
            sha256: table
                .field("sha256")
                .checked_text("64 hexadecimal digits", is_sha256)?
                .to_ascii_lowercase(),
            inputs: table.optional("inputs", read_specs)?.unwrap_or_default(),
            bind: table
                .optional("bind", |value| value.map(Constant::read))?
                .unwrap_or_default(),
            preprocess,
            postprocess,
        })
    }

    /// Returns the path of the labels, relative to the `model.toml`, if answers are made of labels.
    pub fn labels_path(&self) -> Option<&str> {
        match &self.postprocess {
            Some(Postprocess::TopK(top_k)) => Some(&top_k.labels),
            Some(Postprocess::Speech(_)) | None => None,
        }
    }

    /// Makes an answerer. `labels` is the text of the file at [`ModelToml::labels_path`], one label a line;
    /// without such a path it is not looked at.
    ///
    /// # Errors
    /// If there is no [`Preprocess`] or no [`Postprocess`], if the code for it was left out, if the labels are needed and missing, empty or
    /// more than 1 048 576, if one of them is empty or longer than 1024 bytes, or if `model.toml` speaks of a
    /// label that is not among them.
    pub fn answerer(&self, labels: Option<&str>) -> Result<Answerer, NoAnswerer> {
        Answerer::new(self, labels)
    }
}

const NAME: &str = "letters, digits, `.`, `_` and `-`, and not only dots";

fn is_name(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        && text.chars().any(|c| c != '.')
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit())
}

fn read_specs(value: &Value<'_>) -> Result<Vec<TensorSpec>, InvalidModelToml> {
    let mut specs: Vec<TensorSpec> = vec![];
    for item in value.items("an array of texts such as `images:f32[N,3,224,224]`")? {
        let spec: TensorSpec = item
            .text()?
            .parse()
            .map_err(|error| item.fail_with("an input's name, type and dims", error))?;
        if specs.iter().any(|earlier| earlier.name == spec.name) {
            return Err(item.fail("each input once"));
        }
        specs.push(spec);
    }
    Ok(specs)
}
