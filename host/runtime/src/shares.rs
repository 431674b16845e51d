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
//! whether one that runs has had enough.
//!
//! Turns divide the time of calls. They say nothing of the threads that read requests and write answers, for which a call that computes for
//! long leaves no core. So where several models are called, one more thread, the ticker, asks calls that take long to give way: from
//! then on they are executed in the `background`, and so are the next calls of their models from the beginning, until one was short. Calls
//! of a model whose last one asked for more memory than it may begin there as well.
//! Such a call need not be told to pause for one that is short: it goes on beside it, where that leaves a core.

mod background;
mod ledger;

use std::cell::RefCell;
use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use self::ledger::{AccountId, Ledger, TicketId};
use crate::watchdog::now;

/// How often one that waits looks whether another has had enough.
const RECHECK: Duration = Duration::from_micros(200);

/// How often calls are asked to give way while there are long ones.
const TICK: Duration = Duration::from_micros(250);

/// How often it is looked for long ones.
const LOOK: Duration = Duration::from_millis(5);

thread_local! {
    /// The turn in which this thread executes a call.
    static CURRENT: RefCell<Option<Arc<Ticket>>> = const { RefCell::new(None) };
}

/// The turns of one engine.
pub(crate) struct Shares {
    ledger: Mutex<Ledger<Arc<Ticket>>>,
    /// Makes all guests that run come by a checkpoint.
    interrupt: Box<dyn Fn() + Send + Sync>,
    /// There if calls can give way on this system.
    ticker: OnceLock<Thread>,
    /// Whether the ticker looks, and does not sleep. Written under the lock of the ledger.
    is_ticking: AtomicBool,
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
    account: AccountId,
    is_distrusted: bool,
}

/// One call that executes or waits for it.
struct Ticket {
    shares: Arc<Shares>,
    id: TicketId,
    thread: Thread,
    is_granted: AtomicBool,
    is_asked_to_pause: AtomicBool,
    is_asked_to_give_way: AtomicBool,
}

impl Shares {
    /// Lets so many calls be executed at a time.
    pub(crate) fn start(
        size: NonZeroUsize,
        interrupt: impl Fn() + Send + Sync + 'static,
    ) -> Arc<Self> {
        let shares = Arc::new(Self {
            ledger: Mutex::new(Ledger::new(size)),
            interrupt: Box::new(interrupt),
            ticker: OnceLock::new(),
            is_ticking: AtomicBool::new(false),
        });
        if background::is_possible() {
            let weak = Arc::downgrade(&shares);
            let thread = thread::Builder::new().name("tensorlet-ticker".into());
            // Without it, all goes on, if less smoothly.
            if let Ok(ticker) = thread.spawn(move || keep_ticking(&weak)) {
                shares.ticker.get_or_init(|| ticker.thread().clone());
            }
        }
        shares
    }

    fn lock(&self) -> MutexGuard<'_, Ledger<Arc<Ticket>>> {
        // Nothing of others' runs under the lock.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks calls that take long to give way; returns when to look again, or `None` if nobody would notice.
    fn tick(&self) -> Option<Duration> {
        let now = now();
        let mut ledger = self.lock();
        if !ledger.has_company(now) {
            self.is_ticking.store(false, Relaxed);
            return None;
        }
        let long = ledger.long(now);
        drop(ledger);
        for ticket in &long {
            ticket.is_asked_to_give_way.store(true, Relaxed);
        }
        if long.is_empty() {
            return Some(LOOK);
        }
        (self.interrupt)();
        Some(TICK)
    }

    /// Wakes the ticker if there is something to look for.
    fn wake_ticker(&self, ledger: &Ledger<Arc<Ticket>>, now: Instant) {
        if let Some(ticker) = self.ticker.get()
            && !self.is_ticking.load(Relaxed)
            && ledger.has_company(now)
        {
            self.is_ticking.store(true, Relaxed);
            ticker.unpark();
        }
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

impl Drop for Shares {
    fn drop(&mut self) {
        if let Some(ticker) = self.ticker.get() {
            ticker.unpark();
        }
    }
}

/// Ticks, and sleeps while there is nothing to look for, until the shares are gone.
fn keep_ticking(shares: &Weak<Shares>) {
    while let Some(pause) = shares.upgrade().map(|shares| shares.tick()) {
        match pause {
            Some(pause) => thread::sleep(pause),
            None => thread::park(),
        }
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
            is_asked_to_give_way: AtomicBool::new(false),
        });
        ledger.enter(self.id, ticket.id, Arc::clone(&ticket), now);
        grant(&mut ledger, now);
        if !ticket.is_granted.load(Relaxed) {
            self.shares.relieve(&mut ledger, now);
        }
        self.shares.wake_ticker(&ledger, now);
        let gives_way = ledger.gives_way(self.id) && ledger.has_company(now);
        drop(ledger);
        // Before the wait, so that whatever ends it gives the turn back.
        let turn = Turn {
            ticket,
            account: self.id,
            is_distrusted: false,
        };
        if !turn.ticket.wait(deadline) {
            return None;
        }
        CURRENT.set(Some(Arc::clone(&turn.ticket)));
        if gives_way {
            turn.ticket.give_way();
        }
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

    /// Gives way to all threads until the call ends.
    fn give_way(&self) {
        if background::is_in() {
            return background::let_others_go_first();
        }
        if !background::is_possible() {
            return;
        }
        // Before it gives way, as in `pause`.
        self.shares.lock().give_way(self.id, now());
        background::enter();
    }

    fn pause(&self, deadline: Option<Instant>) {
        let gave_way = background::is_in();
        // Whoever holds the lock is no thread that gives way: others wait for it.
        background::leave();
        let now = now();
        let mut ledger = self.shares.lock();
        self.is_asked_to_pause.store(false, Relaxed);
        self.is_granted.store(false, Relaxed);
        ledger.pause(self.id, now);
        grant(&mut ledger, now);
        drop(ledger);
        self.wait(deadline);
        if gave_way {
            self.give_way();
        }
    }
}

impl Turn {
    /// Says that the call asked for more memory than it may: taking and giving back so much keeps others from theirs, so the next ones of its
    /// model give way, until one does not.
    pub(crate) fn distrust(&mut self) {
        self.is_distrusted = true;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        background::leave();
        CURRENT.take();
        let now = now();
        let mut ledger = self.ticket.shares.lock();
        ledger.leave(self.ticket.id, now);
        if self.is_distrusted {
            ledger.distrust(self.account);
        }
        grant(&mut ledger, now);
    }
}

/// Lets others go first where the call that this thread executes is asked to: gives way, or pauses until its next turn or the deadline.
///
/// Does nothing on a thread that executes no call, such as one that helps.
pub(crate) fn checkpoint(deadline: Option<Instant>) {
    CURRENT.with_borrow(|current| {
        let Some(ticket) = current else { return };
        if ticket.is_asked_to_give_way.load(Relaxed) {
            ticket.is_asked_to_give_way.store(false, Relaxed);
            ticket.give_way();
        }
        if ticket.is_asked_to_pause.load(Relaxed) {
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
    use std::sync::mpsc::channel;

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
        Shares::start(NonZeroUsize::new(size).unwrap(), || {})
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
    fn never_more_of_a_model_run_than_may_and_all_get_through() {
        let shares = shares(2);
        let (running, most, calls) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        let account = Account::open(&shares, NonZeroU32::MIN);
        thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
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
    fn one_that_takes_long_gives_way_while_there_is_company_and_until_it_has_ended() {
        let shares = shares(2);
        let (hog, good) = (
            Account::open(&shares, NonZeroU32::MIN),
            Account::open(&shares, NonZeroU32::MIN),
        );
        let turn = hog.enter(None).unwrap();
        compute(Duration::from_millis(20));
        assert!(!background::is_in(), "nobody else is there");
        let is_possible = background::is_possible();
        // The ticker may have to wait for a core.
        let attempts = if is_possible { 10_000 } else { 20 };
        for _ in 0..attempts {
            thread::scope(|scope| {
                scope.spawn(|| drop(good.enter(None).unwrap()));
            });
            compute(Duration::from_millis(1));
            if background::is_in() {
                break;
            }
        }
        assert_eq!(background::is_in(), is_possible);
        drop(turn);
        assert!(!background::is_in());
        // The next one does from the beginning.
        let (entered, has_entered) = channel();
        let (let_go, may_leave) = channel::<()>();
        let good = &good;
        thread::scope(|scope| {
            scope.spawn(move || {
                let turn = good.enter(None).unwrap();
                entered.send(()).unwrap();
                may_leave.recv().unwrap_err();
                drop(turn);
            });
            has_entered.recv().unwrap();
            let turn = hog.enter(None).unwrap();
            assert_eq!(background::is_in(), is_possible);
            drop(turn);
            drop(let_go);
        });
        let turn = hog.enter(None).unwrap();
        assert!(!background::is_in(), "that one was short");
        drop(turn);
    }

    #[test]
    fn the_ticker_ends_with_the_shares() {
        let shares = shares(1);
        let weak = Arc::downgrade(&shares);
        let ticker = thread::spawn(move || keep_ticking(&weak));
        drop(shares);
        ticker.thread().unpark();
        ticker.join().unwrap();
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
