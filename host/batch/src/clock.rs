//! The one place that reads the clock.

use std::time::Instant;

#[expect(
    clippy::disallowed_methods,
    reason = "the scheduler tells the batcher what time it is"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
