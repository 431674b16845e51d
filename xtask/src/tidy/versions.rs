//! One version everywhere: crates, our WIT packages, and the changelog.

use super::files::Files;

/// Returns where another version than `version` stands, or none.
pub(super) fn check(files: &Files, version: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for (path, text) in files.texts().filter(|(path, _)| is_ours(path)) {
        let name = match path.starts_with("wit/http/") {
            true => "http",
            false => "model",
        };
        let package = format!("package tensorlet:{name}@{version};");
        if !text.lines().any(|line| line == package) {
            problems.push(format!(
                "{path}: expected `{package}`, the version of the workspace"
            ));
        }
    }
    let changelog = files.text("CHANGELOG.md").unwrap_or_default();
    if !changelog.lines().any(|line| is_heading(line, version)) {
        problems.push(format!(
            "CHANGELOG.md: expected a heading `## {version}`, the version of the workspace"
        ));
    }
    problems
}

/// Reports whether a file is WIT, and not of others' packages.
fn is_ours(path: &str) -> bool {
    path.starts_with("wit/") && path.ends_with(".wit") && !path.contains("/deps/")
}

/// Accepts `## 1.2.3` and `## [1.2.3]`, and a date or other remark after it.
fn is_heading(line: &str, version: &str) -> bool {
    let name = line
        .strip_prefix("## ")
        .and_then(|heading| heading.split_whitespace().next());
    name.is_some_and(|name| name.trim_matches(['[', ']']) == version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_one_version() {
        let wit = "package tensorlet:model@0.2.0;\n";
        for changelog in ["## 0.2.0\n", "# Changes\n\n## [0.2.0] (2026-11-24)\n"] {
            let files = Files::of(&[
                ("wit/tensor.wit", wit),
                ("wit/http/http.wit", "package tensorlet:http@0.2.0;\n"),
                ("wit/http/deps/io/poll.wit", "package wasi:io@0.2.1;\n"),
                ("CHANGELOG.md", changelog),
            ]);
            assert_eq!(check(&files, "0.2.0"), [""; 0], "{changelog}");
        }
    }

    #[test]
    fn finds_other_versions() {
        let wit = "package tensorlet:model@0.1.0;\n";
        let files = Files::of(&[
            ("wit/tensor.wit", wit),
            ("CHANGELOG.md", "## 0.2.0-alpha\n## 0.1.0\n"),
        ]);
        assert_eq!(
            check(&files, "0.2.0"),
            [
                "wit/tensor.wit: expected `package tensorlet:model@0.2.0;`, the version of the workspace",
                "CHANGELOG.md: expected a heading `## 0.2.0`, the version of the workspace",
            ],
        );
    }
}
