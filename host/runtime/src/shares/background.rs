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

pub(super) use self::system::{enter, is_in, is_possible, leave, let_others_go_first};

#[cfg(target_os = "linux")]
mod system {
    use std::cell::Cell;
    use std::sync::OnceLock;
    use std::thread;

    thread_local! {
        /// Whether this thread was sent to the background.
        static IS_IN: Cell<bool> = const { Cell::new(false) };
    }

    /// Reports whether this thread can go there and come back.
    pub(in crate::shares) fn is_possible() -> bool {
        static IS_POSSIBLE: OnceLock<bool> = OnceLock::new();
        policy() == libc::SCHED_OTHER
            && *IS_POSSIBLE.get_or_init(|| {
                // A thread that could not come back would have to end.
                let there_and_back = || {
                    policy() == libc::SCHED_OTHER && set(libc::SCHED_IDLE) && set(libc::SCHED_OTHER)
                };
                thread::spawn(there_and_back).join().unwrap_or(false)
            })
    }

    /// Sends this thread there, and lets those go first that wait.
    pub(in crate::shares) fn enter() {
        IS_IN.set(set(libc::SCHED_IDLE));
        let_others_go_first();
    }

    /// Lets those go first that were woken before this thread gave way: they are not looked at before the next tick otherwise.
    pub(in crate::shares) fn let_others_go_first() {
        thread::yield_now();
    }

    /// Calls this thread back if it is there.
    pub(in crate::shares) fn leave() {
        if IS_IN.replace(false) && !set(libc::SCHED_OTHER) {
            tracing::warn!("a thread that gave way to others does so for ever");
        }
    }

    /// Reports whether this thread is there.
    pub(in crate::shares) fn is_in() -> bool {
        IS_IN.get()
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

    pub(in crate::shares) fn is_in() -> bool {
        false
    }

    pub(in crate::shares) fn enter() {}

    pub(in crate::shares) fn let_others_go_first() {}

    pub(in crate::shares) fn leave() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_comes_back() {
        let thread = std::thread::spawn(|| {
            leave();
            assert!(!is_in(), "it was not there");
            if !is_possible() {
                return;
            }
            for _ in 0..2 {
                enter();
                assert!(is_in());
                #[cfg(target_os = "linux")]
                assert_eq!(system::policy(), libc::SCHED_IDLE);
                leave();
                assert!(!is_in());
                assert!(is_possible());
            }
        });
        thread.join().unwrap();
    }
}
