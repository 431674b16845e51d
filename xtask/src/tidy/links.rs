//! Relative links in Markdown lead somewhere.

use super::files::Files;

/// Returns the links to files that do not exist.
pub(super) fn check(files: &Files) -> Vec<String> {
    let mut problems = Vec::new();
    for (path, text) in files
        .texts()
        .filter(|(path, _)| path.ends_with(".md") && !is_sample(path))
    {
        for (line, target) in links(text) {
            let target = target.split('#').next().unwrap_or_default();
            let is_elsewhere = target.contains("://") || target.starts_with("mailto:");
            if !is_elsewhere && !resolve(path, target).is_some_and(|target| files.exists(&target)) {
                problems.push(format!(
                    "{path}:{line}: expected a file at the link `{target}`"
                ));
            }
        }
    }
    problems
}

/// Files that models are shown with.
fn is_sample(path: &str) -> bool {
    path.starts_with("models/samples/") && !path.ends_with("/SOURCES.md")
}

/// Returns line numbers and targets of `[text](target)` outside code.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut links = Vec::new();
    let mut is_code = false;
    for (index, line) in text.lines().enumerate() {
        is_code ^= line.trim_start().starts_with("```");
        if is_code || line.starts_with("    ") {
            continue;
        }
        // Every second piece stands between backticks.
        for prose in line.split('`').step_by(2) {
            let targets = prose
                .split("](")
                .skip(1)
                .filter_map(|rest| rest.split([')', ' ']).next());
            links.extend(targets.map(|target| (index + 1, target)));
        }
    }
    links
}

/// Returns where a link in `path` leads, from the root; `None` if out of the repository.
fn resolve(path: &str, target: &str) -> Option<String> {
    if target.is_empty() {
        return Some(path.to_owned());
    }
    let mut folders: Vec<&str> = path.split('/').collect();
    folders.pop();
    if target.starts_with('/') {
        folders.clear();
    }
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                folders.pop()?;
            }
            name => folders.push(name),
        }
    }
    Some(folders.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_relative_links() {
        let guide = "[up](../README.md#start) [here](#x) [folder](./) [web](https://example.com/a) [m](mailto:a@b)\n\
            `[code](nowhere)`\n```\n[code](nowhere)\n```\n    [code](nowhere)\n";
        let files = Files::of(&[
            ("README.md", "[a guide](docs/guide.md)\n"),
            ("docs/guide.md", guide),
        ]);
        assert_eq!(check(&files), [""; 0]);
    }

    #[test]
    fn finds_broken_links() {
        let files = Files::of(&[("docs/guide.md", "\nSee [a](README.md), [b](../../up.md).\n")]);
        assert_eq!(
            check(&files),
            [
                "docs/guide.md:2: expected a file at the link `README.md`",
                "docs/guide.md:2: expected a file at the link `../../up.md`",
            ],
        );
    }
}
