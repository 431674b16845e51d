//! Metrics for Prometheus: of requests, counted here, and of models, as the repository counts them.
//!
//! `prometheus-client` writes the text: it is the client library of the Prometheus project itself, so that names, escapes and
//! cumulative ranges are as its server wants them, and a collector can hand over numbers that are counted elsewhere.

mod http;
mod models;

use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::Registry;

pub(crate) use self::http::{HttpMetrics, count};
use self::models::Models;
use crate::state::Shared;

/// The content type of [`encode`].
pub(crate) const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// Writes all metrics.
pub(crate) fn encode(shared: &Shared) -> String {
    let mut registry = Registry::with_prefix("tensorlet");
    shared.metrics.register(&mut registry);
    registry.register_collector(Box::new(Models(shared.repository.statistics())));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry).expect("a String takes all");
    text
}
