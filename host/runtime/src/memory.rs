//! Memory that the allocator keeps.

/// Gives memory back to the system that was freed, for when much of it was: the allocator of glibc keeps what each thread has freed for
/// threads to come, up to a megabyte each. Does nothing with another allocator.
pub fn give_back_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(unsafe_code, reason = "only libc knows it")]
    // SAFETY: it takes a number, and locks what it looks at.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Has all threads of the process share as many parts of the allocator's memory as there are cores, and one, for processes that serve models: to be called
/// before they start threads. Each part keeps some of what was freed, and glibc makes up to 8 a core, where threads come and go with versions of models. Does nothing with
/// another allocator.
pub fn share_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let arenas = i32::try_from(cores + 1).unwrap_or(i32::MAX);
        #[expect(unsafe_code, reason = "only libc knows it")]
        // SAFETY: it takes numbers, and locks what it changes.
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, arenas);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what this process has in memory.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn resident_bytes() -> usize {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
        pages * 4096
    }

    #[test]
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn what_was_freed_below_something_that_is_used_goes_back() {
        const BYTES: usize = 256 << 20;
        let mut blocks: Vec<Vec<u8>> = (0..BYTES >> 16).map(|_| vec![1; 1 << 16]).collect();
        let last = blocks.pop();
        let before = resident_bytes();
        drop(blocks);
        give_back_freed();
        // Other tests use some meanwhile.
        let after = resident_bytes();
        assert!(after + BYTES / 2 < before, "{before} to {after} bytes");
        drop(last);
    }

    #[test]
    fn it_may_be_asked_when_nothing_was_freed() {
        give_back_freed();
    }
}
