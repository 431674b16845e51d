//! The answer to a request.

use std::borrow::Cow;

/// The answer to a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers, but for `content-length`.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// The body; the answer to `HEAD` is sent without it.
    pub body: Vec<u8>,
}

impl Response {
    /// Makes an answer of JSON.
    pub fn json(status: u16, body: Vec<u8>) -> Self {
        Self {
            status,
            headers: vec![("content-type", "application/json".into())],
            body,
        }
    }
}
