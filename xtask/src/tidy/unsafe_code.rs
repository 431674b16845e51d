//! Every crate either forbids `unsafe` or has fences, each with its reason.

use super::files::Files;
use super::metadata::Crate;

/// Returns the crates whose root neither forbids nor denies `unsafe_code`.
pub(super) fn check(crates: &[Crate], files: &Files) -> Vec<String> {
    let mut problems = Vec::new();
    for one in crates {
        for root in ["src/lib.rs", "src/main.rs"].map(|root| format!("{}/{root}", one.folder)) {
            let Some(text) = files.text(&root) else {
                continue;
            };
            if !["forbid", "deny"]
                .iter()
                .any(|level| text.contains(&format!("#![{level}(unsafe_code)]")))
            {
                problems.push(format!(
                    "{root}: expected `#![forbid(unsafe_code)]`, or `deny` in a crate with a fence"
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
    fn asks_for_a_lint_level() {
        let crates = [Crate::of("a", "host/a", &[]), Crate::of("b", "host/b", &[])];
        let files = Files::of(&[
            ("host/a/src/lib.rs", "//! A.\n#![forbid(unsafe_code)]\n"),
            ("host/a/src/main.rs", "//! A.\n"),
            ("host/b/src/lib.rs", "//! B.\n#![deny(unsafe_code)]\n"),
        ]);
        let expected = "host/a/src/main.rs: expected `#![forbid(unsafe_code)]`, or `deny` in a crate with a fence";
        assert_eq!(check(&crates, &files), [expected]);
    }
}
