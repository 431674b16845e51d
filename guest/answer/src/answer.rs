//! What a file's reader is told in the end.

use serde::Serialize;

/// What a model says about a file.
///
/// As JSON: `{"labels": [{"label": "espresso", "score": 0.9}]}`, or
/// `{"speech": {"segments": [{"start_s": 0.0, "end_s": 1.5, "peak": 0.9}], "scores": [0.9]}}`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Answer {
    /// What the file is, the best label first.
    Labels(Vec<LabelScore>),
    /// When somebody speaks.
    Speech(Speech),
}

/// A label and how sure the model is of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabelScore {
    /// The label, by the name that `model.toml` gives it.
    pub label: String,
    /// The model's score, as a rule from 0 to 1; that of `instead_of` if there is one.
    pub score: f32,
    /// The label that the model found best, if its score was below its threshold and `label` is the fallback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<String>,
}

/// When somebody speaks in a recording.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Speech {
    /// The stretches with speech, in the order of time; between two of them is at least one chunk without.
    pub segments: Vec<Segment>,
    /// The score of each chunk.
    pub scores: Vec<f32>,
}

/// A stretch of a recording with speech.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Segment {
    /// Where it starts, in seconds.
    pub start_s: f64,
    /// Where it ends, in seconds; not after the recording's end.
    pub end_s: f64,
    /// The highest score of its chunks.
    pub peak: f32,
}
