//! Tests of `tensorlet-compile` through its public interface.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod arrays;
mod fixtures;
mod models;
mod plans;
mod subject;
