//! Parts that several threads claim.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Crew, Interrupted, Team};

/// What the threads have in common.
struct Shared<P, S, E> {
    /// The parts that nobody has claimed, with their indices.
    parts: Mutex<P>,
    /// The states that no thread has taken.
    states: Mutex<S>,
    /// The part that failed, and why. A part is claimed after all before it, so the first one that fails is always found.
    failure: Mutex<Option<(usize, E)>>,
    is_over: AtomicBool,
}

/// Computes parts on all threads of a team. See [`Crew::share`].
pub(super) fn share<P, S, E>(
    crew: Crew<'_>,
    team: &dyn Team,
    parts: P,
    states: S,
    work: &(impl Fn(P::Item, &mut S::Item) -> Result<(), E> + Sync),
) -> Result<(), E>
where
    P: Iterator + Send,
    S: Iterator + Send,
    E: From<Interrupted> + Send,
{
    let shared = Shared {
        parts: Mutex::new(parts.enumerate()),
        states: Mutex::new(states),
        failure: Mutex::new(None),
        is_over: AtomicBool::new(false),
    };
    team.run(&|| {
        let Some(mut state) = lock(&shared.states).next() else {
            return;
        };
        while !shared.is_over.load(Ordering::Relaxed) {
            let Some((index, part)) = lock(&shared.parts).next() else {
                break;
            };
            let done = crew.check().map_err(E::from);
            if let Err(error) = done.and_then(|()| work(part, &mut state)) {
                shared.fail(index, error);
            }
        }
    });
    if let Some((_, error)) = shared
        .failure
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
    {
        return Err(error);
    }
    let rest = lock(&shared.parts).next();
    assert!(
        rest.is_none(),
        "expected a team that works, and a state for a thread"
    );
    Ok(())
}

impl<P, S, E> Shared<P, S, E> {
    fn fail(&self, index: usize, error: E) {
        self.is_over.store(true, Ordering::Relaxed);
        let mut failure = lock(&self.failure);
        if failure.as_ref().is_none_or(|(other, _)| index < *other) {
            *failure = Some((index, error));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
