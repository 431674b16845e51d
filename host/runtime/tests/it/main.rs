//! Components that leave work to their host, good ones and hostile ones, and hosts that do it, or fail to.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod answers;
#[path = "../../../../guest/executor/tests/it/builder.rs"]
#[expect(dead_code, reason = "the executor's tests use more of it")]
mod builder;
mod deadlines;
mod fallbacks;
mod fuzz;
mod loads;
mod logs;
mod neighbour;
mod plans;
mod puppet;
mod resources;
mod runs;
mod sharing;
mod steps;
