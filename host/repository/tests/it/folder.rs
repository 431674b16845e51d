//! A folder of models that a test changes, and the repository that serves it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tensorlet_repository::{
    CallOptions, Repository, RepositoryConfig, Selector, ServeError, ServeErrorKind, Source,
};

use crate::calls::{engine, rows, toy, value};
use crate::toy::Behaviour;

/// A folder of models; it is removed in the end.
pub(crate) struct Folder {
    dir: tempfile::TempDir,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("models")
    }

    /// Puts a version there as those who know how do: written elsewhere, and moved.
    pub(crate) fn put(&self, model: &str, version: u64, bytes: &[u8]) {
        let dir = self.path().join(model).join(version.to_string());
        fs::create_dir_all(&dir).unwrap();
        let temporary = self.dir.path().join("temporary");
        fs::write(&temporary, bytes).unwrap();
        fs::rename(temporary, dir.join("model.wasm")).unwrap();
    }

    /// Puts a model there whose versions answer their numbers.
    pub(crate) fn put_good(&self, model: &str, versions: &[u64]) {
        for &version in versions {
            self.put(model, version, &toy(version as u32, Behaviour::Good));
        }
    }

    pub(crate) fn remove(&self, model: &str, version: u64) {
        fs::remove_dir_all(self.path().join(model).join(version.to_string())).unwrap();
    }

    pub(crate) fn configure(&self, model: &str, config: &str) {
        fs::create_dir_all(self.path().join(model)).unwrap();
        fs::write(self.path().join(model).join("config.toml"), config).unwrap();
    }

    pub(crate) fn config(&self) -> RepositoryConfig {
        RepositoryConfig::new(Source::Folder(self.path()))
    }

    /// Opens it, and waits until all is loaded.
    pub(crate) fn open(&self) -> Repository {
        self.open_with(|_| {})
    }

    pub(crate) fn open_with(&self, change: impl FnOnce(&mut RepositoryConfig)) -> Repository {
        let mut config = self.config();
        change(&mut config);
        let repository = Repository::open(engine(), config).unwrap();
        repository.wait_until_loaded();
        repository
    }
}

/// Calls a model with one row, and returns the version that answers, checked against what it answers.
pub(crate) fn call(
    repository: &Repository,
    model: &str,
    selector: &Selector,
) -> Result<u64, ServeError> {
    let predicted =
        repository.predict_blocking(model, selector, rows(1), CallOptions::default())?;
    assert_eq!(u64::from(value(&predicted.outputs)), predicted.version);
    Ok(predicted.version)
}

/// Returns the version that answers a call that names none.
#[track_caller]
pub(crate) fn default_version(repository: &Repository, model: &str) -> u64 {
    call(repository, model, &Selector::Default).unwrap()
}

/// Returns the kind of error of a call.
#[track_caller]
pub(crate) fn refused(repository: &Repository, model: &str, selector: &Selector) -> ServeErrorKind {
    call(repository, model, selector).unwrap_err().kind()
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..12_000 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("{what}");
}

/// Returns the index, a line for each version.
pub(crate) fn index(repository: &Repository) -> Vec<String> {
    let lines = repository.index().into_iter().map(|line| {
        let version = line
            .version
            .map_or("-".into(), |version| version.to_string());
        let default = if line.is_default { " default" } else { "" };
        let labels = line.labels.join(",");
        let reason = line
            .reason
            .map_or(String::new(), |reason| format!(": {reason}"));
        format!(
            "{} {version} {:?}{default} {labels}{reason}",
            line.model, line.state
        )
    });
    lines.collect()
}
