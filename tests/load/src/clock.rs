//! The one place that reads the clock.

use std::time::Instant;

/// Reads the clock.
#[expect(
    clippy::disallowed_methods,
    reason = "this program measures time and tells it to people"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
