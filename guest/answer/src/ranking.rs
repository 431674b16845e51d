//! Makes labels of scores, the best first.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use tensorlet_tensor::{NamedTensor, Tensor};

use crate::model_toml::TopK;
use crate::outputs::find_f32;
use crate::{InvalidOutput, LabelScore, NoAnswerer};

/// The most labels of a model.
const MAX_LABELS: usize = 1 << 20;

/// The longest label, in bytes.
const MAX_LABEL_LEN_BYTES: usize = 1024;

/// A [`TopK`] with its labels.
#[derive(Clone, Debug)]
pub(crate) struct Ranking {
    top_k: TopK,
    /// One for each score. Invariant: not empty.
    labels: Vec<String>,
}

impl Ranking {
    pub(crate) fn new(top_k: &TopK, labels: Option<&str>) -> Result<Self, NoAnswerer> {
        let Some(text) = labels else {
            return Err(NoAnswerer::Missing {
                path: top_k.labels.clone(),
            });
        };
        let ranking = Self {
            top_k: top_k.clone(),
            labels: read_labels(text)?,
        };
        ranking.check_names()?;
        Ok(ranking)
    }

    /// Checks that `model.toml` speaks of no label that is not there.
    fn check_names(&self) -> Result<(), NoAnswerer> {
        let confidence = self.top_k.confidence.as_ref();
        let labels: BTreeSet<&String> = self.labels.iter().collect();
        let is_label = |name: &String| labels.contains(name);
        let is_fallback = |name: &String| {
            confidence.is_some_and(|c| *name == c.fallback_text || *name == c.fallback_bytes)
        };
        let unknown_in = |field, name: Option<&String>| match name {
            Some(label) => Err(NoAnswerer::Unknown {
                field,
                label: label.clone(),
            }),
            None => Ok(()),
        };
        unknown_in(
            "postprocess.thresholds",
            confidence.and_then(|c| c.thresholds.keys().find(|name| !is_label(name))),
        )?;
        let mut renamed = self.top_k.rename.keys();
        unknown_in(
            "postprocess.rename",
            renamed.find(|name| !is_label(name) && !is_fallback(name)),
        )
    }

    /// Returns the `k` best labels.
    ///
    /// Equal scores keep the order of the labels; scores that are no numbers come last. `is_text` is asked only
    /// when the best score is below its threshold.
    ///
    /// # Errors
    /// If the output is missing or not one f32 for each label.
    pub(crate) fn rank(
        &self,
        outputs: &[NamedTensor],
        is_text: impl FnOnce() -> bool,
    ) -> Result<Vec<LabelScore>, InvalidOutput> {
        let scores = self.scores(outputs)?;
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| descending(scores[a], scores[b]));

        let mut rows: Vec<LabelScore> = order
            .into_iter()
            .take(self.top_k.k as usize)
            .map(|index| LabelScore {
                label: self.labels[index].clone(),
                score: scores[index],
                instead_of: None,
            })
            .collect();
        if let Some(best) = rows.first_mut() {
            self.replace_if_unsure(best, is_text);
        }
        for row in &mut rows {
            if let Some(name) = self.top_k.rename.get(&row.label) {
                row.label.clone_from(name);
            }
        }
        Ok(rows)
    }

    fn scores(&self, outputs: &[NamedTensor]) -> Result<Vec<f32>, InvalidOutput> {
        let len = self.labels.len();
        let is_one_row = |tensor: &Tensor| tensor.len() == len && tensor.dims() == [1, len as u32];
        let tensor = find_f32(
            outputs,
            &self.top_k.output,
            &format!("[1, {len}]"),
            is_one_row,
        )?;
        let mut scores: Vec<f32> = tensor.to_values().expect("the output is f32");
        if self.top_k.softmax {
            softmax(&mut scores);
        }
        Ok(scores)
    }

    fn replace_if_unsure(&self, best: &mut LabelScore, is_text: impl FnOnce() -> bool) {
        let Some(confidence) = &self.top_k.confidence else {
            return;
        };
        let threshold = confidence.thresholds.get(&best.label);
        let Some(threshold) = threshold.copied().or(confidence.default_threshold) else {
            return;
        };
        // A score that is no number is not sure either.
        if best.score >= threshold {
            return;
        }
        let fallback = if is_text() {
            &confidence.fallback_text
        } else {
            &confidence.fallback_bytes
        };
        best.instead_of = Some(std::mem::replace(&mut best.label, fallback.clone()));
    }
}

fn read_labels(text: &str) -> Result<Vec<String>, NoAnswerer> {
    let invalid = |index: usize, expected: String, found: String| NoAnswerer::Line {
        line: index + 1,
        expected,
        found,
    };
    let text = text.trim_end();
    if text.is_empty() {
        return Err(invalid(0, "a label".into(), "nothing".into()));
    }
    let mut labels = vec![];
    for (index, label) in text.lines().map(str::trim).enumerate() {
        if label.is_empty() {
            return Err(invalid(index, "a label".into(), "nothing".into()));
        }
        if label.len() > MAX_LABEL_LEN_BYTES {
            let expected = format!("at most {MAX_LABEL_LEN_BYTES} bytes");
            return Err(invalid(index, expected, label.len().to_string()));
        }
        if index == MAX_LABELS {
            let expected = format!("at most {MAX_LABELS} labels");
            return Err(invalid(index, expected, "one more".into()));
        }
        labels.push(label.into());
    }
    Ok(labels)
}

/// Replaces the values by their softmax. The greatest is subtracted first, so that large ones do not overflow.
fn softmax(values: &mut [f32]) {
    let greatest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for value in values.iter_mut() {
        *value = (*value - greatest).exp();
    }
    let sum: f32 = values.iter().sum();
    for value in values {
        *value /= sum;
    }
}

fn descending(a: f32, b: f32) -> Ordering {
    b.partial_cmp(&a)
        .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

#[cfg(test)]
mod tests;
