//! Compiles ONNX models into WASI components.
//!
//! ```text
//! model.onnx ─ source ─► ModelProto ─ inputs, rewrite ─► the same, every shape known ─ import ─► graph of kernels
//!   ─ passes ─► fused graph ─ lower ─► plan ─ snapshot ─► predictor with the plan in its memory ─ emit, compose, trim ─► component
//! ```
//!
//! - [`mod@build`] is the way through, and the public interface.
//! - [`emit`] writes functions as WebAssembly, for the loops that are fastest so.
//! - [`literal`] holds values that users bind inputs to.
//! - [`rewrite`] changes a model's ONNX graph until the shapes of all values are known.
//! - `source` reads files, `inputs` fixes dims, `import` makes kernels of operators, `passes` fold and fuse them, `lower` makes plans of
//!   them, with what has no kernel left to tract; `rows` finds models that tract can compute row by row, `snapshot` pre-initialises
//!   predictors and answerers, `trim` changes the bytes of components, `prune` empties functions
//!   that nothing calls any more, `compose` joins predictors with what they import, with what answers for them and with what speaks HTTP.
//! - [`image`] tells whether hosts map a component's memory or copy it, and makes it such that they map it.

#![forbid(unsafe_code)]

pub mod build;
mod compose;
mod composer;
pub mod emit;
mod error;
mod graph;
pub mod image;
mod import;
mod inputs;
pub mod literal;
mod lower;
mod passes;
mod prune;
pub mod rewrite;
mod rows;
mod sections;
mod snapshot;
mod source;
mod trim;

pub use build::{
    AnswererKind, Answers, BuildOptions, Built, GuestParts, Stage, build, handle_http, plan,
};
pub use error::{CompileError, CompileErrorKind};
pub use literal::{InvalidLiteral, Literal};
pub use trim::PLAN_SECTION;
