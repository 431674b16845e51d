//! The one place that reads the clock.

use std::time::Instant;

#[expect(
    clippy::disallowed_methods,
    reason = "a deadline is told as a time from the arrival of a request"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
