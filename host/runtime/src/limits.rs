//! Holds an instance to its memory limit, and remembers why it failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use wasmtime::{ResourceLimiter, Result};

/// The most elements a table may have; a function of a large predictor is one element.
pub(crate) const MAX_TABLE_ELEMENTS: usize = 1 << 20;

/// What the instances of one model take together, apart from what they share. Clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryGauge {
    instances: Arc<AtomicUsize>,
    grown_bytes: Arc<AtomicU64>,
}

impl MemoryGauge {
    /// Returns how many instances are alive.
    pub(crate) fn instances(&self) -> usize {
        self.instances.load(Relaxed)
    }

    /// Returns how much memory they have taken beyond what they began with, which is shared until it is written.
    pub(crate) fn grown_bytes(&self) -> u64 {
        self.grown_bytes.load(Relaxed)
    }
}

/// Counts the linear memory of one instance.
pub(crate) struct MemoryLimiter {
    limit_bytes: u64,
    used_bytes: u64,
    /// What it began with, and the gauge that counts the rest, once it has begun.
    begun: Option<(u64, MemoryGauge)>,
    refused_bytes: Option<u64>,
}

impl MemoryLimiter {
    pub(crate) fn new(limit_bytes: u64) -> Self {
        Self {
            limit_bytes,
            used_bytes: 0,
            begun: None,
            refused_bytes: None,
        }
    }

    /// Counts what is taken from now on in the gauge of the model.
    pub(crate) fn begin(&mut self, gauge: MemoryGauge) {
        gauge.instances.fetch_add(1, Relaxed);
        self.begun = Some((self.used_bytes, gauge));
    }

    /// Forgets that memory was refused, before another call.
    pub(crate) fn begin_call(&mut self) {
        self.refused_bytes = None;
    }

    /// Returns how many bytes in all were asked for in vain, if memory was refused since the call began.
    pub(crate) fn refused_bytes(&self) -> Option<u64> {
        self.refused_bytes
    }

    pub(crate) fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }
}

impl Drop for MemoryLimiter {
    fn drop(&mut self) {
        if let Some((begun_bytes, gauge)) = &self.begun {
            gauge.instances.fetch_sub(1, Relaxed);
            let grown_bytes = self.used_bytes - begun_bytes;
            gauge.grown_bytes.fetch_sub(grown_bytes, Relaxed);
        }
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        let total = self.used_bytes + desired.saturating_sub(current) as u64;
        if total > self.limit_bytes || maximum.is_some_and(|maximum| desired > maximum) {
            self.refused_bytes = Some(total);
            return Ok(false);
        }
        if let Some((_, gauge)) = &self.begun {
            let grown_bytes = total - self.used_bytes;
            gauge.grown_bytes.fetch_add(grown_bytes, Relaxed);
        }
        self.used_bytes = total;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        Ok(desired <= MAX_TABLE_ELEMENTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_counted_over_all_memories() {
        let mut limiter = MemoryLimiter::new(100);
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(
            limiter.memory_growing(0, 40, None).unwrap(),
            "a second memory, up to the limit"
        );
        assert_eq!(limiter.refused_bytes(), None);
        assert!(
            !limiter.memory_growing(60, 61, None).unwrap(),
            "one byte more than the limit"
        );
        assert_eq!(limiter.refused_bytes(), Some(101));
        limiter.begin_call();
        assert_eq!(limiter.refused_bytes(), None);
    }

    #[test]
    fn what_instances_take_beyond_their_beginning_is_counted_until_they_end() {
        let gauge = MemoryGauge::default();
        let mut limiter = MemoryLimiter::new(100);
        assert!(limiter.memory_growing(0, 40, None).unwrap());
        limiter.begin(gauge.clone());
        assert_eq!((gauge.instances(), gauge.grown_bytes()), (1, 0));
        assert!(limiter.memory_growing(40, 70, None).unwrap());
        assert!(!limiter.memory_growing(70, 101, None).unwrap());
        assert_eq!((gauge.instances(), gauge.grown_bytes()), (1, 30));
        drop(limiter);
        assert_eq!((gauge.instances(), gauge.grown_bytes()), (0, 0));
    }

    #[test]
    fn tables_are_limited() {
        let mut limiter = MemoryLimiter::new(0);
        assert!(limiter.table_growing(0, MAX_TABLE_ELEMENTS, None).unwrap());
        assert!(
            !limiter
                .table_growing(0, MAX_TABLE_ELEMENTS + 1, None)
                .unwrap()
        );
    }
}
