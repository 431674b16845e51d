//! Why a body is no request.

use std::fmt;

use serde::Serialize;

/// The most characters of a caller's text that a message repeats.
const QUOTED_CHARS: usize = 64;

/// Why a body is no request. Fault: caller. Do not retry.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidRequest {
    kind: InvalidRequestKind,
    message: String,
}

/// The kinds of [`InvalidRequest`].
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum InvalidRequestKind {
    /// It breaks the protocol, or does not fit itself.
    Malformed,
    /// The protocol has it, and this server does not.
    Unsupported,
}

impl InvalidRequest {
    /// Makes the error of what is neither of an input nor of an output.
    pub(super) fn of_body(expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self::malformed(format!("request: expected {expected}, found {found}"))
    }

    pub(super) fn of_input(
        name: &str,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) -> Self {
        let name = Quoted(name);
        Self::malformed(format!("input {name}: expected {expected}, found {found}"))
    }

    pub(super) fn of_output(
        name: &str,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) -> Self {
        let name = Quoted(name);
        Self::malformed(format!("output {name}: expected {expected}, found {found}"))
    }

    pub(super) fn unsupported(message: impl Into<String>) -> Self {
        Self {
            kind: InvalidRequestKind::Unsupported,
            message: message.into(),
        }
    }

    pub(super) fn malformed(message: impl Into<String>) -> Self {
        Self {
            kind: InvalidRequestKind::Malformed,
            message: message.into(),
        }
    }

    /// Returns what kind of error it is.
    pub fn kind(&self) -> InvalidRequestKind {
        self.kind
    }
}

/// The body of an answer that is an error.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ErrorBody<'a> {
    /// What a caller can do about it.
    pub error: &'a str,
}

/// Shows a caller's text between backticks, and only the beginning of a long one.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(QUOTED_CHARS) {
            Some((end, _)) => write!(f, "`{}…`", &self.0[..end]),
            None => write!(f, "`{}`", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(Quoted("é").to_string(), "`é`");
        let longest = "é".repeat(QUOTED_CHARS);
        assert_eq!(Quoted(&longest).to_string(), format!("`{longest}`"));
        let longer = longest.clone() + "x";
        assert_eq!(Quoted(&longer).to_string(), format!("`{longest}…`"));
    }
}
