//! Which model and version a path names.

use std::fmt;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use tensorlet_repository::Selector;

use crate::rescue::{HttpError, HttpErrorKind};

/// A model and one of its versions, as a path names them.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) model: String,
    pub(super) selector: Selector,
}

impl<S: Send + Sync> FromRequestParts<S> for Target {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        let no_such_path = || HttpError::new(HttpErrorKind::NoSuchPath, "Not Found");
        let params = RawPathParams::from_request_parts(parts, state).await;
        let mut target = Self {
            model: String::new(),
            selector: Selector::Default,
        };
        for (name, value) in &params.map_err(|_| no_such_path())? {
            match name {
                "model" => target.model = value.into(),
                "label" => target.selector = Selector::Label(value.into()),
                _ => target.selector = Selector::Version(version(value).ok_or_else(no_such_path)?),
            }
        }
        Ok(target)
    }
}

/// Reads a version, which is made of digits; one beyond all numbers is one that no model has.
fn version(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// As in Triton's messages: `'MODEL'`, or `'MODEL' version VERSION`.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.model)?;
        match &self.selector {
            Selector::Default => Ok(()),
            Selector::Version(version) => write!(f, " version {version}"),
            Selector::Label(label) => write!(f, " label '{label}'"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_digits() {
        assert_eq!(version("7"), Some(7));
        assert_eq!(version("007"), Some(7));
        assert_eq!(version("99999999999999999999"), Some(u64::MAX));
        for text in ["", "-1", "+1", "1.0", "latest"] {
            assert_eq!(version(text), None, "{text}");
        }
    }
}
