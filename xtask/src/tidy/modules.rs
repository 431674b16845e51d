//! Every module says what it is, and none grows beyond what a reader can hold.

use super::files::Files;

/// The longest a file may be, tests not counted. Split a longer one along a noun.
const LINES_MAX: usize = 600;

/// Returns the Rust files without a module doc, and those that are too long.
pub(super) fn check(files: &Files) -> Vec<String> {
    let mut problems = Vec::new();
    for source in files.sources() {
        let first = source
            .text
            .lines()
            .find(|line| !line.trim().is_empty())
            .unwrap_or_default();
        if !first.starts_with("//! ") {
            problems.push(format!(
                "{}: expected a doc, `//! …`, on its first line",
                source.path
            ));
        }
        let lines = source.production().lines().count();
        if lines > LINES_MAX {
            problems.push(format!(
                "{}: expected at most {LINES_MAX} lines without tests, found {lines}",
                source.path
            ));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_for_a_doc() {
        let files = Files::of(&[
            ("a/src/lib.rs", "//! A.\n"),
            ("a/src/b.rs", "use std::fmt;\n"),
        ]);
        assert_eq!(
            check(&files),
            ["a/src/b.rs: expected a doc, `//! …`, on its first line"]
        );
    }

    #[test]
    fn counts_lines_without_tests() {
        let code = "//! Long.\n".to_owned() + &"fn f() {}\n".repeat(LINES_MAX - 1);
        let tests = "#[cfg(test)]\nmod tests {\n}\n".repeat(50);
        let longest = code.clone() + &tests;
        assert_eq!(
            check(&Files::of(&[("a/src/lib.rs", &longest)])),
            [""; 0],
            "the longest file allowed"
        );

        let longer = code + "fn g() {}\n" + &tests;
        let problems = check(&Files::of(&[("a/src/lib.rs", &longer)]));
        assert_eq!(
            problems,
            ["a/src/lib.rs: expected at most 600 lines without tests, found 601"]
        );
    }
}
