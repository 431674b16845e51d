//! Calls without outputs.

use std::error::Error as _;
use std::num::NonZeroUsize;

use tensorlet_batch::{CallErrorKind, CallOptions, Fault, Scheduler, SchedulerConfig};
use tensorlet_tensor::{DatumType, Tensor};

use crate::double::{Double, answer, row, start, submit, workers};
use crate::now;

/// Runs calls of these values in one batch, and returns the outcome of each: its kind of error, if it has one.
#[track_caller]
fn in_a_batch<const N: usize>(values: [f32; N]) -> ([Option<CallErrorKind>; N], Scheduler<Double>) {
    let (double, executions) = Double::stepwise();
    let scheduler = start(double, |_| ());
    let first = submit(&scheduler, 0.0);
    let running = executions.recv().unwrap();
    let handles = values.map(|value| submit(&scheduler, value));
    running.end();
    first.wait().unwrap();
    let joined = executions.recv().unwrap();
    assert_eq!(joined.rows, N);
    joined.end();
    // Retries, if there are any, end when they start.
    let retries = std::thread::spawn(move || executions.into_iter().for_each(|e| e.end()));
    let mut values = values.into_iter();
    let kinds = handles.map(|handle| {
        let value = values.next().unwrap();
        match handle.wait() {
            Ok(outputs) => {
                assert_eq!(outputs, answer(value));
                None
            }
            Err(error) => Some(error.kind()),
        }
    });
    drop(retries);
    (kinds, scheduler)
}

#[test]
fn only_the_guilty_call_of_a_batch_fails() {
    let (kinds, scheduler) = in_a_batch([1.0, -1.0, 3.0]);
    assert_eq!(kinds, [None, Some(CallErrorKind::Predict), None]);
    let counters = scheduler.snapshot().counters;
    assert_eq!((counters.retried_calls, counters.failed_calls), (3, 1));
    assert_eq!(counters.failed_batches, 2);
}

#[test]
fn only_the_call_that_panics_fails_and_the_worker_goes_on() {
    let (kinds, scheduler) = in_a_batch([1.0, 2.0, -2.0]);
    assert_eq!(kinds, [None, None, Some(CallErrorKind::Panicked)]);
    assert_eq!(scheduler.snapshot().counters.panicked_batches, 2);
    assert_eq!(submit(&scheduler, 7.0).wait().unwrap(), answer(7.0));
}

#[test]
fn calls_whose_outputs_cannot_be_split_are_retried_apart() {
    let (kinds, scheduler) = in_a_batch([1.0, -3.0]);
    assert_eq!(kinds, [None, None]);
    assert_eq!(scheduler.snapshot().counters.failed_batches, 1);
}

#[test]
fn a_broken_host_is_not_tried_again() {
    let (kinds, scheduler) = in_a_batch([1.0, -4.0]);
    assert_eq!(kinds, [Some(CallErrorKind::Predict); 2]);
    assert_eq!(scheduler.snapshot().counters.retried_calls, 0);
}

#[test]
fn an_error_tells_its_fault_and_its_cause() {
    let scheduler = start(Double::immediate(), |_| ());
    let predict = |value| {
        scheduler
            .predict(row(value), CallOptions::default())
            .unwrap_err()
    };
    let error = predict(-4.0);
    assert_eq!((error.fault(), error.is_retryable()), (Fault::Host, false));
    assert_eq!(error.predict_error().unwrap().fault, Fault::Host);
    assert_eq!(error.to_string(), "the model gave no outputs");
    assert_eq!(error.source().unwrap().to_string(), "Host is broken");
    let error = predict(-2.0);
    assert_eq!(
        error.to_string(),
        "the execution of the model panicked: it is -2"
    );
    assert_eq!(
        scheduler.snapshot().free_workers,
        1,
        "the panic was the caller's thread's"
    );
}

#[test]
fn inputs_are_checked_before_they_can_harm_a_batch() {
    let scheduler = start(Double::immediate(), |_| ());
    let x = Tensor::zeros(DatumType::F64, vec![1, 1]).unwrap();
    let error = scheduler.submit(vec![("x".into(), x)], CallOptions::default());
    let error = error.unwrap_err();
    assert_eq!(
        (error.kind(), error.fault()),
        (CallErrorKind::InvalidInput, Fault::Caller)
    );
    assert_eq!(
        error.source().unwrap().to_string(),
        "input `x`: expected f32[N, W], found f64[1, 1]"
    );
    assert_eq!(scheduler.snapshot().counters.refused.invalid_input, 1);
}

#[test]
fn sheds_when_the_queue_is_full() {
    let (double, executions) = Double::stepwise();
    let scheduler = start(double, |config| {
        config.batch.max_queue_size = NonZeroUsize::MIN
    });
    let first = submit(&scheduler, 1.0);
    let running = executions.recv().unwrap();
    let second = submit(&scheduler, 2.0);
    let error = scheduler
        .submit(row(3.0), CallOptions::default())
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.is_retryable()),
        (CallErrorKind::Shed, true)
    );
    assert_eq!(scheduler.snapshot().counters.refused.full, 1);
    running.end();
    executions.recv().unwrap().end();
    assert_eq!(first.wait().unwrap(), answer(1.0));
    assert_eq!(second.wait().unwrap(), answer(2.0));
}

#[test]
fn a_call_whose_deadline_has_passed_is_not_let_in() {
    let scheduler = start(Double::immediate(), |_| ());
    let options = CallOptions {
        deadline: Some(now()),
        ..CallOptions::default()
    };
    for error in [
        scheduler.submit(row(1.0), options).unwrap_err(),
        scheduler.predict(row(1.0), options).unwrap_err(),
    ] {
        assert_eq!(error.kind(), CallErrorKind::DeadlineExceeded);
    }
    assert_eq!(scheduler.snapshot().counters.refused.deadline_exceeded, 2);
}

#[test]
fn a_configuration_is_checked() {
    let start = |change: fn(&mut SchedulerConfig)| {
        let mut config = SchedulerConfig::default();
        change(&mut config);
        let error = Scheduler::start(Double::immediate(), config).unwrap_err();
        error.source().unwrap().to_string()
    };
    assert_eq!(
        start(|config| workers(config, 1025)),
        "`workers`: expected at most 1024, found 1025"
    );
    assert_eq!(
        start(|config| config.batch.pad_to = vec![99]),
        "`pad_to`: expected ascending sizes from 1 to 64, found [99]"
    );
}
