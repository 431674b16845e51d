//! Holds an instance to its memory limit, and remembers why it failed.

use wasmtime::{ResourceLimiter, Result};

/// The most elements a table may have; a function of a large predictor is one element.
pub(crate) const MAX_TABLE_ELEMENTS: usize = 1 << 20;

/// Counts the linear memory of one instance.
pub(crate) struct MemoryLimiter {
    limit_bytes: u64,
    used_bytes: u64,
    refused_bytes: Option<u64>,
}

impl MemoryLimiter {
    pub(crate) fn new(limit_bytes: u64) -> Self {
        Self {
            limit_bytes,
            used_bytes: 0,
            refused_bytes: None,
        }
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
