//! The component that answers HTTP requests with the model that it imports.
//!
//! It speaks the Open Inference Protocol, and takes files. It runs in every host of `wasi:http` 0.2: Spin, SpinKube, `wasmtime serve`. Such
//! hosts make an instance for each request, so there is nothing that is made ready, kept or shared.
//!
//! ```text
//! host ─► exports ─► service: path ─► body ─► protocol ─► Model ─► protocol ─► Response ─► exports ─► host
//!                        └──────────── errors ─► error ────────────────────────────┘
//! ```
//!
//! - [`service`] answers a [`Request`] with a [`Response`], by means of a [`Model`].
//! - [`path`] is what is at which path, [`body`] reads bodies within limits.
//! - [`error`] turns errors into answers.
//! - `exports` is the handler; `incoming`, `outgoing` and `imported` are request, response and model as the host has them.
//! - `bindings` is what wit-bindgen makes of the world `http`. These are compiled for WebAssembly only.

#![deny(unsafe_code)]

pub mod body;
pub mod error;
#[cfg(target_arch = "wasm32")]
mod exports;
#[cfg(target_arch = "wasm32")]
mod imported;
#[cfg(target_arch = "wasm32")]
mod incoming;
pub mod model;
#[cfg(target_arch = "wasm32")]
mod outgoing;
pub mod path;
pub mod request;
pub mod response;
pub mod service;
#[cfg(test)]
mod testing;

pub use error::{HttpError, HttpErrorKind};
pub use model::{AnswerError, Model};
pub use request::{Method, Request};
pub use response::Response;

/// What wit-bindgen makes of the world `http`.
#[cfg(target_arch = "wasm32")]
mod bindings {
    #![expect(unsafe_code, reason = "generated code")]
    #![allow(clippy::all, dead_code, unreachable_pub, reason = "generated code")]

    wit_bindgen::generate!({
        path: ["../../wit", "../../wit/http"],
        world: "tensorlet:http/http",
        with: {
            "tensorlet:model/predict@0.1.0": tensorlet_model::bindings::tensorlet::model::predict,
            "tensorlet:model/tensor@0.1.0": tensorlet_model::bindings::tensorlet::model::tensor,
        },
        generate_all,
    });

    export!(Component with_types_in self);

    pub(crate) use crate::exports::Component;
}
