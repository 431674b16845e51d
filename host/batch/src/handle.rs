//! A call that has been let in.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tensorlet_tensor::NamedTensor;

use crate::answer::Answer;
use crate::call::Ticket;
use crate::clock;
use crate::error::CallError;
use crate::predict::Predict;
use crate::scheduler::shared::{Gone, Shared};

/// A call that has been let in; dropping it cancels the call.
///
/// It is also a future, of any executor, which is ready when the call has been answered. That is at its deadline if
/// it waits then. If it runs then, it is when its batch ends; the waits below return at the deadline even so.
#[must_use = "a call is cancelled when its handle is dropped"]
pub struct Handle<P: Predict> {
    pub(crate) shared: Arc<Shared<P>>,
    pub(crate) answer: Arc<Answer<P::Error>>,
    pub(crate) ticket: Ticket,
    pub(crate) deadline: Option<Instant>,
}

impl<P: Predict> Handle<P> {
    /// Waits for the outputs, at most until the deadline.
    ///
    /// A call that still waits then, alone, is executed on this thread if a worker is free, as by
    /// [`Scheduler::predict`](crate::Scheduler::predict).
    ///
    /// # Errors
    /// If there are none: see [`CallErrorKind`](crate::CallErrorKind).
    pub fn wait(self) -> Result<Vec<NamedTensor>, CallError<P::Error>> {
        if self.answer.is_pending() {
            self.shared.serve(self.ticket);
        }
        self.wait_for_others()
    }

    pub(crate) fn wait_for_others(self) -> Result<Vec<NamedTensor>, CallError<P::Error>> {
        match self.answer.wait(self.deadline) {
            Some(result) => result,
            None => self.give_up(),
        }
    }

    /// Waits for the outputs, at most so long and until the deadline.
    ///
    /// # Errors
    /// The handle, when the time is over and the call goes on. A call without outputs is an error inside.
    pub fn wait_timeout(
        self,
        timeout: Duration,
    ) -> Result<Result<Vec<NamedTensor>, CallError<P::Error>>, Self> {
        // A time that the clock cannot tell does not come.
        let until = clock::now().checked_add(timeout);
        let first = [until, self.deadline].into_iter().flatten().min();
        match self.answer.wait(first) {
            Some(result) => Ok(result),
            None if first == self.deadline => Ok(self.give_up()),
            None => Err(self),
        }
    }

    fn give_up(&self) -> Result<Vec<NamedTensor>, CallError<P::Error>> {
        let is_answered = self.shared.abandon(self.ticket, Gone::DeadlineExceeded);
        // An answer that was made at the last moment is on its way.
        let result = is_answered.then(|| self.answer.wait(None)).flatten();
        result.unwrap_or_else(|| Err(CallError::deadline_exceeded()))
    }
}

impl<P: Predict> Future for Handle<P> {
    type Output = Result<Vec<NamedTensor>, CallError<P::Error>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.answer.poll(context.waker())
    }
}

impl<P: Predict> Drop for Handle<P> {
    fn drop(&mut self) {
        if self.answer.is_pending() {
            self.shared.abandon(self.ticket, Gone::Cancelled);
        }
    }
}

impl<P: Predict> fmt::Debug for Handle<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("ticket", &self.ticket)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
