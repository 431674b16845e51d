//! Large bodies are read and written beside the threads that wait for sockets.

use std::panic::resume_unwind;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Work of up to so many bytes takes less than a millisecond, and a thread is not worth it.
const INLINE_BYTES: usize = 256 << 10;

/// As long as it takes to read or write one byte of JSON, this many bytes are copied.
pub(crate) const COPIED_PER_PARSED: usize = 32;

/// Threads for large bodies, not more at a time than there are permits.
#[derive(Debug)]
pub(crate) struct CodecThreads {
    permits: Arc<Semaphore>,
}

impl CodecThreads {
    pub(crate) fn new(threads: usize) -> Self {
        let permits = threads.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            permits: Arc::new(Semaphore::new(permits)),
        }
    }

    /// Does some work that takes about as long as `bytes` of JSON: here if these are few, else on a thread. It goes on to its end if
    /// nobody waits for it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        if bytes <= INLINE_BYTES {
            return work();
        }
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let done = spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        });
        match done.await {
            Ok(done) => done,
            // It is as if it had happened here. Nothing is cancelled while it runs.
            Err(error) => resume_unwind(error.into_panic()),
        }
    }
}
