//! Guests do no I/O, read no clock and know no environment.

use super::files::Files;

/// What the sources of guests must not name.
const FORBIDDEN: [&str; 9] = [
    "std::env::",
    "std::fs",
    "std::io::std",
    "std::net",
    "std::os::",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
];

/// Returns the lines that name something forbidden, outside tests and examples.
pub(super) fn check(files: &Files) -> Vec<String> {
    let is_guest = |path: &str| path.starts_with("guest/") && path.contains("/src/");
    let mut problems = Vec::new();
    for source in files
        .sources()
        .iter()
        .filter(|source| is_guest(source.path))
    {
        for (index, line) in source.production().lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for name in FORBIDDEN.iter().filter(|name| code.contains(**name)) {
                problems.push(format!(
                    "{}:{}: guests must not use {name}",
                    source.path,
                    index + 1
                ));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_io_outside_tests() {
        let files = Files::of(&[
            (
                "guest/a/src/lib.rs",
                "//! A, not std::fs.\nuse std::fs;\n#[cfg(test)]\nmod tests {\nuse std::fs;\n}\n",
            ),
            ("guest/a/tests/it/main.rs", "use std::fs;\n"),
            ("guest/a/examples/b.rs", "use std::fs;\n"),
            ("host/b/src/lib.rs", "use std::fs;\n"),
        ]);
        assert_eq!(
            check(&files),
            ["guest/a/src/lib.rs:2: guests must not use std::fs"]
        );
    }
}
