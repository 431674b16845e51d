//! Waits until a point in time, to a few microseconds.
//!
//! Timers of tokio have ticks of a millisecond, which is several arrivals. A timer of the kernel wakes the thread when it
//! is due, by the same wait as for sockets; spinning would as well, but take a core from the server. So does a timer for each call
//! where there are 100,000 a second: those that are due within [`STEP`] are sent together.

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;

use crate::clock::now;

/// How long after it expired the timer expires again at the earliest.
const STEP: Duration = Duration::from_micros(100);

/// One timer. Belongs to the runtime that it was made in.
pub(crate) struct Pacer {
    timer: AsyncFd<OwnedFd>,
    /// When it expired last.
    expired: Cell<Option<Instant>>,
}

impl Pacer {
    /// Makes a timer.
    ///
    /// # Panics
    /// Outside of a runtime of tokio.
    #[expect(
        deprecated,
        reason = "the successor is unsafe, for types whose descriptor may change; that of an `OwnedFd` does not"
    )]
    pub(crate) fn new() -> Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags).context("timerfd_create")?;
        Ok(Self {
            timer: AsyncFd::new(timer)?,
            expired: Cell::new(None),
        })
    }

    /// Waits until `due`, or up to [`STEP`] longer; not at all if it has passed.
    pub(crate) async fn wait_until(&self, due: Instant) -> Result<()> {
        let now = now();
        if due <= now {
            return Ok(());
        }
        let again = self.expired.get().map(|expired| expired + STEP);
        // Zero would disarm the timer, but this is not.
        let gap = again.map_or(due, |again| again.max(due)) - now;
        let zero = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let once = Itimerspec {
            it_interval: zero,
            it_value: Timespec {
                tv_sec: gap.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: gap.subsec_nanos().into(),
            },
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)
            .context("timerfd_settime")?;
        loop {
            let mut ready = self.timer.readable().await?;
            let read = |timer: &AsyncFd<OwnedFd>| {
                let mut expirations = [0; 8];
                Ok(rustix::io::read(timer, &mut expirations)?)
            };
            // An error means that it has not expired yet: readiness was that of an earlier wait.
            if let Ok(read) = ready.try_io(read) {
                read.context("read a timer")?;
                self.expired.set(Some(crate::clock::now()));
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn waits_again_and_again_and_never_too_short() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let pacer = Pacer::new().unwrap();
            let start = now();
            for step in 0..20 {
                let due = start + Duration::from_micros(700) * step;
                pacer.wait_until(due).await.unwrap();
                assert!(now() >= due, "step {step} is due");
            }
        });
    }
}
