//! Schedules under a scripted clock.

mod deadlines;
mod failures;
mod limits;
mod order;
mod schedules;
mod simulations;

use std::collections::VecDeque;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::{Duration, Instant};

use super::*;
use crate::call::FreeDims;
use crate::clock;
use crate::config::Join;

/// A batcher and what happens to it, with times in milliseconds from the start.
struct Script {
    batcher: Batcher<&'static str>,
    start: Instant,
    running: VecDeque<Batch<&'static str>>,
}

impl Script {
    fn new(change: impl FnOnce(&mut BatchConfig)) -> Self {
        let mut config = BatchConfig {
            max_batch_size: NonZeroU32::new(4).unwrap(),
            // What is joined is not to depend on what was measured.
            join: Join::Always,
            ..BatchConfig::default()
        };
        change(&mut config);
        Self {
            batcher: Batcher::new(config).unwrap(),
            start: clock::now(),
            running: VecDeque::new(),
        }
    }

    fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }

    fn push(&mut self, ms: u64, call: Call<&'static str>) -> Ticket {
        self.batcher.push(call, self.at(ms)).unwrap()
    }

    fn offer(&mut self, ms: u64, call: Call<&'static str>) -> Result<(), ShedReason> {
        let pushed = self.batcher.push(call, self.at(ms));
        pushed.map(drop).map_err(|shed| shed.reason)
    }

    #[track_caller]
    fn refuse(&mut self, ms: u64, call: Call<&'static str>) -> ShedReason {
        let shed = self.batcher.push(call, self.at(ms));
        shed.expect_err("the call is shed").reason
    }

    /// Polls until there is nothing to be done: `[a b]+2` is a batch with two rows of padding, `!c` a call that
    /// fails fast.
    fn poll(&mut self, ms: u64, mut free_workers: usize) -> String {
        let mut actions = Vec::new();
        while let Some(action) = self.batcher.poll(self.at(ms), free_workers) {
            match action {
                Action::Run(batch) => {
                    let names: Vec<&str> =
                        batch.calls().iter().map(|call| *call.carried()).collect();
                    let padding = match batch.padded_rows() - batch.rows() {
                        0 => String::new(),
                        rows => format!("+{rows}"),
                    };
                    actions.push(format!("[{}]{padding}", names.join(" ")));
                    self.running.push_back(batch);
                    free_workers -= 1;
                }
                Action::FailFast(name) => actions.push(format!("!{name}")),
            }
        }
        actions.join(" ")
    }

    /// Completes the batch that runs longest, and tells what its calls are answered.
    fn complete(&mut self, ms: u64, outcome: Outcome) -> String {
        let batch = self.running.pop_front().expect("a batch runs");
        let settled = self.batcher.complete(batch, outcome, self.at(ms));
        let settled = settled
            .iter()
            .map(|call| format!("{} {:?}", call.carried, call.verdict));
        Vec::from_iter(settled).join(", ")
    }

    fn next_due(&self, ms: u64, free_workers: usize) -> Option<Duration> {
        let due = self.batcher.next_due(self.at(ms), free_workers);
        due.map(|due| due - self.start)
    }
}

/// A call of one row.
fn call(name: &'static str) -> Call<&'static str> {
    Call {
        carried: name,
        rows: NonZeroU32::MIN,
        free_dims: FreeDims::default(),
        deadline: None,
        priority: 0,
    }
}

fn rows(name: &'static str, rows: u32) -> Call<&'static str> {
    Call {
        rows: NonZeroU32::new(rows).unwrap(),
        ..call(name)
    }
}

fn max_batch_size(config: &mut BatchConfig, rows: u32) {
    config.max_batch_size = NonZeroU32::new(rows).unwrap();
}

fn at_most(ms: u64) -> QueueDelay {
    QueueDelay::AtMost(Duration::from_millis(ms))
}

fn ms(ms: u64) -> Option<Duration> {
    Some(Duration::from_millis(ms))
}
