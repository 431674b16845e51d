//! Joins calls to a model into batches, and gives each call its own answer.
//!
//! ```text
//! inputs ─ submit ─► Batcher ─ Batch ─► join ─► Predict ─► split ─► outputs of each call
//!                    (state)            (copies rows)      (copies rows)
//! └────────────────────────────── Scheduler (threads, the clock) ─────────────────────────┘
//! ```
//!
//! What executes a model is behind [`Predict`]: nothing here knows WebAssembly, files or HTTP, and each part can be
//! tested alone.
//!
//! - [`batcher`] holds [`Batcher`], which decides what runs when. It is told the time and owns no clock, and its
//!   documentation states the rules: order and priorities, delays, deadlines, retries.
//! - [`call`] and [`config`] hold what goes into it: [`Call`] and [`BatchConfig`].
//! - [`join`](mod@join) and [`split`](mod@split) copy rows into a batch and out of it, once each way.
//! - [`predict`] holds the seam to the runtime, [`Predict`], and [`Fault`].
//! - [`scheduler`] holds [`Scheduler`], the threads around a batcher and the one reader of the clock.
//! - [`handle`] holds [`Handle`], by which a call is waited for or cancelled.
//! - [`counters`] holds what a metrics exporter reads, and [`error`] why a call has no outputs.
//!
//! Everything has a limit: calls that wait ([`BatchConfig::max_queue_size`]), rows of a batch, workers
//! ([`MAX_WORKERS`](scheduler::MAX_WORKERS)), executions of a call (two), and sizes whose speed is remembered. At most
//! `max_queue_size + workers * max_batch_size` calls are in memory.
//!
//! # Examples
//! ```
//! use std::convert::Infallible;
//! use std::time::Instant;
//!
//! use tensorlet_batch::{CallOptions, Fault, Predict, Scheduler, SchedulerConfig};
//! use tensorlet_tensor::{NamedTensor, Signature, Tensor};
//!
//! struct Identity(Signature);
//!
//! impl Predict for Identity {
//!     type Error = Infallible;
//!
//!     fn signature(&self) -> &Signature {
//!         &self.0
//!     }
//!
//!     fn predict(
//!         &self,
//!         inputs: &[NamedTensor],
//!         _deadline: Option<Instant>,
//!     ) -> Result<Vec<NamedTensor>, Infallible> {
//!         Ok(vec![("y".into(), inputs[0].1.clone())])
//!     }
//!
//!     fn fault(&self, error: &Infallible) -> Fault {
//!         match *error {}
//!     }
//! }
//!
//! let signature = Signature::new(vec!["x:f32[N,2]".parse()?], vec!["y:f32[N,2]".parse()?]);
//! let scheduler = Scheduler::start(Identity(signature), SchedulerConfig::default())?;
//! let row = Tensor::from_values(vec![1, 2], &[1.0f32, 2.0])?;
//! let handle = scheduler.submit(vec![("x".into(), row.clone())], CallOptions::default())?;
//! assert_eq!(handle.wait()?, [("y".into(), row)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod answer;
pub mod batcher;
pub mod call;
mod clock;
pub mod config;
pub mod counters;
pub mod error;
pub mod handle;
pub mod join;
pub mod predict;
pub mod scheduler;
pub mod split;

pub use batcher::batch::{Batch, BatchId, BatchedCall, Outcome, Settled, Verdict};
pub use batcher::{Action, Batcher, Cancelled, Experience};
pub use call::{Call, FreeDims, Shed, ShedReason, Ticket};
pub use config::{BatchConfig, InvalidConfig, Join, Overload, Padding, QueueDelay};
pub use counters::{Counters, GoneCalls, Histogram, Refused, Snapshot};
pub use error::{CallError, CallErrorKind, StartError};
pub use handle::Handle;
pub use join::{JoinError, join};
pub use predict::{Fault, Predict};
pub use scheduler::{CallOptions, Drained, Scheduler, SchedulerConfig};
pub use split::{SplitError, split};
