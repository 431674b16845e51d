//! Counts calls and keeps their latencies.
//!
//! What arrived during the warm-up is not counted, but for two figures: how many calls were *sent*, and how many answers *came*, during the
//! time that is measured, whenever they had arrived. The latter is goodput. Answers that come when all is over, out of a queue that has grown until then, would
//! make an overloaded server look faster than it is.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::target::{Kind, Outcome};

/// The longest time that is told apart from longer ones.
const LONGEST: Duration = Duration::from_secs(600);

/// Times with three digits, from a nanosecond to ten minutes; longer ones count as that. Mean and longest are exact.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    /// In nanoseconds.
    histogram: Histogram<u64>,
    longest: Duration,
    sum: Duration,
}

/// The time that is measured: from `start` until before `end`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) start: Instant,
    pub(crate) end: Instant,
}

/// The times of a call that was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// When it was due.
    pub(crate) arrived: Instant,
    /// When it was sent.
    pub(crate) sent: Instant,
    /// When it had its outcome.
    pub(crate) ended: Instant,
}

/// One call, for those who want to see each.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// When it arrived, since the start of the window.
    pub(crate) arrived: Duration,
    pub(crate) latency: Duration,
    pub(crate) outcome: Outcome,
}

/// What became of the calls of one thread, or of all.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    window: Window,
    /// Calls that arrived and were not sent: too many were under way, or it was too late.
    pub(crate) dropped: u64,
    /// Calls that were sent within the window.
    pub(crate) sent_in_window: u64,
    /// Answers that came within the window.
    pub(crate) answered_in_window: u64,
    /// From arrival to answer.
    pub(crate) answers: Times,
    /// From arrival to refusal.
    pub(crate) refusals: Times,
    /// From arrival to failure.
    pub(crate) failures: Times,
    /// From arrival to when a call was sent.
    pub(crate) lateness: Times,
    pub(crate) refused: BTreeMap<Kind, u64>,
    pub(crate) failed: BTreeMap<Kind, u64>,
    /// Counts of the target.
    pub(crate) counts: BTreeMap<&'static str, u64>,
    /// Every call, if they are to be kept.
    pub(crate) samples: Option<Vec<Sample>>,
}

impl Times {
    pub(crate) fn new() -> Self {
        let longest_ns = LONGEST.as_nanos() as u64;
        Self {
            histogram: Histogram::new_with_bounds(1, longest_ns, 3)
                .expect("these bounds are valid"),
            longest: Duration::ZERO,
            sum: Duration::ZERO,
        }
    }

    /// Adds a time.
    pub(crate) fn record(&mut self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.histogram.saturating_record(ns);
        self.longest = self.longest.max(time);
        self.sum += time;
    }

    /// Returns how many times there are.
    pub(crate) fn len(&self) -> u64 {
        self.histogram.len()
    }

    /// Returns the time that a share `quantile` of all is no longer than, or `None` if there is none.
    pub(crate) fn quantile(&self, quantile: f64) -> Option<Duration> {
        // This is the upper end of a bucket, above the longest time in it.
        let time = Duration::from_nanos(self.histogram.value_at_quantile(quantile));
        (self.len() > 0).then(|| time.min(self.longest))
    }

    /// Returns the longest time, or `None` if there is none.
    pub(crate) fn longest(&self) -> Option<Duration> {
        (self.len() > 0).then_some(self.longest)
    }

    /// Returns the mean, or `None` if there are no times.
    pub(crate) fn mean(&self) -> Option<Duration> {
        (self.len() > 0).then(|| self.sum.div_f64(self.len() as f64))
    }

    /// The histogram, in nanoseconds.
    pub(crate) fn histogram(&self) -> &Histogram<u64> {
        &self.histogram
    }

    fn merge(&mut self, other: &Self) {
        self.histogram
            .add(&other.histogram)
            .expect("all have the same bounds");
        self.longest = self.longest.max(other.longest);
        self.sum += other.sum;
    }
}

impl Window {
    pub(crate) fn contains(&self, time: Instant) -> bool {
        (self.start..self.end).contains(&time)
    }
}

impl Recorder {
    /// Makes one without calls. `keeps_samples` says whether each call is to be kept.
    pub(crate) fn new(window: Window, keeps_samples: bool) -> Self {
        Self {
            window,
            dropped: 0,
            sent_in_window: 0,
            answered_in_window: 0,
            answers: Times::new(),
            refusals: Times::new(),
            failures: Times::new(),
            lateness: Times::new(),
            refused: BTreeMap::new(),
            failed: BTreeMap::new(),
            counts: BTreeMap::new(),
            samples: keeps_samples.then(Vec::new),
        }
    }

    /// Counts a call that was due and not sent.
    pub(crate) fn drop_call(&mut self, arrived: Instant) {
        self.dropped += u64::from(self.window.contains(arrived));
    }

    /// Counts a call that was sent.
    pub(crate) fn record(&mut self, call: Call, outcome: Outcome) {
        self.sent_in_window += u64::from(self.window.contains(call.sent));
        if outcome == Outcome::Answered && self.window.contains(call.ended) {
            self.answered_in_window += 1;
        }
        if !self.window.contains(call.arrived) {
            return;
        }
        let latency = call.ended.saturating_duration_since(call.arrived);
        let lateness = call.sent.saturating_duration_since(call.arrived);
        self.lateness.record(lateness);
        match &outcome {
            Outcome::Answered => self.answers.record(latency),
            Outcome::Refused(kind) => {
                self.refusals.record(latency);
                *self.refused.entry(kind.clone()).or_default() += 1;
            }
            Outcome::Failed(kind) => {
                self.failures.record(latency);
                *self.failed.entry(kind.clone()).or_default() += 1;
            }
        }
        if let Some(samples) = &mut self.samples {
            samples.push(Sample {
                arrived: call.arrived - self.window.start,
                latency,
                outcome,
            });
        }
    }

    /// Adds the counts of a target.
    pub(crate) fn add_counts(&mut self, counts: Vec<(&'static str, u64)>) {
        for (name, count) in counts {
            *self.counts.entry(name).or_default() += count;
        }
    }

    /// Adds what another thread has recorded.
    pub(crate) fn merge(&mut self, other: Self) {
        self.dropped += other.dropped;
        self.sent_in_window += other.sent_in_window;
        self.answered_in_window += other.answered_in_window;
        self.answers.merge(&other.answers);
        self.refusals.merge(&other.refusals);
        self.failures.merge(&other.failures);
        self.lateness.merge(&other.lateness);
        for (mine, others) in [
            (&mut self.refused, other.refused),
            (&mut self.failed, other.failed),
        ] {
            for (kind, count) in others {
                *mine.entry(kind).or_default() += count;
            }
        }
        self.add_counts(other.counts.into_iter().collect());
        if let (Some(samples), Some(others)) = (&mut self.samples, other.samples) {
            samples.extend(others);
            samples.sort_by_key(|sample| sample.arrived);
        }
    }

    /// Returns how many calls were sent.
    pub(crate) fn sent(&self) -> u64 {
        self.lateness.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;

    const SECOND: Duration = Duration::from_secs(1);

    fn window() -> Window {
        let start = now();
        Window {
            start,
            end: start + 10 * SECOND,
        }
    }

    fn call(arrived: Instant, latency: Duration) -> Call {
        Call {
            arrived,
            sent: arrived + latency / 4,
            ended: arrived + latency,
        }
    }

    #[track_caller]
    fn assert_near(found: Option<Duration>, expected: Duration) {
        let found = found.unwrap();
        let ratio = found.as_secs_f64() / expected.as_secs_f64();
        assert!((ratio - 1.0).abs() < 0.001, "{found:?} is not {expected:?}");
    }

    #[test]
    fn percentiles_are_those_of_the_latencies() {
        let window = window();
        let mut recorder = Recorder::new(window, false);
        for ms in 1..=1000 {
            let call = call(window.start, Duration::from_millis(ms));
            recorder.record(call, Outcome::Answered);
        }
        for (quantile, ms) in [
            (0.5, 500),
            (0.9, 900),
            (0.99, 990),
            (0.999, 999),
            (1.0, 1000),
        ] {
            assert_near(
                recorder.answers.quantile(quantile),
                Duration::from_millis(ms),
            );
            let late = Duration::from_millis(ms) / 4;
            assert_near(recorder.lateness.quantile(quantile), late);
        }
        assert_near(recorder.answers.mean(), Duration::from_micros(500_500));
        assert_eq!(recorder.refusals.quantile(0.5), None);
    }

    #[test]
    fn times_beyond_the_longest_count_as_that() {
        let mut times = Times::new();
        times.record(Duration::from_secs(100_000));
        assert_near(times.quantile(0.5), LONGEST);
        assert_eq!(times.longest(), Some(Duration::from_secs(100_000)));
    }

    #[test]
    fn calls_count_by_arrival_and_goodput_by_answer() {
        let window = window();
        let mut recorder = Recorder::new(window, true);
        // Arrives during the warm-up, answered within the window.
        recorder.record(call(window.start - SECOND, 2 * SECOND), Outcome::Answered);
        // Arrives within the window, answered when it is over.
        recorder.record(call(window.end - SECOND, 2 * SECOND), Outcome::Answered);
        recorder.record(call(window.start, SECOND), Outcome::Answered);
        recorder.record(call(window.end, SECOND), Outcome::Answered);
        recorder.drop_call(window.start - SECOND);
        recorder.drop_call(window.start);
        assert_eq!(recorder.sent(), 2);
        assert_eq!(recorder.answers.len(), 2);
        assert_eq!(recorder.answered_in_window, 2);
        assert_eq!(recorder.sent_in_window, 2);
        assert_eq!(recorder.dropped, 1);
        assert_eq!(recorder.samples.unwrap().len(), 2);
    }

    #[test]
    fn merges_what_threads_have_recorded() {
        let window = window();
        let mut first = Recorder::new(window, true);
        let mut second = first.clone();
        first.record(call(window.start + SECOND, SECOND), Outcome::Answered);
        first.record(call(window.start, SECOND), Outcome::TIMED_OUT);
        second.record(call(window.start, SECOND), Outcome::TIMED_OUT);
        second.record(
            call(window.start, SECOND),
            Outcome::Refused("HTTP 503".into()),
        );
        second.drop_call(window.start);
        first.add_counts(vec![("connections", 1)]);
        second.add_counts(vec![("connections", 2)]);
        first.merge(second);
        assert_eq!(first.sent(), 4);
        assert_eq!(first.failed["timeout"], 2);
        assert_eq!(first.refused["HTTP 503"], 1);
        assert_eq!(first.failures.len(), 2);
        assert_eq!(first.dropped, 1);
        assert_eq!(first.counts["connections"], 3);
        let last = first.samples.unwrap().pop().unwrap();
        assert_eq!(last.outcome, Outcome::Answered, "samples are in order");
    }
}
