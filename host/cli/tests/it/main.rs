//! Runs the real binary on real files.
//!
//! The tests that predict need the predictor: `cargo xtask guest` before `cargo test`. Components are built once and shared,
//! and so is the cache, in which the predictor is compiled once for all runs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bad_input;
mod bad_models;
mod bench;
mod build;
mod deploy;
mod help;
mod http;
mod inspect;
mod limits;
mod predict;
mod program;
mod references;
mod serve;
mod spin;
mod spin_manifest;
mod tensors;
mod zeros;
