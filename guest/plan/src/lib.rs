//! The plan: what a compiled model computes, as plain data.
//!
//! `tensorlet build` writes a plan, the predictor executes it, `tensorlet inspect --plan` prints it. A plan is an
//! ordered list of [`Step`]s over values, the [`Description`] that callers see, and constants that steps refer
//! to by byte range.
//!
//! ```text
//! bytes ── Plan::read ──► Plan<'_> ── Display ──► text
//!            │ verify: indices, order, ranges, names
//! ```
//!
//! - [`plan`] holds the types, [`kernel`] what steps compute, [`dims`] sizes.
//! - [`wire`] turns plans into bytes and back.
//! - [`verify`] says what every reader may rely on.
//! - [`lifetimes`] says from which step to which each buffer is needed.
//! - [`constants`] says where constants lie without sub-graphs, [`segments`] which parts of a plan a host may compute.
//! - [`text`] prints plans for people and snapshot tests.

#![forbid(unsafe_code)]

pub mod constants;
pub mod dims;
#[cfg(test)]
mod example;
pub mod kernel;
pub mod lifetimes;
pub mod plan;
pub mod segments;
pub mod text;
pub mod verify;
pub mod wire;

pub use constants::ConstantLayout;
pub use dims::{DimError, DimExpr, DimOp, SymbolId};
pub use kernel::Kernel;
pub use lifetimes::{Lifetime, Lifetimes};
pub use plan::{
    Description, Layout, Plan, Step, Storage, SubgraphFormat, TileSpec, TractStep, Value, ValueId,
};
pub use segments::Segment;
pub use verify::InvalidPlan;
pub use wire::ReadError;
