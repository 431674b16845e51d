//! Plans made by hand, executed.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod builder;
mod chunks;
mod errors;
mod fuzz;
mod offload;
mod outputs;
mod random;
mod rows;
mod sizes;
mod threads;
#[cfg(feature = "tract")]
mod tract_steps;
