//! Tests of pools of threads.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// Adds numbers up to 999, each claimed by one thread.
fn sum(team: &Recruits<'_>) -> usize {
    let (next, sum) = (AtomicUsize::new(0), AtomicUsize::new(0));
    team.run(&|| {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= 1000 {
                return;
            }
            sum.fetch_add(number, Ordering::Relaxed);
        }
    });
    sum.into_inner()
}

#[test]
fn all_parts_are_computed_again_and_again() {
    for size in 0..5 {
        let threads = Threads::new(size);
        for wanted in 0..6 {
            let team = threads.recruit(wanted);
            assert_eq!(team.size(), wanted.min(size).max(1));
            for _ in 0..200 {
                assert_eq!(sum(&team), 499_500);
            }
        }
    }
}

#[test]
fn helpers_run_at_the_same_time_as_the_caller() {
    let threads = Threads::new(3);
    let team = threads.recruit(3);
    for _ in 0..20 {
        let barrier = Barrier::new(3);
        let seen = Mutex::new(HashSet::new());
        // Each waits for the others, so that nobody's function is taken back.
        team.run(&|| {
            barrier.wait();
            seen.lock().unwrap().insert(thread::current().id());
        });
        assert_eq!(seen.into_inner().unwrap().len(), 3);
    }
}

#[test]
fn callers_count_and_never_wait() {
    let threads = Threads::new(4);
    let first = threads.recruit(3);
    let second = threads.recruit(4);
    let third = threads.recruit(4);
    assert_eq!([first.size(), second.size(), third.size()], [3, 1, 1]);
    drop(first);
    // Two callers run, so there is room for two helpers.
    let fourth = threads.recruit(9);
    assert_eq!(fourth.size(), 2, "the fourth is a caller as well");
    drop((second, third, fourth));
    assert_eq!(threads.recruit(9).size(), 4, "all came back");
}

#[test]
fn a_panic_of_a_helper_reaches_the_caller_and_the_helper_survives() {
    let threads = Threads::new(2);
    let team = threads.recruit(2);
    let caller = thread::current().id();
    for _ in 0..10 {
        let barrier = Barrier::new(2);
        let panic = catch_unwind(AssertUnwindSafe(|| {
            team.run(&|| {
                barrier.wait();
                assert!(thread::current().id() == caller, "a helper");
            });
        }));
        let message = *panic.unwrap_err().downcast::<&str>().unwrap();
        assert_eq!(message, "a helper");
        assert_eq!(sum(&team), 499_500);
    }
}

#[test]
fn a_panic_of_the_caller_waits_for_helpers() {
    let threads = Threads::new(3);
    let team = threads.recruit(3);
    let caller = thread::current().id();
    for _ in 0..10 {
        let barrier = Barrier::new(3);
        let done = AtomicUsize::new(0);
        let panic = catch_unwind(AssertUnwindSafe(|| {
            team.run(&|| {
                barrier.wait();
                assert!(thread::current().id() != caller, "the caller");
                thread::yield_now();
                done.fetch_add(1, Ordering::Relaxed);
            });
        }));
        assert!(panic.is_err());
        assert_eq!(done.into_inner(), 2);
        assert_eq!(sum(&team), 499_500);
    }
}

#[test]
fn many_callers_share_few_helpers() {
    let threads = Threads::new(3);
    thread::scope(|scope| {
        for caller in 0..8 {
            let threads = &threads;
            scope.spawn(move || {
                for call in 0..200 {
                    let team = threads.recruit(1 + (caller + call) % 4);
                    assert!(team.size() <= 3);
                    for _ in 0..5 {
                        assert_eq!(sum(&team), 499_500);
                    }
                }
            });
        }
    });
    let hall = threads.hall();
    assert_eq!((hall.running, hall.idle.len()), (0, 2));
}

#[test]
fn one_team_may_be_used_by_several_threads() {
    let threads = Threads::new(3);
    let team = threads.recruit(3);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..200).for_each(|_| assert_eq!(sum(&team), 499_500)));
        }
    });
}

#[test]
fn dropping_a_pool_ends_its_threads() {
    let threads = Threads::new(4);
    let desks = Arc::downgrade(&threads.desks);
    sum(&threads.recruit(4));
    drop(threads);
    assert!(desks.upgrade().is_none(), "no thread has the desks");
}
