//! Joins the parts: file to inputs, inputs to outputs, outputs to answer.

use tensorlet_tensor::NamedTensor;

use crate::error::{AnswerError, InvalidFile};
use crate::model_toml::{
    AudioInput, BytesInput, ModelToml, PictureInput, Postprocess, Preprocess, SpeechSegments,
};
use crate::ranking::{NoAnswerer, Ranking};
use crate::speech;
use crate::{Answer, Speech};

/// Turns files into answers, as a `model.toml` says. Made by [`ModelToml::answerer`].
#[derive(Clone, Debug)]
pub struct Answerer {
    pipeline: Pipeline,
}

#[derive(Clone, Debug)]
enum Pipeline {
    Picture(PictureInput, Ranking),
    Bytes(BytesInput, Ranking),
    Audio(AudioInput, SpeechSegments),
}

impl Answerer {
    /// Answers what the file is or holds.
    ///
    /// `predict` is called once, with recordings once a chunk in the order of time. What it returns may hold
    /// outputs that are not needed.
    ///
    /// # Errors
    /// If the file is not what the model takes or beyond the limits of [`Answerer::inputs`], if `predict`
    /// fails, which ends it, or if an output is missing or of another type than `model.toml` says.
    pub fn answer<E>(
        &self,
        file: &[u8],
        mut predict: impl FnMut(Vec<NamedTensor>) -> Result<Vec<NamedTensor>, E>,
    ) -> Result<Answer, AnswerError<E>> {
        match &self.pipeline {
            Pipeline::Picture(picture, ranking) => {
                let outputs = predict(picture.inputs(file)?).map_err(AnswerError::Predict)?;
                Ok(Answer::Labels(ranking.rank(&outputs, || false)?))
            }
            Pipeline::Bytes(bytes, ranking) => {
                let outputs = predict(bytes.inputs(file)?).map_err(AnswerError::Predict)?;
                let rows = ranking.rank(&outputs, || bytes.is_text(file))?;
                Ok(Answer::Labels(rows))
            }
            Pipeline::Audio(audio, segments) => {
                let recording = audio.decode(file)?;
                let mut state = audio.first_state();
                let mut scores = vec![];
                for window in recording.windows() {
                    let inputs = audio.inputs(window, state);
                    let outputs = predict(inputs).map_err(AnswerError::Predict)?;
                    scores.push(segments.score(&outputs)?);
                    state = audio.next_state(&outputs)?;
                }
                let spans = recording.chunk_spans_s();
                let segments = speech::join(&scores, spans, segments.threshold);
                Ok(Answer::Speech(Speech { segments, scores }))
            }
        }
    }

    /// Returns the inputs of the first, for recordings perhaps not the only call.
    ///
    /// # Errors
    /// If the file is not what the model takes. Pictures may have 65 535 pixels a side, 100 million pixels and
    /// 512 MiB when decoded or half resized; recordings 67 108 864 samples and 1 048 576 chunks.
    pub fn inputs(&self, file: &[u8]) -> Result<Vec<NamedTensor>, InvalidFile> {
        match &self.pipeline {
            Pipeline::Picture(picture, _) => picture.inputs(file),
            Pipeline::Bytes(bytes, _) => bytes.inputs(file),
            Pipeline::Audio(audio, _) => {
                let recording = audio.decode(file)?;
                let first = recording.windows().next().unwrap_or_default();
                Ok(audio.inputs(first, audio.first_state()))
            }
        }
    }

    pub(crate) fn new(model: &ModelToml, labels: Option<&str>) -> Result<Self, NoAnswerer> {
        let pipeline = match (&model.preprocess, &model.postprocess) {
            (Some(Preprocess::Picture(picture)), Some(Postprocess::TopK(top_k))) => {
                Pipeline::Picture(picture.clone(), Ranking::new(top_k, labels)?)
            }
            (Some(Preprocess::Bytes(bytes)), Some(Postprocess::TopK(top_k))) => {
                Pipeline::Bytes(bytes.clone(), Ranking::new(top_k, labels)?)
            }
            (Some(Preprocess::Audio(audio)), Some(Postprocess::Speech(segments))) => {
                Pipeline::Audio(audio.clone(), segments.clone())
            }
            _ => return Err(NoAnswerer::NoPipeline),
        };
        Ok(Self { pipeline })
    }
}

#[cfg(test)]
mod tests;
