//! The end of a process: what runs ends, what comes is refused.

use std::thread;
use std::time::Duration;

use tensorlet_repository::{Selector, ServeErrorKind};

use crate::calls::toy;
use crate::folder::{Folder, call, default_version, eventually, refused};
use crate::toy::Behaviour;

#[test]
fn what_runs_is_answered_and_what_comes_is_refused() {
    let folder = Folder::new();
    folder.put("toy", 1, &toy(1, Behaviour::Slow(200_000_000)));
    folder.configure(
        "toy",
        "[model_warmup]\ncalls = 0\n[instance_group]\ncount = 1",
    );
    let repository = folder.open();
    thread::scope(|scope| {
        let calls: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| call(&repository, "toy", &Selector::Default)))
            .collect();
        eventually("all are in", || {
            let statistics = repository.statistics();
            statistics.versions[0]
                .loaded
                .as_ref()
                .unwrap()
                .calls
                .counters
                .accepted_calls
                == 3
        });
        let drained = repository.drain(Duration::from_secs(60));
        assert_eq!((drained.refused_calls, drained.running_batches), (0, 0));
        for call in calls {
            assert_eq!(call.join().unwrap().unwrap(), 1);
        }
    });
    assert_eq!(
        refused(&repository, "toy", &Selector::Default),
        ServeErrorKind::Draining
    );
    assert!(!repository.is_ready());
}

#[test]
fn after_the_grace_time_what_waits_is_refused() {
    let folder = Folder::new();
    folder.put("toy", 1, &toy(1, Behaviour::Loop));
    folder.configure(
        "toy",
        "max_batch_size = 1\n[model_warmup]\ncalls = 0\n[instance_group]\ncount = 1\n[limits]\nexecution_timeout_seconds = 2",
    );
    let repository = folder.open();
    thread::scope(|scope| {
        let calls: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| refused(&repository, "toy", &Selector::Default)))
            .collect();
        eventually("one runs and two wait", || {
            let statistics = repository.statistics();
            let snapshot = statistics.versions[0]
                .loaded
                .as_ref()
                .unwrap()
                .calls
                .clone();
            (snapshot.running_batches, snapshot.queued_calls) == (1, 2)
        });
        let drained = repository.drain(Duration::from_millis(20));
        assert_eq!((drained.refused_calls, drained.running_batches), (2, 1));
        let mut kinds: Vec<_> = calls.into_iter().map(|call| call.join().unwrap()).collect();
        kinds.sort();
        assert_eq!(
            kinds,
            [
                ServeErrorKind::Draining,
                ServeErrorKind::Draining,
                ServeErrorKind::ExecutionTimeout
            ]
        );
    });
}

#[test]
fn dropping_a_repository_ends_its_threads() {
    let folder = Folder::new();
    folder.put_good("toy", &[1]);
    let repository = folder.open();
    default_version(&repository, "toy");
    drop(repository.clone());
    assert_eq!(default_version(&repository, "toy"), 1, "a clone is left");
    drop(repository);
}
