//! What a process would log and count.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};

/// What was logged and counted on one thread.
#[derive(Default)]
pub(crate) struct Observed {
    /// Level and fields of each event, in order.
    pub(crate) events: Vec<(Level, String)>,
    /// Counters by name and labels, such as `runs_total{accelerator=cpu}`.
    pub(crate) counters: BTreeMap<String, u64>,
}

impl Observed {
    /// Returns the fields of the events at level `WARN`.
    pub(crate) fn warnings(&self) -> Vec<&str> {
        let warnings = self
            .events
            .iter()
            .filter(|(level, _)| *level == Level::WARN);
        warnings.map(|(_, fields)| fields.as_str()).collect()
    }
}

/// Observes what is done on this thread.
pub(crate) fn observe<R>(work: impl FnOnce() -> R) -> (R, Observed) {
    let events = Events::default();
    let counters = Counters::default();
    let result = tracing::subscriber::with_default(events.clone(), || {
        metrics::with_local_recorder(&counters, work)
    });
    let counters = counters.0.into_inner().unwrap();
    let read = |(name, count): (String, Arc<AtomicU64>)| (name, count.load(Ordering::Relaxed));
    let observed = Observed {
        events: std::mem::take(&mut events.0.lock().unwrap()),
        counters: counters.into_iter().map(read).collect(),
    };
    (result, observed)
}

#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<(Level, String)>>>);

impl Subscriber for Events {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("tensorlet_runtime")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        let level = *event.metadata().level();
        self.0.lock().unwrap().push((level, fields.0));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The fields of an event, such as `segment=0 reason="declined: it is late"`.
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let separator = if self.0.is_empty() { "" } else { " " };
        write!(self.0, "{separator}{field}={value:?}").unwrap();
    }
}

#[derive(Default)]
struct Counters(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl Recorder for Counters {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let labels = key
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()));
        let name = format!("{}{{{}}}", key.name(), labels.collect::<Vec<_>>().join(","));
        let mut counters = self.0.lock().unwrap();
        Counter::from_arc(Arc::clone(counters.entry(name).or_default()))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
