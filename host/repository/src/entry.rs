//! One model: which of its versions are served, and how that changes.
//!
//! ```text
//! source ── found ──► wanted: policy, labels, without what was withdrawn
//!                        │ load what is new, beside what serves
//!                        ▼
//!                     Serving, swapped at once ──► what is not in it any more retires
//! ```
//!
//! Only when all that is wanted is ready does what is not wanted retire: a version that cannot be loaded leaves the old one serving.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::{fs, thread};

use crate::config::{LoadWhen, ModelConfig};
use crate::config_file;
use crate::error::{ControlError, VersionError};
use crate::host::Host;
use crate::policy::{Labels, Traffic};
use crate::source::{FoundFile, FoundModel};
use crate::version::Version;

/// One model.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: Arc<str>,
    host: Arc<Host>,
    serving: RwLock<Arc<Serving>>,
    /// Held while versions change, one change at a time.
    control: Mutex<Control>,
    /// Why the last change did not bring what was wanted, version by version.
    failed: Mutex<BTreeMap<u64, Failed>>,
}

/// What answers calls.
#[derive(Debug, Default)]
pub(crate) struct Serving {
    pub(crate) versions: BTreeMap<u64, Arc<Version>>,
    /// The version of calls that name none, if they are not divided.
    pub(crate) default: Option<u64>,
    pub(crate) labels: Labels,
    pub(crate) traffic: Traffic,
    /// Whether somebody unloaded it.
    pub(crate) is_unloaded: bool,
}

/// What decides which versions are wanted.
#[derive(Debug, Default)]
struct Control {
    found: FoundModel,
    config: Option<Arc<ModelConfig>>,
    /// Labels that were set at run time, until the configuration changes.
    labels: Option<Labels>,
    /// Versions that were rolled back from, each with what its file was then.
    withdrawn: BTreeMap<u64, FoundFile>,
    is_unloaded: bool,
}

/// A version that is wanted and not served.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    file: FoundFile,
    pub(crate) error: Arc<VersionError>,
}

impl Entry {
    pub(crate) fn new(host: &Arc<Host>, name: &str) -> Self {
        Self {
            name: name.into(),
            host: Arc::clone(host),
            serving: RwLock::default(),
            control: Mutex::default(),
            failed: Mutex::default(),
        }
    }

    /// Returns what answers calls now.
    pub(crate) fn serving(&self) -> Arc<Serving> {
        Arc::clone(&self.serving.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns why versions that are wanted are not served.
    pub(crate) fn failed(&self) -> BTreeMap<u64, Failed> {
        self.failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Reports whether the source has changed, as far as this model knows. `false` while a change is under way.
    pub(crate) fn is_outdated(&self, found: &FoundModel) -> bool {
        self.control
            .try_lock()
            .is_ok_and(|control| control.found != *found)
    }

    /// Serves what is wanted of what was found.
    pub(crate) fn update(
        &self,
        found: FoundModel,
        defaults: &ModelConfig,
    ) -> Result<(), ControlError> {
        let mut control = self.control();
        self.look(&mut control, found, defaults)?;
        self.reconcile(&control)
    }

    /// Serves what is wanted even if it was unloaded, rolled back from, or could not be loaded before.
    pub(crate) fn load(
        &self,
        found: FoundModel,
        defaults: &ModelConfig,
    ) -> Result<(), ControlError> {
        let mut control = self.control();
        control.is_unloaded = false;
        control.withdrawn.clear();
        self.failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        self.look(&mut control, found, defaults)?;
        if control.wanted().is_empty() {
            return Err(self.not_found());
        }
        self.reconcile(&control)
    }

    /// Serves nothing.
    pub(crate) fn unload(&self) -> Result<(), ControlError> {
        let mut control = self.control();
        control.is_unloaded = true;
        self.reconcile(&control)
    }

    /// Goes back to the next older version than the one that answers calls; returns which that is.
    pub(crate) fn roll_back(&self) -> Result<u64, ControlError> {
        let mut control = self.control();
        let current = self.serving().default.ok_or_else(|| self.not_found())?;
        let nothing_older = || ControlError::NothingOlder {
            model: self.name.to_string(),
            version: current,
        };
        let older = control.found.versions.range(..current);
        let older = older
            .map(|(&version, _)| version)
            .filter(|version| !control.withdrawn.contains_key(version));
        let older = older.max().ok_or_else(nothing_older)?;
        // Those that are newer and not served are no way forward either.
        let newer: Vec<(u64, FoundFile)> = control
            .found
            .versions
            .range(current..)
            .map(|(&version, file)| (version, file.clone()))
            .collect();
        let before = control.withdrawn.clone();
        control.withdrawn.extend(newer);
        if !control.wanted().contains(&older) {
            control.withdrawn = before;
            return Err(nothing_older());
        }
        let result = self.reconcile(&control);
        if self.serving().default == Some(current) {
            control.withdrawn = before;
        }
        result.map(|()| older)
    }

    /// Names versions, and divides calls between them, until the configuration changes.
    pub(crate) fn set_labels(&self, labels: Labels) -> Result<(), ControlError> {
        let invalid = |reason| ControlError::Labels {
            model: self.name.to_string(),
            reason,
        };
        labels.check().map_err(invalid)?;
        let mut control = self.control();
        let missing = labels
            .versions
            .iter()
            .find(|(_, version)| !control.found.versions.contains_key(version));
        if let Some((label, version)) = missing {
            return Err(invalid(format!(
                "label `{label}`: expected a version that there is, found {version}"
            )));
        }
        let before = control.labels.replace(labels);
        let result = self.reconcile(&control);
        if result.is_err() {
            control.labels = before;
        }
        result
    }

    /// Learns what was found, and reads the configuration if it has changed.
    fn look(
        &self,
        control: &mut Control,
        found: FoundModel,
        defaults: &ModelConfig,
    ) -> Result<(), ControlError> {
        if control.config.is_none() || control.found.config != found.config {
            let config = self.read_config(&found, defaults);
            let config = match config {
                Ok(config) => config,
                Err(error) if control.config.is_none() => return Err(error),
                Err(error) => {
                    // What is served stays, with the configuration that it has, until the file changes again.
                    control.found = found;
                    return Err(error);
                }
            };
            if control.config.as_deref() != Some(&config) {
                control.config = Some(Arc::new(config));
                control.labels = None;
            }
        }
        control.found = found;
        let versions = &control.found.versions;
        // A version whose file is new may be wanted again.
        control
            .withdrawn
            .retain(|version, file| versions.get(version) == Some(file));
        Ok(())
    }

    fn read_config(
        &self,
        found: &FoundModel,
        defaults: &ModelConfig,
    ) -> Result<ModelConfig, ControlError> {
        let Some(file) = &found.config else {
            return Ok(defaults.clone());
        };
        let text = fs::read_to_string(&file.path).map_err(|source| ControlError::Source {
            what: file.path.display().to_string(),
            source,
        })?;
        config_file::parse(&text, defaults).map_err(|reason| ControlError::Config {
            model: self.name.to_string(),
            reason: reason.trim_end().into(),
        })
    }

    /// Loads what is wanted and not served, then swaps, then lets the rest retire.
    fn reconcile(&self, control: &Control) -> Result<(), ControlError> {
        let Some(config) = &control.config else {
            return Ok(());
        };
        let before = self.serving();
        let wanted = control.wanted();
        let mut versions = BTreeMap::new();
        let mut loading = Vec::new();
        let mut failed = self.failed();
        failed.retain(|version, failed| control.found.versions.get(version) == Some(&failed.file));
        for (&number, file) in control
            .found
            .versions
            .iter()
            .filter(|(number, _)| wanted.contains(number))
        {
            let served = before.versions.get(&number);
            match served.filter(|version| version.file == *file && version.config == *config) {
                Some(version) => drop(versions.insert(number, Arc::clone(version))),
                None if failed.contains_key(&number) => {}
                None => {
                    let version =
                        Version::new(&self.host, &self.name, number, file.clone(), config);
                    loading.push(Arc::new(version));
                }
            }
        }
        for (version, result) in load_all(loading) {
            match result {
                Ok(()) => drop(versions.insert(version.number, version)),
                Err(error) => {
                    let file = version.file.clone();
                    failed.insert(version.number, Failed { file, error });
                }
            }
        }
        failed.retain(|version, _| wanted.contains(version));
        let is_complete = failed.is_empty();
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = failed.clone();
        let labels = control.labels.as_ref().unwrap_or(&config.labels);
        let labels = match is_complete {
            true => labels.clone(),
            false => before.labels.clone(),
        };
        let newest_wanted = versions.keys().next_back().copied();
        if !is_complete {
            for (&number, version) in &before.versions {
                versions
                    .entry(number)
                    .or_insert_with(|| Arc::clone(version));
            }
        }
        let newest = versions.keys().next_back().copied();
        let serving = Serving {
            default: newest_wanted.or(newest),
            traffic: Traffic::new(&labels),
            labels,
            is_unloaded: control.is_unloaded,
            versions,
        };
        begin_where_it_ended(&before, &serving);
        self.swap(serving);
        match failed.into_iter().next_back() {
            None => Ok(()),
            Some((version, failed)) => Err(ControlError::Version {
                model: self.name.to_string(),
                version,
                source: failed.error,
            }),
        }
    }

    /// Sends calls to other versions from now on.
    fn swap(&self, serving: Serving) {
        let serving = Arc::new(serving);
        let mut current = self.serving.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *current, Arc::clone(&serving));
        drop(current);
        if before.default != serving.default {
            tracing::info!(
                model = &*self.name,
                from = before.default,
                to = serving.default,
                "swapped"
            );
        }
        for version in before.versions.values() {
            if !serving.serves(version) {
                version.retire();
            }
        }
    }

    fn control(&self) -> MutexGuard<'_, Control> {
        // Its parts do not depend on each other.
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn not_found(&self) -> ControlError {
        ControlError::NotFound {
            model: self.name.to_string(),
        }
    }
}

impl Serving {
    /// Reports whether this very version is among those that answer calls.
    fn serves(&self, version: &Arc<Version>) -> bool {
        let other = self.versions.get(&version.number);
        other.is_some_and(|other| Arc::ptr_eq(other, version))
    }
}

impl Control {
    /// Returns the versions that are to be served.
    fn wanted(&self) -> BTreeSet<u64> {
        let Some(config) = self.config.as_ref().filter(|_| !self.is_unloaded) else {
            return BTreeSet::new();
        };
        let found = self.found.versions.keys().copied();
        let available: BTreeSet<u64> = found
            .filter(|version| !self.withdrawn.contains_key(version))
            .collect();
        let labels = self.labels.as_ref().unwrap_or(&config.labels);
        let labelled: BTreeSet<u64> = labels.versions.values().copied().collect();
        &config.version_policy.choose(&available) | &(&labelled & &available)
    }
}

/// Lets versions that are new join calls as the one that answered calls has learnt to: at the load that comes at once, it would be too late to
/// begin with single rows.
fn begin_where_it_ended(before: &Serving, serving: &Serving) {
    let default = before
        .default
        .and_then(|number| before.versions.get(&number));
    let Some(old) = default.and_then(|version| version.served()) else {
        return;
    };
    let versions = serving.versions.values();
    for version in versions.filter(|version| !before.serves(version)) {
        if let Some(new) = version.served() {
            new.scheduler().begin_with(old.scheduler().experience());
        }
    }
}

/// A version, and whether it was loaded.
type Loaded = (Arc<Version>, Result<(), Arc<VersionError>>);

/// Loads versions beside each other, but for those that are loaded on demand.
fn load_all(versions: Vec<Arc<Version>>) -> Vec<Loaded> {
    let load = |version: &Arc<Version>| match version.config.load {
        LoadWhen::OnDemand => Ok(()),
        LoadWhen::Eager => version.ensure_loaded(),
    };
    thread::scope(|scope| {
        let threads: Vec<_> = versions
            .iter()
            .map(|version| {
                let thread = thread::Builder::new().name("tensorlet-load".into());
                thread.spawn_scoped(scope, move || load(version))
            })
            .collect();
        let results: Vec<_> = threads
            .into_iter()
            .map(|thread| match thread {
                Ok(thread) => thread
                    .join()
                    .unwrap_or_else(|_| Err(Arc::new(VersionError::Panicked))),
                Err(error) => Err(Arc::new(VersionError::Thread(error))),
            })
            .collect();
        versions.iter().cloned().zip(results).collect()
    })
}
