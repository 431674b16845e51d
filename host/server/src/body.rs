//! Bodies of requests, within limits.

use std::sync::Arc;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::config::ServerConfig;
use crate::rescue::{HttpError, HttpErrorKind};

/// What one permit stands for.
const PERMIT_BYTES: usize = 4 << 10;

/// The memory that bodies may take together.
#[derive(Debug)]
pub(crate) struct BodyBudget {
    permits: Arc<Semaphore>,
}

/// A body, and its part of the budget for as long as it lives.
#[derive(Debug)]
pub(crate) struct ReadBody {
    pub(crate) bytes: Bytes,
    _permit: Option<OwnedSemaphorePermit>,
}

impl BodyBudget {
    pub(crate) fn new(bytes: usize) -> Self {
        let permits = (bytes / PERMIT_BYTES).min(Semaphore::MAX_PERMITS);
        Self {
            permits: Arc::new(Semaphore::new(permits)),
        }
    }

    /// Reads a body.
    ///
    /// # Errors
    /// If it is compressed, longer or slower than it may be, does not fit beside other bodies, or ends before its end.
    pub(crate) async fn read(
        &self,
        config: &ServerConfig,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<ReadBody, HttpError> {
        check_encoding(headers)?;
        let length = headers
            .get(CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse().ok());
        if length.is_some_and(|length: u64| length > config.max_body_bytes as u64) {
            return Err(too_large(config));
        }
        let read = timeout(config.body_timeout, self.collect(config, body)).await;
        read.unwrap_or_else(|_| {
            let message = format!(
                "the body took longer than {:?} to arrive",
                config.body_timeout
            );
            Err(HttpError::new(HttpErrorKind::BodyTimeout, message))
        })
    }

    async fn collect(&self, config: &ServerConfig, mut body: Body) -> Result<ReadBody, HttpError> {
        let mut first = Bytes::new();
        let mut whole = Vec::new();
        let mut permit = None;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| {
                HttpError::new(HttpErrorKind::Malformed, "the body ends before its end")
            })?;
            // Trailers say nothing to us.
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let before = first.len().max(whole.len());
            if data.len() > config.max_body_bytes - before {
                return Err(too_large(config));
            }
            self.grow(&mut permit, before + data.len())?;
            if before == 0 {
                first = data;
            } else {
                if whole.is_empty() {
                    whole.extend_from_slice(&first);
                }
                whole.extend_from_slice(&data);
            }
        }
        Ok(ReadBody {
            bytes: if whole.is_empty() {
                first
            } else {
                whole.into()
            },
            _permit: permit,
        })
    }

    /// Takes of the budget what so many bytes need beyond what is held.
    fn grow(
        &self,
        permit: &mut Option<OwnedSemaphorePermit>,
        bytes: usize,
    ) -> Result<(), HttpError> {
        let held = permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = bytes.div_ceil(PERMIT_BYTES).saturating_sub(held);
        let overloaded = |_| {
            let message = "the server holds as many bytes of requests as it may";
            HttpError::new(HttpErrorKind::Overloaded, message)
        };
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        let more = Arc::clone(&self.permits)
            .try_acquire_many_owned(more)
            .map_err(overloaded)?;
        match permit {
            Some(permit) => permit.merge(more),
            None => *permit = Some(more),
        }
        Ok(())
    }
}

fn check_encoding(headers: &HeaderMap) -> Result<(), HttpError> {
    let is_plain =
        |encoding: &[u8]| encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity");
    match headers.get(CONTENT_ENCODING) {
        Some(encoding) if !is_plain(encoding.as_bytes()) => {
            let message = format!("expected a body that is not compressed, found {encoding:?}");
            Err(HttpError::new(HttpErrorKind::ContentEncoding, message))
        }
        _ => Ok(()),
    }
}

fn too_large(config: &ServerConfig) -> HttpError {
    let message = format!(
        "expected a body of at most {} bytes, found more",
        config.max_body_bytes
    );
    HttpError::new(HttpErrorKind::TooLarge, message)
}
