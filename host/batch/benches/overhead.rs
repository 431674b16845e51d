//! What a scheduler adds to an execution, measured with a model that computes nothing.
//!
//! `cargo bench -p tensorlet-batch` prints the time of a call that is alone, and the calls per second of 16 threads.

#![expect(clippy::print_stdout, reason = "a bench prints what it measures")]
#![expect(clippy::unwrap_used, reason = "a bench may fail")]
#![expect(
    clippy::disallowed_methods,
    reason = "a bench measures with the real clock"
)]

use std::convert::Infallible;
use std::num::{NonZeroU32, NonZeroUsize};
use std::thread;
use std::time::{Duration, Instant};

use tensorlet_batch::{CallOptions, Fault, Predict, Scheduler, SchedulerConfig};
use tensorlet_tensor::{NamedTensor, Signature, Tensor};

/// Calls of one measurement.
const CALLS: usize = 20_000;
/// Measurements, of which the median counts.
const RUNS: usize = 7;
const SUBMITTERS: usize = 16;

fn main() {
    println!("one caller, one worker, rows of 16 bytes, median of {RUNS} runs of {CALLS} calls");
    let direct = Nothing::new();
    report("without a scheduler", || {
        let inputs = row();
        direct.predict(&inputs, None).unwrap()
    });
    let scheduler = start(1, 4);
    report("Scheduler::predict", || {
        scheduler.predict(row(), CallOptions::default()).unwrap()
    });
    report("Scheduler::predict, with a deadline", || {
        let options = CallOptions {
            deadline: Some(Instant::now() + Duration::from_secs(1)),
            ..CallOptions::default()
        };
        scheduler.predict(row(), options).unwrap()
    });
    report("Scheduler::submit and wait", || {
        let handle = scheduler.submit(row(), CallOptions::default());
        handle.unwrap().wait().unwrap()
    });
    drop(scheduler);

    println!("\n{SUBMITTERS} callers, each with one call at a time");
    for (workers, max_batch_size) in [(1, 1), (1, 16), (2, 1), (2, 16)] {
        throughput(workers, max_batch_size, "predict", |scheduler| {
            scheduler.predict(row(), CallOptions::default()).unwrap()
        });
        throughput(workers, max_batch_size, "submit", |scheduler| {
            let handle = scheduler.submit(row(), CallOptions::default());
            handle.unwrap().wait().unwrap()
        });
    }
}

/// A model that gives its input back.
struct Nothing(Signature);

impl Nothing {
    fn new() -> Self {
        let spec = |text: &str| vec![text.parse().unwrap()];
        Self(Signature::new(spec("x:f32[N,4]"), spec("y:f32[N,4]")))
    }
}

impl Predict for Nothing {
    type Error = Infallible;

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn predict(
        &self,
        inputs: &[NamedTensor],
        _deadline: Option<Instant>,
    ) -> Result<Vec<NamedTensor>, Infallible> {
        Ok(vec![("y".into(), inputs[0].1.clone())])
    }

    fn fault(&self, error: &Infallible) -> Fault {
        match *error {}
    }
}

fn row() -> Vec<NamedTensor> {
    vec![(
        "x".into(),
        Tensor::from_values(vec![1, 4], &[1.0_f32; 4]).unwrap(),
    )]
}

fn start(workers: usize, max_batch_size: u32) -> Scheduler<Nothing> {
    let mut config = SchedulerConfig {
        workers: NonZeroUsize::new(workers).unwrap(),
        ..SchedulerConfig::default()
    };
    config.batch.max_batch_size = NonZeroU32::new(max_batch_size).unwrap();
    Scheduler::start(Nothing::new(), config).unwrap()
}

fn report<R>(name: &str, call: impl Fn() -> R) {
    let mut runs: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..CALLS {
                call();
            }
            start.elapsed()
        })
        .collect();
    runs.sort();
    let nanos = |run: usize| runs[run].as_secs_f64() * 1e9 / CALLS as f64;
    println!(
        "{name:36} {:8.0} ns per call ({:.0} to {:.0})",
        nanos(RUNS / 2),
        nanos(0),
        nanos(RUNS - 1)
    );
}

fn throughput<R>(
    workers: usize,
    max_batch_size: u32,
    name: &str,
    call: impl Fn(&Scheduler<Nothing>) -> R + Sync,
) {
    let mut runs: Vec<(f64, f64)> = (0..RUNS)
        .map(|_| {
            let scheduler = start(workers, max_batch_size);
            let start = Instant::now();
            thread::scope(|scope| {
                for _ in 0..SUBMITTERS {
                    scope.spawn(|| {
                        for _ in 0..CALLS / SUBMITTERS {
                            call(&scheduler);
                        }
                    });
                }
            });
            let seconds = start.elapsed().as_secs_f64();
            let counters = scheduler.snapshot().counters;
            let calls = counters.succeeded_calls as f64;
            (calls / seconds, calls / counters.batches as f64)
        })
        .collect();
    runs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (per_second, rows) = runs[RUNS / 2];
    println!(
        "{workers} workers, batches of {max_batch_size:2}, {name:8} {per_second:10.0} calls/s, {rows:4.1} rows per batch"
    );
}
