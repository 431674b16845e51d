//! Executes plans, natively and inside the predictor: one source, compiled twice.
//!
//! [`Executor::load`] does all the work that can be done before the first call; [`Executor::predict`] checks a
//! call against the signature and runs the steps in order.
//!
//! ```text
//! Plan ── load ──► Executor ── sizes of symbols ──► Binding (remembered) ── State (reused) ──► outputs
//!                  constants     types, places in the arena,                 the arena
//!                                bound kernels
//! ```
//!
//! - [`executor`] holds [`Executor`], [`error`] what can go wrong, [`state`] the memory of a call.
//! - `binding` makes a plan of symbols into one of numbers, and remembers it; `arena` decides where buffers lie.
//! - [`constants`] gathers the constants that kernels read; `memory` is memory that begins at a multiple of 64 bytes.
//! - [`offload`] leaves segments of a plan to a host, if there is one that takes them.
//! - `slices` hands a step its inputs and outputs, the one place that knows that they do not overlap.
//! - `tract_step` runs sub-graphs by tract, [`tract_tensor`] turns tensors into tract's and back. Without the feature `tract`
//!   they are not there, and plans that need them are refused.

#![deny(unsafe_code)]

mod arena;
mod binding;
pub mod constants;
pub mod error;
pub mod executor;
mod memory;
pub mod offload;
mod program;
mod slices;
pub mod state;
#[cfg(feature = "tract")]
mod tract_step;
#[cfg(feature = "tract")]
pub mod tract_tensor;

pub use constants::SharedConstants;
pub use error::{LoadError, PredictError};
pub use executor::{Executor, LoadOptions};
pub use offload::{Offload, SegmentBytes};
pub use state::State;
pub use tensorlet_kernels::{Crew, Team};
