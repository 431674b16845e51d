//! The component that holds and executes a plan.
//!
//! As built, it is empty: it exports `prepare`, which `tensorlet build` calls with a plan before it keeps the
//! memory. What comes out exports `tensorlet:model/predict`, and imports `tensorlet:model/offload`, which `tensorlet build` plugs.
//!
//! - [`exports`] is the boundary: WIT types in, WIT types out.
//! - [`offload`] asks the host to compute segments.
//! - [`tiles`] knows where the functions are that the compiler writes for a plan.
//! - [`heap`] places what outlives `prepare` side by side, so that the kept memory is dense.
//! - [`pages`] hands out linear memory.

#![deny(unsafe_code)]

mod exports;
mod heap;
mod offload;
mod pages;
mod tiles;

/// What wit-bindgen makes of the world `predictor`.
mod bindings {
    #![expect(unsafe_code, reason = "generated code")]
    #![allow(clippy::all, unreachable_pub, reason = "generated code")]

    wit_bindgen::generate!({ path: "../../wit", world: "predictor" });

    export!(Predictor with_types_in self);

    pub(crate) use crate::exports::Predictor;
}
