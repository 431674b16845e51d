//! What is wrong with a `model.toml`, and where.

use std::fmt;

/// A mistake in a `model.toml`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InvalidModelToml {
    /// The line of the mistake, the first being 1; for a missing field, that of its table.
    pub line: usize,
    /// The path of the field, such as `preprocess.width`. `None` if the text is no TOML.
    pub field: Option<String>,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl fmt::Display for InvalidModelToml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "model.toml line {}", self.line)?;
        if let Some(field) = &self.field {
            write!(f, ", field `{field}`")?;
        }
        write!(f, ": expected {}, found {}", self.expected, self.found)
    }
}

impl std::error::Error for InvalidModelToml {}
