//! Joins the parts: file to inputs, inputs to outputs, outputs to answer.

use tensorlet_tensor::NamedTensor;

use crate::Answer;
use crate::error::{AnswerError, InvalidFile, NoAnswerer};
#[cfg(feature = "bytes")]
use crate::model_toml::BytesInput;
#[cfg(feature = "picture")]
use crate::model_toml::PictureInput;
#[cfg(feature = "audio")]
use crate::model_toml::{AudioInput, SpeechSegments};
use crate::model_toml::{ModelToml, Postprocess, Preprocess};
#[cfg(any(feature = "bytes", feature = "picture"))]
use crate::ranking::Ranking;

/// Turns files into answers, as a `model.toml` says. Made by [`ModelToml::answerer`].
#[derive(Clone, Debug)]
pub struct Answerer {
    pipeline: Pipeline,
}

#[derive(Clone, Debug)]
enum Pipeline {
    #[cfg(feature = "picture")]
    Picture(PictureInput, Ranking),
    #[cfg(feature = "bytes")]
    Bytes(BytesInput, Ranking),
    #[cfg(feature = "audio")]
    Audio(AudioInput, SpeechSegments),
}

/// The kinds whose code is there.
const BUILT_IN: &[&str] = &[
    #[cfg(feature = "picture")]
    "picture",
    #[cfg(feature = "bytes")]
    "bytes",
    #[cfg(feature = "audio")]
    "audio",
];

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
            #[cfg(feature = "picture")]
            Pipeline::Picture(picture, ranking) => {
                let outputs = predict(picture.inputs(file)?).map_err(AnswerError::Predict)?;
                Ok(Answer::Labels(ranking.rank(&outputs, || false)?))
            }
            #[cfg(feature = "bytes")]
            Pipeline::Bytes(bytes, ranking) => {
                let outputs = predict(bytes.inputs(file)?).map_err(AnswerError::Predict)?;
                let rows = ranking.rank(&outputs, || bytes.is_text(file))?;
                Ok(Answer::Labels(rows))
            }
            #[cfg(feature = "audio")]
            Pipeline::Audio(audio, segments) => {
                let speech = segments.find(audio, file, &mut predict)?;
                Ok(Answer::Speech(speech))
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
            #[cfg(feature = "picture")]
            Pipeline::Picture(picture, _) => picture.inputs(file),
            #[cfg(feature = "bytes")]
            Pipeline::Bytes(bytes, _) => bytes.inputs(file),
            #[cfg(feature = "audio")]
            Pipeline::Audio(audio, _) => {
                let recording = audio.decode(file)?;
                let first = recording.windows().next().unwrap_or_default();
                Ok(audio.inputs(first, audio.first_state()))
            }
        }
    }

    pub(crate) fn new(model: &ModelToml, labels: Option<&str>) -> Result<Self, NoAnswerer> {
        // Recordings have no labels.
        #[cfg(not(any(feature = "bytes", feature = "picture")))]
        let _ = labels;
        let pipeline = match (&model.preprocess, &model.postprocess) {
            #[cfg(feature = "picture")]
            (Some(Preprocess::Picture(picture)), Some(Postprocess::TopK(top_k))) => {
                Pipeline::Picture(picture.clone(), Ranking::new(top_k, labels)?)
            }
            #[cfg(feature = "bytes")]
            (Some(Preprocess::Bytes(bytes)), Some(Postprocess::TopK(top_k))) => {
                Pipeline::Bytes(bytes.clone(), Ranking::new(top_k, labels)?)
            }
            #[cfg(feature = "audio")]
            (Some(Preprocess::Audio(audio)), Some(Postprocess::Speech(segments))) => {
                Pipeline::Audio(audio.clone(), segments.clone())
            }
            (Some(preprocess), Some(_)) if !BUILT_IN.contains(&preprocess.kind()) => {
                return Err(NoAnswerer::NotBuiltIn {
                    built_in: BUILT_IN,
                    found: preprocess.kind(),
                });
            }
            _ => return Err(NoAnswerer::NoPipeline),
        };
        Ok(Self { pipeline })
    }
}

#[cfg(test)]
mod tests;
