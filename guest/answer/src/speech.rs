//! Makes segments of speech of a score for each chunk.

use tensorlet_tensor::NamedTensor;

use crate::model_toml::{AudioInput, SpeechSegments};
use crate::outputs::find_f32;
use crate::{AnswerError, InvalidOutput, Segment, Speech};

impl SpeechSegments {
    /// Finds the speech in a recording; calls `predict` once a chunk, in the order of time.
    ///
    /// # Errors
    /// As [`Answerer::answer`](crate::Answerer::answer).
    pub(crate) fn find<E>(
        &self,
        audio: &AudioInput,
        file: &[u8],
        mut predict: impl FnMut(Vec<NamedTensor>) -> Result<Vec<NamedTensor>, E>,
    ) -> Result<Speech, AnswerError<E>> {
        let recording = audio.decode(file)?;
        let mut state = audio.first_state();
        let mut scores = vec![];
        for window in recording.windows() {
            let inputs = audio.inputs(window, state);
            let outputs = predict(inputs).map_err(AnswerError::Predict)?;
            scores.push(self.score(&outputs)?);
            state = audio.next_state(&outputs)?;
        }
        let segments = join(&scores, recording.chunk_spans_s(), self.threshold);
        Ok(Speech { segments, scores })
    }

    /// Returns the score of one chunk.
    ///
    /// # Errors
    /// If the output is missing or not one f32.
    fn score(&self, outputs: &[NamedTensor]) -> Result<f32, InvalidOutput> {
        let tensor = find_f32(outputs, &self.output, "[1, 1]", |tensor| tensor.len() == 1)?;
        let values: Option<Vec<f32>> = tensor.to_values();
        Ok(values.expect("the output is f32")[0])
    }
}

/// Joins neighbouring chunks whose score is at least the threshold. A score that is no number is not.
fn join(scores: &[f32], spans_s: impl Iterator<Item = (f64, f64)>, threshold: f32) -> Vec<Segment> {
    let mut segments: Vec<Segment> = vec![];
    let mut is_open = false;
    for (&score, (start_s, end_s)) in scores.iter().zip(spans_s) {
        let is_speech = score >= threshold;
        match segments.last_mut() {
            Some(segment) if is_speech && is_open => {
                segment.end_s = end_s;
                segment.peak = segment.peak.max(score);
            }
            _ if is_speech => segments.push(Segment {
                start_s,
                end_s,
                peak: score,
            }),
            _ => {}
        }
        is_open = is_speech;
    }
    segments
}

#[cfg(test)]
mod tests {
    use tensorlet_tensor::Tensor;

    use super::*;

    fn joined(scores: &[f32]) -> Vec<(f64, f64, f32)> {
        let spans = (0..scores.len()).map(|chunk| (chunk as f64, chunk as f64 + 1.0));
        join(scores, spans, 0.5)
            .iter()
            .map(|segment| (segment.start_s, segment.end_s, segment.peak))
            .collect()
    }

    #[test]
    fn neighbours_are_joined() {
        assert_eq!(
            joined(&[0.5, 0.9, 0.6, 0.4, f32::NAN, 0.7, 0.1]),
            [(0.0, 3.0, 0.9), (5.0, 6.0, 0.7)]
        );
        assert_eq!(joined(&[0.1, 1.0]), [(1.0, 2.0, 1.0)], "speech to the end");
        assert_eq!(joined(&[]), []);
    }

    #[test]
    fn a_score_is_one_f32_of_any_rank() {
        let segments = SpeechSegments {
            output: "score".into(),
            threshold: 0.5,
        };
        let scored = |dims: &[u32], values: &[f32]| {
            let tensor = Tensor::from_values(dims.to_vec(), values).unwrap();
            segments
                .score(&[("score".into(), tensor)])
                .map_err(|error| error.to_string())
        };
        assert_eq!(scored(&[1, 1], &[0.25]), Ok(0.25));
        assert_eq!(scored(&[], &[0.25]), Ok(0.25));
        assert_eq!(
            scored(&[1, 2], &[0.25, 0.5]),
            Err("output `score`: expected f32[1, 1], found f32[1, 2]".into())
        );
    }
}
