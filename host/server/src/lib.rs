//! Serves models over HTTP, by the Open Inference Protocol, version 2.
//!
//! ```text
//! client ─ Server (connections) ─ routes ─ protocol ─► Repository ─► protocol ─► client
//!                                     └────── errors ─► rescue ──────────────────┘
//! ```
//!
//! - [`Server`] accepts connections, bounds them, and ends without cutting requests off; [`config`] says what can be chosen.
//! - `routes` is what is at which path; `body` reads bodies within limits, and `codec_threads` keeps large ones from the threads that
//!   wait for sockets.
//! - The crate [`tensorlet_protocol`] turns bodies into tensors and tensors into bodies; it knows JSON and no HTTP.
//! - `rescue` turns errors into answers, `metrics` what has been counted into text for Prometheus.
//!
//! # Limits
//! Bytes of a body and of all bodies, connections, and the time for a head, a body, an answer and the end: see [`ServerConfig`].
//! Tensors of a request: [`tensorlet_protocol::MAX_TENSORS`]. Bytes of a head: 64 KiB. What waits and runs is bounded by the repository.

#![forbid(unsafe_code)]

mod body;
mod clock;
mod codec_threads;
pub mod config;
mod connection;
mod metrics;
mod rescue;
mod routes;
mod server;
mod state;

pub use config::ServerConfig;
pub use server::{Ended, Server};
