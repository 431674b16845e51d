//! What the owner of a server chooses.

use std::thread;
use std::time::Duration;

/// What bounds a server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerConfig {
    /// The longest body of a request, in bytes; a longer one is refused with 413. Default: 64 MiB.
    pub max_body_bytes: usize,
    /// The most bytes of bodies in memory at a time, over all connections, from their arrival to their answer; a request
    /// that does not fit is refused with 429. Tensors of JSON take up to 4 times as much beside them. Default: 1 GiB.
    pub max_bodies_bytes: usize,
    /// The most connections at a time; others wait in the queue of the operating system. Default: 4096.
    pub max_connections: usize,
    /// How long a connection waits until the head of its next request is complete, whether it sends nothing or slowly;
    /// then it is closed. Default: 30 s.
    pub head_timeout: Duration,
    /// How long the body of a request may take to arrive; then it is refused with 408. Default: 60 s.
    pub body_timeout: Duration,
    /// How long a client may take none of an answer that is sent to it; then its connection is closed. Default: 30 s.
    pub write_timeout: Duration,
    /// How long requests that have begun may take once the server is to stop; then they are cut off. Default: 30 s.
    pub grace: Duration,
    /// How long new requests are answered yet once the server is to stop, while it says that it is not ready, so that
    /// those who send them can learn it. Default: 0.
    pub stop_delay: Duration,
    /// Whether models can be loaded, unloaded and rolled back by requests; else these are refused with 403. Default: `false`,
    /// as whoever reaches the server could do it.
    pub has_control: bool,
    /// How many large bodies are read or written at a time, on threads of their own. Default: as many as there are cores.
    pub codec_threads: usize,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            max_body_bytes: 64 << 20,
            max_bodies_bytes: 1 << 30,
            max_connections: 4096,
            head_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(30),
            grace: Duration::from_secs(30),
            stop_delay: Duration::ZERO,
            has_control: false,
            codec_threads: thread::available_parallelism().map_or(1, usize::from),
        }
    }
}
