//! The threads that compute together, and whether they are to stop.
//!
//! A [`Team`] is what the host lends: threads that run one function at the same time. A [`Crew`] divides work among them: parts are
//! claimed one by one, so that a thread that is held up takes fewer, and between two parts it is asked whether the call is interrupted.
//! What a part computes must not depend on who computes it, nor on how many there are: then no result does.
//!
//! In WebAssembly there is one thread and nothing interrupts, and a crew is nothing: no bytes, and no code.

mod divide;
#[cfg(not(target_arch = "wasm32"))]
mod share;

#[cfg(test)]
mod families;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

#[cfg(target_arch = "wasm32")]
use std::marker::PhantomData;

pub(crate) use divide::{LINE, Pace};

/// Threads that run one function at the same time.
pub trait Team: Sync {
    /// Returns how many threads there are, the calling one among them.
    fn size(&self) -> usize;

    /// Calls `work` on the calling thread and, at the same time, at most once on each of the others that is free to; returns when all
    /// of them have returned.
    ///
    /// # Panics
    /// If `work` panics on any of them.
    fn run(&self, work: &(dyn Fn() + Sync));
}

/// What a call is computed with: threads, and a question whether to go on. The default is one thread and no question.
#[derive(Clone, Copy, Default)]
pub struct Crew<'a> {
    #[cfg(not(target_arch = "wasm32"))]
    team: Option<&'a dyn Team>,
    #[cfg(not(target_arch = "wasm32"))]
    interrupt: Option<&'a (dyn Fn() -> bool + Sync)>,
    #[cfg(target_arch = "wasm32")]
    lifetime: PhantomData<&'a ()>,
}

/// A call that was to stop.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected to finish, found an interruption")]
pub struct Interrupted;

#[cfg(not(target_arch = "wasm32"))]
impl<'a> Crew<'a> {
    /// A crew of a team, if there is one, that stops as soon as `interrupt` says so. It is asked often and by all threads, a few
    /// thousand times a second, and must answer at once.
    pub fn new(
        team: Option<&'a dyn Team>,
        interrupt: Option<&'a (dyn Fn() -> bool + Sync)>,
    ) -> Self {
        Self { team, interrupt }
    }

    /// The calling thread of this crew by itself.
    pub fn alone(self) -> Self {
        Self { team: None, ..self }
    }

    /// Returns how many threads there are.
    pub fn size(self) -> usize {
        self.team.map_or(1, |team| team.size().max(1))
    }

    /// Reports whether to go on.
    ///
    /// # Errors
    /// If the call is interrupted.
    pub fn check(self) -> Result<(), Interrupted> {
        match self.interrupt {
            Some(interrupt) if interrupt() => Err(Interrupted),
            _ => Ok(()),
        }
    }

    /// Computes parts, each once, in no particular order: a thread takes one of the `states` for itself and then one part after the
    /// other. There are no more threads than states.
    ///
    /// # Errors
    /// That of the first of the parts that fail, or that the call is interrupted. Other parts may be left out then.
    /// # Panics
    /// If a part does, or there are no states.
    pub fn share<P, S, E>(
        self,
        parts: P,
        states: S,
        work: impl Fn(P::Item, &mut S::Item) -> Result<(), E> + Sync,
    ) -> Result<(), E>
    where
        P: Iterator + Send,
        S: Iterator + Send,
        E: From<Interrupted> + Send,
    {
        match self.team.filter(|team| team.size() > 1) {
            Some(team) => share::share(self, team, parts, states, &work),
            None => self.in_order(parts, states, work),
        }
    }
}

#[cfg(target_arch = "wasm32")]
impl Crew<'_> {
    /// Returns how many threads there are.
    pub fn size(self) -> usize {
        1
    }

    /// The calling thread of this crew by itself.
    pub fn alone(self) -> Self {
        self
    }

    /// Reports whether to go on.
    ///
    /// # Errors
    /// None.
    #[inline(always)]
    pub fn check(self) -> Result<(), Interrupted> {
        Ok(())
    }

    /// Computes parts in order, with the first of the states.
    ///
    /// # Errors
    /// That of the first of the parts that fail.
    /// # Panics
    /// If there are no states.
    #[inline(always)]
    pub fn share<P, S, E>(
        self,
        parts: P,
        states: S,
        work: impl Fn(P::Item, &mut S::Item) -> Result<(), E> + Sync,
    ) -> Result<(), E>
    where
        P: Iterator + Send,
        S: Iterator + Send,
        E: From<Interrupted> + Send,
    {
        self.in_order(parts, states, work)
    }
}

impl Crew<'_> {
    /// Returns who shares so many large parts, and who shares what is within each: the crew shares the parts if there are enough of
    /// them for all threads to be busy, else they come one by one.
    pub(crate) fn around(self, parts: usize) -> (Self, Self) {
        if parts >= self.size().saturating_mul(3) {
            (self, self.alone())
        } else {
            (self.alone(), self)
        }
    }

    #[inline(always)]
    fn in_order<P, S, E>(
        self,
        parts: P,
        mut states: S,
        work: impl Fn(P::Item, &mut S::Item) -> Result<(), E>,
    ) -> Result<(), E>
    where
        P: Iterator,
        S: Iterator,
        E: From<Interrupted>,
    {
        let mut state = states.next().expect("there is a state for one thread");
        for part in parts {
            self.check()?;
            work(part, &mut state)?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Crew<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Crew({})", self.size())
    }
}
