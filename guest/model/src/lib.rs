//! Calls the model that a component imports.
//!
//! What a component passes on is lent: nothing is copied but into the model's memory.
//!
//! - [`Input`] and [`predict`] are a call, [`PredictError`] is why it has no outputs.
//! - [`Description`] and [`describe`] tell what the model is.
//! - [`bindings`] is what wit-bindgen makes of the interfaces.

#![deny(unsafe_code)]

mod convert;
mod error;

use tensorlet_tensor::{DatumType, NamedTensor, TensorSpec};

use crate::bindings::tensorlet::model::predict as wit;
pub use crate::error::PredictError;

/// What wit-bindgen makes of the interfaces `tensorlet:model/predict` and `tensorlet:model/tensor`, so that crates with worlds of their own can use
/// the same.
pub mod bindings {
    #![allow(clippy::all, missing_docs, unreachable_pub, reason = "generated code")]

    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package tensorlet:guest;

            world caller {
                import tensorlet:model/predict@0.1.0;
            }
        ",
        ownership: Borrowing { duplicate_if_necessary: true },
        generate_all,
    });
}

/// An input of a call.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The name, as in the model's signature.
    pub name: &'a str,
    /// The type of the elements.
    pub datum_type: DatumType,
    /// The sizes, outermost first; empty for a scalar.
    pub dims: &'a [u32],
    /// The elements' bytes, row-major, little-endian.
    pub data: &'a [u8],
}

impl<'a> From<&'a NamedTensor> for Input<'a> {
    fn from((name, tensor): &'a NamedTensor) -> Self {
        Self {
            name,
            datum_type: tensor.datum_type(),
            dims: tensor.dims(),
            data: tensor.data(),
        }
    }
}

/// What the model is, but for its metadata.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Description {
    /// The model's name, as given at build time.
    pub name: String,
    /// The model's version, as given at build time.
    pub version: String,
    /// What a call must give.
    pub inputs: Vec<TensorSpec>,
    /// What a call returns.
    pub outputs: Vec<TensorSpec>,
}

/// Describes the model.
pub fn describe() -> Description {
    convert::description(wit::describe())
}

/// Computes the outputs for the inputs. It is the model that checks these.
///
/// # Errors
/// If the inputs do not fit the model's signature, or the model cannot be computed for them.
pub fn predict(inputs: &[Input<'_>]) -> Result<Vec<NamedTensor>, PredictError> {
    let inputs = Vec::from_iter(inputs.iter().map(convert::input));
    let outputs = wit::predict(&inputs).map_err(PredictError::from)?;
    outputs.into_iter().map(convert::output).collect()
}
