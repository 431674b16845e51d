//! Batches that fail.

use super::*;

#[test]
fn calls_of_a_failed_batch_are_retried_apart_and_only_the_guilty_one_fails() {
    let mut script = Script::new(|_| ());
    for name in ["a", "guilty", "c"] {
        script.push(0, call(name));
    }
    assert_eq!(script.poll(0, 1), "[a guilty c]");
    script.push(1, call("d"));
    script.push(1, call("e"));
    assert_eq!(
        script.complete(2, Outcome::Failed),
        "",
        "nobody is answered yet"
    );
    assert_eq!(script.batcher.queued_calls(), 5);

    assert_eq!(script.poll(2, 1), "[a]", "before those that came later");
    assert_eq!(script.complete(3, Outcome::Succeeded), "a Succeeded");
    assert_eq!(script.poll(3, 1), "[guilty]");
    assert_eq!(script.complete(4, Outcome::Failed), "guilty Failed");
    assert_eq!(script.poll(4, 1), "[c]");
    assert_eq!(script.complete(5, Outcome::Succeeded), "c Succeeded");
    assert_eq!(script.poll(5, 1), "[d e]", "and those are joined again");
}

#[test]
fn a_call_that_failed_alone_is_not_retried() {
    let mut script = Script::new(|_| ());
    script.push(0, call("a"));
    script.poll(0, 1);
    assert_eq!(script.complete(1, Outcome::Failed), "a Failed");
    assert!(script.batcher.is_idle());
}

#[test]
fn a_padded_call_is_retried_without_padding() {
    let mut script = Script::new(|config| config.pad_to = vec![4]);
    script.push(0, call("a"));
    assert_eq!(script.poll(0, 1), "[a]+3");
    assert_eq!(script.complete(1, Outcome::Failed), "");
    assert_eq!(script.poll(1, 1), "[a]");
    assert!(script.running[0].calls()[0].is_retry());
    assert_eq!(script.complete(2, Outcome::Failed), "a Failed");
}

#[test]
fn a_failure_of_all_is_not_retried() {
    let mut script = Script::new(|_| ());
    script.push(0, call("a"));
    script.push(0, call("b"));
    script.poll(0, 1);
    assert_eq!(
        script.complete(1, Outcome::FailedForAll),
        "a Failed, b Failed"
    );
    assert!(script.batcher.is_idle());
}

#[test]
fn retries_leave_at_once_and_while_draining() {
    let mut script = Script::new(|config| config.max_queue_delay = at_most(100));
    script.push(0, rows("a", 2));
    script.push(0, rows("b", 2));
    assert_eq!(script.poll(0, 1), "[a b]");
    script.batcher.drain();
    assert_eq!(script.complete(1, Outcome::Failed), "");
    assert_eq!(script.poll(1, 2), "[a] [b]");
}

#[test]
fn a_retry_can_be_cancelled() {
    let mut script = Script::new(|_| ());
    let a = script.push(0, call("a"));
    script.push(0, call("b"));
    script.poll(0, 1);
    script.complete(1, Outcome::Failed);
    assert_eq!(script.batcher.cancel(a), Cancelled::Queued("a"));
    assert_eq!(script.poll(1, 2), "[b]");
}

#[test]
fn nothing_is_learnt_from_a_failure() {
    let mut script = Script::new(|_| ());
    script.push(0, call("a"));
    script.poll(0, 1);
    script.complete(30, Outcome::Failed);
    let deadline = Some(script.at(50));
    script.push(
        40,
        Call {
            deadline,
            ..call("b")
        },
    );
    assert_eq!(script.next_due(40, 0), ms(50));
}
