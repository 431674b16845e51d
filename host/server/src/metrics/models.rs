//! Models, as the repository counts them.

use std::fmt::Error;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabel as _, EncodeLabelSet, LabelSetEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use tensorlet_batch::Histogram;
use tensorlet_repository::{LoadedStatistics, Statistics, VersionState, VersionStatistics};

use crate::rescue::HttpErrorKind;

/// The states of versions, as labels.
const STATES: [(VersionState, &str); 4] = [
    (VersionState::Unloaded, "unloaded"),
    (VersionState::Loading, "loading"),
    (VersionState::Ready, "ready"),
    (VersionState::Failed, "failed"),
];

const NO_LABELS: [(&str, &str); 0] = [];

/// Writes the statistics of a repository.
#[derive(Debug)]
pub(super) struct Models(pub(super) Statistics);

impl Collector for Models {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut writer = Writer { encoder };
        self.process(&mut writer)?;
        self.versions(&mut writer)?;
        self.calls(&mut writer)?;
        self.batches(&mut writer)?;
        self.instances(&mut writer)?;
        self.offload(&mut writer)
    }
}

impl Models {
    fn process(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        let errors = self.0.errors.iter().map(|(&kind, &count)| {
            let kind = HttpErrorKind::Serve(kind).rescue().label;
            ([("kind", kind)], count)
        });
        writer.counters(
            "call_errors",
            "Calls without outputs, by kind of error",
            errors,
        )?;
        let resident = self.0.resident_bytes.map(|bytes| (NO_LABELS, bytes as f64));
        writer.gauges(
            "resident_memory",
            "Memory of the process",
            Some(Unit::Bytes),
            resident,
        )
    }

    fn versions(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        let states = self.0.versions.iter().flat_map(|version| {
            STATES.map(|(state, name)| {
                let labels = (Names::of(version), [("state", name)]);
                (labels, f64::from(u8::from(version.state == state)))
            })
        });
        writer.gauges(
            "version_state",
            "Whether a version is in a state (1) or not (0)",
            None,
            states,
        )?;
        let loads = self
            .0
            .versions
            .iter()
            .map(|version| (Names::of(version), version.loads));
        writer.counters(
            "version_loads",
            "How often a version was loaded, well or not",
            loads,
        )?;
        let times = self.0.versions.iter();
        let times = times.map(|version| (Names::of(version), version.load_time.as_secs_f64()));
        writer.gauges(
            "version_load",
            "How long the last load of a version took",
            Some(Unit::Seconds),
            times,
        )
    }

    fn calls(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        let outcomes = self.each(|loaded| {
            let counters = &loaded.calls.counters;
            let (refused, gone) = (&counters.refused, &counters.gone);
            vec![
                ("succeeded", counters.succeeded_calls),
                ("failed", counters.failed_calls),
                ("invalid_input", refused.invalid_input),
                ("shed", refused.full),
                ("overloaded", refused.overloaded),
                ("draining", refused.draining + gone.drained),
                ("deadline_exceeded_arriving", refused.deadline_exceeded),
                ("deadline_exceeded_queued", gone.deadline_queued),
                ("deadline_exceeded_running", gone.deadline_running),
                ("cancelled_queued", gone.cancelled_queued),
                ("cancelled_running", gone.cancelled_running),
            ]
        });
        let outcomes =
            outcomes.map(|(names, outcome, count)| ((names, [("outcome", outcome)]), count));
        writer.counters(
            "calls",
            "Calls that reached a version and ended, by how",
            outcomes,
        )?;
        let retried = self.one(|loaded| loaded.calls.counters.retried_calls);
        writer.counters(
            "calls_retried",
            "Calls executed once more, as their batch failed",
            retried,
        )?;
        let waiting = self.one(|loaded| loaded.calls.queued_calls as f64);
        writer.gauges("queued_calls", "Calls that wait", None, waiting)?;
        let waiting = self.one(|loaded| loaded.calls.queued_rows as f64);
        writer.gauges("queued_rows", "Rows of the calls that wait", None, waiting)?;
        let is_open = self.one(|loaded| f64::from(u8::from(loaded.is_circuit_open)));
        writer.gauges(
            "circuit_open",
            "Whether calls are kept away (1), as all failed lately",
            None,
            is_open,
        )?;
        let delays = self.one(|loaded| &loaded.calls.counters.queue_delay_nanos);
        writer.histograms(
            "queue_delay",
            "How long calls waited before each execution",
            &NANOS,
            delays,
        )?;
        let waits = self.one(|loaded| &loaded.calls.counters.batch_wait_nanos);
        writer.histograms(
            "batch_wait",
            "How much of that they waited for others though a worker was free",
            &NANOS,
            waits,
        )?;
        let is_overloaded = self.one(|loaded| f64::from(u8::from(loaded.calls.is_overloaded)));
        writer.gauges(
            "overloaded",
            "Whether more calls come than can be answered, so that the queue is kept short (1) or not (0)",
            None,
            is_overloaded,
        )
    }

    fn batches(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        let outcomes = self.each(|loaded| {
            let counters = &loaded.calls.counters;
            let panicked = counters.panicked_batches;
            vec![
                ("succeeded", counters.batches - counters.failed_batches),
                ("failed", counters.failed_batches - panicked),
                ("panicked", panicked),
            ]
        });
        let outcomes =
            outcomes.map(|(names, outcome, count)| ((names, [("outcome", outcome)]), count));
        writer.counters("batches", "Executions that ended, by how", outcomes)?;
        let padding = self.one(|loaded| loaded.calls.counters.padding_rows);
        writer.counters("padding_rows", "Rows executed to fill batches up", padding)?;
        let running = self.one(|loaded| loaded.calls.running_batches as f64);
        writer.gauges("running_batches", "Executions under way", None, running)?;
        let free = self.one(|loaded| loaded.calls.free_workers as f64);
        writer.gauges("free_workers", "Workers that wait for calls", None, free)?;
        let times = self.one(|loaded| &loaded.calls.counters.execution_nanos);
        writer.histograms("execution", "How long executions took", &NANOS, times)?;
        let times = self.one(|loaded| &loaded.calls.counters.copy_nanos);
        writer.histograms(
            "copy",
            "How long it took to join calls and to split outputs",
            &NANOS,
            times,
        )?;
        let sizes = self.one(|loaded| &loaded.calls.counters.batch_size_rows);
        writer.histograms(
            "batch_size",
            "How many rows executions had, without padding",
            &ROWS,
            sizes,
        )
    }

    fn instances(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        let slots = self.each(|loaded| {
            let busy = loaded.pool.alive.saturating_sub(loaded.pool.warm);
            vec![("warm", loaded.pool.warm as f64), ("busy", busy as f64)]
        });
        let slots = slots.map(|(names, state, count)| ((names, [("state", state)]), count));
        writer.gauges(
            "pool_slots",
            "Instances that wait for a call, and others",
            None,
            slots,
        )?;
        let memory = self.each(|loaded| {
            vec![
                ("image", loaded.memory.image_bytes as f64),
                ("instances", loaded.memory.instance_bytes as f64),
                ("offload", loaded.memory.offload_bytes as f64),
            ]
        });
        let memory = memory.map(|(names, part, bytes)| ((names, [("part", part)]), bytes));
        writer.gauges(
            "memory",
            "Memory of a version, by what it is for",
            Some(Unit::Bytes),
            memory,
        )
    }

    fn offload(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        let runs =
            self.each(|loaded| Vec::from_iter(loaded.offload.map(|offload| ("", offload.runs))));
        let runs = runs.map(|(names, _, count)| (names, count));
        writer.counters(
            "offload_runs",
            "Runs of segments that the host computed",
            runs,
        )?;
        let fallbacks = self.each(|loaded| {
            let reasons = loaded.offload.map(|offload| {
                let fallbacks = offload.fallbacks;
                [
                    ("declined", fallbacks.declined),
                    ("invalid", fallbacks.invalid),
                    ("out_of_memory", fallbacks.out_of_memory),
                    ("failed", fallbacks.failed),
                ]
            });
            reasons.into_iter().flatten().collect()
        });
        let fallbacks =
            fallbacks.map(|(names, reason, count)| ((names, [("reason", reason)]), count));
        writer.counters(
            "offload_fallbacks",
            "What was left to guests, by reason",
            fallbacks,
        )
    }

    /// Returns a number of each loaded version.
    fn one<'a, T: 'a>(
        &'a self,
        number: impl Fn(&'a LoadedStatistics) -> T + 'a,
    ) -> impl Iterator<Item = (Names, T)> + 'a {
        let versions = self.0.versions.iter();
        versions
            .filter_map(move |version| Some((Names::of(version), number(version.loaded.as_ref()?))))
    }

    /// Returns several numbers of each loaded version, each with what tells it from the others.
    fn each<'a, T: 'a>(
        &'a self,
        numbers: impl Fn(&LoadedStatistics) -> Vec<(&'static str, T)> + 'a,
    ) -> impl Iterator<Item = (Names, &'static str, T)> + 'a {
        self.one(numbers).flat_map(|(names, numbers)| {
            numbers
                .into_iter()
                .map(move |(what, number)| (names.clone(), what, number))
        })
    }
}

/// The labels of a version.
#[derive(Clone, Debug)]
struct Names {
    model: String,
    version: u64,
}

impl Names {
    fn of(version: &VersionStatistics) -> Self {
        Self {
            model: version.model.clone(),
            version: version.version,
        }
    }
}

impl EncodeLabelSet for Names {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), Error> {
        ("model", self.model.as_str()).encode(encoder.encode_label())?;
        ("version", self.version).encode(encoder.encode_label())
    }
}

/// The unit of a histogram, and how many of what was counted are one of it.
struct Scale {
    unit: &'static str,
    divisor: f64,
}

const NANOS: Scale = Scale {
    unit: "seconds",
    divisor: 1e9,
};

const ROWS: Scale = Scale {
    unit: "rows",
    divisor: 1.0,
};

/// Writes metrics, one name after the other.
struct Writer<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl Writer<'_> {
    fn counters<S: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (S, u64)>,
    ) -> Result<(), Error> {
        let mut metric = self
            .encoder
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, count) in samples {
            let mut sample = metric.encode_family(&labels)?;
            sample.encode_counter::<NoLabelSet, u64, f64>(&count, None)?;
        }
        Ok(())
    }

    fn gauges<S: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        samples: impl IntoIterator<Item = (S, f64)>,
    ) -> Result<(), Error> {
        let mut metric =
            self.encoder
                .encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
        for (labels, value) in samples {
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn histograms<'a, S: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        scale: &Scale,
        samples: impl IntoIterator<Item = (S, &'a Histogram)>,
    ) -> Result<(), Error> {
        let unit = Unit::Other(scale.unit.into());
        let mut metric =
            self.encoder
                .encode_descriptor(name, help, Some(&unit), MetricType::Histogram)?;
        for (labels, histogram) in samples {
            let bounds = histogram.bounds().iter().map(|&bound| scale.scaled(bound));
            let bounds = bounds.chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = bounds.zip(histogram.counts().iter().copied()).collect();
            let sum = scale.scaled(histogram.sum());
            let mut sample = metric.encode_family(&labels)?;
            sample.encode_histogram::<NoLabelSet>(sum, histogram.count(), &buckets, None)?;
        }
        Ok(())
    }
}

impl Scale {
    fn scaled(&self, value: u64) -> f64 {
        value as f64 / self.divisor
    }
}
