//! Licence expressions: SPDX identifiers joined by `AND`, `OR`, `WITH` and parentheses.

use std::collections::BTreeSet;

/// Tells whether one can comply with `expression` by the allowed licences alone.
///
/// An exception makes a licence of its own: `Apache-2.0 WITH LLVM-exception` is not `Apache-2.0`. Crates of old join
/// alternatives by `/`. What is no expression is not allowed.
pub(super) fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let mut parser = Parser {
        words: spaced.split_whitespace().collect(),
        allowed,
    };
    parser.words.reverse();
    parser.any() == Some(true) && parser.words.is_empty()
}

struct Parser<'a> {
    /// What is left to read, the next word last.
    words: Vec<&'a str>,
    allowed: &'a BTreeSet<String>,
}

impl Parser<'_> {
    fn any(&mut self) -> Option<bool> {
        let mut result = self.all()?;
        while self.take("OR") {
            result |= self.all()?;
        }
        Some(result)
    }

    fn all(&mut self) -> Option<bool> {
        let mut result = self.one()?;
        while self.take("AND") {
            result &= self.one()?;
        }
        Some(result)
    }

    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            let result = self.any()?;
            return self.take(")").then_some(result);
        }
        let licence = self.words.pop()?;
        if self.take("WITH") {
            let exception = self.words.pop()?;
            return Some(
                self.allowed
                    .contains(&format!("{licence} WITH {exception}")),
            );
        }
        Some(self.allowed.contains(licence))
    }

    fn take(&mut self, word: &str) -> bool {
        let is_next = self.words.last() == Some(&word);
        if is_next {
            self.words.pop();
        }
        is_next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_expressions() {
        let allowed = ["MIT", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"]
            .map(str::to_owned)
            .into();
        for (expression, expected) in [
            ("MIT", true),
            ("GPL-3.0-only OR MIT", true),
            ("Apache-2.0/MIT", true),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("Apache-2.0", false),
            ("MIT AND GPL-3.0-only", false),
            ("GPL-3.0-only OR Apache-2.0 AND MIT", false),
            ("MIT WITH LLVM-exception", false),
            ("", false),
            ("(MIT", false),
            ("MIT MIT", false),
            ("MIT OR", false),
        ] {
            assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
        }
    }
}
