//! The one place that reads the clock.

use std::time::Instant;

#[expect(
    clippy::disallowed_methods,
    reason = "limits and idle times are compared with the real clock"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
