//! Many threads at once.

use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use tensorlet_batch::{CallErrorKind, CallOptions, Drained, QueueDelay};

use crate::double::{Double, answer, max_batch_size, row, start, submit, workers};
use crate::now;

const CALLERS: u16 = 16;
const CALLS: u16 = 200;

#[test]
fn every_caller_gets_its_own_answer() {
    for delay in [
        QueueDelay::Auto,
        QueueDelay::AtMost(Duration::from_micros(100)),
    ] {
        let scheduler = start(Double::immediate(), |config| {
            workers(config, 3);
            max_batch_size(config, 8);
            config.batch.max_queue_delay = delay;
            config.batch.pad_to = vec![4, 8];
        });
        thread::scope(|scope| {
            for caller in 0..CALLERS {
                let scheduler = &scheduler;
                scope.spawn(move || {
                    for call in 0..CALLS {
                        let value = f32::from(caller * CALLS + call);
                        let result = match call % 2 {
                            0 => submit(scheduler, value).wait(),
                            _ => scheduler.predict(row(value), CallOptions::default()),
                        };
                        assert_eq!(result.unwrap(), answer(value));
                    }
                });
            }
        });
        let snapshot = scheduler.snapshot();
        let calls = u64::from(CALLERS * CALLS);
        assert_eq!(snapshot.counters.succeeded_calls, calls);
        assert_eq!(snapshot.counters.batch_size_rows.sum(), calls);
        assert_eq!((snapshot.queued_calls, snapshot.running_batches), (0, 0));
        assert_eq!(snapshot.free_workers, 3);
    }
}

#[test]
fn every_call_ends_whatever_happens_to_it() {
    let scheduler = start(Double::immediate(), |config| {
        workers(config, 2);
        max_batch_size(config, 8);
        config.batch.max_queue_size = NonZeroUsize::new(8).unwrap();
        config.batch.max_queue_delay = QueueDelay::AtMost(Duration::from_micros(50));
    });
    thread::scope(|scope| {
        for caller in 0..CALLERS {
            let scheduler = &scheduler;
            scope.spawn(move || {
                for call in 0..CALLS {
                    let value = match call % 20 {
                        3 => -1.0,
                        7 => -3.0,
                        _ => f32::from(caller),
                    };
                    let deadline = now() + Duration::from_micros(40 * u64::from(call % 5));
                    let options = CallOptions {
                        deadline: (call % 3 == 0).then_some(deadline),
                        ..CallOptions::default()
                    };
                    let result = match scheduler.submit(row(value), options) {
                        Ok(handle) if call % 7 == 0 => {
                            drop(handle);
                            continue;
                        }
                        Ok(handle) => handle.wait(),
                        Err(error) => Err(error),
                    };
                    match result {
                        Ok(outputs) => assert_eq!(outputs, answer(value)),
                        Err(error) if error.kind() == CallErrorKind::Predict => {
                            assert_eq!(value, -1.0, "only the guilty fails");
                        }
                        Err(error) => assert!(error.is_retryable(), "{error}"),
                    }
                }
            });
        }
    });
    assert_eq!(scheduler.drain(Duration::MAX), Drained::default());
    let snapshot = scheduler.snapshot();
    let counters = snapshot.counters;
    let gone = counters.gone;
    let ended = counters.succeeded_calls
        + counters.failed_calls
        + gone.cancelled_queued
        + gone.cancelled_running
        + gone.deadline_queued
        + gone.deadline_running;
    assert_eq!(counters.accepted_calls, ended, "{counters:?}");
    assert_eq!(snapshot.free_workers, 2);
}
