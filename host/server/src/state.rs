//! What all requests of a server share.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tensorlet_repository::Repository;

use crate::body::BodyBudget;
use crate::codec_threads::CodecThreads;
use crate::config::ServerConfig;
use crate::metrics::HttpMetrics;

/// How many files are answered for at a time, for each thread that large bodies may take: most of them wait for their model.
const ANSWERS_A_THREAD: usize = 4;

/// What all requests of a server share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) repository: Repository,
    pub(crate) config: ServerConfig,
    pub(crate) bodies: BodyBudget,
    pub(crate) codec: CodecThreads,
    /// Threads that answer for files, apart from those for bodies, as they wait for models.
    pub(crate) answers: CodecThreads,
    pub(crate) metrics: HttpMetrics,
    is_stopping: AtomicBool,
}

impl Shared {
    pub(crate) fn new(repository: Repository, config: ServerConfig) -> Self {
        Self {
            repository,
            bodies: BodyBudget::new(config.max_bodies_bytes),
            codec: CodecThreads::new(config.codec_threads),
            answers: CodecThreads::new(config.codec_threads * ANSWERS_A_THREAD),
            metrics: HttpMetrics::default(),
            config,
            is_stopping: AtomicBool::new(false),
        }
    }

    pub(crate) fn stop(&self) {
        self.is_stopping.store(true, Relaxed);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Relaxed)
    }

    /// Reports whether calls are taken, and will be for a while.
    pub(crate) fn is_ready(&self) -> bool {
        !self.is_stopping() && self.repository.is_ready()
    }
}
