//! Bodies of the Open Inference Protocol, version 2, with Triton's binary tensors.
//!
//! ```text
//! bytes ─► request ─► InferRequest: inputs, options     outputs ─► response ─► bytes
//!       └ cut    └ shape, data (scan, number)  or  binary
//! ```
//!
//! A body is a JSON object, or such an object followed by the bytes of tensors; then a header of HTTP tells how long the
//! object is. Here are pure functions: nothing knows HTTP, models or time. So servers and components share them.
//!
//! - [`request`] holds [`InferRequest`], and the limits of what a body may hold.
//! - [`response`] holds [`InferResponse`].
//! - [`answer`] holds [`AnswerResponse`], of models that take files.
//! - [`metadata`] holds what servers and models say of themselves.
//! - [`datatype`] holds the protocol's names of datum types.
//! - [`error`] holds [`InvalidRequest`] and [`ErrorBody`].
//!
//! # Numbers
//! A number in JSON becomes the nearest value of its datum type, rounded once (FP16 and BF16: once
//! more, from FP32); one beyond the range of the type is an
//! error. Floats are written as the shortest text that is read back as the same value of the type.
//!
//! JSON has no NaN and no infinities. In a request they are an error that says so. In a response they are `null`, which
//! is what `JSON.stringify` writes for them: every parser reads the other values of the answer, `numpy.array` makes NaN of
//! it, and a client that asks for a number and finds `null` fails where it looks. Tensors in binary keep all values.

#![forbid(unsafe_code)]

pub mod answer;
mod cut;
mod data;
pub mod datatype;
pub mod error;
pub mod metadata;
mod number;
pub mod request;
pub mod response;
mod scan;
mod shape;
mod strict;

use serde::Serialize;

pub use answer::AnswerResponse;
pub use error::{ErrorBody, InvalidRequest, InvalidRequestKind, Quoted};
pub use request::{InferOptions, InferRequest, Input, MAX_TENSORS};
pub use response::{EncodedResponse, InferResponse};

/// The header that tells how many bytes of a body are JSON, where tensors in binary follow.
pub const JSON_LEN_HEADER: &str = "inference-header-content-length";

/// Writes a body of JSON.
///
/// # Panics
/// If `body` has a key that is no string, or refuses to be written; no type of this crate does.
pub fn to_json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("every key is a string")
}
