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
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tensorlet_batch::{CallOptions, Fault, Predict, Scheduler, SchedulerConfig};
use tensorlet_tensor::{NamedTensor, Signature, Tensor};

/// Calls of one measurement.
const CALLS: usize = 20_000;
/// Measurements, of which the median counts.
const RUNS: usize = 7;
const SUBMITTERS: usize = 16;
/// What an execution takes where batching is to show.
const PER_EXECUTION: Duration = Duration::from_micros(100);

fn main() {
    println!("one caller, one worker, rows of 16 bytes, median of {RUNS} runs of {CALLS} calls");
    let direct = Nothing::new(Duration::ZERO);
    report("without a scheduler", || {
        let inputs = row();
        direct.predict(&inputs, None).unwrap()
    });
    let scheduler = start(1, 4, Duration::ZERO);
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
    report("Scheduler::submit and await", || {
        let handle = scheduler.submit(row(), CallOptions::default());
        block_on(handle.unwrap()).unwrap()
    });
    drop(scheduler);

    println!("\n{SUBMITTERS} callers, each with one call at a time");
    for (workers, max_batch_size) in [(1, 1), (1, 16), (2, 1), (2, 16)] {
        throughput(workers, max_batch_size, CALLS, Duration::ZERO);
    }
    println!("\nthe same, of a model that takes {PER_EXECUTION:?} whatever the rows");
    for (workers, max_batch_size) in [(1, 1), (1, 4), (1, 16)] {
        throughput(workers, max_batch_size, CALLS / 10, PER_EXECUTION);
    }
}

/// A model that gives its input back, after a while.
struct Nothing {
    signature: Signature,
    takes: Duration,
}

impl Nothing {
    fn new(takes: Duration) -> Self {
        let spec = |text: &str| vec![text.parse().unwrap()];
        let signature = Signature::new(spec("x:f32[N,4]"), spec("y:f32[N,4]"));
        Self { signature, takes }
    }
}

impl Predict for Nothing {
    type Error = Infallible;

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn predict(
        &self,
        inputs: &[NamedTensor],
        _deadline: Option<Instant>,
    ) -> Result<Vec<NamedTensor>, Infallible> {
        if !self.takes.is_zero() {
            let start = Instant::now();
            while start.elapsed() < self.takes {
                std::hint::spin_loop();
            }
        }
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

/// Waits for a future, which is executed on a worker.
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

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn start(workers: usize, max_batch_size: u32, takes: Duration) -> Scheduler<Nothing> {
    let mut config = SchedulerConfig {
        workers: NonZeroUsize::new(workers).unwrap(),
        ..SchedulerConfig::default()
    };
    config.batch.max_batch_size = NonZeroU32::new(max_batch_size).unwrap();
    Scheduler::start(Nothing::new(takes), config).unwrap()
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

/// Prints what many callers achieve, waiting in either way.
fn throughput(workers: usize, max_batch_size: u32, calls: usize, takes: Duration) {
    type Call = fn(&Scheduler<Nothing>) -> Vec<NamedTensor>;
    let ways: [(&str, Call); 2] = [
        ("predict", |scheduler| {
            scheduler.predict(row(), CallOptions::default()).unwrap()
        }),
        ("await", |scheduler| {
            let handle = scheduler.submit(row(), CallOptions::default());
            block_on(handle.unwrap()).unwrap()
        }),
    ];
    for (name, call) in ways {
        let run = |_| {
            let scheduler = start(workers, max_batch_size, takes);
            let start = Instant::now();
            thread::scope(|scope| {
                for _ in 0..SUBMITTERS {
                    scope.spawn(|| (0..calls / SUBMITTERS).for_each(|_| drop(call(&scheduler))));
                }
            });
            let seconds = start.elapsed().as_secs_f64();
            let counters = scheduler.snapshot().counters;
            let calls = counters.succeeded_calls as f64;
            (calls / seconds, calls / counters.batches as f64)
        };
        let mut runs: Vec<(f64, f64)> = (0..RUNS).map(run).collect();
        runs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (per_second, rows) = runs[RUNS / 2];
        println!(
            "{workers} workers, batches of {max_batch_size:2}, {name:8} {per_second:10.0} calls/s, {rows:4.1} rows per batch"
        );
    }
}
