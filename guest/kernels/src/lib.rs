//! Numeric kernels: slices in, slices out.
//!
//! A kernel is bound to the sizes of its tensors once, by [`bind()`], which checks everything that running relies on;
//! a bound kernel runs many times and allocates nothing.
//!
//! ```text
//! plan::Kernel + types of tensors + Target ── bind ──► Box<dyn Run> ── run(inputs, outputs, scratch, crew)
//! ```
//!
//! - [`mod@bind`] finds the kernel's family. [`tensor_type`] and [`run`] are what families are given.
//! - [`crew`] divides a kernel's work among threads.
//! - [`isa`] knows the instruction sets and picks one, [`simd`] is what kernels are written in.
//! - One module a family: convolutions ([`conv`]), products ([`matmul`]) and so on.
//! - `reference` modules hold plain loops, the oracle of all the others.

#![deny(unsafe_code)]

mod attributes;
pub mod bind;
pub mod crew;
mod epilogue;
pub mod isa;
pub mod run;
pub mod simd;
pub mod tensor_type;
pub mod tile;
mod window;

pub mod attention;
pub mod conv;
pub mod conv_transpose;
pub mod layout;
pub mod matmul;
pub mod recurrent;

pub mod binary;
pub mod cast;
pub mod unary;
pub mod where_;

pub mod normalise;
pub mod pool;
pub mod reduce;
pub mod resize;
pub mod softmax;

pub mod arrange;
pub mod gather;
pub mod rank;
pub mod scatter;

#[cfg(test)]
mod trial;

pub use bind::bind;
pub use crew::{Crew, Team};
pub use isa::Isa;
pub use run::{BindError, Run, RunError, Target};
pub use tensor_type::TensorType;
