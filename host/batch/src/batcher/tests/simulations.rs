//! Hours of calls under a scripted clock: what joining gains, what it costs, and what becomes of too many.

use super::*;
use crate::config::Overload as Policy;

/// How long rows take to execute, in microseconds.
type Cost = fn(u32) -> f64;

/// Reads its weights once a batch.
const PERCEPTRON: Cost = |rows| 90.0 + 5.0 * f64::from(rows);

/// Takes as long for each row, and a little longer in batches.
const CONVOLUTIONS: Cost = |rows| 4000.0 * f64::from(rows) * if rows > 1 { 1.04 } else { 1.0 };

struct Simulation {
    cost: Cost,
    workers: usize,
    config: BatchConfig,
    /// Calls a second, at random.
    rate: f64,
    seconds: f64,
    experience: Experience,
}

#[derive(Debug, Default)]
struct Run {
    /// From arrival to answer, in microseconds, in order of arrival; those that arrived in the first half second are left out.
    latencies: Vec<f64>,
    refused: usize,
    answered_per_second: f64,
    is_overloaded: bool,
    /// The rows of the first batches.
    first_rows: Vec<u32>,
    experience: Experience,
}

impl Simulation {
    fn new(cost: Cost, rate: f64) -> Self {
        Self {
            cost,
            workers: 2,
            config: BatchConfig::default(),
            rate,
            seconds: (1e6 / rate).clamp(2.0, 100.0),
            experience: Experience::default(),
        }
    }

    fn apart(mut self) -> Self {
        self.config.max_batch_size = NonZeroU32::MIN;
        self
    }

    fn always(mut self) -> Self {
        self.config.join = Join::Always;
        self
    }

    fn run(&self) -> Run {
        let mut batcher = Batcher::new(self.config.clone())
            .unwrap()
            .with_workers(self.workers);
        batcher.begin_with(self.experience.clone());
        let start = clock::now();
        let at = |us: f64| start + Duration::from_nanos((us * 1e3) as u64);
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut gap = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let uniform = (random >> 11) as f64 / (1u64 << 53) as f64;
            -(1.0 - uniform).ln() * 1e6 / self.rate
        };
        let end = self.seconds * 1e6;
        let mut running: Vec<(f64, Batch<f64>)> = Vec::new();
        let (mut next, mut outcome, mut answered) = (gap(), Run::default(), 0);
        loop {
            let first = (0..running.len()).min_by(|&a, &b| running[a].0.total_cmp(&running[b].0));
            let done = first.map_or(f64::INFINITY, |index| running[index].0);
            let now = done.min(next);
            if now > end {
                break;
            }
            match first.filter(|_| done <= next) {
                Some(index) => {
                    let (_, batch) = running.swap_remove(index);
                    for call in batcher.complete(batch, Outcome::Succeeded, at(now)) {
                        answered += 1;
                        if call.carried > 5e5 {
                            outcome.latencies.push(now - call.carried);
                        }
                    }
                }
                None => {
                    let call = Call {
                        carried: now,
                        rows: NonZeroU32::MIN,
                        free_dims: FreeDims::default(),
                        deadline: None,
                        priority: 0,
                    };
                    let is_refused = batcher.push(call, at(now)).is_err();
                    outcome.refused += usize::from(is_refused && now > 5e5);
                    next += gap();
                }
            }
            while running.len() < self.workers {
                match batcher.poll(at(now), self.workers - running.len()) {
                    Some(Action::Run(batch)) => {
                        let took = (self.cost)(batch.padded_rows());
                        if outcome.first_rows.len() < 100 {
                            outcome.first_rows.push(batch.padded_rows());
                        }
                        running.push((now + took, batch));
                    }
                    Some(Action::FailFast(_)) => unreachable!("no call has a deadline"),
                    None => break,
                }
            }
        }
        outcome.answered_per_second = f64::from(answered) / self.seconds;
        outcome.is_overloaded = batcher.is_overloaded();
        outcome.experience = batcher.experience();
        outcome
    }
}

impl Run {
    fn p99(&self) -> f64 {
        let mut latencies = self.latencies.clone();
        latencies.sort_by(f64::total_cmp);
        latencies[latencies.len() * 99 / 100]
    }
}

#[track_caller]
fn check(what: &str, found: f64, expected: std::ops::RangeInclusive<f64>) {
    assert!(
        expected.contains(&found),
        "{what}: expected {expected:?}, found {found}"
    );
}

#[test]
fn a_perceptron_gains_as_much_as_if_all_were_joined() {
    let rate = 1e6;
    let learnt = Simulation::new(PERCEPTRON, rate).run().answered_per_second;
    let always = Simulation::new(PERCEPTRON, rate)
        .always()
        .run()
        .answered_per_second;
    let apart = Simulation::new(PERCEPTRON, rate)
        .apart()
        .run()
        .answered_per_second;
    check("learnt ÷ always", learnt / always, 0.95..=1.05);
    check("learnt ÷ apart", learnt / apart, 8.0..=20.0);
}

#[test]
fn convolutions_lose_nothing() {
    let saturated = Simulation::new(CONVOLUTIONS, 1000.0)
        .run()
        .answered_per_second;
    let apart = Simulation::new(CONVOLUTIONS, 1000.0)
        .apart()
        .run()
        .answered_per_second;
    check("learnt ÷ apart", saturated / apart, 0.99..=1.01);
    for share in [0.25, 0.5, 0.75] {
        let learnt = Simulation::new(CONVOLUTIONS, 500.0 * share).run().p99();
        let apart = Simulation::new(CONVOLUTIONS, 500.0 * share)
            .apart()
            .run()
            .p99();
        println!("share {share}: {}", learnt / apart);
        check("p99, learnt ÷ apart", learnt / apart, 0.9..=1.08);
    }
}

#[test]
fn calls_of_a_perceptron_are_not_late_at_half_load() {
    let half = 1e6 / PERCEPTRON(1);
    let learnt = Simulation::new(PERCEPTRON, half).run().p99();
    let apart = Simulation::new(PERCEPTRON, half).apart().run().p99();
    check("p99, learnt ÷ apart", learnt / apart, 0.3..=1.05);
}

#[test]
fn at_twice_the_saturation_answers_stay_fast_and_many() {
    for (cost, saturation, usual) in [(CONVOLUTIONS, 500.0, 1), (PERCEPTRON, 312_000.0, 64)] {
        let best = Simulation::new(cost, saturation * 4.0)
            .run()
            .answered_per_second;
        let outcome = Simulation::new(cost, saturation * 2.0).run();
        check(
            "goodput ÷ best",
            outcome.answered_per_second / best,
            0.95..=1.05,
        );
        check("p99 in executions", outcome.p99() / cost(usual), 1.0..=4.0);
        assert!(outcome.refused > 0);
    }
}

#[test]
fn a_queue_without_that_makes_all_wait() {
    let mut simulation = Simulation::new(CONVOLUTIONS, 1000.0);
    simulation.config.overload = Policy::Queue;
    simulation.config.max_queue_size = const { NonZeroUsize::new(128).unwrap() };
    let outcome = simulation.run();
    check(
        "p99 in executions",
        outcome.p99() / CONVOLUTIONS(1),
        60.0..=70.0,
    );
    assert!(!outcome.is_overloaded);
}

/// Callers who wait for their answers, more than are let in when more come than can be answered.
#[test]
fn callers_who_wait_for_answers_keep_a_host_busy() {
    let mut batcher = Batcher::new(Simulation::new(CONVOLUTIONS, 1.0).apart().config).unwrap();
    let start = clock::now();
    let push = |batcher: &mut Batcher<u64>, now: Instant| {
        let pushed = batcher.push(
            Call {
                carried: 0,
                rows: NonZeroU32::MIN,
                free_dims: FreeDims::default(),
                deadline: None,
                priority: 0,
            },
            now,
        );
        assert!(pushed.is_ok(), "refused after {:?}", now - start);
    };
    for _ in 0..500 {
        push(&mut batcher, start);
    }
    for turn in 0..10_000 {
        let at = |turn: u64| start + Duration::from_micros(100 * turn);
        let Some(Action::Run(batch)) = batcher.poll(at(turn), 1) else {
            panic!("calls wait");
        };
        batcher.complete(batch, Outcome::Succeeded, at(turn + 1));
        push(&mut batcher, at(turn + 1));
    }
}

#[test]
fn hardly_any_call_is_refused_while_all_can_be_answered() {
    for (cost, saturation) in [(CONVOLUTIONS, 500.0), (PERCEPTRON, 312_000.0)] {
        for share in [0.5, 0.8] {
            let outcome = Simulation::new(cost, saturation * share).run();
            let refused = outcome.refused as f64 / (outcome.latencies.len() as f64);
            check(
                "refused",
                refused,
                0.0..=[0.0, 0.005][usize::from(share > 0.5)],
            );
        }
    }
}

#[test]
fn better_levels_are_let_in_to_a_longer_queue() {
    let mut script = Script::new(|config| {
        config.max_batch_size = NonZeroU32::MIN;
        config.priority_levels = 2;
        config.default_priority_level = 2;
    });
    // One runs; the others are crowded, and get more and more.
    script.push(0, call("runs"));
    script.poll(0, 1);
    let waiting = 12;
    for index in 0..waiting {
        script.push(5 * index, call("waits"));
    }
    let at = 200;
    assert_eq!(
        script.offer(at, call("h")),
        Ok(()),
        "the end of the first period"
    );
    for _ in 0..5 {
        script.push(at, call("waits"));
    }
    assert_eq!(script.offer(2 * at, call("h")), Err(ShedReason::Overloaded));
    let at = 2 * at;
    // Each completion is the failure of one call, and the beginning of another.
    while script.batcher.queued_calls() > 3 {
        script.complete(at, Outcome::Failed);
        script.poll(at, 1);
    }
    assert_eq!(script.batcher.queued_calls(), 3);
    assert_eq!(script.offer(at + 1, call("h")), Err(ShedReason::Overloaded));
    let better = Call {
        priority: 1,
        ..call("better")
    };
    assert_eq!(
        script.offer(at + 1, better.clone()),
        Ok(()),
        "four are enough for those"
    );
    assert_eq!(script.offer(at + 1, better), Err(ShedReason::Overloaded));
}

#[test]
fn one_that_takes_over_joins_from_the_beginning() {
    let rate = 200_000.0;
    let first = Simulation::new(PERCEPTRON, rate).run();
    assert!(first.first_rows.iter().all(|&rows| rows == 1), "it learns");
    let mut second = Simulation::new(PERCEPTRON, rate);
    second.experience = first.experience;
    let second = second.run();
    let largest = second.first_rows.iter().max();
    assert!(largest >= Some(&16), "{:?}", second.first_rows);
    assert_eq!(second.refused, 0);
}

#[test]
fn one_that_takes_over_a_model_that_has_changed_learns_that() {
    let first = Simulation::new(PERCEPTRON, 200_000.0).run();
    let mut second = Simulation::new(CONVOLUTIONS, 1000.0);
    second.experience = first.experience;
    let apart = Simulation::new(CONVOLUTIONS, 1000.0).apart().run();
    let gain = second.run().answered_per_second / apart.answered_per_second;
    check("learnt ÷ apart", gain, 0.97..=1.03);
}
