//! Serves many models in many versions: loads them, batches their calls, keeps them within limits, and swaps them under load.
//!
//! ```text
//! call ─ Repository ─ version ─ rate, circuit breaker ─► Scheduler ─► batches ─► Model
//!            ▲ swapped at once
//!        Entry: wanted = policy + labels − withdrawn ◄── Source: MODEL/VERSION/model.wasm, MODEL/config.toml
//! ```
//!
//! Nothing here knows HTTP: a server puts a protocol in front of a [`Repository`], a proxy or a service calls it.
//!
//! - [`Repository`] holds all models; its methods are what a server needs: calls, metadata, index, load, unload, roll back, drain.
//! - [`config`] says what can be chosen, [`config_file`] how it is written in a `config.toml`.
//! - `shared` is what its clones share, and `keeper` the thread that looks after it.
//! - `source` looks at where models are, `entry` decides which versions are served and swaps them, `version` is one of them, loaded or
//!   not, `served` is what is loaded, with its workers, and `execution` is what these execute.
//! - [`policy`] chooses versions and divides traffic; `rate` and [`breaker`] keep calls away. They are told the time.
//! - `host` is what all versions share: the memory budget, places to load at.
//! - [`statistics`] is what a metrics exporter reads, and [`error`] why there are no outputs.
//!
//! # Limits
//! Models ([`MAX_MODELS`](config::MAX_MODELS)), versions of each that are looked at ([`MAX_VERSIONS`](config::MAX_VERSIONS)), loads at a time, calls
//! that wait, executions, memory: each has one, in [`config`] or the crates below.

#![forbid(unsafe_code)]

pub mod breaker;
mod clock;
pub mod config;
pub mod config_file;
mod entry;
pub mod error;
mod execution;
mod host;
mod keeper;
pub mod policy;
mod rate;
mod repository;
mod served;
mod shared;
mod source;
pub mod statistics;
mod version;

pub use breaker::BreakerConfig;
pub use config::{LoadWhen, ModelConfig, RepositoryConfig, Source, WarmUp};
pub use error::{AnswerError, ControlError, ServeError, ServeErrorKind, VersionError};
pub use policy::{Labels, VersionPolicy};
pub use rate::RateLimit;
pub use repository::{
    Answered, Drained, IndexEntry, ModelMetadata, Predicted, Repository, Selector,
};
pub use source::is_name;
pub use statistics::{LoadedStatistics, Statistics, VersionStatistics};
pub use tensorlet_batch::CallOptions;
pub use version::VersionState;
