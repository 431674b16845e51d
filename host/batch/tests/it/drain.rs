//! The end of a scheduler.

use std::thread;
use std::time::Duration;

use tensorlet_batch::{CallErrorKind, CallOptions, Drained, QueueDelay};

use crate::double::{Double, answer, row, start, submit};

#[test]
fn what_is_in_is_answered_and_nothing_comes_in() {
    let (double, executions) = Double::stepwise();
    let scheduler = start(double, |config| {
        config.batch.max_queue_delay = QueueDelay::AtMost(Duration::from_secs(60));
    });
    let held = submit(&scheduler, 1.0);
    thread::scope(|scope| {
        let drained = scope.spawn(|| scheduler.drain(Duration::MAX));
        let running = executions.recv().unwrap();
        let error = scheduler
            .submit(row(2.0), CallOptions::default())
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.is_retryable()),
            (CallErrorKind::Draining, true)
        );
        running.end();
        assert_eq!(drained.join().unwrap(), Drained::default());
    });
    assert_eq!(held.wait().unwrap(), answer(1.0));
    assert_eq!(
        scheduler.drain(Duration::ZERO),
        Drained::default(),
        "once more is nothing"
    );
}

#[test]
fn what_still_waits_when_the_time_is_over_is_refused() {
    let (double, executions) = Double::stepwise();
    let scheduler = start(double, |_| ());
    let first = submit(&scheduler, 1.0);
    let running = executions.recv().unwrap();
    let second = submit(&scheduler, 2.0);
    let drained = scheduler.drain(Duration::from_millis(1));
    let expected = Drained {
        refused_calls: 1,
        running_batches: 1,
    };
    assert_eq!(drained, expected);
    assert_eq!(second.wait().unwrap_err().kind(), CallErrorKind::Draining);
    running.end();
    assert_eq!(first.wait().unwrap(), answer(1.0), "what runs is not lost");
    assert_eq!(scheduler.snapshot().counters.gone.drained, 1);
}

#[test]
fn a_call_that_is_cancelled_may_be_the_last_that_a_drain_waits_for() {
    let scheduler = start(Double::immediate(), |_| ());
    thread::scope(|scope| {
        let handles: Vec<_> = (0..50_u8).map(|n| submit(&scheduler, n.into())).collect();
        let drained = scope.spawn(|| scheduler.drain(Duration::MAX));
        drop(handles);
        assert_eq!(drained.join().unwrap(), Drained::default());
    });
}

#[test]
fn handles_outlive_the_scheduler() {
    let (double, executions) = Double::stepwise();
    let scheduler = start(double, |_| ());
    let first = submit(&scheduler, 1.0);
    let running = executions.recv().unwrap();
    let second = submit(&scheduler, 2.0);
    thread::scope(|scope| {
        let dropped = scope.spawn(move || drop(scheduler));
        assert_eq!(second.wait().unwrap_err().kind(), CallErrorKind::Draining);
        running.end();
        dropped.join().unwrap();
    });
    assert_eq!(first.wait().unwrap(), answer(1.0));
}
