//! When batches leave, and with what.

use super::*;

#[test]
fn a_call_alone_is_never_delayed_under_auto() {
    let mut script = Script::new(|_| ());
    script.push(0, call("a"));
    assert_eq!(script.poll(0, 1), "[a]");
    assert_eq!(script.next_due(0, 0), None, "nothing is due by time alone");
}

#[test]
fn batches_form_from_what_waits_while_the_worker_is_busy() {
    let mut script = Script::new(|_| ());
    script.push(0, call("a"));
    assert_eq!(script.poll(0, 1), "[a]");
    for (at, name) in [(1, "b"), (2, "c"), (3, "d")] {
        script.push(at, call(name));
        assert_eq!(script.poll(at, 0), "");
    }
    assert_eq!(script.complete(10, Outcome::Succeeded), "a Succeeded");
    assert_eq!(script.poll(10, 1), "[b c d]");
    assert_eq!(
        script.complete(20, Outcome::Succeeded),
        "b Succeeded, c Succeeded, d Succeeded"
    );
    assert!(script.batcher.is_idle());
}

#[test]
fn free_workers_share_what_waits_under_auto() {
    let mut script = Script::new(|config| max_batch_size(config, 8));
    for name in ["a", "b", "c", "d", "e"] {
        script.push(0, call(name));
    }
    assert_eq!(script.poll(0, 2), "[a b c] [d e]");
}

#[test]
fn a_full_batch_leaves_at_once() {
    let mut script = Script::new(|config| config.max_queue_delay = at_most(100));
    for name in ["a", "b", "c"] {
        script.push(0, call(name));
        assert_eq!(script.poll(0, 2), "", "it may be filled further");
    }
    script.push(1, call("d"));
    assert_eq!(script.poll(1, 2), "[a b c d]");
}

#[test]
fn a_batch_that_the_next_call_does_not_fit_is_full() {
    let mut script = Script::new(|config| config.max_queue_delay = at_most(100));
    script.push(0, rows("a", 3));
    assert_eq!(script.poll(0, 1), "");
    script.push(0, rows("b", 2));
    assert_eq!(script.poll(0, 2), "[a]");
    assert_eq!(script.poll(100, 1), "[b]");
}

#[test]
fn max_queue_delay_is_honoured() {
    let mut script = Script::new(|config| config.max_queue_delay = at_most(100));
    script.push(0, call("a"));
    script.push(60, call("b"));
    assert_eq!(script.poll(99, 1), "");
    assert!(!script.batcher.is_due(script.at(99)));
    assert_eq!(script.next_due(99, 1), ms(100));
    assert_eq!(
        script.next_due(99, 0),
        None,
        "without a worker there is nothing to wake for"
    );
    assert!(script.batcher.is_due(script.at(100)));
    assert_eq!(
        script.poll(100, 1),
        "[a b]",
        "the delay is that of the oldest"
    );
}

#[test]
fn a_preferred_size_leaves_at_once() {
    let mut script = Script::new(|config| {
        max_batch_size(config, 8);
        config.preferred_batch_size = vec![2, 4];
        config.max_queue_delay = at_most(100);
    });
    script.push(0, call("a"));
    assert_eq!(script.poll(0, 1), "");
    for name in ["b", "c", "d", "e"] {
        script.push(1, call(name));
    }
    assert_eq!(
        script.poll(1, 1),
        "[a b c d]",
        "the largest preferred size that waits"
    );
    assert_eq!(script.poll(1, 1), "", "one row is not preferred");
    script.push(2, call("f"));
    script.push(2, call("g"));
    assert_eq!(
        script.poll(101, 1),
        "[e f g]",
        "when the delay is over, all that waits"
    );
}

#[test]
fn what_outgrows_the_preferred_sizes_leaves_without_them() {
    let mut script = Script::new(|config| {
        max_batch_size(config, 16);
        config.preferred_batch_size = vec![4];
        config.max_queue_delay = at_most(100);
    });
    script.push(0, rows("a", 3));
    assert_eq!(script.poll(0, 1), "");
    script.push(0, rows("b", 3));
    assert_eq!(script.poll(0, 1), "[a]");
}

#[test]
fn a_preferred_size_is_not_waited_for_under_auto() {
    let mut script = Script::new(|config| config.preferred_batch_size = vec![2]);
    for name in ["a", "b", "c"] {
        script.push(0, call(name));
    }
    assert_eq!(script.poll(0, 2), "[a b] [c]");
}

#[test]
fn a_call_larger_than_a_batch_goes_alone() {
    let mut script = Script::new(|config| config.max_queue_delay = at_most(100));
    script.push(0, call("a"));
    script.push(0, rows("b", 5));
    script.push(0, call("c"));
    assert_eq!(
        script.poll(0, 9),
        "[a] [b]",
        "what is behind it is not joined with what is before it"
    );
    assert_eq!(script.poll(100, 9), "[c]");
}

#[test]
fn a_call_as_large_as_a_batch_is_full() {
    let mut script = Script::new(|config| config.max_queue_delay = at_most(100));
    script.push(0, rows("a", 4));
    assert_eq!(script.poll(0, 1), "[a]");
}

#[test]
fn different_dims_are_kept_apart() {
    let mut script = Script::new(|_| ());
    for (name, dim) in [("a", 7), ("b", 9), ("c", 7), ("d", 9)] {
        let free_dims = FreeDims::new(vec![dim]);
        script.push(
            0,
            Call {
                free_dims,
                ..call(name)
            },
        );
    }
    assert_eq!(script.poll(0, 1), "[a c]");
    assert_eq!(script.poll(0, 1), "[b d]");
}

#[test]
fn batches_are_padded_to_the_next_fast_size() {
    let mut script = Script::new(|config| {
        max_batch_size(config, 16);
        config.pad_to = vec![2, 8];
    });
    for (call, expected) in [
        (rows("a", 1), "[a]+1"),
        (rows("b", 2), "[b]"),
        (rows("c", 3), "[c]+5"),
        (rows("d", 9), "[d]"),
        (rows("e", 17), "[e]"),
    ] {
        script.push(0, call);
        assert_eq!(script.poll(0, 1), expected);
    }
}

#[test]
fn draining_holds_nothing_back_and_lets_nothing_in() {
    let mut script = Script::new(|config| {
        config.max_queue_delay = at_most(100);
        config.preferred_batch_size = vec![4];
    });
    script.push(0, call("a"));
    script.push(0, call("b"));
    script.batcher.drain();
    assert_eq!(script.refuse(1, call("c")), ShedReason::Draining);
    assert_eq!(script.poll(1, 1), "[a b]");
    assert!(!script.batcher.is_idle(), "a batch runs");
    script.complete(2, Outcome::Succeeded);
    assert!(script.batcher.is_idle());
}

#[test]
fn what_still_waits_can_be_taken_out() {
    let mut script = Script::new(|_| ());
    let deadline = Some(script.at(50));
    script.push(
        0,
        Call {
            deadline,
            ..call("a")
        },
    );
    script.push(0, rows("b", 3));
    assert_eq!(script.batcher.queued_rows(), 4);
    assert_eq!(script.batcher.take_waiting(), ["a", "b"]);
    assert!(script.batcher.is_idle());
    assert_eq!(script.batcher.queued_rows(), 0);
    assert_eq!(script.poll(100, 1), "");
    assert_eq!(script.next_due(0, 1), None);
}
