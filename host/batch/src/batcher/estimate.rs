//! How long an execution takes at least, learnt from those that succeeded.

use std::time::Duration;

/// How many executions are remembered.
const REMEMBERED: usize = 8;

/// The last executions of one group.
///
/// The estimate is a lower bound, as it decides who is refused: the fastest of the last executions counts, and a
/// larger one counts in proportion to its rows. One that was slow once, such as the first, does no harm.
#[derive(Clone, Debug, Default)]
pub(crate) struct Estimate {
    last: [Option<Execution>; REMEMBERED],
    next: usize,
}

#[derive(Clone, Copy, Debug)]
struct Execution {
    took: Duration,
    rows: u32,
}

impl Estimate {
    /// Learns that `rows` took so long.
    pub(crate) fn learn(&mut self, rows: u32, took: Duration) {
        self.last[self.next] = Some(Execution { took, rows });
        self.next = (self.next + 1) % REMEMBERED;
    }

    /// Returns how long `rows` take at least; zero if nothing is known.
    pub(crate) fn at_least(&self, rows: u32) -> Duration {
        let bounds = self.last.iter().flatten().map(|execution| {
            let share = f64::from(rows) / f64::from(execution.rows);
            execution.took.mul_f64(share.min(1.0))
        });
        bounds.min().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn nothing_known_takes_no_time() {
        assert_eq!(Estimate::default().at_least(7), Duration::ZERO);
    }

    #[test]
    fn the_fastest_of_the_last_counts() {
        let mut estimate = Estimate::default();
        estimate.learn(1, 2 * MS);
        estimate.learn(1, 900 * MS);
        assert_eq!(estimate.at_least(1), 2 * MS);
        for _ in 0..REMEMBERED {
            estimate.learn(1, 5 * MS);
        }
        assert_eq!(estimate.at_least(1), 5 * MS, "the 2 ms are forgotten");
    }

    #[test]
    fn a_larger_execution_counts_in_proportion_and_a_smaller_one_as_it_is() {
        let mut estimate = Estimate::default();
        estimate.learn(8, 16 * MS);
        assert_eq!(estimate.at_least(1), 2 * MS);
        assert_eq!(estimate.at_least(32), 16 * MS);
    }
}
