//! The one place that reads the clock.

use std::time::{Duration, Instant};

/// Reads the clock.
#[expect(
    clippy::disallowed_methods,
    reason = "this program measures time and tells it to people"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Does some work, and says how long it took.
pub(crate) fn timed<R>(work: impl FnOnce() -> R) -> (R, Duration) {
    let start = now();
    let result = work();
    (result, start.elapsed())
}
