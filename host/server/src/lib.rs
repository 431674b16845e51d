//! Serves models over HTTP, by the Open Inference Protocol, version 2.
//!
//! - [`codec`] turns bodies into tensors and tensors into bodies; it knows JSON and no HTTP.

#![forbid(unsafe_code)]

pub mod codec;
