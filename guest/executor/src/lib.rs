//! Executes plans, natively and inside the predictor: one source, compiled twice.
//!
//! [`Executor::load`] does all the work that can be done before the first call; [`Executor::predict`] checks a
//! call against the signature and runs the steps in order.
//!
//! - [`executor`] holds [`Executor`].
//! - [`tract_step`] runs sub-graphs by tract.
//! - [`tract_tensor`] turns tensors into tract's and back.

#![deny(unsafe_code)]

pub mod executor;
pub mod tract_step;
pub mod tract_tensor;

pub use executor::{Executor, LoadError, PredictError};
