//! Tells a queue that stands from a burst that passes.
//!
//! A burst is what a queue is for: it is let in, and worked off. A queue that does not become short again makes every call wait for all others
//! and answers no more of them. Then calls are refused at the door, as long as it takes, so that those that are let in have few before them.
//!
//! ```text
//! Calm: all are let in ── it was crowded for some time ──► Overloaded: let in while the queue is short
//!          ▲                                                         │
//!          └────────── hardly any was refused for a second ──────────┘
//! ```

use std::time::{Duration, Instant};

/// How often it is asked whether it is over.
const WINDOW: Duration = Duration::from_secs(1);

/// It is over when fewer than one of so many calls were refused.
const FEW: u64 = 20;

/// Whether a queue stands.
#[derive(Debug, Default)]
pub(crate) struct Overload {
    /// Since when the queue has been crowded, each time a call came.
    crowded_since: Option<Instant>,
    /// What came since the last look, while it is overloaded.
    window: Option<Window>,
}

/// How long a queue is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Length {
    /// As it should be at most when it is overloaded.
    Short,
    Long,
    /// Longer than bursts make it that are worked off.
    Crowded,
}

#[derive(Debug)]
struct Window {
    start: Instant,
    offered: u64,
    refused: u64,
}

impl Overload {
    /// Lets a call in, or not, with which the queue is so long. `patience` is how long it may be crowded.
    pub(crate) fn admit(&mut self, length: Length, patience: Duration, now: Instant) -> bool {
        let is_crowded = length == Length::Crowded;
        let is_long = length != Length::Short;
        if let Some(window) = &self.window
            && now.saturating_duration_since(window.start) >= WINDOW
        {
            let is_over = window.refused * FEW < window.offered.max(1);
            self.window = (!is_over).then(|| Window::new(now));
            self.crowded_since = None;
        }
        match (is_crowded, self.crowded_since) {
            (false, _) => self.crowded_since = None,
            (true, None) => self.crowded_since = Some(now),
            (true, Some(since)) if now.saturating_duration_since(since) > patience => {
                self.window.get_or_insert_with(|| Window::new(now));
            }
            (true, Some(_)) => {}
        }
        let Some(window) = &mut self.window else {
            return true;
        };
        window.offered += 1;
        window.refused += u64::from(is_long);
        !is_long
    }

    pub(crate) fn is_overloaded(&self) -> bool {
        self.window.is_some()
    }
}

impl Window {
    fn new(start: Instant) -> Self {
        Self {
            start,
            offered: 0,
            refused: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const PATIENCE: Duration = Duration::from_millis(50);

    fn admit(overload: &mut Overload, start: Instant, ms: u64, is_crowded: bool) -> bool {
        let length = if is_crowded {
            Length::Crowded
        } else {
            Length::Short
        };
        overload.admit(length, PATIENCE, start + Duration::from_millis(ms))
    }

    /// A second in which the queue stands.
    fn fill(overload: &mut Overload, start: Instant) {
        for ms in 0..1000 {
            admit(overload, start, ms, true);
        }
    }

    #[test]
    fn what_is_long_is_refused_only_while_it_is_overloaded() {
        let (mut overload, start) = (Overload::default(), clock::now());
        let mut long =
            |ms| overload.admit(Length::Long, PATIENCE, start + Duration::from_millis(ms));
        assert!((0..1000).all(&mut long));
        fill(&mut overload, start + Duration::from_secs(1));
        let at = start + Duration::from_secs(2);
        assert!(!overload.admit(Length::Long, PATIENCE, at));
    }

    #[test]
    fn a_burst_is_let_in() {
        let (mut overload, start) = (Overload::default(), clock::now());
        assert!((0..50).all(|ms| admit(&mut overload, start, ms, true)));
        assert!(admit(&mut overload, start, 51, false));
        assert!(
            (52..102).all(|ms| admit(&mut overload, start, ms, true)),
            "another one"
        );
    }

    #[test]
    fn a_queue_that_stands_is_not() {
        let (mut overload, start) = (Overload::default(), clock::now());
        let admitted = (0..1000)
            .filter(|&ms| admit(&mut overload, start, ms, true))
            .count();
        assert_eq!(admitted, 51);
        assert!(overload.is_overloaded());
        assert!(
            admit(&mut overload, start, 1000, false),
            "who finds it short is let in"
        );
        assert!(!admit(&mut overload, start, 1001, true));
    }

    #[test]
    fn it_is_over_when_hardly_any_is_refused() {
        let (mut overload, start) = (Overload::default(), clock::now());
        fill(&mut overload, start);
        // One of ten is refused: it goes on.
        for ms in 1051..3000 {
            assert_eq!(admit(&mut overload, start, ms, ms % 10 == 0), ms % 10 != 0);
        }
        assert!(overload.is_overloaded());
        for ms in 3000..5200 {
            admit(&mut overload, start, ms, ms % 100 == 0);
        }
        assert!(!overload.is_overloaded());
        assert!(admit(&mut overload, start, 5201, true));
    }

    #[test]
    fn it_is_over_when_nobody_comes() {
        let (mut overload, start) = (Overload::default(), clock::now());
        fill(&mut overload, start);
        assert!(
            !admit(&mut overload, start, 60_000, true),
            "the calls of the last second were refused"
        );
        assert!(admit(&mut overload, start, 61_000, false));
        assert!(admit(&mut overload, start, 62_001, true));
    }
}
