//! Threads that give way to all others of the machine.
//!
//! A kernel may let a thread that computes go on until its next tick, up to 4 ms, though others of the same core have something to do. On Linux not so one
//! whose policy is `SCHED_IDLE`: whatever wakes up takes the core from it at once. Any process may send a thread there, but calling it back
//! takes `CAP_SYS_NICE`, or a limit of niceness (`ulimit -e 20`); where that is missing nothing is sent.

#![cfg_attr(
    target_os = "linux",
    expect(
        unsafe_code,
        reason = "the policy of a thread is set by system calls, which libc declares"
    )
)]

pub(super) use self::system::{enter, is_possible, leave};

#[cfg(target_os = "linux")]
mod system {
    use std::cell::Cell;
    use std::sync::OnceLock;
    use std::thread;

    thread_local! {
        /// Whether this thread was sent to the background.
        static IS_IN: Cell<bool> = const { Cell::new(false) };
    }

    /// Reports whether threads can go there and come back.
    pub(in crate::shares) fn is_possible() -> bool {
        static IS_POSSIBLE: OnceLock<bool> = OnceLock::new();
        *IS_POSSIBLE.get_or_init(|| {
            // A thread that could not come back would have to end.
            let there_and_back =
                || policy() == libc::SCHED_OTHER && set(libc::SCHED_IDLE) && set(libc::SCHED_OTHER);
            thread::spawn(there_and_back).join().unwrap_or(false)
        })
    }

    /// Sends this thread there, if it is not, and lets those go first that wait.
    pub(in crate::shares) fn enter() {
        if !IS_IN.get() && is_possible() && policy() == libc::SCHED_OTHER {
            IS_IN.set(set(libc::SCHED_IDLE));
        }
        // One that was woken before this thread gave way is not looked at before the next tick otherwise.
        thread::yield_now();
    }

    /// Calls this thread back, and reports whether it was there.
    pub(in crate::shares) fn leave() -> bool {
        let was_in = IS_IN.replace(false);
        if was_in && !set(libc::SCHED_OTHER) {
            tracing::warn!("a thread that gave way to others does so for ever");
        }
        was_in
    }

    /// Returns the policy of this thread.
    pub(super) fn policy() -> libc::c_int {
        // SAFETY: it takes a number and returns one; 0 means this thread.
        unsafe { libc::sched_getscheduler(0) }
    }

    fn set(policy: libc::c_int) -> bool {
        let param = libc::sched_param { sched_priority: 0 };
        // SAFETY: `param` lives until the call returns; 0 means this thread.
        unsafe { libc::sched_setscheduler(0, policy, &raw const param) == 0 }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub(in crate::shares) fn is_possible() -> bool {
        false
    }

    pub(in crate::shares) fn enter() {}

    pub(in crate::shares) fn leave() -> bool {
        false
    }
}

/// Asks the system whether this thread gives way.
#[cfg(test)]
pub(super) fn is_in() -> bool {
    #[cfg(target_os = "linux")]
    return system::policy() == libc::SCHED_IDLE;
    #[cfg(not(target_os = "linux"))]
    return false;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_comes_back() {
        let thread = std::thread::spawn(|| {
            assert!(!leave(), "it was not there");
            enter();
            assert_eq!(is_in(), is_possible());
            enter();
            assert_eq!(leave(), is_possible());
            assert!(!is_in());
        });
        thread.join().unwrap();
    }
}
