//! What the tests of several modules share: a request and a model.

use std::cell::Cell;

use tensorlet_answer::{Answer, LabelScore, Segment, Speech};
use tensorlet_model::{Description, Input, PredictError};
use tensorlet_tensor::{InvalidInput, NamedTensor, Tensor};

use crate::model::{AnswerError, Model};
use crate::request::{Method, Request, Truncated};

/// A request whose body comes in chunks.
pub(crate) struct FakeRequest {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
    /// The longest chunk.
    pub(crate) chunk: usize,
    /// How often the body was asked for.
    pub(crate) reads: usize,
}

/// A body, and how it ends.
pub(crate) enum Body {
    Ends(Vec<u8>),
    Breaks(Vec<u8>),
}

impl Body {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let (Self::Ends(bytes) | Self::Breaks(bytes)) = self;
        bytes.clone()
    }
}

impl FakeRequest {
    pub(crate) fn new(method: Method, path: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            headers: vec![],
            body: Body::Ends(vec![]),
            chunk: 1000,
            reads: 0,
        }
    }

    pub(crate) fn post(path: &str, body: impl Into<Vec<u8>>) -> Self {
        let request = Self::new(Method::Post, path);
        Self {
            body: Body::Ends(body.into()),
            ..request
        }
    }

    /// Adds a header.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl Request for FakeRequest {
    fn method(&self) -> Method {
        self.method
    }

    fn path(&self) -> String {
        self.path.clone()
    }

    fn header(&self, name: &str) -> Option<Vec<u8>> {
        let header = self.headers.iter().find(|(other, _)| other == name);
        header.map(|(_, value)| value.clone().into_bytes())
    }

    fn read(&mut self, buffer: &mut Vec<u8>) -> Result<bool, Truncated> {
        self.reads += 1;
        let room = buffer.capacity() - buffer.len();
        assert!(room > 0, "there must be room for at least one byte");
        let (Body::Ends(rest) | Body::Breaks(rest)) = &mut self.body;
        let len = rest.len().min(self.chunk).min(room);
        buffer.extend(rest.drain(..len));
        match (len, &self.body) {
            (0, Body::Breaks(_)) => Err(Truncated),
            (len, _) => Ok(len > 0),
        }
    }
}

/// A model named `toy`, version 3, that gives twice its input `x`, or fails at it, and knows files by their first byte.
#[derive(Default)]
pub(crate) struct Toy {
    /// How often it was called.
    pub(crate) calls: Cell<usize>,
}

impl Model for Toy {
    fn describe(&self) -> Description {
        let spec = |text: &str| vec![text.parse().unwrap()];
        Description {
            name: "toy".into(),
            version: "3".into(),
            inputs: spec("x:f32[N,2]"),
            outputs: spec("y:f32[N,2]"),
        }
    }

    fn predict(&self, inputs: &[Input<'_>]) -> Result<Vec<NamedTensor>, PredictError> {
        self.calls.set(self.calls.get() + 1);
        let [x] = inputs else {
            panic!("expected one input, found {inputs:?}")
        };
        let tensor = Tensor::new(x.datum_type, x.dims.to_vec(), x.data.to_vec()).unwrap();
        let Some(mut values) = tensor.to_values::<f32>().filter(|_| x.name == "x") else {
            return Err(PredictError::InvalidInput(InvalidInput {
                input: x.name.to_owned(),
                expected: "f32[N, 2]".into(),
                found: tensor.type_text(),
            }));
        };
        if values.contains(&13.0) {
            return Err(PredictError::Failed("13 is unlucky".into()));
        }
        values.iter_mut().for_each(|value| *value *= 2.0);
        let double = Tensor::from_values(x.dims.to_vec(), &values).unwrap();
        Ok(vec![("y".into(), double), ("z".into(), tensor)])
    }

    fn answer(&self, file: &[u8]) -> Result<Answer, AnswerError> {
        self.calls.set(self.calls.get() + 1);
        match file.first() {
            Some(b'l') => Ok(Answer::Labels(vec![
                LabelScore {
                    label: "unknown".into(),
                    score: 0.25,
                    instead_of: Some("rust".into()),
                },
                LabelScore {
                    label: "toml".into(),
                    score: 0.125,
                    instead_of: None,
                },
            ])),
            Some(b's') => {
                let segment = Segment {
                    start_s: 0.5,
                    end_s: 1.25,
                    peak: 0.75,
                };
                Ok(Answer::Speech(Speech {
                    segments: vec![segment],
                    scores: vec![0.25, 0.75],
                }))
            }
            Some(b'u') => Err(AnswerError::Undeclared),
            Some(b'f') => Err(AnswerError::Failed("13 is unlucky".into())),
            _ => Err(AnswerError::InvalidFile {
                expected: "a picture".into(),
                found: "another format".into(),
            }),
        }
    }
}
