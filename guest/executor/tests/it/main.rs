//! Plans made by hand, executed.

mod builder;
mod errors;
mod fuzz;
mod outputs;
mod random;
mod rows;
mod sizes;
#[cfg(feature = "tract")]
mod tract_steps;
