//! What runs together, and where.

use std::thread;
use std::time::Duration;

use tensorlet_batch::{CallOptions, QueueDelay};
use tensorlet_tensor::Tensor;

use crate::double::{Double, Execution, answer, max_batch_size, row, start, submit, workers};

#[test]
fn calls_that_wait_while_the_worker_is_busy_are_joined() {
    let (double, executions) = Double::stepwise();
    let scheduler = start(double, |_| ());
    let first = submit(&scheduler, 1.0);
    let running = executions.recv().unwrap();
    let waiting = [2.0, 3.0, 4.0].map(|value| submit(&scheduler, value));
    assert_eq!(scheduler.snapshot().queued_calls, 3);
    running.end();
    let joined = executions.recv().unwrap();
    assert_eq!(joined.rows, 3);
    joined.end();
    assert_eq!(first.wait().unwrap(), answer(1.0));
    for (handle, value) in waiting.into_iter().zip([2.0, 3.0, 4.0]) {
        assert_eq!(handle.wait().unwrap(), answer(value));
    }
    let counters = scheduler.snapshot().counters;
    assert_eq!((counters.batches, counters.succeeded_calls), (2, 4));
    assert_eq!(counters.batch_size_rows.sum(), 4);
    assert_eq!(counters.queue_delay_nanos.count(), 4);
    assert_eq!(counters.batch_wait_nanos.count(), 4);
    assert!(counters.batch_wait_nanos.sum() <= counters.queue_delay_nanos.sum());
    assert_eq!(counters.execution_nanos.count(), 2);
    assert_eq!(counters.copy_nanos.count(), 2);
}

#[test]
fn there_are_as_many_executions_as_workers() {
    let (double, executions) = Double::stepwise();
    let scheduler = start(double, |config| workers(config, 2));
    let handles = [1.0, 2.0].map(|value| submit(&scheduler, value));
    let running = [executions.recv().unwrap(), executions.recv().unwrap()];
    assert_ne!(running[0].thread, running[1].thread);
    let third = submit(&scheduler, 3.0);
    let snapshot = scheduler.snapshot();
    assert_eq!((snapshot.running_batches, snapshot.free_workers), (2, 0));
    assert_eq!(snapshot.queued_calls, 1);
    running.into_iter().for_each(Execution::end);
    executions.recv().unwrap().end();
    for (handle, value) in handles.into_iter().chain([third]).zip([1.0, 2.0, 3.0]) {
        assert_eq!(handle.wait().unwrap(), answer(value));
    }
}

#[test]
fn a_call_that_is_waited_for_runs_on_the_thread_of_its_caller() {
    let (double, executions) = Double::stepwise();
    let scheduler = start(double, |_| ());
    thread::scope(|scope| {
        let caller = scope.spawn(|| scheduler.predict(row(1.0), CallOptions::default()));
        let running = executions.recv().unwrap();
        assert_eq!(running.thread, caller.thread().id());
        assert_eq!(
            scheduler.snapshot().free_workers,
            0,
            "in the stead of a worker"
        );

        let queued = submit(&scheduler, 2.0);
        running.end();
        assert_eq!(caller.join().unwrap().unwrap(), answer(1.0));
        let running = executions.recv().unwrap();
        running.end();
        assert_eq!(queued.wait().unwrap(), answer(2.0), "a worker takes over");
    });
}

#[test]
fn under_load_calls_are_left_to_the_workers() {
    let (double, executions) = Double::stepwise();
    let scheduler = start(double, |_| ());
    let alone = |value| {
        let handle = submit(&scheduler, value);
        executions.recv().unwrap().end();
        assert_eq!(handle.wait().unwrap(), answer(value));
    };
    let runs_on_its_caller = || {
        thread::scope(|scope| {
            let caller = scope.spawn(|| scheduler.predict(row(1.0), CallOptions::default()));
            let running = executions.recv().unwrap();
            let is_caller = running.thread == caller.thread().id();
            running.end();
            assert_eq!(caller.join().unwrap().unwrap(), answer(1.0));
            is_caller
        })
    };
    let first = submit(&scheduler, 1.0);
    let running = executions.recv().unwrap();
    let joined = [2.0, 3.0].map(|value| submit(&scheduler, value));
    running.end();
    executions.recv().unwrap().end();
    for (handle, value) in [first].into_iter().chain(joined).zip([1.0, 2.0, 3.0]) {
        assert_eq!(handle.wait().unwrap(), answer(value));
    }
    assert!(!runs_on_its_caller(), "calls were joined just now");
    (0..6_u8).for_each(|value| alone(value.into()));
    assert!(!runs_on_its_caller(), "the eighth that is alone");
    assert!(runs_on_its_caller(), "there is no load any more");
}

#[test]
fn a_call_that_no_worker_has_begun_runs_on_the_thread_that_waits() {
    let scheduler = start(Double::immediate(), |_| ());
    for value in [1.0, 2.0, 3.0] {
        // Whoever is faster.
        assert_eq!(submit(&scheduler, value).wait().unwrap(), answer(value));
    }
    assert_eq!(scheduler.snapshot().free_workers, 1);
    assert_eq!(scheduler.snapshot().counters.batches, 3);
}

#[test]
fn a_call_that_is_waited_for_queues_while_workers_are_busy() {
    let (double, executions) = Double::stepwise();
    let scheduler = start(double, |_| ());
    let first = submit(&scheduler, 1.0);
    let running = executions.recv().unwrap();
    thread::scope(|scope| {
        let caller = scope.spawn(|| scheduler.predict(row(2.0), CallOptions::default()));
        while scheduler.snapshot().queued_calls == 0 {
            thread::yield_now();
        }
        running.end();
        executions.recv().unwrap().end();
        assert_eq!(caller.join().unwrap().unwrap(), answer(2.0));
    });
    assert_eq!(first.wait().unwrap(), answer(1.0));
}

#[test]
fn a_batch_that_was_held_back_leaves_by_time_alone() {
    let scheduler = start(Double::immediate(), |config| {
        config.batch.max_queue_delay = QueueDelay::AtMost(Duration::from_millis(1));
    });
    assert_eq!(submit(&scheduler, 1.0).wait().unwrap(), answer(1.0));
    let outputs = scheduler.predict(row(2.0), CallOptions::default());
    assert_eq!(outputs.unwrap(), answer(2.0));
}

#[test]
fn a_full_batch_does_not_wait_for_the_timer() {
    let scheduler = start(Double::immediate(), |config| {
        max_batch_size(config, 2);
        config.batch.max_queue_delay = QueueDelay::AtMost(Duration::from_secs(60));
    });
    let handles = [1.0, 2.0].map(|value| submit(&scheduler, value));
    for (handle, value) in handles.into_iter().zip([1.0, 2.0]) {
        assert_eq!(handle.wait().unwrap(), answer(value));
    }
    assert_eq!(scheduler.snapshot().counters.batches, 1);
}

#[test]
fn a_batch_is_padded_and_the_padding_dropped() {
    let (double, executions) = Double::stepwise();
    let scheduler = start(double, |config| config.batch.pad_to = vec![4]);
    let handle = submit(&scheduler, 1.0);
    let running = executions.recv().unwrap();
    assert_eq!(running.rows, 4);
    running.end();
    assert_eq!(handle.wait().unwrap(), answer(1.0));
    assert_eq!(scheduler.snapshot().counters.padding_rows, 3);
}

#[test]
fn calls_of_different_dims_are_kept_apart() {
    let (double, executions) = Double::stepwise();
    let scheduler = start(double, |_| ());
    let first = submit(&scheduler, 1.0);
    let running = executions.recv().unwrap();
    let wide = Tensor::from_values(vec![1, 2], &[5.0_f32, 6.0]).unwrap();
    let wide = scheduler.submit(vec![("x".into(), wide)], CallOptions::default());
    let narrow = submit(&scheduler, 2.0);
    running.end();
    for _ in 0..2 {
        let execution = executions.recv().unwrap();
        assert_eq!(execution.rows, 1);
        execution.end();
    }
    let outputs = wide.unwrap().wait().unwrap();
    assert_eq!(outputs[0].1.to_values(), Some(vec![6.0_f32, 7.0]));
    assert_eq!(narrow.wait().unwrap(), answer(2.0));
    assert_eq!(first.wait().unwrap(), answer(1.0));
}

#[test]
fn calls_of_a_model_without_a_batch_symbol_are_not_joined() {
    let (double, executions) = Double::stepwise();
    let scheduler = start(double.unbatched(), |config| config.batch.pad_to = vec![4]);
    let handles = [1.0, 2.0, 3.0].map(|value| submit(&scheduler, value));
    for _ in &handles {
        let execution = executions.recv().unwrap();
        assert_eq!(execution.rows, 1);
        execution.end();
    }
    for (handle, value) in handles.into_iter().zip([1.0, 2.0, 3.0]) {
        assert_eq!(handle.wait().unwrap(), answer(value));
    }
}
