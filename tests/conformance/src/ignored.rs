//! The tests that are known to fail, with a reason each.
//!
//! A line is a test's name, white space, and the reason. Lines that begin with `#` are comments.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

/// Reads the list.
///
/// # Errors
/// If a line has no reason, or a test stands in it twice.
pub fn parse(text: &str) -> Result<BTreeMap<&str, &str>> {
    let mut ignored = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, reason)) = line.split_once(char::is_whitespace) else {
            bail!(
                "line {}: expected a test and a reason, found `{line}`",
                index + 1
            );
        };
        if ignored.insert(name, reason.trim()).is_some() {
            bail!("line {}: expected `{name}` once, found it again", index + 1);
        }
    }
    Ok(ignored)
}

/// Writes the list.
pub fn format(ignored: &BTreeMap<String, String>) -> String {
    let mut text = String::from(
        "# Node tests that do not pass, and why. A test of this list that passes fails the run.\n\
         # `TENSORLET_UPDATE_IGNORED=1 cargo xtask test` writes it anew.\n",
    );
    for (name, reason) in ignored {
        text.push_str(&format!("{name}  {reason}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_comes_back() {
        let ignored = BTreeMap::from([("test_a".to_owned(), "no kernel for it".to_owned())]);
        assert_eq!(
            parse(&format(&ignored)).unwrap(),
            BTreeMap::from([("test_a", "no kernel for it")])
        );
    }

    #[test]
    fn a_line_without_a_reason_is_refused() {
        assert!(parse("test_a").unwrap_err().to_string().contains("line 1"));
        assert!(
            parse("test_a  x\ntest_a  y")
                .unwrap_err()
                .to_string()
                .contains("line 2")
        );
    }
}
