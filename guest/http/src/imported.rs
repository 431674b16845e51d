//! The model that the component imports.

use tensorlet_answer::{Answer, LabelScore, Segment, Speech};
use tensorlet_model::{Description, Input, PredictError};
use tensorlet_tensor::NamedTensor;

use crate::bindings::tensorlet::model::answer as wit;
use crate::model::{AnswerError, Model};

/// The model that the component imports.
pub(crate) struct Imported;

impl Model for Imported {
    fn describe(&self) -> Description {
        tensorlet_model::describe()
    }

    fn predict(&self, inputs: &[Input<'_>]) -> Result<Vec<NamedTensor>, PredictError> {
        tensorlet_model::predict(inputs)
    }

    fn answer(&self, file: &[u8]) -> Result<Answer, AnswerError> {
        wit::answer(file).map(answer).map_err(|error| match error {
            wit::AnswerError::InvalidFile(wit::InvalidFile { expected, found }) => {
                AnswerError::InvalidFile { expected, found }
            }
            wit::AnswerError::Failed(reason) => AnswerError::Failed(reason),
            wit::AnswerError::Undeclared => AnswerError::Undeclared,
        })
    }
}

fn answer(verdict: wit::Verdict) -> Answer {
    match verdict {
        wit::Verdict::Labels(labels) => {
            Answer::Labels(labels.into_iter().map(label_score).collect())
        }
        wit::Verdict::Speech(wit::Speech { segments, scores }) => {
            let segments = segments.into_iter().map(|segment| Segment {
                start_s: segment.start,
                end_s: segment.end,
                peak: segment.peak,
            });
            Answer::Speech(Speech {
                segments: segments.collect(),
                scores,
            })
        }
    }
}

fn label_score(score: wit::LabelScore) -> LabelScore {
    LabelScore {
        label: score.label,
        score: score.score,
        instead_of: score.instead_of,
    }
}
