//! Loads model components and predicts with them, each in a sandbox of its own.
//!
//! ```text
//! Engine ──load──► Model ──instantiate──► Instance ──predict──► outputs
//!   │                │                        │
//!   cache, pool,     component type checked,  memory limit, deadline;
//!   watchdog         described                discarded after a trap
//! ```
//!
//! An [`Engine`] is shared by a process. A [`Model`] is a component that has been compiled (or found in the
//! [`cache`]) and checked to be one of ours: it exports `tensorlet:model/predict` and imports nothing, so there
//! is nothing of the host that it can reach. [`Model::predict`] takes an instance of a small pool, or a fresh
//! one, as [`Reuse`] says; [`Instance`] is for those who manage instances themselves.
//!
//! What a component says is a claim until it is checked: its description when the model is loaded, its outputs
//! at each call. A trap, a limit or a deadline ends one call with a [`PredictError`] and nothing else.

#![deny(unsafe_code)]

pub mod cache;
pub mod config;
pub mod engine;
pub mod error;
pub mod instance;
mod limits;
pub mod model;
pub mod predictor;
pub mod threads;
mod watchdog;
mod wit;

pub use config::{CallOptions, EngineConfig, Limits, LoadOptions, Reuse};
pub use engine::Engine;
pub use error::{LoadError, LoadErrorKind, PredictError, PredictErrorKind};
pub use instance::Instance;
pub use model::Model;
pub use predictor::Predictor;
