//! Limits how many calls a second a model takes: a bucket of tokens that is told the time.

use std::time::{Duration, Instant};

/// The most calls a second, and how many may come at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimit {
    /// The most calls a second, on average. More than 0.
    pub calls_per_second: f64,
    /// How many may come at once after a rest; at least 1.
    pub burst: u32,
}

/// How many calls may come now.
#[derive(Debug)]
pub(crate) struct Bucket {
    limit: RateLimit,
    tokens: f64,
    /// When `tokens` was true; `None` before the first call.
    at: Option<Instant>,
}

impl Bucket {
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self {
            limit,
            tokens: f64::from(limit.burst),
            at: None,
        }
    }

    /// Lets a call in, or says when the next may come.
    pub(crate) fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        let since = self
            .at
            .map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.at = Some(self.at.map_or(now, |at| at.max(now)));
        let earned = since.as_secs_f64() * self.limit.calls_per_second;
        self.tokens = (self.tokens + earned).min(f64::from(self.limit.burst));
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        let seconds = (1.0 - self.tokens) / self.limit.calls_per_second;
        Err(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;

    #[test]
    fn lets_a_burst_in_and_then_the_rate() {
        let start = now();
        let ms = |ms| start + Duration::from_millis(ms);
        let mut bucket = Bucket::new(RateLimit {
            calls_per_second: 10.0,
            burst: 3,
        });
        let burst = [0; 4].map(|at| bucket.admit(ms(at)).is_ok());
        assert_eq!(burst, [true, true, true, false]);
        assert_eq!(bucket.admit(ms(50)), Err(Duration::from_millis(50)));
        assert!(bucket.admit(ms(101)).is_ok());
        assert!(bucket.admit(ms(102)).is_err());
    }

    #[test]
    fn a_long_rest_earns_a_burst_and_no_more() {
        let start = now();
        let mut bucket = Bucket::new(RateLimit {
            calls_per_second: 1000.0,
            burst: 2,
        });
        let later = start + Duration::from_secs(3600);
        bucket.admit(start).unwrap();
        let admitted = (0..10).filter(|_| bucket.admit(later).is_ok());
        assert_eq!(admitted.count(), 2);
    }

    #[test]
    fn holds_the_rate_over_time() {
        let start = now();
        let mut bucket = Bucket::new(RateLimit {
            calls_per_second: 100.0,
            burst: 2,
        });
        let admitted = (0..10_000u64)
            .filter(|&ms| bucket.admit(start + Duration::from_millis(ms)).is_ok())
            .count();
        assert!(
            (999..=1003).contains(&admitted),
            "{admitted} in ten seconds"
        );
    }
}
