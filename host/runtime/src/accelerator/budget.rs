//! Memory that a component makes its host keep from one call to the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How much memory the host keeps for one component: plans, constants that were copied, and what accelerators remember. Clones count together.
#[derive(Clone, Debug)]
pub struct MemoryBudget {
    limit_bytes: u64,
    used_bytes: Arc<AtomicU64>,
}

/// Memory that is counted until this is dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: MemoryBudget,
    bytes: u64,
}

impl MemoryBudget {
    /// A budget of which nothing is used.
    pub fn new(limit_bytes: u64) -> Self {
        Self {
            limit_bytes,
            used_bytes: Arc::default(),
        }
    }

    /// Returns how much may be used. It is also what a single call may take while it runs.
    pub fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    /// Returns how much is used.
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes.load(Relaxed)
    }

    /// Counts memory that is about to be kept; `None` if it would be too much.
    pub fn reserve(&self, bytes: u64) -> Option<Reservation> {
        let add = |used: u64| {
            used.checked_add(bytes)
                .filter(|&used| used <= self.limit_bytes)
        };
        self.used_bytes.fetch_update(Relaxed, Relaxed, add).ok()?;
        Some(Reservation {
            budget: self.clone(),
            bytes,
        })
    }
}

impl Reservation {
    /// Returns how much is counted.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.used_bytes.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_is_counted_until_it_is_dropped() {
        let budget = MemoryBudget::new(100);
        let first = budget.reserve(60).unwrap();
        assert!(budget.clone().reserve(41).is_none());
        let second = budget.reserve(40).unwrap();
        assert_eq!(budget.used_bytes(), 100);
        assert!(budget.reserve(1).is_none(), "at the limit");
        assert!(budget.reserve(0).is_some());
        drop(first);
        assert_eq!(budget.reserve(60).unwrap().bytes(), 60);
        drop(second);
        assert!(budget.reserve(101).is_none());
        assert!(budget.reserve(u64::MAX).is_none());
        assert!(budget.reserve(100).is_some());
    }
}
