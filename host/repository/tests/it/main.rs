//! A repository with real components, good ones and hostile ones: versions, limits, memory, drain.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod calls;
mod drain;
mod folder;
mod limits;
mod memory;
mod toy;
mod versions;
