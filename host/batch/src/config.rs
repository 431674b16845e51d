//! What bounds a batcher: sizes, delays, levels. Names and defaults are Triton's where the meaning is.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

/// The longest [`QueueDelay::AtMost`].
pub const MAX_QUEUE_DELAY: Duration = Duration::from_secs(60);

/// The longest [`BatchConfig::priority_step`].
pub const MAX_PRIORITY_STEP: Duration = Duration::from_secs(60);

/// The most [`BatchConfig::priority_levels`].
pub const MAX_PRIORITY_LEVELS: u32 = 256;

/// How calls are joined, and how many may wait.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BatchConfig {
    /// The most rows of a batch. A call with more rows goes alone. Default: 64. Triton chooses 4 for models that do not say,
    /// but joins whether or not it pays.
    pub max_batch_size: NonZeroU32,
    /// Which calls are joined, under [`QueueDelay::Auto`] and without preferred sizes. Default: [`Join::WhenFaster`].
    pub join: Join,
    /// Sizes in rows at which a batch leaves without waiting for more, ascending. Default: none, which is best for
    /// most models.
    pub preferred_batch_size: Vec<u32>,
    /// How long a call may be held back while a worker is free. Default: [`QueueDelay::Auto`].
    pub max_queue_delay: QueueDelay,
    /// The most calls that wait; what comes then is shed. Default: 4096, where Triton's queue has no limit.
    pub max_queue_size: NonZeroUsize,
    /// What becomes of calls when more come than can be answered. Default: [`Overload::Shed`].
    pub overload: Overload,
    /// How many levels of priority there are; 1 is the first. Default: 0, all calls are alike.
    pub priority_levels: u32,
    /// The level of calls that name none, or one that there is not. Default: 0, which goes with no levels.
    pub default_priority_level: u32,
    /// How much later a call counts as queued for each level below the first. Default: one second.
    ///
    /// A call goes before those of better levels that came this much later, so that no level starves.
    pub priority_step: Duration,
    /// Sizes in rows at which the model is fast, ascending; smaller batches are padded to the next of them.
    /// Default: none.
    pub pad_to: Vec<u32>,
    /// What padded rows hold. Default: [`Padding::RepeatLast`].
    pub padding: Padding,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self {
            max_batch_size: const { NonZeroU32::new(64).expect("is not 0") },
            join: Join::WhenFaster,
            preferred_batch_size: Vec::new(),
            max_queue_delay: QueueDelay::Auto,
            max_queue_size: const { NonZeroUsize::new(4096).expect("is not 0") },
            overload: Overload::Shed,
            priority_levels: 0,
            default_priority_level: 0,
            priority_step: Duration::from_secs(1),
            pad_to: Vec::new(),
            padding: Padding::RepeatLast,
        }
    }
}

/// How long a call may be held back while a worker is free.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum QueueDelay {
    /// Never: batches form from what waits while all workers are busy, and several free workers share it.
    #[default]
    Auto,
    /// So long, in the hope of a batch of full or preferred size; then the batch takes all that waits and fits.
    AtMost(Duration),
}

/// Which waiting calls are joined.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Join {
    /// As many as make the model compute more rows a second, as its executions have shown. One that takes twice as long for two rows gets
    /// one call at a time.
    #[default]
    WhenFaster,
    /// All that wait, up to the largest batch, as Triton does.
    Always,
}

/// What becomes of calls when more come than can be answered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Overload {
    /// Once a queue has been long for some time, it is kept so short that a call that is let in waits for two executions at most before its own.
    /// What comes beyond is refused.
    #[default]
    Shed,
    /// The queue is filled up to `max_queue_size`, as in Triton.
    Queue,
}

/// What padded rows hold.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Padding {
    /// The last row again: a value that the model expects.
    #[default]
    RepeatLast,
    /// Zeros.
    Zeros,
}

impl BatchConfig {
    /// Checks the configuration against itself.
    ///
    /// # Errors
    /// If a list does not ascend from at least 1 to at most `max_batch_size`, a duration or the number of levels is
    /// above its limit, or the default level is none of the levels.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        self.check_sizes("preferred_batch_size", &self.preferred_batch_size)?;
        self.check_sizes("pad_to", &self.pad_to)?;
        if let QueueDelay::AtMost(delay) = self.max_queue_delay {
            check_duration("max_queue_delay", delay, MAX_QUEUE_DELAY)?;
        }
        check_duration("priority_step", self.priority_step, MAX_PRIORITY_STEP)?;
        if self.priority_levels > MAX_PRIORITY_LEVELS {
            return Err(InvalidConfig {
                field: "priority_levels",
                expected: format!("at most {MAX_PRIORITY_LEVELS}"),
                found: self.priority_levels.to_string(),
            });
        }
        let first = self.priority_levels.min(1);
        if !(first..=self.priority_levels).contains(&self.default_priority_level) {
            return Err(InvalidConfig {
                field: "default_priority_level",
                expected: format!("{first} to {}", self.priority_levels),
                found: self.default_priority_level.to_string(),
            });
        }
        Ok(())
    }

    fn check_sizes(&self, field: &'static str, sizes: &[u32]) -> Result<(), InvalidConfig> {
        let fits = |size: &u32| (1..=self.max_batch_size.get()).contains(size);
        if sizes.iter().all(fits) && sizes.is_sorted_by(|a, b| a < b) {
            return Ok(());
        }
        Err(InvalidConfig {
            field,
            expected: format!("ascending sizes from 1 to {}", self.max_batch_size),
            found: format!("{sizes:?}"),
        })
    }

    /// Reports whether batches are made only as large as it pays.
    pub(crate) fn joins_when_faster(&self) -> bool {
        // Who gives sizes or a delay knows what he wants.
        self.join == Join::WhenFaster
            && self.max_queue_delay == QueueDelay::Auto
            && self.preferred_batch_size.is_empty()
            && self.pad_to.is_empty()
    }

    /// Returns the same for a model whose calls cannot be joined.
    pub(crate) fn without_batches(self) -> Self {
        Self {
            max_batch_size: NonZeroU32::MIN,
            preferred_batch_size: Vec::new(),
            pad_to: Vec::new(),
            ..self
        }
    }

    /// Reports whether calls of this priority go before those that name none.
    pub(crate) fn is_better_than_default(&self, priority: u32) -> bool {
        (1..self.default_priority_level).contains(&priority)
    }

    /// Returns how much later than it came a call of this priority counts as queued.
    pub(crate) fn handicap(&self, priority: u32) -> Duration {
        let level = match priority {
            1.. if priority <= self.priority_levels => priority,
            _ => self.default_priority_level,
        };
        self.priority_step * level.saturating_sub(1)
    }

    /// Returns the size to which a batch of `rows` is padded.
    pub(crate) fn padded(&self, rows: u32) -> u32 {
        let size = self.pad_to.iter().find(|&&size| size >= rows);
        size.copied().unwrap_or(rows)
    }
}

fn check_duration(
    field: &'static str,
    duration: Duration,
    most: Duration,
) -> Result<(), InvalidConfig> {
    if duration <= most {
        return Ok(());
    }
    Err(InvalidConfig {
        field,
        expected: format!("at most {most:?}"),
        found: format!("{duration:?}"),
    })
}

/// A configuration that contradicts itself or goes beyond a limit.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{field}`: expected {expected}, found {found}")]
pub struct InvalidConfig {
    field: &'static str,
    expected: String,
    found: String,
}

impl InvalidConfig {
    pub(crate) fn new(field: &'static str, expected: String, found: String) -> Self {
        Self {
            field,
            expected,
            found,
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn says_what_is_wrong() {
        let over = Duration::from_nanos(1);
        let change: [fn(&mut BatchConfig, Duration); 9] = [
            |config, _| config.preferred_batch_size = vec![0, 2],
            |config, _| config.preferred_batch_size = vec![2, 5],
            |config, _| config.pad_to = vec![2, 2],
            |config, _| config.pad_to = vec![4, 2],
            |config, over| config.max_queue_delay = QueueDelay::AtMost(MAX_QUEUE_DELAY + over),
            |config, over| config.priority_step = MAX_PRIORITY_STEP + over,
            |config, _| config.priority_levels = MAX_PRIORITY_LEVELS + 1,
            |config, _| config.priority_levels = 2,
            |config, _| config.default_priority_level = 1,
        ];
        let errors = change.map(|change| {
            let mut config = BatchConfig {
                max_batch_size: NonZeroU32::new(4).unwrap(),
                ..BatchConfig::default()
            };
            change(&mut config, over);
            config.check().unwrap_err().to_string()
        });
        expect![[r"
            `preferred_batch_size`: expected ascending sizes from 1 to 4, found [0, 2]
            `preferred_batch_size`: expected ascending sizes from 1 to 4, found [2, 5]
            `pad_to`: expected ascending sizes from 1 to 4, found [2, 2]
            `pad_to`: expected ascending sizes from 1 to 4, found [4, 2]
            `max_queue_delay`: expected at most 60s, found 60.000000001s
            `priority_step`: expected at most 60s, found 60.000000001s
            `priority_levels`: expected at most 256, found 257
            `default_priority_level`: expected 1 to 2, found 0
            `default_priority_level`: expected 0 to 0, found 1"]]
        .assert_eq(&errors.join("\n"));
    }

    #[test]
    fn accepts_what_is_at_the_limits() {
        let config = BatchConfig {
            preferred_batch_size: vec![1, 4],
            pad_to: vec![1, 4],
            max_queue_delay: QueueDelay::AtMost(MAX_QUEUE_DELAY),
            priority_levels: MAX_PRIORITY_LEVELS,
            default_priority_level: MAX_PRIORITY_LEVELS,
            priority_step: MAX_PRIORITY_STEP,
            ..BatchConfig::default()
        };
        assert_eq!(config.check(), Ok(()));
    }

    #[test]
    fn a_priority_that_there_is_not_is_the_default() {
        let config = BatchConfig {
            priority_levels: 3,
            default_priority_level: 2,
            ..BatchConfig::default()
        };
        let handicaps = [0, 1, 2, 3, 4].map(|priority| config.handicap(priority).as_secs());
        assert_eq!(handicaps, [1, 0, 1, 2, 1]);
    }
}
