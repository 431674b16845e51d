//! Waits until a point in time, to a few microseconds.
//!
//! Timers of tokio have ticks of a millisecond, which is several arrivals. A timer of the kernel wakes the thread when it
//! is due, by the same wait as for sockets; spinning would as well, but take a core from the server.

use std::os::fd::OwnedFd;
use std::time::Instant;

use anyhow::{Context as _, Result};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;

use crate::clock::now;

/// One timer. Belongs to the runtime that it was made in.
pub(crate) struct Pacer {
    timer: AsyncFd<OwnedFd>,
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
        })
    }

    /// Waits until `due`, and not at all if it has passed.
    pub(crate) async fn wait_until(&self, due: Instant) -> Result<()> {
        let gap = due.saturating_duration_since(now());
        // Zero would disarm the timer.
        if gap.is_zero() {
            return Ok(());
        }
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
