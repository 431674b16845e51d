//! Deadlines and cancellation.

use super::*;

impl Script {
    fn until(&self, name: &'static str, ms: u64) -> Call<&'static str> {
        Call {
            deadline: Some(self.at(ms)),
            ..call(name)
        }
    }

    /// Runs one call of one row that takes so long.
    fn learn(&mut self, ms: u64) {
        self.push(0, call("first"));
        self.poll(0, 1);
        self.complete(ms, Outcome::Succeeded);
    }
}

#[test]
fn a_call_whose_deadline_passed_while_queued_fails_fast() {
    let mut script = Script::new(|_| ());
    let a = script.until("a", 10);
    script.push(0, a);
    script.push(0, call("b"));
    assert_eq!(script.poll(9, 0), "");
    assert_eq!(script.next_due(9, 0), ms(10));
    assert_eq!(script.poll(10, 0), "!a", "even though no worker is free");
    assert_eq!(script.poll(10, 1), "[b]");
}

#[test]
fn a_call_whose_deadline_has_passed_is_not_let_in() {
    let mut script = Script::new(|_| ());
    let a = script.until("a", 10);
    assert_eq!(script.refuse(10, a), ShedReason::DeadlineExceeded);
    let b = script.until("b", 11);
    script.push(10, b);
}

#[test]
fn a_call_that_cannot_be_met_any_more_fails_fast() {
    let mut script = Script::new(|_| ());
    script.learn(30);
    let a = script.until("a", 100);
    script.push(40, a);
    assert_eq!(script.next_due(40, 0), ms(70), "an execution takes 30 ms");
    assert_eq!(script.poll(69, 0), "");
    assert_eq!(script.poll(70, 0), "!a");
}

#[test]
fn a_free_worker_tries_what_the_estimate_gives_up() {
    let mut script = Script::new(|config| max_batch_size(config, 1));
    script.learn(30);
    for name in ["a", "b"] {
        let call = script.until(name, 60);
        script.push(40, call);
    }
    assert_eq!(
        script.poll(40, 1),
        "!a [b]",
        "one worker for two hopeless calls"
    );
    assert_eq!(script.complete(41, Outcome::Succeeded), "b Succeeded");
    let c = script.until("c", 60);
    script.push(42, c);
    assert_eq!(script.poll(42, 0), "", "the estimate has come down to 1 ms");
    assert_eq!(script.next_due(42, 0), ms(59));
}

#[test]
fn a_call_is_not_held_back_until_its_deadline() {
    let mut script = Script::new(|config| config.max_queue_delay = at_most(100));
    script.push(0, call("first"));
    script.poll(100, 1);
    script.complete(110, Outcome::Succeeded);
    let a = script.until("a", 180);
    script.push(120, a);
    assert_eq!(
        script.next_due(120, 1),
        ms(160),
        "twice 10 ms before the deadline"
    );
    assert_eq!(script.poll(159, 1), "");
    assert_eq!(script.poll(160, 1), "[a]");
}

#[test]
fn estimates_are_kept_apart_by_dims_and_scaled_by_rows() {
    let mut script = Script::new(|_| ());
    script.push(0, rows("first", 4));
    script.poll(0, 1);
    script.complete(40, Outcome::Succeeded);
    let a = script.until("a", 100);
    script.push(50, a);
    assert_eq!(
        script.next_due(50, 0),
        ms(90),
        "a row of four takes a quarter at least"
    );
    let free_dims = FreeDims::new(vec![1]);
    let b = script.until("b", 95);
    script.push(50, Call { free_dims, ..b });
    assert_eq!(script.poll(90, 0), "!a");
    assert_eq!(
        script.next_due(90, 0),
        ms(95),
        "of other dims nothing is known"
    );
}

#[test]
fn a_batch_runs_until_its_latest_deadline() {
    let mut script = Script::new(|_| ());
    for (name, deadline) in [("a", 30), ("b", 10)] {
        let call = script.until(name, deadline);
        script.push(0, call);
    }
    script.poll(0, 1);
    assert_eq!(script.running[0].deadline(), Some(script.at(30)));
    assert_eq!(
        script.complete(20, Outcome::Succeeded),
        "a Succeeded, b DeadlineExceeded"
    );

    let a = script.until("a", 100);
    script.push(50, a);
    script.push(50, call("patient"));
    script.poll(50, 1);
    assert_eq!(script.running[0].deadline(), None);
}

#[test]
fn a_call_that_is_too_late_is_not_retried() {
    let mut script = Script::new(|_| ());
    let a = script.until("a", 10);
    script.push(0, a);
    script.push(0, call("b"));
    script.poll(0, 1);
    assert_eq!(script.complete(10, Outcome::Failed), "a DeadlineExceeded");
    assert_eq!(script.poll(10, 2), "[b]");
}

#[test]
fn a_call_that_is_cancelled_while_queued_does_not_run() {
    let mut script = Script::new(|_| ());
    let a = script.until("a", 10);
    let a = script.push(0, a);
    script.push(0, call("b"));
    assert_eq!(script.batcher.cancel(a), Cancelled::Queued("a"));
    assert_eq!(script.batcher.queued_calls(), 1);
    assert_eq!(script.next_due(0, 0), None, "its deadline is forgotten too");
    assert_eq!(script.poll(10, 1), "[b]");
    assert_eq!(script.batcher.cancel(a), Cancelled::Answered);
}

#[test]
fn a_call_that_is_cancelled_in_a_batch_is_dropped_from_it() {
    let mut script = Script::new(|_| ());
    let a = script.push(0, call("a"));
    script.push(0, call("b"));
    script.poll(0, 1);
    assert_eq!(script.batcher.cancel(a), Cancelled::Running);
    assert_eq!(
        script.complete(5, Outcome::Succeeded),
        "a Cancelled, b Succeeded"
    );
    assert_eq!(script.batcher.cancel(a), Cancelled::Answered);
}

#[test]
fn a_call_that_is_cancelled_in_a_batch_is_not_retried() {
    let mut script = Script::new(|_| ());
    let a = script.push(0, call("a"));
    script.push(0, call("b"));
    script.poll(0, 1);
    script.batcher.cancel(a);
    assert_eq!(script.complete(5, Outcome::Failed), "a Cancelled");
    assert_eq!(script.poll(5, 2), "[b]");
}
