//! Compiles ONNX models into WASI components.
//!
//! ```text
//! model.onnx ─ source ─► ModelProto ─ inputs, rewrite ─► graph that tract computes
//!   ─ lower ─► plan ─ snapshot ─► predictor with the plan in its memory ─ trim ─► component
//! ```
//!
//! - [`mod@build`] is the way through, and the public interface.
//! - [`literal`] holds values that users bind inputs to.
//! - [`rewrite`] changes a model's graph until tract can type it.
//! - `source` reads files, `inputs` fixes dims, `rows` finds models that can be computed row by row, `lower` makes plans, `snapshot` pre-initialises predictors, `trim`
//!   changes the bytes of components.

#![forbid(unsafe_code)]

pub mod build;
mod error;
mod inputs;
pub mod literal;
mod lower;
pub mod rewrite;
mod rows;
mod snapshot;
mod source;
mod trim;

pub use build::{BuildOptions, Built, Stage, build, plan};
pub use error::{CompileError, CompileErrorKind};
pub use literal::{InvalidLiteral, Literal};
pub use trim::PLAN_SECTION;
