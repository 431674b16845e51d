//! The component's exports.

use std::sync::OnceLock;

use tensorlet_answer::{Answer, AnswerError, Answerer, LabelScore, ModelToml, Speech};
use tensorlet_heap::{Heap, Spare};
use tensorlet_model::{Input, PredictError, predict};

use crate::bindings::Guest;
use crate::bindings::exports::tensorlet::model::answer as wit;

/// What an instance has from the beginning. A picture of half a megapixel, decoded and resized, needs no more.
const SPARE_BYTES: usize = 8 << 20;

/// What there is for labels and all else that is kept: most models have kilobytes.
const ROOM_BYTES: usize = 1 << 20;

static SPARE: Spare<SPARE_BYTES> = Spare::new();

#[global_allocator]
static HEAP: Heap = Heap::with_room(&SPARE, ROOM_BYTES);

/// The answerer, once `prepare` has run.
static ANSWERER: OnceLock<Answerer> = OnceLock::new();

/// What the exports are implemented on.
pub(crate) struct Component;

impl Guest for Component {
    fn prepare(model_toml: String, labels: Option<String>) -> Result<(), String> {
        let answerer = answerer(&model_toml, labels.as_deref())?;
        drop((model_toml, labels));
        ANSWERER
            .set(HEAP.keep(answerer))
            .map_err(|_| "expected an answerer without a model, found one that has one".into())
    }
}

fn answerer(model_toml: &str, labels: Option<&str>) -> Result<Answerer, String> {
    let model = ModelToml::parse(model_toml).map_err(|error| error.to_string())?;
    model.answerer(labels).map_err(|error| error.to_string())
}

impl wit::Guest for Component {
    fn answer(file: Vec<u8>) -> Result<wit::Verdict, wit::AnswerError> {
        let answerer = ANSWERER
            .get()
            .expect("`prepare` runs before any other export");
        let answer = answerer.answer(&file, |inputs| {
            predict(&Vec::from_iter(inputs.iter().map(Input::from)))
        });
        answer.map(verdict).map_err(|error| match error {
            AnswerError::File(error) => wit::AnswerError::InvalidFile(wit::InvalidFile {
                expected: error.expected().to_owned(),
                found: error.found().to_owned(),
            }),
            // It is `model.toml` that does not fit the model: the caller gave a file, and no inputs.
            AnswerError::Predict(PredictError::InvalidInput(error)) => {
                wit::AnswerError::Failed(error.to_string())
            }
            AnswerError::Predict(error) => wit::AnswerError::Failed(error.to_string()),
            error => wit::AnswerError::Failed(error.to_string()),
        })
    }
}

fn verdict(answer: Answer) -> wit::Verdict {
    match answer {
        Answer::Labels(labels) => {
            wit::Verdict::Labels(labels.into_iter().map(label_score).collect())
        }
        Answer::Speech(Speech { segments, scores }) => {
            let segments = segments.into_iter().map(|segment| wit::SpeechSegment {
                start: segment.start_s,
                end: segment.end_s,
                peak: segment.peak,
            });
            wit::Verdict::Speech(wit::Speech {
                segments: segments.collect(),
                scores,
            })
        }
        other => unreachable!("every answer of this version has a verdict, found {other:?}"),
    }
}

fn label_score(score: LabelScore) -> wit::LabelScore {
    wit::LabelScore {
        label: score.label,
        score: score.score,
        instead_of: score.instead_of,
    }
}
