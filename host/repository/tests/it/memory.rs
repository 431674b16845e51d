//! The memory budget, models that are loaded on demand, and such as nobody calls.

use std::time::Duration;

use tensorlet_repository::{CallOptions, Selector, ServeErrorKind, VersionState};

use crate::calls::rows;
use crate::folder::{Folder, call, default_version, eventually, refused};
use crate::versions::block_on;

fn states(repository: &tensorlet_repository::Repository) -> Vec<VersionState> {
    repository
        .index()
        .into_iter()
        .map(|line| line.state)
        .collect()
}

#[test]
fn a_model_on_demand_is_loaded_by_its_first_call() {
    let folder = Folder::new();
    folder.put_good("toy", &[1]);
    folder.put("broken", 1, b"no component");
    for model in ["toy", "broken"] {
        folder.configure(model, "load = \"on-demand\"");
    }
    let repository = folder.open();
    assert_eq!(
        states(&repository),
        [VersionState::Unloaded, VersionState::Unloaded]
    );
    assert!(
        repository
            .is_model_ready("toy", &Selector::Default)
            .unwrap()
    );
    assert_eq!(default_version(&repository, "toy"), 1);
    let future = repository.predict(
        "broken",
        &Selector::Default,
        rows(1),
        CallOptions::default(),
    );
    assert_eq!(
        block_on(future).unwrap_err().kind(),
        ServeErrorKind::NotReady
    );
    assert_eq!(
        states(&repository),
        [VersionState::Failed, VersionState::Ready]
    );
}

#[test]
fn many_callers_wait_for_one_load() {
    let folder = Folder::new();
    folder.put_good("toy", &[1]);
    folder.configure("toy", "load = \"on-demand\"");
    let repository = folder.open();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(default_version(&repository, "toy"), 1));
        }
    });
    assert_eq!(repository.statistics().versions[0].loads, 1);
}

#[test]
fn what_nobody_calls_is_unloaded_and_loaded_again() {
    let folder = Folder::new();
    folder.put_good("toy", &[1]);
    folder.configure("toy", "unload_after_seconds = 0.05");
    let repository = folder.open();
    eventually("it is unloaded", || {
        states(&repository) == [VersionState::Unloaded]
    });
    assert_eq!(default_version(&repository, "toy"), 1);
    assert!(repository.statistics().versions[0].loads >= 2);
}

#[test]
fn the_budget_is_kept_by_unloading_what_was_not_called_for_longest() {
    let folder = Folder::new();
    let names = ["a", "b", "c"];
    for name in names {
        folder.put_good(name, &[1]);
        folder.configure(name, "load = \"on-demand\"");
    }
    let repository = folder.open();
    default_version(&repository, "a");
    let one = repository.statistics().versions[0]
        .loaded
        .as_ref()
        .unwrap()
        .memory
        .total_bytes();
    drop(repository);

    let budget = one * 5 / 2;
    let repository = folder.open_with(|config| config.memory_budget_bytes = Some(budget));
    let is_loaded = |name: &str| {
        let statistics = repository.statistics();
        statistics
            .versions
            .iter()
            .any(|version| version.model == name && version.loaded.is_some())
    };
    let used = || -> u64 {
        let statistics = repository.statistics();
        let loaded = statistics
            .versions
            .iter()
            .filter_map(|version| version.loaded.as_ref());
        loaded.map(|loaded| loaded.memory.total_bytes()).sum()
    };
    for name in names {
        assert_eq!(default_version(&repository, name), 1);
        assert!(used() <= budget);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(!is_loaded("a") && is_loaded("b") && is_loaded("c"));
    default_version(&repository, "b");
    std::thread::sleep(Duration::from_millis(5));
    default_version(&repository, "a");
    assert!(is_loaded("a") && is_loaded("b") && !is_loaded("c"));
}

#[test]
fn a_model_that_never_fits_is_refused_with_numbers() {
    let folder = Folder::new();
    folder.put_good("toy", &[1]);
    let repository = folder.open_with(|config| config.memory_budget_bytes = Some(1000));
    let error = call(&repository, "toy", &Selector::Default).unwrap_err();
    assert_eq!(error.kind(), ServeErrorKind::NotReady);
    let reason = repository.index()[0].reason.clone().unwrap();
    assert!(
        reason.contains("the memory budget of 1000, found 0 in use"),
        "{reason}"
    );
    assert_eq!(
        refused(&repository, "toy", &Selector::Default),
        ServeErrorKind::NotReady
    );
}
