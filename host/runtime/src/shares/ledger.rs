//! Who executes next: a state machine that is told the time.
//!
//! Each account counts the time that its calls were executed, divided by its weight. A call of the account that has had least is next.
//! One that comes back after a rest does not find that all it did not use was saved for it, but up to [`CREDIT`] is: enough for a
//! few calls without a pause.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::{Duration, Instant};

/// How far behind the others an account counts at most when its calls come back.
const CREDIT: Duration = Duration::from_millis(50);

/// How much more than one that waits one that runs may have had.
const GRANULARITY: Duration = Duration::from_millis(2);

/// How long one runs at least before it is asked to pause, if it has to be told.
const LEAST_RUN: Duration = Duration::from_micros(100);

/// How long a call is executed before it counts as long.
const LONG: Duration = Duration::from_millis(5);

/// How long after its last call a model still counts as one that is called.
const RECENT: Duration = Duration::from_millis(100);

/// Names an account.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct AccountId(u64);

/// Names a call that runs or waits, in order of arrival.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct TicketId(u64);

/// Accounts, and the calls that run and wait. `T` is what the caller knows a call by.
#[derive(Debug)]
pub(super) struct Ledger<T> {
    size: NonZeroUsize,
    accounts: BTreeMap<AccountId, State>,
    running: Vec<Running<T>>,
    waiting: Vec<Waiting<T>>,
    /// What the account has had that has had least of those with calls, as it last was.
    floor: Duration,
    /// Of which two accounts calls left last, and when: the last one first.
    left: [Option<(AccountId, Instant)>; 2],
    next: u64,
}

#[derive(Debug)]
struct State {
    weight: NonZeroU32,
    used: Duration,
    /// How many calls run or wait.
    calls: usize,
    /// Whether the last one that was executed was executed for long.
    was_long: bool,
    /// Whether the last one that left did what harms others.
    is_distrusted: bool,
    is_closed: bool,
}

#[derive(Debug)]
struct Running<T> {
    id: TicketId,
    account: AccountId,
    value: T,
    /// Since when it runs.
    begun_at: Instant,
    /// How long it has been executed, pauses left out, as was added to the account.
    executed: Duration,
    /// Until when that was counted.
    counted_until: Instant,
    /// Whether it is to pause.
    is_asked: bool,
    /// Whether its thread gives way to all others. For a call that does not, it has paused as soon as it is asked, and goes on, without being told.
    gives_way: bool,
    /// Whether it is told to pause when it is asked.
    is_told: bool,
    /// Whether it has paused without being told, so that how long it was executed is not known.
    went_on: bool,
}

#[derive(Debug)]
struct Waiting<T> {
    id: TicketId,
    account: AccountId,
    value: T,
    executed: Duration,
}

impl<T> Running<T> {
    fn has_paused(&self) -> bool {
        self.is_asked && !self.is_told
    }
}

impl<T: Clone> Ledger<T> {
    pub(super) fn new(size: NonZeroUsize) -> Self {
        Self {
            size,
            accounts: BTreeMap::new(),
            running: Vec::new(),
            waiting: Vec::new(),
            floor: Duration::ZERO,
            left: [None; 2],
            next: 0,
        }
    }

    pub(super) fn open(&mut self, weight: NonZeroU32) -> AccountId {
        let id = AccountId(self.number());
        let state = State {
            weight,
            used: self.floor.saturating_sub(CREDIT),
            calls: 0,
            was_long: false,
            is_distrusted: false,
            is_closed: false,
        };
        self.accounts.insert(id, state);
        id
    }

    /// Forgets an account when its last call has left.
    pub(super) fn close(&mut self, id: AccountId) {
        let state = self.state(id);
        state.is_closed = true;
        if state.calls == 0 {
            self.forget(id);
        }
    }

    pub(super) fn ticket(&mut self) -> TicketId {
        TicketId(self.number())
    }

    /// Lets a call wait.
    pub(super) fn enter(&mut self, account: AccountId, id: TicketId, value: T, now: Instant) {
        self.count(now);
        let least = self.floor.saturating_sub(CREDIT);
        let state = self.state(account);
        if state.calls == 0 {
            state.used = state.used.max(least);
        }
        state.calls += 1;
        let executed = Duration::ZERO;
        self.waiting.push(Waiting {
            id,
            account,
            value,
            executed,
        });
    }

    /// Forgets a call, whether it runs or waits.
    pub(super) fn leave(&mut self, id: TicketId, now: Instant) {
        self.count(now);
        let running = self.running.iter().position(|one| one.id == id);
        let running = running.map(|index| self.running.swap_remove(index));
        let running = running.map(|one| (one.account, one.executed, one.went_on));
        let waiting = self.waiting.iter().position(|one| one.id == id);
        let waiting = waiting.map(|index| self.waiting.swap_remove(index));
        let waiting = waiting.map(|one| (one.account, one.executed, false));
        let (account, executed, went_on) = running.or(waiting).expect("a call leaves once");
        let state = self.state(account);
        state.calls -= 1;
        if executed >= LONG {
            state.was_long = true;
        } else if !executed.is_zero() && !went_on {
            state.was_long = false;
        }
        state.is_distrusted = false;
        let is_forgotten = state.calls == 0 && state.is_closed;
        let [last, other] = self.left;
        let is_same = last.is_none_or(|(last, _)| last == account);
        self.left = [Some((account, now)), if is_same { other } else { last }];
        if is_forgotten {
            self.forget(account);
        }
    }

    fn forget(&mut self, id: AccountId) {
        self.accounts.remove(&id);
        for left in &mut self.left {
            left.take_if(|(account, _)| *account == id);
        }
    }

    /// Lets a call wait that runs.
    pub(super) fn pause(&mut self, id: TicketId, now: Instant) {
        self.count(now);
        if let Some(index) = self.running.iter().position(|one| one.id == id) {
            let paused = self.running.swap_remove(index);
            self.waiting.push(Waiting {
                id,
                account: paused.account,
                value: paused.value,
                executed: paused.executed,
            });
        }
    }

    /// Lets the call run that is next, if one more may; asked again until there is none.
    ///
    /// One that was asked to pause is not counted: it is about to, or its thread has no core, or gives way.
    pub(super) fn grant(&mut self, now: Instant) -> Option<T> {
        loop {
            let counted = self.running.iter().filter(|one| !one.is_asked);
            if counted.count() >= self.size.get() {
                return None;
            }
            let waiting = self.waiting.iter().enumerate();
            let waiting =
                waiting.map(|(index, one)| (self.place(one.account, one.id), index, true));
            let paused = self.running.iter().enumerate();
            let paused = paused.filter(|(_, one)| one.has_paused());
            let paused = paused.map(|(index, one)| (self.place(one.account, one.id), index, false));
            let (_, index, waits) = waiting.chain(paused).min()?;
            if waits {
                return Some(self.run(index, now));
            }
            self.count(now);
            let paused = &mut self.running[index];
            (paused.is_asked, paused.begun_at) = (false, now);
        }
    }

    /// Lets a waiting call run.
    fn run(&mut self, index: usize, now: Instant) -> T {
        let next = self.waiting.swap_remove(index);
        self.running.push(Running {
            id: next.id,
            account: next.account,
            value: next.value.clone(),
            begun_at: now,
            executed: next.executed,
            counted_until: now,
            is_asked: false,
            gives_way: false,
            is_told: false,
            went_on: false,
        });
        next.value
    }

    /// Learns that the thread of a call that runs gives way to all others until it ends.
    pub(super) fn give_way(&mut self, id: TicketId, now: Instant) {
        self.count(now);
        if let Some(one) = self.running.iter_mut().find(|one| one.id == id) {
            one.gives_way = true;
        }
    }

    /// Returns a call that runs and is to be asked to pause for one that waits, if there is one. It counts as asked, as does one that need not be
    /// told.
    pub(super) fn relieve(&mut self, now: Instant) -> Option<T> {
        let next = self.next()?;
        self.count(now);
        let waiting = &self.accounts[&self.waiting[next].account];
        // Those that are long give way to all but each other.
        let (least, is_told) = (waiting.used, waiting.was_long);
        let used = |one: &Running<T>| self.accounts[&one.account].used;
        let candidates = self.running.iter().enumerate().filter(|(_, one)| {
            let has_begun = now.saturating_duration_since(one.begun_at) >= LEAST_RUN;
            !one.is_asked && (one.gives_way && !is_told || has_begun)
        });
        let (index, _) = candidates
            .filter(|(_, one)| used(one) > least + GRANULARITY)
            .max_by_key(|(_, one)| used(one))?;
        // One asked for each that waits, and no more.
        let asked = self.running.iter();
        let asked = asked.filter(|one| one.is_asked && !one.has_paused());
        if asked.count() >= self.waiting.len() {
            return None;
        }
        let one = &mut self.running[index];
        one.is_asked = true;
        one.is_told = is_told || !one.gives_way;
        one.went_on |= !one.is_told;
        one.is_told.then(|| one.value.clone())
    }

    /// Reports whether more than one model is called these days.
    pub(super) fn has_company(&self, now: Instant) -> bool {
        let left = self.left.iter().flatten();
        let left = left.filter(|(_, at)| now.saturating_duration_since(*at) < RECENT);
        let mut called = self.called().chain(left.map(|(account, _)| *account));
        let first = called.next();
        called.any(|account| Some(account) != first)
    }

    /// The accounts with calls, once for each call.
    fn called(&self) -> impl Iterator<Item = AccountId> {
        let running = self.running.iter().map(|one| one.account);
        running.chain(self.waiting.iter().map(|one| one.account))
    }

    /// Reports whether calls of this account had better give way from the beginning: the last one that left was executed for
    /// long, or is distrusted.
    pub(super) fn gives_way(&self, account: AccountId) -> bool {
        let state = &self.accounts[&account];
        state.was_long || state.is_distrusted
    }

    /// Learns that the last call that left did what harms others.
    pub(super) fn distrust(&mut self, account: AccountId) {
        if let Some(state) = self.accounts.get_mut(&account) {
            state.is_distrusted = true;
        }
    }

    /// Returns the calls that run and have been executed for long.
    pub(super) fn long(&mut self, now: Instant) -> Vec<T> {
        self.count(now);
        let long = self.running.iter().filter(|one| one.executed >= LONG);
        long.map(|one| one.value.clone()).collect()
    }

    /// Returns the place of the waiting call that is next.
    fn next(&self) -> Option<usize> {
        let waiting = self.waiting.iter().enumerate();
        let next = waiting.min_by_key(|(_, one)| self.place(one.account, one.id));
        next.map(|(index, _)| index)
    }

    /// Adds what was executed until now to the accounts.
    fn count(&mut self, now: Instant) {
        for one in &mut self.running {
            let took = now.saturating_duration_since(one.counted_until);
            one.counted_until = one.counted_until.max(now);
            if one.has_paused() {
                continue;
            }
            one.executed += took;
            if let Some(state) = self.accounts.get_mut(&one.account) {
                state.used += took / state.weight.get();
            }
        }
        if let Some(least) = self.called().map(|account| self.used(account)).min() {
            self.floor = self.floor.max(least);
        }
    }

    /// Returns what decides who is next: the least comes first.
    fn place(&self, account: AccountId, id: TicketId) -> (Duration, TicketId) {
        (self.used(account), id)
    }

    fn used(&self, account: AccountId) -> Duration {
        self.accounts[&account].used
    }

    fn state(&mut self, id: AccountId) -> &mut State {
        let state = self.accounts.get_mut(&id);
        state.expect("an account is kept while it has calls or is open")
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    struct Test {
        ledger: Ledger<&'static str>,
        start: Instant,
    }

    impl Test {
        fn new(size: usize) -> Self {
            Self {
                ledger: Ledger::new(NonZeroUsize::new(size).unwrap()),
                start: crate::watchdog::now(),
            }
        }

        fn at(&self, ms: u32) -> Instant {
            self.start + MS * ms
        }

        fn open(&mut self, weight: u32) -> AccountId {
            self.ledger.open(NonZeroU32::new(weight).unwrap())
        }

        fn enter(&mut self, account: AccountId, name: &'static str, ms: u32) -> TicketId {
            let id = self.ledger.ticket();
            self.ledger.enter(account, id, name, self.at(ms));
            id
        }

        fn grant(&mut self, ms: u32) -> Option<&'static str> {
            let now = self.at(ms);
            self.ledger.grant(now)
        }

        fn leave(&mut self, id: TicketId, ms: u32) {
            let now = self.at(ms);
            self.ledger.leave(id, now);
        }

        fn pause(&mut self, id: TicketId, ms: u32) {
            let now = self.at(ms);
            self.ledger.pause(id, now);
        }

        fn give_way(&mut self, id: TicketId, ms: u32) {
            let now = self.at(ms);
            self.ledger.give_way(id, now);
        }

        fn relieve(&mut self, ms: u32) -> Option<&'static str> {
            let now = self.at(ms);
            self.ledger.relieve(now)
        }
    }

    #[test]
    fn as_many_run_as_may_in_order_of_arrival_if_all_have_had_the_same() {
        let mut test = Test::new(2);
        let account = test.open(1);
        let first = test.enter(account, "first", 0);
        test.enter(account, "second", 0);
        test.enter(account, "third", 0);
        assert_eq!(
            [0; 3].map(|ms| test.grant(ms)),
            [Some("first"), Some("second"), None]
        );
        test.leave(first, 7);
        assert_eq!(test.grant(7), Some("third"));
    }

    #[test]
    fn the_model_that_has_had_least_is_next() {
        let mut test = Test::new(1);
        let (busy, calm) = (test.open(1), test.open(1));
        let running = test.enter(busy, "busy 1", 0);
        assert_eq!(test.grant(0), Some("busy 1"));
        test.enter(busy, "busy 2", 1);
        test.enter(calm, "calm", 2);
        test.leave(running, 100);
        assert_eq!(test.grant(100), Some("calm"));
    }

    #[test]
    fn one_that_has_had_more_is_asked_to_pause_once_and_goes_on_later() {
        let mut test = Test::new(1);
        let (busy, calm) = (test.open(1), test.open(1));
        let hog = test.enter(busy, "hog", 0);
        assert_eq!(test.grant(0), Some("hog"));
        let good = test.enter(calm, "good", 100);
        assert_eq!(test.grant(100), None);
        assert_eq!(test.relieve(100), Some("hog"));
        assert_eq!(test.relieve(101), None, "asked once");
        assert_eq!(test.grant(101), Some("good"), "it need not wait for that");
        test.pause(hog, 102);
        assert_eq!(test.grant(102), None);
        test.leave(good, 105);
        assert_eq!(test.grant(105), Some("hog"));
    }

    #[test]
    fn equals_are_not_asked() {
        let mut test = Test::new(1);
        let account = test.open(1);
        test.enter(account, "one", 0);
        assert_eq!(test.grant(0), Some("one"));
        test.enter(account, "two", 50);
        assert_eq!(test.relieve(50), None, "both are of one model");
        let other = test.open(1);
        test.enter(other, "other", 51);
        assert_eq!(test.relieve(51), Some("one"), "it starts with credit");
    }

    #[test]
    fn one_that_has_just_begun_is_not_asked() {
        let mut test = Test::new(1);
        let (busy, calm) = (test.open(1), test.open(1));
        let first = test.enter(busy, "first", 0);
        test.grant(0);
        test.enter(busy, "second", 0);
        test.leave(first, 100);
        assert_eq!(test.grant(100), Some("second"));
        test.enter(calm, "calm", 100);
        assert_eq!(test.relieve(100), None);
        assert_eq!(test.relieve(101), Some("second"));
    }

    #[test]
    fn one_that_does_not_pause_when_asked_holds_nobody_up() {
        let mut test = Test::new(1);
        let (busy, calm) = (test.open(1), test.open(1));
        test.enter(busy, "deaf", 0);
        test.grant(0);
        test.enter(calm, "good", 50);
        assert_eq!(test.relieve(50), Some("deaf"));
        assert_eq!(test.grant(50), Some("good"));
        test.enter(calm, "next", 51);
        assert_eq!(
            test.grant(51),
            None,
            "one of those that were not asked runs"
        );
    }

    #[test]
    fn a_call_is_long_when_it_was_executed_for_long() {
        let mut test = Test::new(1);
        let account = test.open(1);
        let call = test.enter(account, "call", 0);
        test.grant(100);
        let now = test.at(104);
        assert!(
            test.ledger.long(now).is_empty(),
            "what it waited is not counted"
        );
        test.ledger.pause(call, now);
        test.grant(200);
        let now = test.at(201);
        assert_eq!(test.ledger.long(now), ["call"], "what it ran before is");
        test.ledger.pause(call, now);
        assert!(test.ledger.long(now).is_empty(), "it waits");
    }

    #[test]
    fn calls_give_way_when_the_last_was_long_or_is_distrusted() {
        let mut test = Test::new(1);
        let account = test.open(1);
        assert!(!test.ledger.gives_way(account));
        for (ms, took, is_long) in [(0, 5, true), (10, 4, false), (20, 5, true)] {
            let call = test.enter(account, "call", ms);
            test.grant(ms);
            test.leave(call, ms + took);
            assert_eq!(test.ledger.gives_way(account), is_long, "{ms} ms");
        }
        let gives_up = test.enter(account, "waits", 30);
        test.leave(gives_up, 100);
        assert!(test.ledger.gives_way(account), "it was not executed");
        for is_distrusted in [true, false] {
            let call = test.enter(account, "call", 200);
            test.grant(200);
            test.leave(call, 201);
            if is_distrusted {
                test.ledger.distrust(account);
            }
            assert_eq!(test.ledger.gives_way(account), is_distrusted);
        }
    }

    #[test]
    fn those_that_give_way_take_turns_as_all_do() {
        let mut test = Test::new(1);
        let (one, other) = (test.open(1), test.open(1));
        let long = test.enter(other, "long", 0);
        test.grant(0);
        test.leave(long, 10);
        let hog = test.enter(one, "hog", 10);
        assert_eq!(test.grant(10), Some("hog"));
        test.give_way(hog, 20);
        test.enter(other, "long", 100);
        assert_eq!(test.relieve(100), Some("hog"), "it is told");
        assert_eq!(test.grant(100), Some("long"));
        test.pause(hog, 101);
        assert_eq!(test.relieve(102), None);
        assert_eq!(test.relieve(300), Some("long"), "and its turn comes again");
    }

    #[test]
    fn one_that_gives_way_pauses_and_goes_on_without_being_told() {
        let mut test = Test::new(1);
        let (busy, calm) = (test.open(1), test.open(1));
        let hog = test.enter(busy, "hog", 0);
        assert_eq!(test.grant(0), Some("hog"));
        test.give_way(hog, 100);
        let good = test.enter(calm, "good", 100);
        assert_eq!(test.relieve(100), None, "it need not be told");
        assert_eq!(test.grant(100), Some("good"));
        test.leave(good, 104);
        let used = test.ledger.used(busy);
        assert_eq!(
            used,
            MS * 100,
            "as long as it runs beside others nothing is counted"
        );
        assert_eq!(test.grant(104), None, "it goes on");
        let later = test.enter(calm, "later", 111);
        assert_eq!(test.grant(111), None, "and has its turn again");
        assert_eq!(test.relieve(111), None);
        assert_eq!(test.grant(111), Some("later"));
        test.enter(calm, "next", 200);
        assert_eq!(test.grant(200), None);
        test.leave(later, 300);
        assert_eq!(test.grant(300), None, "it has had less by now");
        test.leave(hog, 301);
        assert_eq!(test.grant(301), Some("next"));
    }

    #[test]
    fn models_that_were_called_lately_are_company() {
        let mut test = Test::new(1);
        let (one, other) = (test.open(1), test.open(1));
        let call = test.enter(one, "one", 0);
        let has_company = |test: &Test, ms| test.ledger.has_company(test.at(ms));
        assert!(
            !has_company(&test, 0),
            "a model that was never called is none"
        );
        let short = test.enter(other, "other", 10);
        assert!(has_company(&test, 500), "its call still waits");
        test.leave(short, 500);
        assert!(has_company(&test, 599));
        assert!(!has_company(&test, 600));
        test.leave(call, 600);
        assert!(!has_company(&test, 600));
        let short = test.enter(other, "other", 650);
        test.leave(short, 650);
        assert!(has_company(&test, 650), "neither has calls any more");
        test.ledger.close(one);
        assert!(!has_company(&test, 650));
    }

    #[test]
    fn shares_are_as_weights() {
        let mut test = Test::new(1);
        let (heavy, light) = (test.open(3), test.open(1));
        let calls = BTreeMap::from([
            ("heavy", test.enter(heavy, "heavy", 0)),
            ("light", test.enter(light, "light", 0)),
        ]);
        let mut turns_of_heavy = 0;
        for turn in 0..400 {
            let name = test.grant(turn * 5).unwrap();
            turns_of_heavy += u32::from(name == "heavy");
            test.pause(calls[name], turn * 5 + 5);
        }
        assert!(
            (298..=302).contains(&turns_of_heavy),
            "expected 300 of 400 turns, found {turns_of_heavy}"
        );
    }

    #[test]
    fn a_rest_earns_some_credit_and_no_more() {
        let mut test = Test::new(1);
        let (busy, calm) = (test.open(1), test.open(1));
        let hog = test.enter(busy, "hog", 0);
        test.grant(0);
        // After ten seconds the calm one may run for about 50 ms before it is asked.
        let good = test.enter(calm, "good", 10_000);
        assert_eq!(test.relieve(10_000), Some("hog"));
        test.pause(hog, 10_000);
        assert_eq!(test.grant(10_000), Some("good"));
        assert_eq!(test.relieve(10_051), None);
        assert_eq!(test.relieve(10_053), Some("good"));
        test.pause(good, 10_053);
        assert_eq!(test.grant(10_053), Some("hog"));
    }

    #[test]
    fn what_is_closed_is_forgotten() {
        let mut test = Test::new(1);
        let (one, other) = (test.open(1), test.open(1));
        let call = test.enter(one, "one", 0);
        test.grant(0);
        test.ledger.close(one);
        test.ledger.close(other);
        assert_eq!(test.ledger.accounts.len(), 1, "a call still runs");
        test.leave(call, 1);
        assert!(test.ledger.accounts.is_empty());
    }
}
