//! Which versions answer: policies, labels, swaps, failures, rollbacks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use tensorlet_repository::{CallOptions, ControlError, Labels, Selector, ServeErrorKind};

use crate::calls::{rows, toy, value};
use crate::folder::{Folder, call, default_version, eventually, index, refused};
use crate::toy::Behaviour;

fn labels(versions: &[(&str, u64)], traffic: &[(&str, u32)]) -> Labels {
    Labels {
        versions: versions
            .iter()
            .map(|&(label, version)| (label.into(), version))
            .collect(),
        traffic: traffic
            .iter()
            .map(|&(label, weight)| (label.into(), weight))
            .collect(),
    }
}

#[test]
fn the_latest_version_answers_and_others_are_not_served() {
    let folder = Folder::new();
    folder.put_good("toy", &[1, 2, 10]);
    let repository = folder.open();
    assert_eq!(default_version(&repository, "toy"), 10);
    assert_eq!(
        call(&repository, "toy", &Selector::Version(10)).unwrap(),
        10
    );
    let old = Selector::Version(2);
    assert_eq!(
        refused(&repository, "toy", &old),
        ServeErrorKind::VersionNotFound
    );
    let label = Selector::Label("stable".into());
    assert_eq!(
        refused(&repository, "toy", &label),
        ServeErrorKind::VersionNotFound
    );
    assert_eq!(
        refused(&repository, "other", &Selector::Default),
        ServeErrorKind::ModelNotFound
    );
}

#[test]
fn policies_serve_what_they_say() {
    for (policy, expected) in [
        ("latest = 2", vec![2, 3]),
        ("all = true", vec![1, 2, 3]),
        ("specific = [1, 7]", vec![1]),
    ] {
        let folder = Folder::new();
        folder.put_good("toy", &[1, 2, 3]);
        folder.configure("toy", &format!("[version_policy]\n{policy}"));
        let repository = folder.open();
        let served: Vec<u64> = (1..=3)
            .filter(|&version| call(&repository, "toy", &Selector::Version(version)).is_ok())
            .collect();
        assert_eq!(served, expected, "{policy}");
        assert_eq!(
            default_version(&repository, "toy"),
            *expected.last().unwrap()
        );
    }
}

#[test]
fn a_new_version_takes_the_place_of_the_old_one() {
    let folder = Folder::new();
    folder.put_good("toy", &[1]);
    let repository = folder.open();
    folder.put_good("toy", &[2]);
    assert_eq!(
        default_version(&repository, "toy"),
        1,
        "not before it is looked at"
    );
    assert!(repository.reload().unwrap().is_empty());
    assert_eq!(default_version(&repository, "toy"), 2);
    folder.remove("toy", 2);
    repository.reload().unwrap();
    assert_eq!(
        default_version(&repository, "toy"),
        1,
        "the latest that there is"
    );
}

#[test]
fn a_new_version_begins_with_what_the_old_one_has_learnt() {
    let folder = Folder::new();
    folder.put_good("toy", &[1]);
    let repository = folder.open();
    let known_sizes = || {
        let statistics = repository.statistics();
        let loaded = statistics.versions[0].loaded.as_ref().unwrap();
        (statistics.versions[0].version, loaded.calls.known_sizes)
    };
    assert_eq!(known_sizes(), (1, 0));
    call(&repository, "toy", &Selector::Default).unwrap();
    assert_eq!(known_sizes(), (1, 1));
    folder.put_good("toy", &[2]);
    repository.reload().unwrap();
    assert_eq!(known_sizes(), (2, 1), "before its first call");
}

#[test]
fn a_folder_that_is_watched_needs_no_reload() {
    let folder = Folder::new();
    folder.put_good("toy", &[1]);
    let repository = folder.open_with(|config| config.watch = Some(Duration::from_millis(10)));
    folder.put_good("toy", &[2]);
    eventually("version 2 serves", || {
        default_version(&repository, "toy") == 2
    });
    folder.put_good("new", &[5]);
    eventually("a new model serves", || {
        call(&repository, "new", &Selector::Default).is_ok()
    });
    std::fs::remove_dir_all(folder.path().join("new")).unwrap();
    eventually("a model that is gone does not", || {
        refused_or_ok(&repository, "new") == Some(ServeErrorKind::ModelNotFound)
    });
}

fn refused_or_ok(
    repository: &tensorlet_repository::Repository,
    model: &str,
) -> Option<ServeErrorKind> {
    call(repository, model, &Selector::Default)
        .err()
        .map(|error| error.kind())
}

#[test]
fn a_version_that_is_replaced_in_place_is_loaded_again() {
    let folder = Folder::new();
    folder.put("toy", 1, &toy(100, Behaviour::Good));
    let repository = folder.open();
    let answer = || {
        let predicted =
            repository.predict_blocking("toy", &Selector::Default, rows(1), CallOptions::default());
        value(&predicted.unwrap().outputs)
    };
    assert_eq!(answer(), 100);
    folder.put("toy", 1, &toy(101, Behaviour::Good));
    repository.reload().unwrap();
    assert_eq!(answer(), 101);
}

#[test]
fn a_version_that_cannot_be_loaded_leaves_the_old_one_serving() {
    let folder = Folder::new();
    folder.put_good("toy", &[1]);
    let repository = folder.open();
    folder.put("toy", 2, b"no component");
    let errors = repository.reload().unwrap();
    assert!(
        matches!(&errors[..], [ControlError::Version { version: 2, .. }]),
        "{errors:?}"
    );
    assert_eq!(default_version(&repository, "toy"), 1);
    assert_eq!(
        refused(&repository, "toy", &Selector::Version(2)),
        ServeErrorKind::NotReady
    );
    assert_eq!(
        index(&repository),
        [
            "toy 1 Ready default ",
            "toy 2 Failed : the component cannot be loaded: expected a WebAssembly component, found other bytes"
        ]
    );
    // Nothing is tried again before the file changes.
    assert!(repository.reload().unwrap().is_empty());
    folder.put_good("toy", &[2]);
    assert!(repository.reload().unwrap().is_empty());
    assert_eq!(default_version(&repository, "toy"), 2);
}

#[test]
fn a_model_of_which_nothing_can_be_loaded_says_why() {
    let folder = Folder::new();
    folder.put("toy", 1, b"no component");
    folder.put_good("other", &[1]);
    let repository = folder.open();
    let error = call(&repository, "toy", &Selector::Default).unwrap_err();
    assert_eq!(error.kind(), ServeErrorKind::NotReady);
    assert_eq!(error.to_string(), "version 1 of `toy` cannot be loaded");
    assert_eq!(default_version(&repository, "other"), 1, "the others serve");
    folder.put_good("toy", &[1]);
    repository.load("toy").unwrap();
    assert_eq!(default_version(&repository, "toy"), 1);
}

#[test]
fn a_version_that_never_says_what_it_is_does_not_hold_up_others() {
    let folder = Folder::new();
    folder.put_good("toy", &[1]);
    folder.put("hanging", 1, &toy(1, Behaviour::LoopInDescribe));
    let repository = folder.open_with(|config| {
        config.defaults.limits.describe_timeout = Duration::from_millis(50);
    });
    assert_eq!(default_version(&repository, "toy"), 1);
    assert_eq!(
        refused(&repository, "hanging", &Selector::Default),
        ServeErrorKind::NotReady
    );
}

#[test]
fn a_configuration_that_cannot_be_changes_nothing() {
    let folder = Folder::new();
    folder.put_good("toy", &[1, 2]);
    folder.configure("toy", "[version_policy]\nspecific = [1]");
    let repository = folder.open();
    folder.configure("toy", "[version_policy]\nspecifically = [2]");
    let errors = repository.reload().unwrap();
    assert!(
        matches!(&errors[..], [ControlError::Config { .. }]),
        "{errors:?}"
    );
    assert_eq!(default_version(&repository, "toy"), 1);
    folder.configure("toy", "[version_policy]\nspecific = [2]");
    assert!(repository.reload().unwrap().is_empty());
    assert_eq!(default_version(&repository, "toy"), 2);
}

#[test]
fn labels_name_versions_and_divide_traffic() {
    let folder = Folder::new();
    folder.put_good("toy", &[1, 2, 3]);
    folder.configure(
        "toy",
        "[labels]\nstable = 1\ncanary = 2\n[traffic]\nstable = 90\ncanary = 10",
    );
    let repository = folder.open();
    let label = |label: &str| call(&repository, "toy", &Selector::Label(label.into()));
    assert_eq!((label("stable").unwrap(), label("canary").unwrap()), (1, 2));
    let mut calls = BTreeMap::new();
    for _ in 0..200 {
        let metadata = block_on(repository.metadata("toy", &Selector::Default)).unwrap();
        assert!(
            repository
                .is_model_ready("toy", &Selector::Default)
                .unwrap()
        );
        let version = default_version(&repository, "toy");
        assert_eq!(version, metadata.version, "who only asks takes no turn");
        *calls.entry(version).or_insert(0) += 1;
    }
    assert!((18..=22).contains(&calls[&2]), "{calls:?}");
    assert_eq!(calls[&1] + calls[&2], 200, "the latest has no share");

    repository
        .set_labels("toy", labels(&[("stable", 2)], &[]))
        .unwrap();
    assert_eq!(
        (
            label("stable").unwrap(),
            default_version(&repository, "toy")
        ),
        (2, 3)
    );
    assert!(label("canary").is_err());
    let unknown = repository.set_labels("toy", labels(&[("stable", 9)], &[]));
    assert!(
        matches!(unknown, Err(ControlError::Labels { .. })),
        "{unknown:?}"
    );
    assert_eq!(label("stable").unwrap(), 2, "nothing has changed");
}

#[test]
fn a_label_moves_only_to_a_version_that_serves() {
    let folder = Folder::new();
    folder.put_good("toy", &[1]);
    folder.put("toy", 2, b"no component");
    folder.configure(
        "toy",
        "[version_policy]\nspecific = [1]\n[labels]\nstable = 1",
    );
    let repository = folder.open();
    let label = || call(&repository, "toy", &Selector::Label("stable".into())).unwrap();
    let moved = repository.set_labels("toy", labels(&[("stable", 2)], &[]));
    assert!(
        matches!(moved, Err(ControlError::Version { version: 2, .. })),
        "{moved:?}"
    );
    assert_eq!(label(), 1);
    folder.configure(
        "toy",
        "[version_policy]\nspecific = [1]\n[labels]\nstable = 2",
    );
    assert_eq!(repository.reload().unwrap().len(), 1);
    assert_eq!(label(), 1);
}

#[test]
fn a_rollback_is_one_call_and_lasts() {
    let folder = Folder::new();
    folder.put_good("toy", &[1, 2, 3]);
    let repository = folder.open();
    assert_eq!(repository.roll_back("toy").unwrap(), 2);
    assert_eq!(default_version(&repository, "toy"), 2);
    repository.reload().unwrap();
    assert_eq!(default_version(&repository, "toy"), 2, "it lasts");
    assert_eq!(repository.roll_back("toy").unwrap(), 1);
    let error = repository.roll_back("toy").unwrap_err();
    assert!(
        matches!(error, ControlError::NothingOlder { version: 1, .. }),
        "{error:?}"
    );
    assert_eq!(default_version(&repository, "toy"), 1);
    // A newer one still goes forward, and so does the same one with other contents.
    folder.put_good("toy", &[4]);
    repository.reload().unwrap();
    assert_eq!(default_version(&repository, "toy"), 4);
    assert_eq!(
        repository.roll_back("toy").unwrap(),
        1,
        "2 and 3 were withdrawn"
    );
    folder.put_good("toy", &[3]);
    repository.reload().unwrap();
    assert_eq!(default_version(&repository, "toy"), 3);
    repository.load("toy").unwrap();
    assert_eq!(
        default_version(&repository, "toy"),
        4,
        "asked for explicitly"
    );
}

#[test]
fn a_rollback_to_what_cannot_be_loaded_changes_nothing() {
    let folder = Folder::new();
    folder.put("toy", 1, b"no component");
    folder.put_good("toy", &[2]);
    let repository = folder.open();
    assert!(repository.roll_back("toy").is_err());
    assert_eq!(default_version(&repository, "toy"), 2);
    assert!(repository.roll_back("nothing").is_err());
}

#[test]
fn unload_and_load() {
    let folder = Folder::new();
    folder.put_good("toy", &[1]);
    let repository = folder.open();
    repository.unload("toy").unwrap();
    let error = call(&repository, "toy", &Selector::Default).unwrap_err();
    assert_eq!(error.kind(), ServeErrorKind::NotReady);
    assert_eq!(error.to_string(), "model `toy` was unloaded");
    repository.reload().unwrap();
    assert!(
        call(&repository, "toy", &Selector::Default).is_err(),
        "it stays so"
    );
    repository.load("toy").unwrap();
    assert_eq!(default_version(&repository, "toy"), 1);
    assert!(matches!(
        repository.load("nothing"),
        Err(ControlError::NotFound { .. })
    ));
    assert!(matches!(
        repository.load("../toy"),
        Err(ControlError::NotFound { .. })
    ));
    assert!(matches!(
        repository.unload("nothing"),
        Err(ControlError::NotFound { .. })
    ));
}

#[test]
fn a_call_ends_on_the_version_on_which_it_began() {
    let folder = Folder::new();
    folder.put("toy", 1, &toy(1, Behaviour::Slow(2_000_000_000)));
    folder.configure("toy", "[model_warmup]\ncalls = 0");
    let repository = folder.open();
    thread::scope(|scope| {
        let slow = scope.spawn(|| default_version(&repository, "toy"));
        eventually("the call runs", || {
            let statistics = repository.statistics();
            let loaded = statistics.versions[0].loaded.as_ref().unwrap();
            loaded.calls.running_batches == 1
        });
        folder.put_good("toy", &[2]);
        repository.reload().unwrap();
        assert_eq!(default_version(&repository, "toy"), 2);
        assert!(!slow.is_finished(), "swapped while it runs");
        assert_eq!(slow.join().unwrap(), 1);
    });
}

#[test]
fn no_call_is_lost_by_swaps() {
    let folder = Folder::new();
    folder.put_good("toy", &[1]);
    let repository = folder.open();
    let (is_over, calls) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut last = 0;
                while !is_over.load(Relaxed) {
                    let version = default_version(&repository, "toy");
                    assert!(version >= last, "from {last} to {version}");
                    last = version;
                    calls.fetch_add(1, Relaxed);
                }
            });
        }
        for version in 2..=25 {
            folder.put_good("toy", &[version]);
            folder.remove("toy", version - 1);
            assert!(repository.reload().unwrap().is_empty());
            let before = calls.load(Relaxed);
            eventually("calls go on", || calls.load(Relaxed) > before + 3);
        }
        is_over.store(true, Relaxed);
    });
    assert_eq!(default_version(&repository, "toy"), 25);
}

#[test]
fn many_models_are_loaded_beside_each_other() {
    let folder = Folder::new();
    let names: Vec<String> = (0..20).map(|index| format!("toy-{index}")).collect();
    for name in &names {
        folder.put_good(name, &[1]);
    }
    let repository = folder.open();
    assert!(
        names
            .iter()
            .all(|name| default_version(&repository, name) == 1)
    );
}

#[test]
fn metadata_tells_names_versions_and_the_signature() {
    let folder = Folder::new();
    folder.put_good("toy", &[1, 2]);
    folder.configure("toy", "load = \"on-demand\"\n[version_policy]\nall = true");
    let repository = folder.open();
    let metadata = block_on(repository.metadata("toy", &Selector::Version(1))).unwrap();
    assert_eq!((metadata.name.as_str(), metadata.version), ("toy", 1));
    assert_eq!(metadata.versions, [1, 2]);
    assert_eq!(
        metadata.description.signature.inputs[0].to_string(),
        "x: f32[N, 1]"
    );
    let error = block_on(repository.metadata("toy", &Selector::Version(3))).unwrap_err();
    assert_eq!(error.kind(), ServeErrorKind::VersionNotFound);
}

#[test]
fn calls_are_futures_of_any_executor() {
    let folder = Folder::new();
    folder.put_good("toy", &[7]);
    let repository = folder.open();
    let call = repository.predict("toy", &Selector::Default, rows(3), CallOptions::default());
    let predicted = block_on(call).unwrap();
    assert_eq!((value(&predicted.outputs), predicted.version), (7, 7));
}

/// The smallest executor there is.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Wake, Waker};

    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Loading is nice to those who answer calls, and a thread is as nice as the one that started it.
#[cfg(target_os = "linux")]
#[test]
fn what_answers_calls_is_no_nicer_than_the_process() {
    use std::fs;

    let niceness = |stat: &std::path::Path| -> i64 {
        let stat = fs::read_to_string(stat).unwrap();
        // What comes before may contain anything.
        let fields = stat.rsplit_once(')').unwrap().1;
        fields.split_whitespace().nth(16).unwrap().parse().unwrap()
    };
    let folder = Folder::new();
    folder.put_good("toy", &[1]);
    let repository = folder.open();
    folder.put_good("toy", &[2]);
    repository.reload().unwrap();
    assert_eq!(call(&repository, "toy", &Selector::Default).unwrap(), 2);
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let mut workers = 0;
    for thread in threads {
        let path = thread.unwrap().path();
        // Those of other tests come and go.
        let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
        if name.starts_with("tensorlet-worke") && path.join("stat").exists() {
            workers += 1;
            assert_eq!(
                niceness(&path.join("stat")),
                niceness("/proc/self/stat".as_ref())
            );
        }
    }
    assert!(workers > 0, "expected threads that execute calls");
}
