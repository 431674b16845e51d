//! How many parts the memory of the allocator has. The only test of its process, as it counts those of all threads.

#![cfg(all(target_os = "linux", target_env = "gnu"))]

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;

/// What a part of glibc's memory begins at a multiple of.
const ARENA_BYTES: u64 = 64 << 20;

/// Returns how many there are, without that of the main thread.
fn arenas() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux has it");
    let is_arena = |line: &&str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        // Memory of a file has a name as the sixth.
        let [range, "rw-p", _, _, _] = words[..] else {
            return false;
        };
        let begin = range.split('-').next();
        let begin = begin.and_then(|begin| u64::from_str_radix(begin, 16).ok());
        begin.is_some_and(|begin| begin.is_multiple_of(ARENA_BYTES))
    };
    maps.lines().filter(is_arena).count()
}

#[test]
fn threads_share_what_was_freed() {
    const THREADS: usize = 32;
    tensorlet_runtime::share_freed();
    let barrier = Barrier::new(THREADS);
    let most = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    let block = black_box(vec![1_u8; 1000]);
                    barrier.wait();
                    let arenas = arenas();
                    barrier.wait();
                    drop(block);
                    arenas
                })
            })
            .collect();
        let counts = threads.into_iter().map(|thread| thread.join().unwrap());
        counts.max().unwrap()
    });
    let cores = thread::available_parallelism().unwrap().get();
    assert!(
        (1..=cores + 1).contains(&most),
        "expected at most {} parts, found {most}",
        cores + 1
    );
}
