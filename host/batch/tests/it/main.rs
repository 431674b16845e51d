//! The scheduler with real threads. Nothing sleeps: a double of the model says when an execution has started, and
//! waits for the test to end it.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod double;
mod drain;
mod failures;
mod random;
mod schedules;
mod waits;

use std::time::Instant;

#[expect(
    clippy::disallowed_methods,
    reason = "the scheduler compares deadlines with the real clock"
)]
fn now() -> Instant {
    Instant::now()
}
