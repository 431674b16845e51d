//! What a model may take, and what becomes of one that takes more.

use std::thread;
use std::time::{Duration, Instant};

use tensorlet_repository::{CallOptions, Repository, Selector, ServeErrorKind};

use crate::calls::{rows, toy, value};
use crate::folder::{Folder, call, default_version, eventually, refused};
use crate::toy::Behaviour;

/// Returns a repository with a good model, and one that behaves so.
fn beside(behaviour: Behaviour, config: &str) -> (Folder, Repository) {
    let folder = Folder::new();
    folder.put_good("good", &[1]);
    folder.put("bad", 1, &toy(1, behaviour));
    folder.configure("bad", &format!("[model_warmup]\ncalls = 0\n{config}"));
    let repository = folder.open();
    (folder, repository)
}

#[test]
fn each_misdeed_has_its_error_and_the_good_model_answers() {
    for (behaviour, config, expected) in [
        (
            Behaviour::Loop,
            "[limits]\nexecution_timeout_seconds = 0.05",
            ServeErrorKind::ExecutionTimeout,
        ),
        (
            Behaviour::Grow,
            "[limits]\nmemory_mib = 16",
            ServeErrorKind::MemoryLimit,
        ),
        (Behaviour::Trap, "", ServeErrorKind::Trapped),
        (Behaviour::WrongShape, "", ServeErrorKind::InvalidOutput),
    ] {
        let (_folder, repository) = beside(behaviour, config);
        for _ in 0..3 {
            assert_eq!(
                refused(&repository, "bad", &Selector::Default),
                expected,
                "{behaviour:?}"
            );
            assert_eq!(default_version(&repository, "good"), 1);
        }
    }
}

#[test]
fn a_model_that_fails_at_every_call_is_left_alone_for_a_while() {
    let (_folder, repository) = beside(
        Behaviour::Trap,
        "[circuit_breaker]\nfailures = 4\ncool_down_seconds = 0.2",
    );
    for _ in 0..4 {
        assert_eq!(
            refused(&repository, "bad", &Selector::Default),
            ServeErrorKind::Trapped
        );
    }
    let error = call(&repository, "bad", &Selector::Default).unwrap_err();
    assert_eq!(error.kind(), ServeErrorKind::CircuitOpen);
    assert!(
        error
            .after()
            .is_some_and(|after| after <= Duration::from_millis(200))
    );
    let statistics = repository.statistics();
    let bad = statistics
        .versions
        .iter()
        .find(|version| version.model == "bad")
        .unwrap();
    assert!(bad.loaded.as_ref().unwrap().is_circuit_open);
    assert_eq!(statistics.errors[&ServeErrorKind::Trapped], 4);
    eventually("one may try again", || {
        refused(&repository, "bad", &Selector::Default) == ServeErrorKind::Trapped
    });
    assert_eq!(
        refused(&repository, "bad", &Selector::Default),
        ServeErrorKind::CircuitOpen
    );
    assert_eq!(default_version(&repository, "good"), 1);
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a deadline is an instant to come"
)]
fn a_caller_in_a_hurry_does_not_open_the_circuit() {
    let (_folder, repository) = beside(
        Behaviour::Loop,
        "[circuit_breaker]\nfailures = 2\n[limits]\nexecution_timeout_seconds = 1000",
    );
    for _ in 0..5 {
        let options = CallOptions {
            deadline: Some(Instant::now() + Duration::from_millis(10)),
            ..CallOptions::default()
        };
        let error = repository
            .predict_blocking("bad", &Selector::Default, rows(1), options)
            .unwrap_err();
        assert_eq!(error.kind(), ServeErrorKind::DeadlineExceeded);
    }
}

#[test]
fn a_default_timeout_is_the_deadline_of_calls_that_bring_none() {
    let (_folder, repository) = beside(
        Behaviour::Loop,
        "[dynamic_batching.default_queue_policy]\ndefault_timeout_microseconds = 20000",
    );
    assert_eq!(
        refused(&repository, "bad", &Selector::Default),
        ServeErrorKind::DeadlineExceeded
    );
}

#[test]
fn the_rate_is_held() {
    let folder = Folder::new();
    folder.put_good("toy", &[1]);
    folder.configure("toy", "[limits]\ncalls_per_second = 0.01\nburst = 3");
    let repository = folder.open();
    for _ in 0..3 {
        default_version(&repository, "toy");
    }
    let error = call(&repository, "toy", &Selector::Default).unwrap_err();
    assert_eq!(error.kind(), ServeErrorKind::RateLimited);
    assert!(
        error
            .after()
            .is_some_and(|after| after > Duration::from_secs(50))
    );
}

#[test]
fn the_queue_is_bounded() {
    let (_folder, repository) = beside(
        Behaviour::Loop,
        "[instance_group]\ncount = 1\n[dynamic_batching.default_queue_policy]\nmax_queue_size = 2\n[limits]\nexecution_timeout_seconds = 0.3",
    );
    thread::scope(|scope| {
        let calls: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| refused(&repository, "bad", &Selector::Default)))
            .collect();
        let kinds: Vec<ServeErrorKind> =
            calls.into_iter().map(|call| call.join().unwrap()).collect();
        let shed = kinds
            .iter()
            .filter(|&&kind| kind == ServeErrorKind::Shed)
            .count();
        assert!(shed >= 5, "one runs and two wait: {kinds:?}");
    });
}

#[test]
fn wrong_inputs_are_the_callers_fault() {
    let folder = Folder::new();
    folder.put_good("toy", &[1]);
    let repository = folder.open();
    let error = repository
        .predict_blocking("toy", &Selector::Default, vec![], CallOptions::default())
        .unwrap_err();
    assert_eq!(error.kind(), ServeErrorKind::InvalidInput);
    assert!(!error.kind().is_retryable());
}

#[test]
fn calls_of_a_batch_that_fails_are_executed_apart() {
    let folder = Folder::new();
    folder.put("toy", 1, &toy(1, Behaviour::TrapIfJoined));
    let repository = folder.open();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let predicted = repository.predict_blocking(
                        "toy",
                        &Selector::Default,
                        rows(1),
                        CallOptions::default(),
                    );
                    assert_eq!(value(&predicted.unwrap().outputs), 1);
                }
            });
        }
    });
}

#[test]
fn models_that_loop_leave_others_their_share() {
    let folder = Folder::new();
    folder.put_good("good", &[1]);
    for name in ["loop-1", "loop-2", "loop-3"] {
        folder.put(name, 1, &toy(1, Behaviour::Loop));
        folder.configure(
            name,
            "[model_warmup]\ncalls = 0\n[limits]\nexecution_timeout_seconds = 1",
        );
    }
    let repository = folder.open();
    thread::scope(|scope| {
        let loops: Vec<_> = ["loop-1", "loop-2", "loop-3"]
            .map(|name| scope.spawn(|| refused(&repository, name, &Selector::Default)))
            .into_iter()
            .collect();
        let mut answered = 0;
        while !loops.iter().any(|call| call.is_finished()) {
            default_version(&repository, "good");
            answered += 1;
        }
        assert!(
            answered > 20,
            "{answered} calls in the second that others looped"
        );
        for call in loops {
            assert_eq!(call.join().unwrap(), ServeErrorKind::ExecutionTimeout);
        }
    });
}
