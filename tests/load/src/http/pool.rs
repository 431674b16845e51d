//! Connections that are kept alive: a call takes one that is idle, or opens another.
//!
//! There is no limit but that of calls under way: a call never waits for a connection, which would hide the load from the
//! server. The one that was used last is used first, so that those too many grow old and are closed by the server.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::spawn_local;

/// One end of a connection. The other is a task.
pub(super) type Connection = SendRequest<Full<Bytes>>;

/// Connections of one thread to one server.
pub(super) struct Pool {
    addresses: Vec<SocketAddr>,
    idle: RefCell<Vec<Connection>>,
    opened: Cell<u64>,
}

impl Pool {
    pub(super) fn new(addresses: Vec<SocketAddr>) -> Self {
        Self {
            addresses,
            idle: RefCell::default(),
            opened: Cell::new(0),
        }
    }

    /// Returns a connection that was given back and is still open.
    pub(super) async fn idle(&self) -> Option<Connection> {
        loop {
            let mut connection = self.idle.borrow_mut().pop()?;
            if connection.ready().await.is_ok() {
                return Some(connection);
            }
        }
    }

    /// Opens a connection.
    pub(super) async fn open(&self) -> io::Result<Connection> {
        let stream = TcpStream::connect(&self.addresses[..]).await?;
        // A call is one write, which should not wait for the acknowledgement of the one before.
        stream.set_nodelay(true)?;
        let (connection, task) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        // Whoever uses the connection is told what becomes of it.
        spawn_local(async { task.await.unwrap_or_default() });
        self.opened.update(|opened| opened + 1);
        Ok(connection)
    }

    /// Keeps a connection whose answer was read to its end.
    pub(super) fn give_back(&self, connection: Connection) {
        if !connection.is_closed() {
            self.idle.borrow_mut().push(connection);
        }
    }

    /// Returns how many connections have been opened.
    pub(super) fn opened(&self) -> u64 {
        self.opened.get()
    }
}
