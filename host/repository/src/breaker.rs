//! Keeps calls away from a model that fails at every one.
//!
//! ```text
//!            failures in a row            the cool-down is over: one call may try
//!   Closed ──────────────────────► Open ───────────────────────────────────────► Trial
//!     ▲                              ▲                                             │
//!     │                              └─────────────── it failed ───────────────────┤
//!     └─────────────────────────────────────────────── it succeeded ───────────────┘
//! ```
//!
//! It is told the time. A trial whose end nobody tells, as its caller went away, is followed by another after a cool-down.

use std::time::{Duration, Instant};

/// When calls are kept away from a model.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BreakerConfig {
    /// How many executions in a row have to fail by the model's fault. Default: 16. 0: calls are never kept away.
    pub failures: u32,
    /// How long calls are kept away before one may try. Default: 5 s.
    pub cool_down: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            failures: 16,
            cool_down: Duration::from_secs(5),
        }
    }
}

/// The state of one model.
#[derive(Debug)]
pub(crate) struct Breaker {
    config: BreakerConfig,
    state: State,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant },
    Trial { until: Instant },
}

impl Breaker {
    pub(crate) fn new(config: BreakerConfig) -> Self {
        Self {
            config,
            state: State::Closed { failures: 0 },
        }
    }

    /// Lets a call in, or says when it may come again.
    pub(crate) fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        let until = match self.state {
            State::Closed { .. } => return Ok(()),
            State::Open { until } | State::Trial { until } => until,
        };
        if now < until {
            return Err(until - now);
        }
        self.state = State::Trial {
            until: now + self.config.cool_down,
        };
        Ok(())
    }

    /// Learns how an execution ended. Failures are those that are the model's fault.
    pub(crate) fn note(&mut self, is_failure: bool, now: Instant) {
        if !is_failure {
            self.state = State::Closed { failures: 0 };
            return;
        }
        let open = State::Open {
            until: now + self.config.cool_down,
        };
        self.state = match self.state {
            State::Closed { failures } => {
                let failures = failures.saturating_add(1);
                match self.config.failures {
                    most if most > 0 && failures >= most => open,
                    _ => State::Closed { failures },
                }
            }
            State::Trial { .. } => open,
            // Of an execution that had begun before.
            State::Open { until } => State::Open { until },
        };
    }

    /// Reports whether calls are kept away.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.state, State::Closed { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;

    const SECOND: Duration = Duration::from_secs(1);

    fn broken(now: Instant) -> Breaker {
        let mut breaker = Breaker::new(BreakerConfig::default());
        for _ in 0..16 {
            assert_eq!(breaker.admit(now), Ok(()));
            breaker.note(true, now);
        }
        breaker
    }

    #[test]
    fn opens_after_failures_in_a_row() {
        let start = now();
        let mut breaker = Breaker::new(BreakerConfig::default());
        for round in 0..100 {
            breaker.note(round % 16 != 15, start);
        }
        assert!(!breaker.is_open(), "one of sixteen succeeded");
        let mut breaker = broken(start);
        assert!(breaker.is_open());
        assert_eq!(breaker.admit(start + SECOND), Err(4 * SECOND));
    }

    #[test]
    fn a_trial_that_succeeds_closes_it() {
        let start = now();
        let mut breaker = broken(start);
        assert_eq!(breaker.admit(start + 5 * SECOND), Ok(()));
        assert_eq!(
            breaker.admit(start + 6 * SECOND),
            Err(4 * SECOND),
            "one at a time"
        );
        breaker.note(false, start + 6 * SECOND);
        assert_eq!(breaker.admit(start + 6 * SECOND), Ok(()));
        assert!(!breaker.is_open());
    }

    #[test]
    fn a_trial_that_fails_opens_it_again() {
        let start = now();
        let mut breaker = broken(start);
        assert_eq!(breaker.admit(start + 5 * SECOND), Ok(()));
        breaker.note(true, start + 7 * SECOND);
        assert_eq!(breaker.admit(start + 8 * SECOND), Err(4 * SECOND));
    }

    #[test]
    fn a_trial_that_nobody_ends_is_followed_by_another() {
        let start = now();
        let mut breaker = broken(start);
        assert_eq!(breaker.admit(start + 5 * SECOND), Ok(()));
        assert_eq!(breaker.admit(start + 10 * SECOND), Ok(()));
    }

    #[test]
    fn what_fails_late_does_not_prolong_it() {
        let start = now();
        let mut breaker = broken(start);
        breaker.note(true, start + 4 * SECOND);
        assert_eq!(breaker.admit(start + 5 * SECOND), Ok(()));
    }

    #[test]
    fn without_a_number_of_failures_it_stays_closed() {
        let config = BreakerConfig {
            failures: 0,
            ..BreakerConfig::default()
        };
        let mut breaker = Breaker::new(config);
        for _ in 0..1000 {
            breaker.note(true, now());
        }
        assert!(!breaker.is_open());
    }
}
