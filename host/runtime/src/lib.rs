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
//! [`cache`]) and checked to be one of ours: it exports `tensorlet:model/predict` and imports nothing but `tensorlet:model/offload`, so there
//! is nothing else of the host that it can reach. [`Model::predict`] takes an instance of a small pool, or a fresh
//! one, as [`Reuse`] says; [`Instance`] is for those who manage instances themselves.
//!
//! A component that `tensorlet build` made computes by itself on any host. Here, its predictor is taken out of it ([`composed`]), and what it would
//! compute is left to an [`accelerator`]: [`offload`] says how. Without an accelerator it computes by itself here too.
//!
//! What a component says is a claim until it is checked: its description when the model is loaded, its outputs
//! at each call. A trap, a limit or a deadline ends one call with a [`PredictError`] and nothing else.

#![deny(unsafe_code)]

pub mod accelerator;
mod answerer;
mod batched;
pub mod cache;
pub mod composed;
pub mod config;
pub mod engine;
pub mod error;
pub mod instance;
mod limits;
mod memory;
pub mod model;
pub mod offload;
pub mod predictor;
mod shares;
pub mod threads;
mod watchdog;
mod wit;

pub use accelerator::{Accelerator, Cpu, CpuOptions};
pub use answerer::{AnswerError, Answerer};
pub use config::{CallOptions, EngineConfig, Limits, LoadOptions, Reuse};
pub use engine::Engine;
pub use error::{LoadError, LoadErrorKind, PredictError, PredictErrorKind};
pub use instance::Instance;
pub use memory::{give_back_freed, share_freed};
pub use model::{Model, ModelMemory, PoolCounts};
pub use offload::OffloadCounts;
pub use predictor::Predictor;
pub use tensorlet_plan::Description;
