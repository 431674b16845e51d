//! Queues that are full, and calls at the ends of their ranges.

use super::*;

#[test]
fn sheds_when_the_queue_is_full() {
    let mut script = Script::new(|config| config.max_queue_size = NonZeroUsize::new(2).unwrap());
    script.push(0, rows("a", 4));
    script.push(0, call("b"));
    assert_eq!(script.refuse(0, call("c")), ShedReason::Full);
    assert_eq!(script.poll(0, 1), "[a]");
    script.push(0, call("d"));
    assert_eq!(script.refuse(0, call("e")), ShedReason::Full);
}

#[test]
fn what_is_shed_comes_back() {
    let mut script = Script::new(|config| config.max_queue_size = NonZeroUsize::MIN);
    script.push(0, call("a"));
    let shed = script.batcher.push(call("b"), script.start).unwrap_err();
    assert_eq!((shed.carried, shed.reason), ("b", ShedReason::Full));
}

#[test]
fn retries_are_let_in_beyond_the_limit_and_count_for_those_who_come() {
    let mut script = Script::new(|config| config.max_queue_size = NonZeroUsize::new(2).unwrap());
    script.push(0, call("a"));
    script.push(0, call("b"));
    script.poll(0, 1);
    script.push(1, call("c"));
    script.complete(2, Outcome::Failed);
    assert_eq!(script.batcher.queued_calls(), 3);
    assert_eq!(script.refuse(2, call("d")), ShedReason::Full);
    assert_eq!(script.poll(2, 3), "[a] [b] [c]");
}

#[test]
fn rows_do_not_overflow() {
    let mut script = Script::new(|config| max_batch_size(config, u32::MAX));
    script.push(0, call("a"));
    script.push(0, rows("b", u32::MAX));
    script.push(0, rows("c", u32::MAX));
    assert_eq!(script.batcher.queued_rows(), 2 * u64::from(u32::MAX) + 1);
    assert_eq!(script.poll(0, 1), "[a]");
    assert_eq!(script.poll(0, 1), "[b]");
}

#[test]
fn a_configuration_is_checked() {
    let config = BatchConfig {
        pad_to: vec![65],
        ..BatchConfig::default()
    };
    assert!(Batcher::<()>::new(config).is_err());
}

/// Whatever happens in whatever order, each call is answered once and nothing is left.
#[test]
fn every_call_is_answered_once() {
    for seed in 1..200_u64 {
        let mut script = Script::new(|config| {
            config.pad_to = vec![2, 4];
            config.max_queue_size = NonZeroUsize::new(6).unwrap();
            config.max_queue_delay = [QueueDelay::Auto, at_most(3)][usize::from(seed % 2 == 0)];
        });
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut below = |bound: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % bound
        };
        let (mut pushed, mut answered) = (0, 0);
        for at in 0..100 {
            let deadline = (below(2) == 0).then(|| script.at(at + 1 + below(8)));
            let call = Call {
                rows: NonZeroU32::new(1 + u32::try_from(below(5)).unwrap()).unwrap(),
                free_dims: FreeDims::new(vec![u32::try_from(below(2)).unwrap()]),
                deadline,
                ..call("#")
            };
            if let Ok(ticket) = script.batcher.push(call, script.at(at)) {
                pushed += 1;
                if below(5) == 0 && script.batcher.cancel(ticket) == Cancelled::Queued("#") {
                    answered += 1;
                }
            }
            let free_workers = 2 - script.running.len();
            answered += script.poll(at, free_workers).matches('!').count();
            if below(3) == 0 && !script.running.is_empty() {
                let outcomes = [Outcome::Succeeded, Outcome::Failed, Outcome::FailedForAll];
                let outcome = outcomes[usize::try_from(below(3)).unwrap()];
                answered += script.complete(at, outcome).matches('#').count();
            }
        }
        script.batcher.drain();
        for at in 100..200 {
            let free_workers = 2 - script.running.len();
            answered += script.poll(at, free_workers).matches('!').count();
            while !script.running.is_empty() {
                answered += script.complete(at, Outcome::Succeeded).matches('#').count();
            }
        }
        assert_eq!(answered, pushed, "seed {seed}");
        assert!(script.batcher.is_idle(), "seed {seed}");
        assert_eq!(script.batcher.queued_rows(), 0, "seed {seed}");
        assert_eq!(script.next_due(200, 2), None, "seed {seed}");
    }
}
