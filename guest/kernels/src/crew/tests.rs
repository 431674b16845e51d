//! Tests of crews.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::testing::Fresh;
use super::*;
use crate::run::RunError;

#[test]
fn every_part_is_computed_once() {
    for threads in 1..5 {
        for count in [0, 1, 2, 7, 100] {
            let team = Fresh(threads);
            let crew = Crew::new(Some(&team), None);
            let times: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
            let work = |part: usize, _: &mut ()| -> Result<(), Interrupted> {
                times[part].fetch_add(1, Ordering::Relaxed);
                Ok(())
            };
            crew.share(0..count, std::iter::repeat_n((), threads), work)
                .unwrap();
            assert!(times.iter().all(|times| times.load(Ordering::Relaxed) == 1));
        }
    }
}

#[test]
fn no_two_threads_have_one_state() {
    let team = Fresh(4);
    let mut states = [0usize; 3];
    let alive = [const { Mutex::new(()) }; 3];
    let work = |_: usize, (index, count): &mut (usize, &mut usize)| -> Result<(), Interrupted> {
        let _alone = alive[*index]
            .try_lock()
            .expect("nobody else has this state");
        **count += 1;
        Ok(())
    };
    Crew::new(Some(&team), None)
        .share(0..1000, states.iter_mut().enumerate(), work)
        .unwrap();
    assert_eq!(states.iter().sum::<usize>(), 1000);
}

#[test]
fn the_first_part_that_fails_is_the_error() {
    for threads in 1..5 {
        let team = Fresh(threads);
        let work = |part: usize, _: &mut ()| match part {
            0..30 => Ok(()),
            _ => Err(RunError::new(format!("part {part}"))),
        };
        let error = Crew::new(Some(&team), None)
            .share(0..100, std::iter::repeat_n((), threads), work)
            .unwrap_err();
        assert_eq!(error.to_string(), "part 30");
    }
}

#[test]
fn an_interruption_leaves_parts_out() {
    for threads in 1..4 {
        let team = Fresh(threads);
        let done = AtomicUsize::new(0);
        let interrupt = || done.load(Ordering::Relaxed) >= 10;
        let work = |_: usize, _: &mut ()| {
            done.fetch_add(1, Ordering::Relaxed);
            Ok::<_, RunError>(())
        };
        let result = Crew::new(Some(&team), Some(&interrupt)).share(
            0..1000,
            std::iter::repeat_n((), threads),
            work,
        );
        assert_eq!(result, Err(RunError::Interrupted(Interrupted)));
        assert!(done.into_inner() < 10 + threads);
    }
}
