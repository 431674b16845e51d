//! What is measured, and how.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use crate::memory::rss_bytes;

/// Caches and clocks settle in this time; the same for every contender.
const WARM_UP: Duration = Duration::from_secs(1);

/// What one process measures.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    load_ms: f64,
    first_ms: f64,
    min_ms: f64,
    median_ms: f64,
    p99_ms: f64,
    rss_bytes: u64,
}

/// Loads by `load` and calls what it gives: once, for a while if there is more than one iteration, and then as often as asked.
///
/// # Errors
/// Those of `load` and of the calls.
pub(crate) fn measure<P: FnMut() -> Result<()>>(
    iterations: u32,
    load: impl FnOnce() -> Result<P>,
) -> Result<Figures> {
    let start = now();
    let mut predict = load()?;
    let load_ms = ms(start);

    let mut timed = || -> Result<f64> {
        let start = now();
        predict()?;
        Ok(ms(start))
    };
    let first_ms = timed()?;
    let warm = now();
    while iterations > 1 && warm.elapsed() < WARM_UP {
        timed()?;
    }
    let mut times = (0..iterations)
        .map(|_| timed())
        .collect::<Result<Vec<f64>>>()?;
    times.sort_by(f64::total_cmp);
    Ok(Figures {
        load_ms,
        first_ms,
        min_ms: times[0],
        median_ms: times[times.len() / 2],
        p99_ms: times[(times.len() * 99 / 100).min(times.len() - 1)],
        rss_bytes: rss_bytes()?,
    })
}

/// Reads the clock.
#[expect(clippy::disallowed_methods, reason = "this is where time is measured")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Returns the milliseconds since `start`.
pub(crate) fn ms(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_once_and_then_as_often_as_asked() {
        let calls = std::cell::Cell::new(0);
        let load = || {
            Ok(|| {
                calls.set(calls.get() + 1);
                Ok(())
            })
        };
        let figures = measure(1, load).unwrap();
        assert_eq!(calls.get(), 2, "the first call and the measured one");
        assert!(figures.min_ms <= figures.p99_ms && figures.rss_bytes > 1 << 20);
    }

    #[test]
    fn errors_of_calls_are_errors() {
        let load = || Ok(|| Err(anyhow::anyhow!("no")));
        assert!(measure(1, load).is_err());
    }
}
