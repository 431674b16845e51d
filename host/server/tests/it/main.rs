//! A server over real sockets, with real components, good ones and hostile ones.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]
#![expect(
    clippy::disallowed_methods,
    reason = "tests measure with the real clock"
)]

#[path = "../../../repository/tests/it/calls.rs"]
#[allow(dead_code, reason = "the repository's own tests use the rest")]
mod calls;
mod client;
mod connections;
mod control;
#[path = "../../../repository/tests/it/folder.rs"]
#[allow(dead_code, reason = "the repository's own tests use the rest")]
mod folder;
mod metrics;
mod protocol;
mod statuses;
mod stop;
#[path = "../../../repository/tests/it/toy.rs"]
#[allow(dead_code, reason = "the repository's own tests use the rest")]
mod toy;
