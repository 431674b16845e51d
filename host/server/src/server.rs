//! Accepts connections, and ends.
//!
//! ```text
//! running ─ shutdown ─► not ready ─ stop_delay ─► no new connections, no further requests ─ all ended, or grace ─► drained
//! ```

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tensorlet_repository::{Drained, Repository};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep, timeout_at};

use crate::config::ServerConfig;
use crate::connection::Impatient;
use crate::routes;
use crate::state::Shared;

/// The longest head of a request.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// How long to wait when no connection can be accepted, as the process has no more files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves a repository over HTTP/1.1.
#[derive(Clone, Debug)]
pub struct Server {
    shared: Arc<Shared>,
}

/// What was left when a server ended.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Ended {
    /// Connections whose requests took longer than the time of grace, and were cut off.
    pub cut_connections: usize,
    /// What the repository had left to do.
    pub drained: Drained,
}

impl Server {
    /// Makes a server of a repository, which may be used otherwise as well.
    pub fn new(repository: Repository, config: ServerConfig) -> Self {
        Self {
            shared: Arc::new(Shared::new(repository, config)),
        }
    }

    /// Returns the routes, to be served beside others. The limits of connections are not in them.
    pub fn router(&self) -> Router {
        routes::router(&self.shared)
    }

    /// Serves until `shutdown` is ready, and then until requests that have begun are answered, at most for the time of grace.
    /// At last it drains the repository.
    ///
    /// # Errors
    /// If the listener is none. Connections that fail are no error.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<Ended> {
        let mut connections = Connections::new(&self.shared);
        let mut shutdown = pin!(shutdown);
        let accepted = tokio::select! {
            error = connections.accept(&listener) => Err(error),
            () = &mut shutdown => Ok(()),
        };
        self.shared.stop();
        if accepted.is_ok() {
            let delay = sleep(self.shared.config.stop_delay);
            tokio::select! {
                _ = connections.accept(&listener) => {}
                () = delay => {}
            }
        }
        drop(listener);
        let end = Instant::now() + self.shared.config.grace;
        let cut_connections = connections.end(end).await;
        let repository = self.shared.repository.clone();
        let left = end.saturating_duration_since(Instant::now());
        let drained = spawn_blocking(move || repository.drain(left)).await;
        accepted?;
        Ok(Ended {
            cut_connections,
            drained: drained.unwrap_or_default(),
        })
    }
}

/// The connections that are open.
struct Connections {
    shared: Arc<Shared>,
    router: Router,
    free: Arc<Semaphore>,
    tasks: JoinSet<()>,
    /// Becomes `true` when no further requests are to be read.
    ending: watch::Sender<bool>,
}

impl Connections {
    fn new(shared: &Arc<Shared>) -> Self {
        let max = shared
            .config
            .max_connections
            .clamp(1, Semaphore::MAX_PERMITS);
        Self {
            shared: Arc::clone(shared),
            router: routes::router(shared),
            free: Arc::new(Semaphore::new(max)),
            tasks: JoinSet::new(),
            ending: watch::Sender::new(false),
        }
    }

    /// Accepts connections for as long as it is polled, and returns if that cannot be done.
    async fn accept(&mut self, listener: &TcpListener) -> io::Error {
        loop {
            let free = Arc::clone(&self.free).acquire_owned().await;
            let free = free.expect("the semaphore is never closed");
            match listener.accept().await {
                Ok((stream, _)) => self.spawn(stream, free),
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => return error,
                Err(error) if is_of_the_client(&error) => {}
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "cannot accept connections"
                    );
                    sleep(ACCEPT_PAUSE).await;
                }
            }
            while self.tasks.try_join_next().is_some() {}
        }
    }

    fn spawn(&mut self, stream: TcpStream, free: OwnedSemaphorePermit) {
        let shared = Arc::clone(&self.shared);
        let router = self.router.clone();
        let ending = self.ending.subscribe();
        self.tasks.spawn(async move {
            let open = Open::new(&shared);
            if let Err(error) = serve_connection(&shared, stream, router, ending).await {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "connection failed"
                );
            }
            drop((open, free));
        });
    }

    /// Reads no further requests, waits until `end` for the others, and returns how many connections were cut off.
    async fn end(mut self, end: Instant) -> usize {
        self.ending.send_replace(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if timeout_at(end, all).await.is_ok() {
            return 0;
        }
        let cut = self.tasks.len();
        self.tasks.shutdown().await;
        cut
    }
}

/// Counts an open connection.
struct Open<'a>(&'a Shared);

impl<'a> Open<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.metrics.connections.inc();
        Self(shared)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.metrics.connections.dec();
    }
}

async fn serve_connection(
    shared: &Shared,
    stream: TcpStream,
    router: Router,
    mut ending: watch::Receiver<bool>,
) -> hyper::Result<()> {
    // It matters for latency only.
    let _ = stream.set_nodelay(true);
    let stream = Impatient::new(stream, shared.config.write_timeout);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // This is the time from the end of an answer on, so it bounds how long a connection is idle as well.
        .header_read_timeout(shared.config.head_timeout)
        .max_header_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    tokio::select! {
        served = &mut connection => return served,
        // The sender is dropped after this task.
        _ = ending.wait_for(|is_ending| *is_ending) => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}

/// Reports whether the next connection may be better.
fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}
