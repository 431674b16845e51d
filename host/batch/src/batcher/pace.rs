//! How far it pays to join calls, learnt from executions.
//!
//! A perceptron computes 64 rows in little more than the time of one, as it reads its weights once: joined calls are answered sooner. A network
//! of convolutions takes 64 times as long: joined calls only wait for each other. Which it is shows in the time per row, so that is
//! remembered for each class of sizes, and a batch is made no larger than it pays.
//!
//! ```text
//! rows      1    2   3–4   5–8   9–16 …
//! per row   9    6    4     3     3.1        from 5 to 8 rows are best: nothing larger is better by a margin
//!           └──┴────┴─────┘ each a margin better than the best before it
//! ```
//!
//! Handing a batch over costs some tens of microseconds, whatever it has. So where executions take little, what is as good for each row is better if
//! it is larger: 9 to 16 rows above, or more, as long as they take less than [`BRIEF_NANOS`].
//!
//! A class of which nothing is known is tried when so many rows wait, if the one below it paid or was about as good. What was tried
//! and did not pay is tried again later, less and less often: the model or the machine may have changed. Nor does it pay to join what fails
//! again and again, such as sizes that take more memory than the model may have.

use std::time::{Duration, Instant};

/// How many classes there are: 1, 2, 3 to 4, 5 to 8, … rows.
const CLASSES: usize = 24;

/// For a verdict on a class, it is executed so often and so long at least: the first execution of a size may be slow, and short ones are
/// slowed down by what else the machine does. The best of as much time is compared with the best of as much time.
const NEEDED: u32 = 4;
const NEEDED_TIME: Duration = Duration::from_millis(20);

/// By how much a larger class must be faster to be worth it, and how much slower it must be for none beyond it to be tried.
const MARGIN: f64 = 0.08;

/// The same for executions that take as long as [`SLOW_NANOS`]: there waiting for others costs milliseconds, which a few percent of
/// throughput are not worth. A trial costs as much, so there is none beyond a class that did not pay.
const SLOW_MARGIN: f64 = 0.16;
const SLOW_NANOS: f64 = 5e6;

/// Of classes that are about as good, the largest that takes less than this is best.
const BRIEF_NANOS: f64 = 2e6;

/// How many classes beyond the best one are tried, if those between are about as good and not slow.
const BEYOND: usize = 2;

/// How many periods are remembered, if they are short: the load may hold up all executions for some of them.
const REMEMBERED: usize = 8;

/// After how long a class that did not pay is tried again: at first so many times as long as it took to find out, and at most.
const FIRST_RETRIAL: u32 = 150;
const LAST_RETRIAL: Duration = Duration::from_secs(600);

/// What is known of one group's executions.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    classes: [Class; CLASSES],
}

/// Executions of one class of sizes.
#[derive(Clone, Copy, Debug)]
struct Class {
    /// Nanoseconds a row of the fastest execution in each of the periods that ended last.
    last: [f64; REMEMBERED],
    /// The least of them and of the current period: what slowed the others down was not the model.
    per_row: f64,
    /// Whether a period has ended.
    is_known: bool,
    /// Whether it was due again, and no period has ended since.
    is_on_trial: bool,
    /// How many periods have ended since it was due again.
    periods_in_a_row: usize,
    current: Period,
    /// How many executions of calls that were joined have failed in a row.
    failures: u32,
    /// Until when no calls are joined to so many rows, as it failed, and how long that is.
    fails_until: Option<Instant>,
    fails_for: Duration,
    /// When it was executed last.
    at: Option<Instant>,
    /// How long it is left alone once it has not paid; nothing before the first period has ended.
    retrial: Duration,
}

/// As many executions as are needed for a verdict.
#[derive(Clone, Copy, Debug)]
struct Period {
    /// Nanoseconds a row of the fastest execution.
    fastest: f64,
    executions: u32,
    time: Duration,
    /// How long the shortest took.
    shortest: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            classes: [Class::UNKNOWN; CLASSES],
        }
    }
}

impl Pace {
    /// Learns that an execution of so many rows took so long.
    pub(crate) fn learn(&mut self, rows: u32, took: Duration, now: Instant) {
        let per_row = took.as_nanos() as f64 / f64::from(rows);
        self.classes[class_of(rows)].learn(per_row, took, now);
    }

    /// Learns that an execution of so many rows failed, of calls that were joined.
    pub(crate) fn fail(&mut self, rows: u32, now: Instant) {
        self.classes[class_of(rows)].fail(now);
    }

    /// Learns that one of calls that were joined did not.
    pub(crate) fn succeed(&mut self, rows: u32) {
        let class = &mut self.classes[class_of(rows)];
        (class.failures, class.fails_until) = (0, None);
        class.fails_for = Duration::ZERO;
    }

    /// Returns how many rows the next batch should have at most, whose first call has `first` rows, where `most` are allowed and about
    /// `waiting` wait. A class is tried only when it can be filled.
    pub(crate) fn rows(&self, first: u32, most: u32, waiting: u32, now: Instant) -> u32 {
        let (best, trial) = self.choose(first, most, now);
        let trial = trial.filter(|&trial| rows_of(trial).min(most) <= waiting);
        self.size(trial.unwrap_or(best), first, most, now)
    }

    /// Returns how many rows a batch has that is as fast as can be, as far as is known, or that is to be tried. Where so many can wait, it can be.
    pub(crate) fn best_rows(&self, first: u32, most: u32, now: Instant) -> u32 {
        let (best, trial) = self.choose(first, most, now);
        self.size(trial.unwrap_or(best), first, most, now)
    }

    /// Returns how many rows a batch of a class has at most: those of its first call, if joined ones fail in it.
    fn size(&self, class: usize, first: u32, most: u32, now: Instant) -> u32 {
        let rows = match self.classes[class].is_failing(now) {
            true => first,
            false => rows_of(class),
        };
        rows.clamp(first.min(most), most)
    }

    /// Returns the best class, and one that is to be tried.
    fn choose(&self, first: u32, most: u32, now: Instant) -> (usize, Option<usize>) {
        let base = class_of(first);
        let mut best = base;
        // All others are compared with it, and larger.
        if !self.classes[base].is_known || self.classes[base].is_failing(now) {
            return (base, None);
        }
        let mut least = self.classes[base].per_row;
        for candidate in base + 1..=class_of(most).max(base) {
            let class = &self.classes[candidate];
            if candidate > best + BEYOND {
                break;
            }
            if !class.is_known {
                return (best, Some(candidate));
            }
            let (fastest, other) = (self.classes[best].per_row, class.per_row);
            let nanos = other * f64::from(rows_of(candidate));
            let is_slow = nanos >= SLOW_NANOS;
            let margin = if is_slow { SLOW_MARGIN } else { MARGIN };
            let is_as_good = other < least * (1.0 + MARGIN);
            least = least.min(other);
            if other < fastest * (1.0 - margin) || nanos < BRIEF_NANOS && is_as_good {
                best = candidate;
            } else if class.is_on_trial || class.is_due_again(now) {
                return (best, Some(candidate));
            } else if is_slow || !is_as_good {
                break;
            }
        }
        (best, None)
    }
}

impl Class {
    const UNKNOWN: Self = Self {
        last: [f64::INFINITY; REMEMBERED],
        per_row: f64::INFINITY,
        is_known: false,
        is_on_trial: false,
        periods_in_a_row: 0,
        current: Period::EMPTY,
        failures: 0,
        fails_until: None,
        fails_for: Duration::ZERO,
        at: None,
        retrial: Duration::ZERO,
    };

    fn learn(&mut self, per_row: f64, took: Duration, now: Instant) {
        self.begin(now);
        self.current.fastest = self.current.fastest.min(per_row);
        self.current.executions += 1;
        self.current.time += took;
        self.current.shortest = self.current.shortest.min(took);
        if self.current.executions >= NEEDED && self.current.time >= NEEDED_TIME {
            self.end_period();
        }
        self.per_row = self.last.into_iter().fold(self.current.fastest, f64::min);
    }

    fn fail(&mut self, now: Instant) {
        self.begin(now);
        self.failures += 1;
        if self.failures < NEEDED {
            return;
        }
        let retrial = (self.fails_for * 2).clamp(NEEDED_TIME * FIRST_RETRIAL, LAST_RETRIAL);
        *self = Self {
            is_known: true,
            at: self.at,
            retrial,
            fails_for: retrial,
            fails_until: now.checked_add(retrial),
            ..Self::UNKNOWN
        };
    }

    /// Reports whether no calls are to be joined to so many rows.
    fn is_failing(&self, now: Instant) -> bool {
        self.fails_until.is_some_and(|until| now < until)
    }

    /// Notes that there is an execution, which is a trial if it is one after a long time.
    fn begin(&mut self, now: Instant) {
        if self.is_due_again(now) {
            self.is_on_trial = true;
            self.periods_in_a_row = 0;
            self.retrial = (self.retrial * 2).min(LAST_RETRIAL);
            self.current = Period::EMPTY;
        }
        self.at = Some(now);
    }

    fn end_period(&mut self) {
        let Period {
            fastest, shortest, ..
        } = self.current;
        // What held one of them up is none of it.
        let time = (shortest * NEEDED).max(NEEDED_TIME);
        if self.periods_in_a_row.is_multiple_of(REMEMBERED) && !self.is_on_trial {
            self.retrial = (time * FIRST_RETRIAL).min(LAST_RETRIAL);
        }
        if self.is_on_trial || time > NEEDED_TIME * 2 {
            self.last = Self::UNKNOWN.last;
        }
        self.last[self.periods_in_a_row % REMEMBERED] = fastest;
        self.periods_in_a_row += 1;
        (self.is_known, self.is_on_trial) = (true, false);
        self.current = Period::EMPTY;
    }

    /// Reports whether it has not been executed for so long that what is known of it may be of no use any more.
    fn is_due_again(&self, now: Instant) -> bool {
        let since = self.at.map(|at| now.saturating_duration_since(at));
        self.is_known && since.is_some_and(|since| since >= self.retrial)
    }
}

impl Period {
    const EMPTY: Self = Self {
        fastest: f64::INFINITY,
        executions: 0,
        time: Duration::ZERO,
        shortest: Duration::MAX,
    };
}

/// Returns the class of a size.
fn class_of(rows: u32) -> usize {
    let class = rows.max(1).next_power_of_two().trailing_zeros() as usize;
    class.min(CLASSES - 1)
}

/// Returns the largest size of a class.
fn rows_of(class: usize) -> u32 {
    1 << class
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const MOST: u32 = 64;

    /// Executes what is chosen, with so many rows waiting, until `at` is over; returns the sizes.
    fn sizes(
        pace: &mut Pace,
        cost: impl Fn(u32) -> f64,
        start: Instant,
        at: u64,
        executions: u32,
    ) -> Vec<u32> {
        let now = |index: u32| {
            start + Duration::from_secs(at) + Duration::from_micros(u64::from(index) * 200)
        };
        let sizes = (0..executions).map(|index| {
            let rows = pace.rows(1, MOST, MOST, now(index));
            pace.learn(rows, Duration::from_secs_f64(cost(rows) / 1e6), now(index));
            rows
        });
        sizes.collect()
    }

    /// Long enough to find out about a model that takes some 100 µs.
    const LONG: u32 = 2000;

    /// The sizes, each once, in the order in which they came.
    fn deduplicated(mut sizes: Vec<u32>) -> Vec<u32> {
        sizes.dedup();
        sizes
    }

    #[test]
    fn what_gains_by_rows_is_joined_as_far_as_it_may() {
        let mut pace = Pace::default();
        let perceptron = |rows: u32| 90.0 + 5.0 * f64::from(rows);
        let sizes = sizes(&mut pace, perceptron, clock::now(), 0, LONG);
        let twos = sizes.iter().filter(|&&rows| rows == 2).count();
        assert_eq!(twos, 200, "20 ms");
        assert_eq!(deduplicated(sizes), [1, 2, 4, 8, 16, 32, 64]);
    }

    #[test]
    fn what_else_the_machine_does_is_not_taken_for_the_model() {
        let mut pace = Pace::default();
        let start = clock::now();
        let mut random = 1u32;
        // Every other execution is held up, for about as long as they take or much longer.
        let mut held_up = || {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(random >> 24) / 20.0 * f64::from(u8::from(random >> 16 & 0xff > 127))
        };
        for index in 0..LONG {
            let now = start + Duration::from_micros(u64::from(index) * 200);
            let rows = pace.rows(1, MOST, MOST, now);
            let micros = (30.0 + 11.0 * f64::from(rows)) * (1.0 + held_up());
            pace.learn(rows, Duration::from_secs_f64(micros / 1e6), now);
        }
        let rows = pace.rows(1, MOST, MOST, start + Duration::from_secs(1));
        assert!(rows >= 8, "{rows}");
    }

    #[test]
    fn what_takes_as_long_for_each_row_is_not_joined() {
        let mut pace = Pace::default();
        let start = clock::now();
        let convolutions = |rows: u32| 4000.0 * f64::from(rows) * if rows > 1 { 1.04 } else { 1.0 };
        let first = sizes(&mut pace, convolutions, start, 0, 40);
        assert_eq!(
            first[9..],
            [1; 31],
            "one class is tried, four times: {first:?}"
        );
        let later = sizes(&mut pace, convolutions, start, 1, 40);
        assert_eq!(later, [1; 40]);
        // Tried again after 5 seconds, 10, 20, …: once a class and time.
        let mut trials = 0;
        for second in 2..3600 {
            let sizes = sizes(&mut pace, convolutions, start, second, 250);
            trials += sizes.iter().filter(|&&rows| rows > 1).count();
        }
        assert!((40..=100).contains(&trials), "{trials} trials in an hour");
    }

    #[test]
    fn what_is_clearly_worse_ends_the_search() {
        let mut pace = Pace::default();
        let cliff = |rows: u32| match rows {
            ..=8 => 100.0 + f64::from(rows),
            _ => 100.0 * f64::from(rows),
        };
        let sizes = sizes(&mut pace, cliff, clock::now(), 0, LONG);
        assert_eq!(deduplicated(sizes), [1, 2, 4, 8, 16, 8]);
    }

    #[test]
    fn a_gain_that_comes_late_is_found() {
        let mut pace = Pace::default();
        let late = |rows: u32| f64::from(rows) * if rows >= 4 { 60.0 } else { 100.0 };
        let sizes = sizes(&mut pace, late, clock::now(), 0, LONG);
        assert_eq!(deduplicated(sizes), [1, 2, 4, 8, 16, 32, 64, 32]);
    }

    #[test]
    fn of_sizes_that_are_as_good_the_largest_is_best_that_takes_little() {
        let sizes = |micros_per_row: f64| {
            let mut pace = Pace::default();
            let executions = if micros_per_row < 100.0 {
                4 * LONG
            } else {
                LONG
            };
            let even = |rows: u32| micros_per_row * f64::from(rows);
            deduplicated(sizes(&mut pace, even, clock::now(), 0, executions))
        };
        assert_eq!(sizes(15.0), [1, 2, 4, 8, 16, 32, 64]);
        assert_eq!(sizes(300.0), [1, 2, 4, 8, 16, 4], "2.4 ms are too much");
        assert_eq!(sizes(1500.0), [1, 2, 4, 1]);
    }

    #[test]
    fn what_holds_up_all_executions_for_a_while_changes_nothing() {
        let mut pace = Pace::default();
        let start = clock::now();
        let perceptron = |rows: u32| 25.0 + 12.0 * f64::from(rows);
        sizes(&mut pace, perceptron, start, 0, LONG);
        let held_up = sizes(&mut pace, |rows| 2.0 * perceptron(rows), start, 1, 70);
        assert_eq!(held_up, [64; 70], "0.1 s");
    }

    #[test]
    fn one_slow_execution_does_no_harm() {
        let mut pace = Pace::default();
        let start = clock::now();
        let perceptron = |rows: u32| 90.0 + 5.0 * f64::from(rows);
        sizes(&mut pace, perceptron, start, 0, LONG);
        pace.learn(64, Duration::from_secs(1), start);
        assert_eq!(pace.rows(1, MOST, MOST, start), 64);
    }

    #[test]
    fn a_model_that_changes_is_learnt_anew() {
        let mut pace = Pace::default();
        let start = clock::now();
        let convolutions = |rows: u32| 4000.0 * f64::from(rows);
        let perceptron = |rows: u32| 90.0 + 5.0 * f64::from(rows);
        sizes(&mut pace, perceptron, start, 0, LONG);
        let slower = sizes(&mut pace, convolutions, start, 1, 60);
        assert!(slower[50..].iter().all(|&rows| rows <= 4), "{slower:?}");
        let faster = sizes(&mut pace, perceptron, start, 2000, LONG);
        assert_eq!(faster.last(), Some(&64), "{faster:?}");
    }

    #[test]
    fn what_fails_again_and_again_is_not_joined_for_long() {
        let mut pace = Pace::default();
        let start = clock::now();
        let mut failures = 0;
        let mut execute = |pace: &mut Pace, now: Instant| {
            let rows = pace.rows(1, MOST, MOST, now);
            if rows > 8 {
                pace.fail(rows, now);
                failures += 1;
                return 0;
            }
            let nanos = 90_000 + 5_000 * u64::from(rows);
            pace.learn(rows, Duration::from_nanos(nanos), now);
            rows
        };
        let mut executed = vec![];
        for second in 0..3600 {
            for index in 0..250 {
                let now = start + Duration::from_secs(second) + Duration::from_millis(index);
                executed.push(execute(&mut pace, now));
            }
        }
        executed.retain(|&rows| rows > 0);
        assert!(executed[1000..].iter().all(|&rows| rows == 8));
        assert!(
            (20..80).contains(&failures),
            "{failures} failures in an hour"
        );
    }

    #[test]
    fn a_failure_now_and_then_is_that_of_a_call() {
        let mut pace = Pace::default();
        let start = clock::now();
        let perceptron = |rows: u32| 90.0 + 5.0 * f64::from(rows);
        sizes(&mut pace, perceptron, start, 0, LONG);
        for index in 0..100 {
            let now = start + Duration::from_secs(1) + Duration::from_millis(index);
            for _ in 1..NEEDED {
                pace.fail(64, now);
            }
            assert_eq!(pace.rows(1, MOST, MOST, now), 64);
            pace.succeed(64);
        }
    }

    #[test]
    fn calls_of_several_rows_are_executed_by_themselves_if_nothing_else_works() {
        let mut pace = Pace::default();
        let start = clock::now();
        let mut failures = 0;
        for second in 0..3600 {
            let now = start + Duration::from_secs(second);
            for _ in 0..10 {
                // A call of five rows and one of one wait; six are too many.
                if pace.rows(5, MOST, 6, now) > 5 {
                    pace.fail(6, now);
                    failures += 1;
                }
                pace.learn(5, Duration::from_millis(30), now);
            }
        }
        assert!(
            (8..80).contains(&failures),
            "{failures} failures in an hour"
        );
    }

    #[test]
    fn a_call_of_several_rows_is_the_least() {
        let mut pace = Pace::default();
        let now = clock::now();
        assert_eq!(pace.rows(3, MOST, MOST, now), 4, "nothing is known");
        for _ in 0..NEEDED {
            pace.learn(3, Duration::from_millis(6), now);
        }
        assert_eq!(pace.rows(3, MOST, 8, now), 8, "tries the next class");
        assert_eq!(pace.rows(3, MOST, 7, now), 4, "but not with too few");
        assert_eq!(pace.best_rows(3, MOST, now), 8, "room for them");
        assert_eq!(pace.rows(100, MOST, MOST, now), 64);
        assert_eq!(pace.rows(2, 2, MOST, now), 2);
    }
}
