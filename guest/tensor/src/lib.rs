//! Tensors and the signatures that describe them, the vocabulary shared by guest and host.
//!
//! A [`Tensor`] is a datum type, dims and bytes that are known to fit together. A [`Signature`] says which
//! tensors a model takes and gives; [`Signature::bind`] checks a call against it and finds the value of each
//! symbol. Nothing here knows ONNX, WebAssembly or files.
//!
//! - [`datum_type`] holds [`DatumType`] and [`Element`], its counterpart among Rust types.
//! - [`tensor`] holds [`Tensor`].
//! - [`spec`] holds [`Dim`] and [`TensorSpec`], with the text form `name:f32[N,3,224,224]`.
//! - [`signature`] holds [`Signature`], [`Bindings`] and what can be wrong with a call.

#![forbid(unsafe_code)]

pub mod datum_type;
pub mod signature;
pub mod spec;
pub mod tensor;

pub use datum_type::{DatumType, Element, UnknownDatumType};
pub use signature::{Bindings, InvalidInput, Signature};
pub use spec::{Dim, InvalidSpec, TensorSpec};
pub use tensor::{InvalidTensor, MAX_RANK, NamedTensor, Tensor};
