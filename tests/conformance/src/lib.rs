//! Runs the ONNX backend node tests through the predictor.
//!
//! The predictors are compiled once. Each test's model becomes a plan, an instance of its own loads the plan as it
//! would at build time, and predicts: the code that runs is that of every component, without 1,600 snapshots and
//! compilations of it. The native executor runs lean plans too. What snapshots add is tested with whole models elsewhere.
//!
//! - [`case`] reads a test: a model, and data sets of inputs and expected outputs.
//! - [`compare`] says whether outputs are those expected.
//! - [`ignored`] holds the tests that are known to fail, with a reason each.
//! - [`run`] runs a test and says how it went.

#![forbid(unsafe_code)]

pub mod case;
pub mod compare;
pub mod ignored;
pub mod run;
