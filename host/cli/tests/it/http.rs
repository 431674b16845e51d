//! `tensorlet build --http` on hosts that know nothing of Tensorlet, called by an HTTP client.
//!
//! Every test runs on each host that there is: one with Spin's settings, which `cargo xtask stock` builds; the same, using instances again;
//! `wasmtime serve`, where set-up or the machine has it; and `spin up`, where the machine has it.

mod answers;
mod calls;
mod errors;
mod host;
mod many;

pub(crate) use host::{Host, Kind, stock_http};
