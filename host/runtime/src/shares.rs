//! Divides the processor fairly between models.
//!
//! An engine with [`max_running`](crate::EngineConfig::max_running) executes no more calls at a time than that. A call takes a turn, and is
//! executed until it ends or until it is asked to pause, because a model waits that has had less of the processor. Guests and kernels come
//! by a [`checkpoint`] every few microseconds; a call that is asked waits there, in the middle of its work, for its next turn. So a
//! model that computes for ever gets its share and no more, and the others hardly notice.
//!
//! ```text
//! Account::enter ─► waiting ─ grant ─► running ─► leave
//!                      ▲                  │
//!                      └─── checkpoint ◄──┘ asked to pause
//! ```
//!
//! Who is next is for `ledger` to say, which is told the time. Here are the threads: each waits by itself, and looks from time to time
//! whether one that runs has had enough. There is no thread more than those of calls.

mod ledger;

use std::cell::RefCell;
use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use self::ledger::{AccountId, Ledger, TicketId};
use crate::watchdog::now;

/// How often one that waits looks whether another has had enough.
const RECHECK: Duration = Duration::from_micros(200);

thread_local! {
    /// The turn in which this thread executes a call.
    static CURRENT: RefCell<Option<Arc<Ticket>>> = const { RefCell::new(None) };
}

/// The turns of one engine.
pub(crate) struct Shares {
    ledger: Mutex<Ledger<Arc<Ticket>>>,
    /// Makes all guests that run come by a checkpoint.
    interrupt: Box<dyn Fn() + Send + Sync>,
}

/// What one model has had. Dropping it forgets that.
#[derive(Debug)]
pub(crate) struct Account {
    shares: Arc<Shares>,
    id: AccountId,
}

/// The right to execute a call on this thread, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    ticket: Arc<Ticket>,
}

/// One call that executes or waits for it.
struct Ticket {
    shares: Arc<Shares>,
    id: TicketId,
    thread: Thread,
    is_granted: AtomicBool,
    is_asked_to_pause: AtomicBool,
}

impl Shares {
    /// Lets so many calls be executed at a time.
    pub(crate) fn new(size: NonZeroUsize, interrupt: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            ledger: Mutex::new(Ledger::new(size)),
            interrupt: Box::new(interrupt),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ledger<Arc<Ticket>>> {
        // Nothing of others' runs under the lock.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks one that runs to pause, if it has had enough.
    fn relieve(&self, ledger: &mut Ledger<Arc<Ticket>>, now: Instant) {
        if let Some(ticket) = ledger.relieve(now) {
            ticket.is_asked_to_pause.store(true, Relaxed);
            (self.interrupt)();
        }
        grant(ledger, now);
    }
}

/// Lets those begin whose turn it is.
fn grant(ledger: &mut Ledger<Arc<Ticket>>, now: Instant) {
    while let Some(ticket) = ledger.grant(now) {
        ticket.is_granted.store(true, Relaxed);
        ticket.thread.unpark();
    }
}

impl Account {
    /// Opens an account. A model with twice the weight gets twice the share.
    pub(crate) fn open(shares: &Arc<Shares>, weight: NonZeroU32) -> Self {
        Self {
            shares: Arc::clone(shares),
            id: shares.lock().open(weight),
        }
    }

    /// Waits for a turn; `None` if the deadline comes first.
    pub(crate) fn enter(&self, deadline: Option<Instant>) -> Option<Turn> {
        let now = now();
        let mut ledger = self.shares.lock();
        let ticket = Arc::new(Ticket {
            shares: Arc::clone(&self.shares),
            id: ledger.ticket(),
            thread: thread::current(),
            is_granted: AtomicBool::new(false),
            is_asked_to_pause: AtomicBool::new(false),
        });
        ledger.enter(self.id, ticket.id, Arc::clone(&ticket), now);
        grant(&mut ledger, now);
        if !ticket.is_granted.load(Relaxed) {
            self.shares.relieve(&mut ledger, now);
        }
        drop(ledger);
        // Before the wait, so that whatever ends it gives the turn back.
        let turn = Turn { ticket };
        if !turn.ticket.wait(deadline) {
            return None;
        }
        CURRENT.set(Some(Arc::clone(&turn.ticket)));
        Some(turn)
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.shares.lock().close(self.id);
    }
}

impl Ticket {
    /// Waits until it is granted, and reports whether it was before the deadline.
    fn wait(&self, deadline: Option<Instant>) -> bool {
        while !self.is_granted.load(Relaxed) {
            let now = now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return false;
            }
            let left = deadline.map(|deadline| deadline - now);
            thread::park_timeout(left.map_or(RECHECK, |left| left.min(RECHECK)));
            if !self.is_granted.load(Relaxed) {
                let mut ledger = self.shares.lock();
                self.shares.relieve(&mut ledger, crate::watchdog::now());
            }
        }
        true
    }

    fn pause(&self, deadline: Option<Instant>) {
        let now = now();
        let mut ledger = self.shares.lock();
        self.is_asked_to_pause.store(false, Relaxed);
        self.is_granted.store(false, Relaxed);
        ledger.pause(self.id, now);
        grant(&mut ledger, now);
        drop(ledger);
        self.wait(deadline);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        CURRENT.take();
        let now = now();
        let mut ledger = self.ticket.shares.lock();
        ledger.leave(self.ticket.id, now);
        grant(&mut ledger, now);
    }
}

/// Pauses the call that this thread executes, if it is asked to, until its next turn or the deadline.
///
/// Does nothing on a thread that executes no call, such as one that helps.
pub(crate) fn checkpoint(deadline: Option<Instant>) {
    CURRENT.with_borrow(|current| {
        if let Some(ticket) = current
            && ticket.is_asked_to_pause.load(Relaxed)
        {
            ticket.pause(deadline);
        }
    });
}

/// Reports whether this thread executes a call that may be asked to pause.
pub(crate) fn is_in_turn() -> bool {
    CURRENT.with_borrow(Option::is_some)
}

impl fmt::Debug for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shares").finish_non_exhaustive()
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("id", &self.id).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    /// Computes for a while, as a kernel does: by checkpoints.
    fn compute(for_time: Duration) {
        let start = now();
        let mut computed = Duration::ZERO;
        let mut last = start;
        while computed < for_time {
            std::hint::black_box((0..1000).sum::<u64>());
            let before = now();
            computed += before - last;
            checkpoint(None);
            last = now();
        }
    }

    fn shares(size: usize) -> Arc<Shares> {
        Arc::new(Shares::new(NonZeroUsize::new(size).unwrap(), || {}))
    }

    #[test]
    fn one_that_computes_for_ever_pauses_for_one_that_has_had_less() {
        let shares = shares(1);
        let (hog, good) = (
            Account::open(&shares, NonZeroU32::MIN),
            Account::open(&shares, NonZeroU32::MIN),
        );
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let _turn = hog.enter(None).unwrap();
                while !done.load(Relaxed) {
                    compute(Duration::from_millis(1));
                }
            });
            thread::sleep(Duration::from_millis(30));
            for _ in 0..20 {
                let turn = good.enter(None).unwrap();
                compute(Duration::from_micros(200));
                drop(turn);
            }
            done.store(true, Relaxed);
        });
    }

    #[test]
    fn never_more_run_than_may_and_all_get_through() {
        let shares = shares(2);
        let (running, most, calls) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    let account = Account::open(&shares, NonZeroU32::MIN);
                    for _ in 0..200 {
                        let turn = account.enter(None).unwrap();
                        most.fetch_max(running.fetch_add(1, Relaxed) + 1, Relaxed);
                        // Without a checkpoint, so that what runs is what was let in.
                        std::hint::black_box((0..2000).sum::<u64>());
                        running.fetch_sub(1, Relaxed);
                        drop(turn);
                        calls.fetch_add(1, Relaxed);
                    }
                });
            }
        });
        assert_eq!(calls.into_inner(), 1200);
        assert!(most.into_inner() <= 2);
    }

    #[test]
    fn one_that_waits_gives_up_at_its_deadline() {
        let shares = shares(1);
        let account = Account::open(&shares, NonZeroU32::MIN);
        let turn = account.enter(None).unwrap();
        thread::scope(|scope| {
            let late = scope.spawn(|| account.enter(Some(now() + Duration::from_millis(5))));
            assert!(late.join().unwrap().is_none());
        });
        drop(turn);
        assert!(account.enter(None).is_some(), "who gave up has left");
    }

    #[test]
    fn a_thread_without_a_turn_is_not_paused() {
        checkpoint(None);
        assert!(!is_in_turn());
    }
}
