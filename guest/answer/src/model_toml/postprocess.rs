//! The `[postprocess]` table: how outputs become an answer.

use std::collections::BTreeMap;

use super::reader::{Table, Value};
use super::{InvalidModelToml, Preprocess};

/// The most labels that an answer may have.
const MAX_K: u32 = 1000;

/// How outputs become an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Postprocess {
    /// `kind = "top-k"`, after a picture or bytes.
    TopK(TopK),
    /// `kind = "speech"`, after audio.
    Speech(SpeechSegments),
}

/// How scores become labels, the best first.
///
/// # Shapes
/// The output is `f32[1, L]` for `L` labels.
#[derive(Clone, Debug, PartialEq)]
pub struct TopK {
    /// The name of the output.
    pub output: String,
    /// The path of the labels, relative to the `model.toml`: a text with a label on each line.
    pub labels: String,
    /// How many labels an answer has, 1 to 1000; if there are fewer, all.
    pub k: u32,
    /// Whether scores are the softmax of the output. The default is false: they are the output.
    pub softmax: bool,
    /// What replaces the best label if its score is low. `None` by default.
    pub confidence: Option<Confidence>,
    /// Other names for labels, fallback labels among them, in all rows of the answer. Empty by default.
    pub rename: BTreeMap<String, String>,
}

/// How high the score of the best label must be, and what the answer is if it is lower. After bytes only.
#[derive(Clone, Debug, PartialEq)]
pub struct Confidence {
    /// The least score of labels that have none in `thresholds`; without it every score of theirs will do.
    pub default_threshold: Option<f32>,
    /// The least score by label. Empty by default.
    pub thresholds: BTreeMap<String, f32>,
    /// The label of files whose bytes, as far as they are looked at, are valid UTF-8.
    pub fallback_text: String,
    /// The label of other files.
    pub fallback_bytes: String,
}

/// How a score for each chunk becomes segments of speech.
///
/// # Shapes
/// The output is an f32 tensor of one element, whatever its rank.
#[derive(Clone, Debug, PartialEq)]
pub struct SpeechSegments {
    /// The name of the output.
    pub output: String,
    /// The least score of a chunk with speech.
    pub threshold: f32,
}

#[derive(Clone, Copy)]
enum Kind {
    TopK,
    Speech,
}

pub(super) fn read(
    value: &Value<'_>,
    preprocess: Option<&Preprocess>,
) -> Result<Postprocess, InvalidModelToml> {
    let table = value.table()?;
    let Some(preprocess) = preprocess else {
        return Err(value.fail("nothing without [preprocess]"));
    };
    let field = table.field("kind");
    let kind = field.one_of(&[("top-k", Kind::TopK), ("speech", Kind::Speech)])?;
    match (kind, preprocess) {
        (Kind::TopK, Preprocess::Picture(_)) => read_top_k(&table, false).map(Postprocess::TopK),
        (Kind::TopK, Preprocess::Bytes(_)) => read_top_k(&table, true).map(Postprocess::TopK),
        (Kind::Speech, Preprocess::Audio(_)) => read_speech(&table).map(Postprocess::Speech),
        (Kind::TopK, Preprocess::Audio(_)) => {
            Err(field.fail("`\"speech\"`, as `preprocess.kind` is `\"audio\"`"))
        }
        (Kind::Speech, Preprocess::Picture(_) | Preprocess::Bytes(_)) => {
            Err(field.fail("`\"top-k\"`, as `preprocess.kind` is not `\"audio\"`"))
        }
    }
}

fn read_top_k(table: &Table<'_>, after_bytes: bool) -> Result<TopK, InvalidModelToml> {
    table.only(&[
        "kind",
        "output",
        "labels",
        "k",
        "softmax",
        "default_threshold",
        "fallback_text",
        "fallback_bytes",
        "thresholds",
        "rename",
    ])?;
    Ok(TopK {
        output: table.field("output").text()?,
        labels: table.field("labels").path()?,
        k: table.field("k").integer(1..=MAX_K)?,
        softmax: table.optional("softmax", Value::boolean)?.unwrap_or(false),
        confidence: read_confidence(table, after_bytes)?,
        rename: table
            .optional("rename", |value| value.map(Value::text))?
            .unwrap_or_default(),
    })
}

fn read_confidence(
    table: &Table<'_>,
    after_bytes: bool,
) -> Result<Option<Confidence>, InvalidModelToml> {
    let default_threshold = table.optional("default_threshold", Value::f32)?;
    let thresholds = table.optional("thresholds", |value| value.map(Value::f32))?;
    let refuse = |names: [&str; 2], expected: &str| {
        let found = names.map(|name| table.optional(name, |value| Err(value.fail(expected))));
        found.into_iter().collect::<Result<Vec<Option<()>>, _>>()
    };
    if default_threshold.is_none() && thresholds.is_none() {
        refuse(
            ["fallback_text", "fallback_bytes"],
            "nothing without `default_threshold` or `thresholds`",
        )?;
        return Ok(None);
    }
    if !after_bytes {
        refuse(
            ["default_threshold", "thresholds"],
            "nothing, as `preprocess.kind` is not `\"bytes\"`",
        )?;
    }
    Ok(Some(Confidence {
        default_threshold,
        thresholds: thresholds.unwrap_or_default(),
        fallback_text: table.field("fallback_text").text()?,
        fallback_bytes: table.field("fallback_bytes").text()?,
    }))
}

fn read_speech(table: &Table<'_>) -> Result<SpeechSegments, InvalidModelToml> {
    table.only(&["kind", "output", "threshold"])?;
    Ok(SpeechSegments {
        output: table.field("output").text()?,
        threshold: table.field("threshold").f32()?,
    })
}
