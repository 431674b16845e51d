//! From the bytes of a file to a model's inputs, and from its outputs to an answer.
//!
//! A model takes and gives tensors; people have pictures, files and recordings and want labels or times.
//! What lies between is written in the `model.toml` beside each model. [`ModelToml::parse`] reads it, and
//! [`ModelToml::answerer`] makes an [`Answerer`] of it, which is given a file and a function that predicts:
//!
//! ```
//! # use tensorlet_answer::{Answer, ModelToml};
//! # use tensorlet_tensor::{InvalidTensor, Tensor};
//! # let sha256 = "0".repeat(64);
//! # let text = format!(r#"
//! # name = "parity"
//! # version = "1"
//! # source = "ours"
//! # licence = "Apache-2.0"
//! # sha256 = "{sha256}"
//! # [preprocess]
//! # kind = "bytes"
//! # input = "bytes"
//! # begin = 1
//! # end = 1
//! # block = 1
//! # padding = 256
//! # [postprocess]
//! # kind = "top-k"
//! # output = "scores"
//! # labels = "labels.txt"
//! # k = 1
//! # "#);
//! let model: ModelToml = ModelToml::parse(&text)?;
//! let answerer = model.answerer(Some("even\nodd\n"))?;
//! let answer = answerer.answer(b"a file", |_inputs| {
//!     let scores = Tensor::from_values(vec![1, 2], &[0.25f32, 0.75])?;
//!     Ok::<_, InvalidTensor>(vec![("scores".into(), scores)])
//! })?;
//! let Answer::Labels(rows) = answer else { unreachable!() };
//! assert_eq!(rows[0].label, "odd");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! Nothing here reads files, knows the time or runs models: the caller hands in bytes and does the
//! predicting. Files and outputs are claims: whatever is in them, the result is an answer or an error.
//!
//! - `model_toml` reads and checks the file: [`ModelToml`], its parts, [`InvalidModelToml`].
//! - `answerer` joins the parts: [`Answerer`].
//! - `picture`, `bytes`, `audio` make inputs, as [`PictureInput`], [`BytesInput`] and [`AudioInput`] say.
//! - `ranking` and `speech` make an [`Answer`], as [`TopK`] and [`SpeechSegments`] say.
//! - `error` and `outputs` hold what can go wrong: [`AnswerError`], [`NoAnswerer`].
//!
//! The features `picture`, `bytes` and `audio` say which of these are there; by default all.

#![forbid(unsafe_code)]

#[cfg(not(any(feature = "audio", feature = "bytes", feature = "picture")))]
compile_error!("expected at least one of the features `audio`, `bytes` and `picture`, found none");

mod answer;
mod answerer;
#[cfg(feature = "audio")]
mod audio;
#[cfg(feature = "bytes")]
mod bytes;
mod error;
mod model_toml;
mod outputs;
#[cfg(feature = "picture")]
mod picture;
#[cfg(any(feature = "bytes", feature = "picture"))]
mod ranking;
#[cfg(feature = "audio")]
mod speech;
#[cfg(test)]
mod testing;

pub use answer::{Answer, LabelScore, Segment, Speech};
pub use answerer::Answerer;
pub use error::{AnswerError, InvalidFile, NoAnswerer};
pub use model_toml::{
    AudioInput, BytesInput, Channels, Confidence, Constant, Filter, InvalidConstant,
    InvalidModelToml, LABELS_KEY, Layout, MODEL_TOML_KEY, ModelToml, PictureInput, Postprocess,
    Preprocess, SpeechSegments, State, TopK,
};
pub use outputs::InvalidOutput;
