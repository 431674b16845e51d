//! Where a caller hands a function to a helper.

#![expect(
    unsafe_code,
    reason = "the fence around functions that are lent to threads that outlive them"
)]

use std::any::Any;
use std::hint::spin_loop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Thread};

/// How often a thread looks for what it waits for before it lets others have the processor: some 20 to 50 µs.
const LOOKS: usize = 1000;

/// What a function panicked with.
type Panic = Box<dyn Any + Send>;

/// A function that is lent to helpers.
pub(super) struct Job<'a> {
    work: &'a (dyn Fn() + Sync),
    /// What it panicked with first, on a helper.
    panic: Mutex<Option<Panic>>,
}

/// A desk with one helper behind it and, while the helper is recruited, one caller before it.
// Desks lie in lines of the cache of their own, of which processors fetch two at a time.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Desk {
    /// What lies on it: null if nothing does, [`busy`] while the helper computes, [`closed`] in the end, else a job.
    ///
    /// Invariant: a job lives until it is no longer on the desk, and the desk no longer busy with it. [`Lent`] sees to it.
    job: AtomicPtr<Job<'static>>,
    is_recruited: AtomicBool,
    /// Whether the helper sleeps, or is about to.
    is_asleep: AtomicBool,
}

fn busy() -> *mut Job<'static> {
    ptr::without_provenance_mut(1)
}

fn closed() -> *mut Job<'static> {
    ptr::without_provenance_mut(2)
}

impl Desk {
    /// Makes the helper ready.
    pub(super) fn recruit(&self) {
        self.is_recruited.store(true, Ordering::Relaxed);
    }

    /// Lets the helper sleep.
    pub(super) fn dismiss(&self) {
        self.is_recruited.store(false, Ordering::Relaxed);
    }

    /// Ends the helper's thread.
    pub(super) fn close(&self, helper: &Thread) {
        self.put(closed(), helper);
    }

    /// Does what lies on the desk until it is closed.
    pub(super) fn serve(&self) {
        while let Some(job) = self.take() {
            // SAFETY: the job was on the desk and the desk is busy with it, so it lives.
            let job = unsafe { &*job };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(job.work)) {
                job.lock().get_or_insert(panic);
            }
            self.job.store(ptr::null_mut(), Ordering::Release);
        }
    }

    /// Waits for a job and takes it; returns `None` if the desk is closed.
    fn take(&self) -> Option<*mut Job<'static>> {
        let mut looks = 0;
        loop {
            let job = self.job.load(Ordering::SeqCst);
            if job == closed() {
                return None;
            }
            if !job.is_null() {
                let taken =
                    self.job
                        .compare_exchange(job, busy(), Ordering::Acquire, Ordering::Relaxed);
                match taken {
                    Ok(job) => return Some(job),
                    // It was taken back.
                    Err(_) => continue,
                }
            }
            if self.is_recruited.load(Ordering::Relaxed) && looks < LOOKS {
                looks += 1;
                spin_loop();
                continue;
            }
            // Either this sees what is put on the desk, or `put` sees this.
            self.is_asleep.store(true, Ordering::SeqCst);
            if self.job.load(Ordering::SeqCst).is_null() {
                thread::park();
            }
            self.is_asleep.store(false, Ordering::SeqCst);
            looks = 0;
        }
    }

    fn put(&self, job: *mut Job<'static>, helper: &Thread) {
        self.job.store(job, Ordering::SeqCst);
        if self.is_asleep.load(Ordering::SeqCst) {
            helper.unpark();
        }
    }

    /// Takes a job back, or waits until the helper is done with it.
    fn take_back(&self, job: *mut Job<'static>) {
        let free = ptr::null_mut();
        let taken = self
            .job
            .compare_exchange(job, free, Ordering::Relaxed, Ordering::Acquire);
        if taken.is_ok() {
            return;
        }
        let mut looks = 0;
        while !self.job.load(Ordering::Acquire).is_null() {
            if looks < LOOKS {
                looks += 1;
                spin_loop();
            } else {
                thread::yield_now();
            }
        }
    }
}

impl<'a> Job<'a> {
    pub(super) fn new(work: &'a (dyn Fn() + Sync)) -> Self {
        Self {
            work,
            panic: Mutex::new(None),
        }
    }

    /// Runs the function here and at desks that are free, whose helpers are given with them. Returns, or panics, when all helpers that
    /// have taken it are done.
    pub(super) fn run_at<'d>(&self, desks: impl Iterator<Item = (&'d Desk, &'d Thread)> + Clone) {
        let lent = Lent {
            job: ptr::from_ref(self).cast::<Job<'static>>().cast_mut(),
            desks: desks.clone().map(|(desk, _)| desk),
        };
        for (desk, helper) in desks {
            desk.put(lent.job, helper);
        }
        (self.work)();
    }

    /// Returns what the function panicked with on a helper.
    pub(super) fn into_panic(self) -> Option<Panic> {
        self.panic
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Panic>> {
        self.panic.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job that lies on desks. Dropping it, after the function has returned or panicked, takes it back from all of them.
struct Lent<'d, D: Iterator<Item = &'d Desk> + Clone> {
    job: *mut Job<'static>,
    desks: D,
}

impl<'d, D: Iterator<Item = &'d Desk> + Clone> Drop for Lent<'d, D> {
    fn drop(&mut self) {
        for desk in self.desks.clone() {
            desk.take_back(self.job);
        }
    }
}
