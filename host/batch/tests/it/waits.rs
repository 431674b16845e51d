//! Handles: how calls are waited for, and what happens when they are not.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use tensorlet_batch::{CallError, CallErrorKind, CallOptions, Handle, Scheduler};

use crate::double::{Broken, Double, Execution, answer, row, start, submit};
use crate::now;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

struct Panic;

impl Wake for Panic {
    fn wake(self: Arc<Self>) {
        panic!("a waker that panics");
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

fn soon() -> CallOptions {
    CallOptions {
        deadline: Some(now() + Duration::from_millis(40)),
        ..CallOptions::default()
    }
}

#[test]
fn handles_and_schedulers_cross_threads() {
    fn check<T: Send + Sync + Unpin>() {}
    check::<Handle<Double>>();
    check::<Scheduler<Double>>();
    check::<CallError<Broken>>();
}

#[test]
fn a_handle_is_a_future() {
    let scheduler = start(Double::immediate(), |_| ());
    assert_eq!(block_on(submit(&scheduler, 1.0)).unwrap(), answer(1.0));
}

#[test]
fn a_waker_that_panics_harms_nobody() {
    let (double, executions) = Double::stepwise();
    let scheduler = start(double, |_| ());
    let mut handle = pin!(submit(&scheduler, 1.0));
    let waker = Waker::from(Arc::new(Panic));
    let mut context = Context::from_waker(&waker);
    assert!(handle.as_mut().poll(&mut context).is_pending());
    executions.recv().unwrap().end();
    let next = submit(&scheduler, 2.0);
    executions.recv().unwrap().end();
    assert_eq!(next.wait().unwrap(), answer(2.0));
    assert_eq!(block_on(handle).unwrap(), answer(1.0));
}

#[test]
fn a_wait_that_is_over_gives_the_handle_back() {
    let (double, executions) = Double::stepwise();
    let scheduler = start(double, |_| ());
    let handle = submit(&scheduler, 1.0);
    let handle = handle.wait_timeout(Duration::ZERO).unwrap_err();
    executions.recv().unwrap().end();
    let result = handle.wait_timeout(Duration::MAX).unwrap();
    assert_eq!(result.unwrap(), answer(1.0));
}

#[test]
fn a_call_that_waits_fails_at_its_deadline_though_no_worker_is_free() {
    let (double, executions) = Double::stepwise();
    let scheduler = start(double, |_| ());
    let first = submit(&scheduler, 1.0);
    let running = executions.recv().unwrap();
    let handle = scheduler.submit(row(2.0), soon()).unwrap();
    let error = block_on(handle).unwrap_err();
    assert_eq!(error.kind(), CallErrorKind::DeadlineExceeded);
    let error = scheduler.predict(row(3.0), soon()).unwrap_err();
    assert_eq!(error.kind(), CallErrorKind::DeadlineExceeded);
    assert!(error.is_retryable());
    assert_eq!(scheduler.snapshot().counters.gone.deadline_queued, 2);
    running.end();
    assert_eq!(first.wait().unwrap(), answer(1.0));
}

#[test]
fn a_wait_ends_at_the_deadline_though_the_call_runs() {
    let (double, executions) = Double::stepwise();
    let scheduler = start(double, |_| ());
    let handle = scheduler.submit(row(1.0), soon()).unwrap();
    let error = handle.wait_timeout(Duration::MAX).unwrap().unwrap_err();
    assert_eq!(error.kind(), CallErrorKind::DeadlineExceeded);
    thread::spawn(|| executions.into_iter().for_each(Execution::end));
    assert_eq!(submit(&scheduler, 2.0).wait().unwrap(), answer(2.0));
    let gone = scheduler.snapshot().counters.gone;
    // On a slow machine, the worker comes too late.
    assert_eq!(gone.deadline_running + gone.deadline_queued, 1, "{gone:?}");
}

#[test]
fn a_call_that_is_hopeless_when_it_comes_fails_though_no_worker_is_free() {
    let (double, executions) = Double::stepwise();
    let scheduler = start(double, |_| ());
    let first = submit(&scheduler, 1.0);
    let running = executions.recv().unwrap();
    let first = first.wait_timeout(Duration::from_millis(60)).unwrap_err();
    running.end();
    assert_eq!(first.wait().unwrap(), answer(1.0));

    let second = submit(&scheduler, 2.0);
    let running = executions.recv().unwrap();
    let hopeless = scheduler.submit(row(3.0), soon()).unwrap();
    let error = block_on(hopeless).unwrap_err();
    assert_eq!(error.kind(), CallErrorKind::DeadlineExceeded);
    running.end();
    assert_eq!(second.wait().unwrap(), answer(2.0));
}

#[test]
fn the_deadline_is_passed_on() {
    let (double, executions) = Double::stepwise();
    let scheduler = start(double, |_| ());
    let options = CallOptions {
        deadline: Some(now() + Duration::from_secs(60)),
        ..CallOptions::default()
    };
    let handle = scheduler.submit(row(1.0), options).unwrap();
    let running = executions.recv().unwrap();
    assert_eq!(running.deadline, options.deadline);
    running.end();
    assert_eq!(handle.wait().unwrap(), answer(1.0));
}

#[test]
fn dropping_the_handle_of_a_call_that_waits_cancels_it() {
    let (double, executions) = Double::stepwise();
    let scheduler = start(double, |_| ());
    let first = submit(&scheduler, 1.0);
    let running = executions.recv().unwrap();
    drop(submit(&scheduler, 2.0));
    assert_eq!(scheduler.snapshot().queued_calls, 0);
    let third = submit(&scheduler, 3.0);
    running.end();
    let execution = executions.recv().unwrap();
    assert_eq!(execution.rows, 1);
    execution.end();
    assert_eq!(first.wait().unwrap(), answer(1.0));
    assert_eq!(third.wait().unwrap(), answer(3.0));
    assert_eq!(scheduler.snapshot().counters.gone.cancelled_queued, 1);
}

#[test]
fn dropping_the_handle_of_a_call_that_runs_leaves_its_batch_alone() {
    let (double, executions) = Double::stepwise();
    let scheduler = start(double, |_| ());
    let first = submit(&scheduler, 1.0);
    let running = executions.recv().unwrap();
    let [second, third] = [2.0, 3.0].map(|value| submit(&scheduler, value));
    running.end();
    let joined = executions.recv().unwrap();
    drop(second);
    joined.end();
    assert_eq!(first.wait().unwrap(), answer(1.0));
    assert_eq!(third.wait().unwrap(), answer(3.0));
    assert_eq!(scheduler.snapshot().counters.gone.cancelled_running, 1);
}
