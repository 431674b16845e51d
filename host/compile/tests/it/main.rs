//! Tests of `tensorlet-compile` through its public interface.

mod arrays;
mod fixtures;
mod models;
mod subject;
