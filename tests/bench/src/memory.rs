//! What memory of this process is resident, and whose it is.

use std::fs;

use anyhow::{Context, Result};
use serde::Serialize;

/// Resident memory. In `rss_bytes`, `file_bytes` and `shared_bytes` a page counts as often as it is mapped; in the others once.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Memory {
    /// All of it.
    rss_bytes: u64,
    /// What this process has written.
    anonymous_bytes: u64,
    /// What is mapped from files.
    file_bytes: u64,
    /// What is mapped from files that exist in memory only.
    shared_bytes: u64,
    /// All of it, a page that is mapped several times divided among the mappings.
    pss_bytes: u64,
    /// The tables in which the processor finds pages. They are not part of the others.
    page_table_bytes: u64,
}

impl Memory {
    /// Asks the system.
    ///
    /// # Errors
    /// If it does not say.
    pub(crate) fn read() -> Result<Self> {
        let read = |path| fs::read_to_string(path).with_context(|| format!("cannot read {path}"));
        Self::parse(
            &read("/proc/self/status")?,
            &read("/proc/self/smaps_rollup")?,
        )
    }

    fn parse(status: &str, rollup: &str) -> Result<Self> {
        Ok(Self {
            rss_bytes: bytes(status, "VmRSS")?,
            anonymous_bytes: bytes(status, "RssAnon")?,
            file_bytes: bytes(status, "RssFile")?,
            shared_bytes: bytes(status, "RssShmem")?,
            pss_bytes: bytes(rollup, "Pss")?,
            page_table_bytes: bytes(status, "VmPTE")?,
        })
    }
}

/// Returns the resident memory of this process.
///
/// # Errors
/// If the system does not say.
pub(crate) fn rss_bytes() -> Result<u64> {
    let status =
        fs::read_to_string("/proc/self/status").context("cannot read /proc/self/status")?;
    bytes(&status, "VmRSS")
}

/// Finds a line such as `VmRSS:   12 kB`.
fn bytes(text: &str, name: &str) -> Result<u64> {
    let of_line = |line: &str| {
        let value = line.strip_prefix(name)?.strip_prefix(':')?;
        value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    let kib = text.lines().find_map(of_line);
    Ok(kib.with_context(|| format!("expected {name} in kB, found none"))? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_system_writes() {
        let status = "Name:\tx\nVmRSS:\t  28 kB\nRssAnon:\t 4 kB\nRssFile:\t 8 kB\nRssShmem:\t 16 kB\nVmPTE:\t 32 kB\n";
        let rollup =
            "5581-7ffe ---p 0 00:00 0  [rollup]\nRss:  28 kB\nPss:  20 kB\nPss_Dirty:  4 kB\n";
        let expected = Memory {
            rss_bytes: 28 << 10,
            anonymous_bytes: 4 << 10,
            file_bytes: 8 << 10,
            shared_bytes: 16 << 10,
            pss_bytes: 20 << 10,
            page_table_bytes: 32 << 10,
        };
        assert_eq!(Memory::parse(status, rollup).unwrap(), expected);
        let error = Memory::parse(status, "").unwrap_err().to_string();
        assert_eq!(error, "expected Pss in kB, found none");
    }

    #[test]
    fn the_memory_of_this_test_is_known() {
        let memory = Memory::read().unwrap();
        assert!(memory.anonymous_bytes <= memory.rss_bytes && memory.page_table_bytes > 0);
        assert!(rss_bytes().unwrap() > 1 << 20);
    }
}
