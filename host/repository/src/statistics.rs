//! What models have done and do, in numbers that a metrics exporter can read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tensorlet_batch::Snapshot;
use tensorlet_runtime::{ModelMemory, OffloadCounts, PoolCounts};

use crate::entry::Entry;
use crate::error::ServeErrorKind;
use crate::version::{Version, VersionState};

/// What a repository has done and does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Statistics {
    /// Each version that is served.
    pub versions: Vec<VersionStatistics>,
    /// Calls without outputs, by kind of error, over all models; kinds that did not occur are left out.
    pub errors: BTreeMap<ServeErrorKind, u64>,
    /// How many bytes of the process are in memory, if the system says so.
    pub resident_bytes: Option<u64>,
}

/// What one version has done and does. Counts begin anew when a version is loaded again.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct VersionStatistics {
    /// The model.
    pub model: String,
    /// Its version.
    pub version: u64,
    /// Whether it answers calls.
    pub state: VersionState,
    /// How often it was loaded, well or not.
    pub loads: u64,
    /// How long the last time took, until it was ready.
    pub load_time: Duration,
    /// What it does, while it is loaded.
    pub loaded: Option<LoadedStatistics>,
}

/// What a version does that is loaded.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoadedStatistics {
    /// Calls, batches, and how long they take.
    pub calls: Snapshot,
    /// Instances.
    pub pool: PoolCounts,
    /// Memory.
    pub memory: ModelMemory,
    /// What was left to the host; `None` if it computes nothing, or is not asked to.
    pub offload: Option<OffloadCounts>,
    /// Whether calls are kept away as it failed at every one.
    pub is_circuit_open: bool,
}

/// Counts calls without outputs by kind of error.
#[derive(Debug)]
pub(crate) struct Refusals(BTreeMap<ServeErrorKind, AtomicU64>);

impl Default for Refusals {
    fn default() -> Self {
        Self(
            ServeErrorKind::ALL
                .iter()
                .map(|&kind| (kind, AtomicU64::new(0)))
                .collect(),
        )
    }
}

impl Refusals {
    pub(crate) fn count(&self, kind: ServeErrorKind) {
        self.0[&kind].fetch_add(1, Relaxed);
    }
}

pub(crate) fn collect(entries: &[Arc<Entry>], refusals: &Refusals) -> Statistics {
    let versions = entries.iter().flat_map(|entry| {
        let serving = entry.serving();
        let versions: Vec<_> = serving
            .versions
            .values()
            .map(|version| of(version))
            .collect();
        versions
    });
    let errors = refusals
        .0
        .iter()
        .map(|(&kind, count)| (kind, count.load(Relaxed)));
    Statistics {
        versions: versions.collect(),
        errors: errors.filter(|(_, count)| *count > 0).collect(),
        resident_bytes: memory_stats::memory_stats().map(|stats| stats.physical_mem as u64),
    }
}

fn of(version: &Version) -> VersionStatistics {
    let loaded = version.served().map(|served| LoadedStatistics {
        calls: served.snapshot(),
        pool: served.model().pool(),
        memory: served.model().memory(),
        offload: served.model().offloaded(),
        is_circuit_open: served.is_circuit_open(),
    });
    VersionStatistics {
        model: version.model.to_string(),
        version: version.number,
        state: version.state(),
        loads: version.loads.load(Relaxed),
        load_time: Duration::from_nanos(version.load_nanos.load(Relaxed)),
        loaded,
    }
}
