//! The component that turns files into answers, around the model that it imports.
//!
//! As built, it answers for no model: it exports `prepare`, which `tensorlet build` calls with a `model.toml` before it keeps the memory.
//! What comes out exports `tensorlet:model/answer`, and imports `tensorlet:model/predict`, which `tensorlet build` plugs.
//!
//! - `exports` is the boundary: WIT types in, WIT types out.
//! - `bindings` is what wit-bindgen makes of the world `answerer`.
//!
//! Everything else is in [`tensorlet_answer`]. On other targets than WebAssembly there is nothing here.

#![deny(unsafe_code)]

#[cfg(target_arch = "wasm32")]
mod exports;

/// What wit-bindgen makes of the world `answerer`.
#[cfg(target_arch = "wasm32")]
mod bindings {
    #![expect(unsafe_code, reason = "generated code")]
    #![allow(clippy::all, unreachable_pub, reason = "generated code")]

    wit_bindgen::generate!({
        path: "../../wit",
        world: "answerer",
        with: {
            "tensorlet:model/predict@0.1.0": tensorlet_model::bindings::tensorlet::model::predict,
            "tensorlet:model/tensor@0.1.0": tensorlet_model::bindings::tensorlet::model::tensor,
        },
    });

    export!(Component with_types_in self);

    pub(crate) use crate::exports::Component;
}
