//! Tells a queue that grows from a burst that passes, and from callers who wait for their answers.
//!
//! A burst is what a queue is for: it is let in, and worked off. So many callers, each of whom waits for an answer before the next call, make a
//! queue that stands and grows no longer: that is how they keep a host busy. A queue that grows and grows makes every call wait for
//! all others and answers no more of them. Then calls are refused at the door, as long as it takes, so that those that are let in have few
//! before them.
//!
//! ```text
//! Calm: all are let in ── it was crowded for some time, ──► Overloaded: let in while the queue is short
//!          ▲              and grew, or was full                      │
//!          └── for a second hardly any was refused, or many found ────┘
//!              an empty queue
//! ```

use std::time::{Duration, Instant};

/// A queue is crowded when it is so many times as long as one that is just long.
const CROWD: u64 = 3;

/// How often it is asked whether it is over.
const WINDOW: Duration = Duration::from_secs(1);

/// It is over when fewer than one of so many calls were refused.
const FEW: u64 = 20;

/// It is over as well when one of so many calls found an empty queue: what was refused then came in bursts, or was refused because
/// executions were held up, and would have been answered.
const MANY: u64 = 4;

/// A queue has grown when it is longer by one of so many parts.
const GROWTH: u64 = 4;

/// Whether more calls come than can be answered.
#[derive(Debug, Default)]
pub(crate) struct Overload {
    /// What is known of the queue since it was crowded each time a call came.
    crowd: Option<Crowd>,
    /// What came since the last look, while it is overloaded.
    window: Option<Window>,
}

/// How long a queue would be with a call that comes, in rows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Length {
    pub(crate) rows: u64,
    /// How long it should be at most when it is overloaded.
    pub(crate) limit: u64,
    /// Whether there is no room for the call.
    pub(crate) is_full: bool,
}

/// A queue that is crowded, in periods.
#[derive(Debug)]
struct Crowd {
    /// The most rows in the first period, once it has ended.
    first: Option<u64>,
    /// The most rows in this period.
    most: u64,
    /// Whether there was a call in this period for which there was no room.
    was_full: bool,
    /// When this period began.
    start: Instant,
}

#[derive(Debug)]
struct Window {
    start: Instant,
    offered: u64,
    refused: u64,
    /// Calls that found an empty queue.
    found_empty: u64,
}

impl Length {
    fn is_long(self) -> bool {
        self.is_full || self.rows > self.limit
    }

    fn is_crowded(self) -> bool {
        self.is_full || self.rows > self.limit * CROWD
    }
}

impl Overload {
    /// Lets a call in, or not, with which the queue is so long. `patience` is how long it may be crowded. One for which there is no room is
    /// not let in.
    pub(crate) fn admit(
        &mut self,
        length: Length,
        patience: impl FnOnce() -> Duration,
        now: Instant,
    ) -> bool {
        self.look(now);
        if !length.is_crowded() {
            self.crowd = None;
        } else if self.crowd.get_or_insert_with(|| Crowd::new(now)).has_grown(
            length,
            patience(),
            now,
        ) {
            self.window.get_or_insert_with(|| Window::new(now));
        }
        let Some(window) = &mut self.window else {
            return !length.is_full;
        };
        window.offered += 1;
        window.refused += u64::from(length.is_long());
        !length.is_long()
    }

    /// Lets a call in that finds an empty queue.
    pub(crate) fn admit_first(&mut self, now: Instant) {
        self.look(now);
        self.crowd = None;
        if let Some(window) = &mut self.window {
            window.offered += 1;
            window.found_empty += 1;
        }
    }

    /// Ends an overload that is over.
    fn look(&mut self, now: Instant) {
        if let Some(window) = &self.window
            && now.saturating_duration_since(window.start) >= WINDOW
        {
            self.window = (!window.is_over()).then(|| Window::new(now));
            self.crowd = None;
        }
    }

    pub(crate) fn is_overloaded(&self) -> bool {
        self.window.is_some()
    }
}

impl Crowd {
    fn new(start: Instant) -> Self {
        Self {
            first: None,
            most: 0,
            was_full: false,
            start,
        }
    }

    /// Adds what a call finds, and reports whether the queue has been full, or has grown since the first period.
    fn has_grown(&mut self, length: Length, patience: Duration, now: Instant) -> bool {
        self.most = self.most.max(length.rows);
        self.was_full |= length.is_full;
        if now.saturating_duration_since(self.start) <= patience {
            return false;
        }
        let (most, was_full) = (self.most, self.was_full);
        let has_grown = self
            .first
            .is_some_and(|first| most > first + first / GROWTH + length.limit);
        *self = Self {
            first: self.first.or(Some(most)),
            ..Self::new(now)
        };
        was_full || has_grown
    }
}

impl Window {
    fn new(start: Instant) -> Self {
        Self {
            start,
            offered: 0,
            refused: 0,
            found_empty: 0,
        }
    }

    fn is_over(&self) -> bool {
        self.refused * FEW < self.offered.max(1) || self.found_empty * MANY > self.offered
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const PATIENCE: Duration = Duration::from_millis(50);
    const LIMIT: u64 = 10;

    /// Reports whether a call is let in that makes the queue so long, so many milliseconds after the start.
    fn admit(overload: &mut Overload, start: Instant, ms: u64, rows: u64) -> bool {
        let now = start + Duration::from_millis(ms);
        if rows == 1 {
            overload.admit_first(now);
            return true;
        }
        let length = Length {
            rows,
            limit: LIMIT,
            is_full: rows >= 1000,
        };
        overload.admit(length, || PATIENCE, now)
    }

    /// A second in which the queue grows.
    fn fill(overload: &mut Overload, start: Instant) {
        for ms in 0..1000 {
            admit(overload, start, ms, 50 + ms);
        }
        assert!(overload.is_overloaded());
    }

    #[test]
    fn a_burst_is_let_in() {
        let (mut overload, start) = (Overload::default(), clock::now());
        for burst in 0..10 {
            for ms in 0..90 {
                let rows = if ms < 45 { 31 + 5 * ms } else { 5 * (90 - ms) };
                assert!(admit(&mut overload, start, 100 * burst + ms, rows));
            }
        }
    }

    #[test]
    fn callers_who_wait_for_answers_are_let_in() {
        let (mut overload, start) = (Overload::default(), clock::now());
        for ms in 0..10_000 {
            assert!(admit(&mut overload, start, ms, (20 * ms).min(500 + ms % 7)));
        }
        // A few more come.
        for ms in 10_000..20_000 {
            assert!(admit(&mut overload, start, ms, 530 + ms % 7));
        }
    }

    #[test]
    fn a_queue_that_grows_is_kept_short() {
        let (mut overload, start) = (Overload::default(), clock::now());
        let admitted = (0..1000)
            .filter(|&ms| admit(&mut overload, start, ms, 50 + ms))
            .count();
        assert_eq!(admitted, 102, "two periods");
        assert!(
            admit(&mut overload, start, 1000, LIMIT),
            "who finds it short is let in"
        );
        assert!(!admit(&mut overload, start, 1001, LIMIT + 1));
    }

    #[test]
    fn a_queue_that_grows_slowly_is_found_out() {
        let (mut overload, start) = (Overload::default(), clock::now());
        let admitted = (0..1000)
            .take_while(|&ms| admit(&mut overload, start, ms, 40 + ms / 10))
            .count();
        assert!((300..500).contains(&admitted), "{admitted} of 1000");
    }

    #[test]
    fn a_queue_that_stays_full_is_kept_short() {
        let (mut overload, start) = (Overload::default(), clock::now());
        // One of ten finds no room.
        let admitted = (0..1000)
            .filter(|&ms| admit(&mut overload, start, ms, 999 + u64::from(ms % 10 == 9)))
            .count();
        assert_eq!(admitted, 46, "one period");
    }

    #[test]
    fn what_is_long_is_refused_only_while_it_is_overloaded() {
        let (mut overload, start) = (Overload::default(), clock::now());
        assert!((0..1000).all(|ms| admit(&mut overload, start, ms, 2 * LIMIT)));
        fill(&mut overload, start + Duration::from_secs(1));
        assert!(!admit(&mut overload, start, 2000, 2 * LIMIT));
    }

    #[test]
    fn it_is_over_when_hardly_any_is_refused() {
        let (mut overload, start) = (Overload::default(), clock::now());
        fill(&mut overload, start);
        let rows = |is_long| if is_long { 100 } else { LIMIT };
        // One of ten is refused: it goes on.
        for ms in 1101..3000 {
            let is_long = ms % 10 == 0;
            assert_eq!(admit(&mut overload, start, ms, rows(is_long)), !is_long);
        }
        assert!(overload.is_overloaded());
        for ms in 3000..5300 {
            admit(&mut overload, start, ms, rows(ms % 100 == 0));
        }
        assert!(!overload.is_overloaded());
        assert!(admit(&mut overload, start, 5301, 100));
    }

    #[test]
    fn it_is_over_when_many_find_an_empty_queue() {
        let (mut overload, start) = (Overload::default(), clock::now());
        fill(&mut overload, start);
        // The queue is empty for a third of the time, and long for as much, as executions were held up.
        let rows = |ms| [1, LIMIT, 100][(ms / 10 % 3) as usize];
        for ms in 1101..2110 {
            assert_eq!(admit(&mut overload, start, ms, rows(ms)), rows(ms) < 100);
        }
        assert!(!overload.is_overloaded());
    }

    #[test]
    fn it_is_over_when_nobody_comes() {
        let (mut overload, start) = (Overload::default(), clock::now());
        fill(&mut overload, start);
        assert!(
            !admit(&mut overload, start, 60_000, 100),
            "the calls of the last second were refused"
        );
        assert!(admit(&mut overload, start, 61_000, 1));
        assert!(admit(&mut overload, start, 62_001, 100));
    }
}
