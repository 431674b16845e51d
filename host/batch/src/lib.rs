//! Joins calls to a model into batches, and gives each call its own answer.

#![forbid(unsafe_code)]

pub mod batcher;
pub mod call;
#[cfg(test)]
mod clock;
pub mod config;
pub mod join;
pub mod split;

pub use batcher::batch::{Batch, BatchId, BatchedCall, Outcome, Settled, Verdict};
pub use batcher::{Action, Batcher, Cancelled};
pub use call::{Call, FreeDims, Shed, ShedReason, Ticket};
pub use config::{BatchConfig, InvalidConfig, Padding, QueueDelay};
pub use join::{JoinError, join};
pub use split::{SplitError, split};
