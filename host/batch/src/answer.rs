//! The place where a call's answer is put and taken from, once.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use tensorlet_tensor::NamedTensor;

use crate::clock;
use crate::error::CallError;

/// What a call is answered.
pub(crate) type CallResult<E> = Result<Vec<NamedTensor>, CallError<E>>;

/// One answer, from the thread that has it to whoever waits for it.
#[derive(Debug)]
pub(crate) struct Answer<E>(Mutex<Progress<E>>);

#[derive(Debug)]
enum Progress<E> {
    Pending(Option<Waiter>),
    Given(CallResult<E>),
    Taken,
}

#[derive(Debug)]
enum Waiter {
    Task(Waker),
    Thread(Thread),
}

impl<E> Answer<E> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Progress::Pending(None)))
    }

    /// Puts the answer there, and wakes who waits for it.
    pub(crate) fn give(&self, result: CallResult<E>) {
        let before = mem::replace(&mut *self.lock(), Progress::Given(result));
        match before {
            Progress::Pending(Some(Waiter::Thread(thread))) => thread.unpark(),
            // A waker is code of others: a worker outlives its panics.
            Progress::Pending(Some(Waiter::Task(waker))) => {
                let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
            }
            Progress::Pending(None) => {}
            Progress::Given(_) | Progress::Taken => unreachable!("a call is answered once"),
        }
    }

    pub(crate) fn is_pending(&self) -> bool {
        matches!(*self.lock(), Progress::Pending(_))
    }

    /// Takes the answer when it is there, or tells `waker` when it will be.
    ///
    /// # Panics
    /// If it has been taken.
    pub(crate) fn poll(&self, waker: &Waker) -> Poll<CallResult<E>> {
        self.take_or(|waiter| match waiter {
            Some(Waiter::Task(known)) => known.clone_from(waker),
            _ => *waiter = Some(Waiter::Task(waker.clone())),
        })
    }

    /// Waits for the answer, or returns `None` at `until`.
    ///
    /// # Panics
    /// If it has been taken.
    pub(crate) fn wait(&self, until: Option<Instant>) -> Option<CallResult<E>> {
        loop {
            let register = |waiter: &mut _| *waiter = Some(Waiter::Thread(thread::current()));
            if let Poll::Ready(result) = self.take_or(register) {
                return Some(result);
            }
            match until {
                None => thread::park(),
                Some(until) => {
                    let left = until.saturating_duration_since(clock::now());
                    if left.is_zero() {
                        return None;
                    }
                    thread::park_timeout(left);
                }
            }
        }
    }

    fn take_or(&self, register: impl FnOnce(&mut Option<Waiter>)) -> Poll<CallResult<E>> {
        let mut progress = self.lock();
        if let Progress::Pending(waiter) = &mut *progress {
            register(waiter);
            return Poll::Pending;
        }
        match mem::replace(&mut *progress, Progress::Taken) {
            Progress::Given(result) => Poll::Ready(result),
            _ => panic!("an answer is taken once"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Progress<E>> {
        // Each state is valid, and each change is one assignment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
