//! Makes the calls: when they are due, or when the ones before have ended.
//!
//! ```text
//! thread 1: runtime ─┬─ pacer ─ arrival ─► task: target.call ─► recorder ┐
//!                    └─ …                                                ├─► merged
//! thread 2: …        ────────────────────────────────────────► recorder ┘
//! ```
//!
//! Threads share nothing but the moment when they start.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use serde::Serialize;
use tokio::runtime;
use tokio::task::{LocalSet, spawn_local, yield_now};
use tokio::time::{sleep, sleep_until, timeout_at};

use crate::arrivals::{Arrivals, Random};
use crate::clock::now;
use crate::pacer::Pacer;
use crate::recorder::{Call, Recorder, Window};
use crate::target::{Outcome, Target};

/// How much more of the processor the generator asks for than what it calls, which may be on the same machine (`nice`).
const NICENESS: i32 = -20;

/// How long threads have to make their targets before the first call is due.
pub(crate) const HEAD_START: Duration = Duration::from_millis(200);

/// How late a call may be sent. A generator that sent its whole backlog would never catch up: each call of it would have next to no time left
/// before its timeout, and cost a connection.
const MAX_LATENESS: Duration = Duration::from_millis(100);

/// How long calls may take to end that should have timed out.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a caller of a closed loop waits after anything but an answer: it would do nothing else than be refused.
const PAUSE: Duration = Duration::from_millis(10);

/// Calls that are sent in a row, while the generator is late, before those under way are looked after.
const BURST: u64 = 32;

/// How calls follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pattern {
    /// Calls arrive at `rate` a second, whatever became of those before.
    Open {
        rate: f64,
        /// Calls that arrive while so many are under way are dropped.
        max_in_flight: usize,
    },
    /// So many callers make a call when the one before has ended.
    Closed { callers: usize },
}

/// What load to make.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Config {
    pub(crate) pattern: Pattern,
    pub(crate) warm_up_seconds: f64,
    pub(crate) seconds: f64,
    pub(crate) timeout_seconds: f64,
    pub(crate) seed: u64,
    pub(crate) threads: usize,
    #[serde(skip)]
    pub(crate) keeps_samples: bool,
}

/// What one thread does of it.
#[derive(Clone, Debug)]
struct Share {
    pattern: Pattern,
    random: Random,
    timeout: Duration,
    start: Instant,
    window: Window,
    keeps_samples: bool,
}

/// Makes the load and returns what became of it. `make` makes the target of one thread.
///
/// # Errors
/// If a target cannot be made, or the system has no timer.
pub(crate) fn run<T: Target>(
    config: &Config,
    make: impl Fn() -> Result<T> + Sync,
) -> Result<Recorder> {
    let start = now() + HEAD_START;
    let window_start = start + Duration::from_secs_f64(config.warm_up_seconds);
    let window = Window {
        start: window_start,
        end: window_start + Duration::from_secs_f64(config.seconds),
    };
    let recorders: Vec<Result<Recorder>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..config.threads)
            .map(|thread| {
                let share = Share {
                    pattern: share_of(config.pattern, thread, config.threads),
                    random: Random::new(config.seed, thread as u64),
                    timeout: Duration::from_secs_f64(config.timeout_seconds),
                    start,
                    window,
                    keeps_samples: config.keeps_samples,
                };
                let make = &make;
                scope.spawn(move || run_share(share, make))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| {
                let result = thread.join();
                result.unwrap_or_else(|_| Err(anyhow!("a thread of the generator panicked")))
            })
            .collect()
    });
    let mut all = Recorder::new(window, config.keeps_samples);
    for recorder in recorders {
        all.merge(recorder?);
    }
    Ok(all)
}

fn share_of(pattern: Pattern, thread: usize, threads: usize) -> Pattern {
    // The first threads get one more where it does not come out even.
    let part = |whole: usize| (whole + threads - 1 - thread) / threads;
    match pattern {
        Pattern::Open {
            rate,
            max_in_flight,
        } => Pattern::Open {
            rate: rate / threads as f64,
            max_in_flight: part(max_in_flight),
        },
        Pattern::Closed { callers } => Pattern::Closed {
            callers: part(callers),
        },
    }
}

fn run_share<T: Target>(share: Share, make: impl Fn() -> Result<T>) -> Result<Recorder> {
    // As if it were on a machine of its own, as far as the system allows.
    let _ = rustix::process::nice(NICENESS);
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start a runtime")?;
    let pattern = share.pattern;
    let caller = Rc::new(Caller {
        recorder: RefCell::new(Recorder::new(share.window, share.keeps_samples)),
        in_flight: Cell::new(0),
        target: make()?,
        share,
    });
    LocalSet::new().block_on(&runtime, async {
        match pattern {
            Pattern::Open {
                rate,
                max_in_flight,
            } => run_open(&caller, rate, max_in_flight).await,
            Pattern::Closed { callers } => {
                run_closed(&caller, callers).await;
                Ok(())
            }
        }
    })?;
    let mut recorder = caller.recorder.borrow().clone();
    recorder.add_counts(caller.target.counts());
    Ok(recorder)
}

/// What the tasks of one thread share.
struct Caller<T> {
    share: Share,
    target: T,
    recorder: RefCell<Recorder>,
    in_flight: Cell<usize>,
}

impl<T: Target> Caller<T> {
    /// Makes a call that was due at `arrived`, and records it. One that is much too late is dropped.
    async fn call(&self, number: u64, arrived: Instant) -> Outcome {
        let sent = now();
        let deadline = arrived + self.share.timeout;
        if sent >= deadline.min(arrived + MAX_LATENESS) {
            // That is no failure of the server.
            self.recorder.borrow_mut().drop_call(arrived);
            return Outcome::TIMED_OUT;
        }
        let outcome = timeout_at(deadline.into(), self.target.call(number))
            .await
            .unwrap_or(Outcome::TIMED_OUT);
        let call = Call {
            arrived,
            sent,
            ended: now(),
        };
        self.recorder.borrow_mut().record(call, outcome.clone());
        outcome
    }
}

async fn run_open<T: Target>(
    caller: &Rc<Caller<T>>,
    rate: f64,
    max_in_flight: usize,
) -> Result<()> {
    let Share { start, window, .. } = caller.share;
    let pacer = Pacer::new()?;
    let arrivals = Arrivals::new(rate, caller.share.random.clone()).map(|gap| start + gap);
    let due = arrivals.take_while(|&arrived| arrived < window.end);
    for (number, arrived) in (0..).zip(due) {
        if number % BURST == 0 {
            yield_now().await;
        }
        pacer.wait_until(arrived).await?;
        if caller.in_flight.get() >= max_in_flight {
            caller.recorder.borrow_mut().drop_call(arrived);
            continue;
        }
        caller.in_flight.update(|calls| calls + 1);
        let caller = Rc::clone(caller);
        let mut call = Box::pin(async move {
            caller.call(number, arrived).await;
            caller.in_flight.update(|calls| calls - 1);
        });
        // What is refused at once, as most calls may be, is no task.
        let began = poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await;
        if began.is_pending() {
            spawn_local(call);
        }
    }
    // Each call has a timeout, so this ends, unless a task has panicked. A machine may be much too slow.
    let last = window.end + caller.share.timeout + PATIENCE;
    while caller.in_flight.get() > 0 {
        ensure!(now() < last, "calls did not end at their timeout");
        sleep(PAUSE).await;
    }
    Ok(())
}

async fn run_closed<T: Target>(caller: &Rc<Caller<T>>, callers: usize) {
    let tasks = (0..callers).map(|first| {
        let caller = Rc::clone(caller);
        spawn_local(async move {
            let Share { start, window, .. } = caller.share;
            sleep_until(start.into()).await;
            let mut number = first as u64;
            while now() < window.end {
                if caller.call(number, now()).await != Outcome::Answered {
                    sleep(PAUSE).await;
                }
                number += callers as u64;
            }
        })
    });
    for task in Vec::from_iter(tasks) {
        task.await.expect("callers do not panic");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers after a while, and refuses every `refused`-th call.
    struct Slow {
        delay: Duration,
        refused: u64,
    }

    impl Target for Slow {
        async fn call(&self, number: u64) -> Outcome {
            sleep(self.delay).await;
            match number % self.refused {
                0 => Outcome::Refused("busy".into()),
                _ => Outcome::Answered,
            }
        }

        fn counts(&self) -> Vec<(&'static str, u64)> {
            vec![("targets", 1)]
        }
    }

    fn config(pattern: Pattern, threads: usize) -> Config {
        Config {
            pattern,
            warm_up_seconds: 0.0,
            seconds: 0.5,
            timeout_seconds: 5.0,
            seed: 1,
            threads,
            keeps_samples: false,
        }
    }

    fn open(rate: f64, max_in_flight: usize) -> Pattern {
        Pattern::Open {
            rate,
            max_in_flight,
        }
    }

    fn run_slow(config: &Config, delay_ms: u64, refused: u64) -> Recorder {
        let delay = Duration::from_millis(delay_ms);
        run(config, || Ok(Slow { delay, refused })).unwrap()
    }

    fn arrivals(rate: f64, thread: u64) -> u64 {
        let arrivals = Arrivals::new(rate, Random::new(1, thread));
        arrivals
            .take_while(|&gap| gap < Duration::from_millis(500))
            .count() as u64
    }

    #[test]
    fn an_open_loop_does_not_wait_for_answers() {
        let recorder = run_slow(&config(open(400.0, 4096), 1), 200, 2);
        let due = arrivals(400.0, 0);
        assert_eq!(recorder.sent(), due);
        assert_eq!(recorder.refused["busy"], due.div_ceil(2), "the even ones");
        assert_eq!(recorder.answers.len(), due / 2);
        assert!(recorder.answers.quantile(0.0) >= Some(Duration::from_millis(199)));
    }

    #[test]
    fn threads_share_the_rate() {
        let recorder = run_slow(&config(open(400.0, 4096), 2), 1, 1_000_000);
        assert_eq!(recorder.sent(), arrivals(200.0, 0) + arrivals(200.0, 1));
        assert_eq!(recorder.counts["targets"], 2);
    }

    #[test]
    fn calls_beyond_the_limit_are_dropped_and_counted() {
        let recorder = run_slow(&config(open(400.0, 3), 1), 2_000, 1_000_000);
        assert_eq!(recorder.sent(), 3);
        assert_eq!(recorder.dropped, arrivals(400.0, 0) - 3);
        assert_eq!(recorder.answered_in_window, 0, "they come too late");
    }

    #[test]
    fn a_call_without_an_answer_times_out() {
        let mut config = config(open(100.0, 4096), 1);
        config.timeout_seconds = 0.05;
        let recorder = run_slow(&config, 10_000, 1);
        assert_eq!(recorder.failed["timeout"], arrivals(100.0, 0));
    }

    /// Holds up its thread for as long as a call may take.
    struct Stuck;

    impl Target for Stuck {
        async fn call(&self, _number: u64) -> Outcome {
            std::thread::sleep(Duration::from_millis(100));
            Outcome::Answered
        }
    }

    #[test]
    fn a_call_that_is_much_too_late_is_dropped() {
        let mut config = config(open(400.0, 4096), 1);
        config.timeout_seconds = 0.1;
        let recorder = run(&config, || Ok(Stuck)).unwrap();
        assert_eq!(recorder.sent() + recorder.dropped, arrivals(400.0, 0));
        assert!(recorder.dropped > recorder.sent());
        assert!(recorder.sent_in_window <= recorder.sent());
        assert_eq!(recorder.failed, Default::default());
    }

    #[test]
    fn a_closed_loop_waits_for_answers() {
        let recorder = run_slow(&config(Pattern::Closed { callers: 4 }, 3), 50, 1_000_000);
        let sent = recorder.sent();
        assert!((4..=40).contains(&sent), "{sent} calls of 50 ms in 0.5 s");
    }

    #[test]
    fn shares_add_up() {
        for threads in 1..5 {
            let callers = |thread| match share_of(Pattern::Closed { callers: 7 }, thread, threads) {
                Pattern::Closed { callers } => callers,
                Pattern::Open { .. } => panic!("a closed loop stays one"),
            };
            assert_eq!((0..threads).map(callers).sum::<usize>(), 7);
        }
    }
}
