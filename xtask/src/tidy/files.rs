//! The text files of the repository: those that git tracks, and those that it would.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use xshell::{Shell, cmd};

/// Texts by path from the root, with `/` between folders.
pub(super) struct Files {
    texts: BTreeMap<String, String>,
    /// All files, texts or not.
    paths: BTreeSet<String>,
}

/// A Rust file.
pub(super) struct Source<'a> {
    pub(super) path: &'a str,
    pub(super) text: &'a str,
    /// Whether the whole file is compiled for tests only.
    pub(super) is_test: bool,
}

impl Files {
    /// Reads all that git does not ignore.
    pub(super) fn read(sh: &Shell) -> Result<Self> {
        let list = cmd!(sh, "git ls-files --cached --others --exclude-standard -z")
            .quiet()
            .read()?;
        let mut files = Self {
            texts: BTreeMap::new(),
            paths: BTreeSet::new(),
        };
        for path in list.split('\0').filter(|path| !path.is_empty()) {
            // A file that was removed is listed until the removal is committed.
            let Ok(bytes) = fs::read(sh.current_dir().join(path)) else {
                continue;
            };
            files.paths.insert(path.to_owned());
            if let Ok(text) = String::from_utf8(bytes) {
                files.texts.insert(path.to_owned(), text);
            }
        }
        Ok(files)
    }

    /// Makes a repository of texts, for the tests of the rules.
    #[cfg(test)]
    pub(super) fn of(texts: &[(&str, &str)]) -> Self {
        let owned = |&(path, text): &(&str, &str)| (path.to_owned(), text.to_owned());
        let texts: BTreeMap<_, _> = texts.iter().map(owned).collect();
        Self {
            paths: texts.keys().cloned().collect(),
            texts,
        }
    }

    /// Returns all paths and texts.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Returns one text.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// Tells whether there is a file, or a folder with a file in it.
    pub(super) fn exists(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        path.is_empty()
            || self
                .paths
                .iter()
                .any(|known| known == path || known.starts_with(&folder))
    }

    /// Returns the Rust files.
    pub(super) fn sources(&self) -> Vec<Source<'_>> {
        let rust: Vec<_> = self
            .texts()
            .filter(|(path, _)| path.ends_with(".rs") && !is_sample(path))
            .collect();
        let test_modules: Vec<PathBuf> = rust
            .iter()
            .flat_map(|(path, text)| test_modules(path, text))
            .collect();
        let is_test = |path: &str| {
            let path = Path::new(path);
            path.components().any(|part| part.as_os_str() == "tests")
                || test_modules
                    .iter()
                    .any(|module| path.starts_with(module) || path == module.with_extension("rs"))
        };
        rust.into_iter()
            .map(|(path, text)| Source {
                path,
                text,
                is_test: is_test(path),
            })
            .collect()
    }
}

impl Source<'_> {
    /// Returns the part that is not tests: what stands before `#[cfg(test)]` and a module's body.
    pub(super) fn production(&self) -> &str {
        if self.is_test {
            return "";
        }
        let mut begin = 0;
        while let Some(found) = self.text[begin..].find("#[cfg(test)]\n") {
            let at = begin + found;
            let rest = self.text[at..]
                .lines()
                .find(|line| !line.starts_with("#["))
                .unwrap_or_default();
            if rest.starts_with("mod ") && rest.ends_with('{') {
                return &self.text[..at];
            }
            begin = at + 1;
        }
        self.text
    }
}

/// Files that models are shown with are input, not sources.
fn is_sample(path: &str) -> bool {
    path.starts_with("models/")
}

/// Returns the folders of modules declared as `#[cfg(test)] mod name;`.
fn test_modules(path: &str, text: &str) -> Vec<PathBuf> {
    let path = Path::new(path);
    let stem = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    let is_root = matches!(stem, "lib" | "main" | "mod");
    let folder = if is_root {
        path.with_file_name("")
    } else {
        path.with_extension("")
    };
    let lines: Vec<&str> = text.lines().collect();
    let declared = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]");
    let names = declared.filter_map(|pair| {
        pair[1]
            .trim_start_matches("pub(crate) ")
            .strip_prefix("mod ")
    });
    names
        .filter_map(|name| name.strip_suffix(';'))
        .map(|name| folder.join(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_tests_from_the_rest() {
        let files = Files::of(&[
            (
                "a/src/lib.rs",
                "//! A.\n#[cfg(test)]\nmod testing;\nfn f() {}\n#[cfg(test)]\nmod tests {\n}\n",
            ),
            ("a/src/testing.rs", "//! Shared.\n"),
            ("a/src/b.rs", "//! B.\n#[cfg(test)]\nmod cases;\n"),
            ("a/src/b/cases.rs", "//! Cases.\n"),
            ("a/src/b/cases/more.rs", "//! More.\n"),
            ("a/tests/it/main.rs", "//! It.\n"),
            ("models/samples/shapes.rs", "fn sample() {}\n"),
        ]);
        let sources = files.sources();
        let tests: Vec<_> = sources
            .iter()
            .filter(|source| source.is_test)
            .map(|source| source.path)
            .collect();
        assert_eq!(
            tests,
            [
                "a/src/b/cases.rs",
                "a/src/b/cases/more.rs",
                "a/src/testing.rs",
                "a/tests/it/main.rs"
            ]
        );
        let lib = sources
            .iter()
            .find(|source| source.path == "a/src/lib.rs")
            .unwrap();
        assert_eq!(
            lib.production(),
            "//! A.\n#[cfg(test)]\nmod testing;\nfn f() {}\n"
        );
        assert!(
            sources
                .iter()
                .all(|source| source.path != "models/samples/shapes.rs")
        );
    }

    #[test]
    fn knows_files_and_folders() {
        let files = Files::of(&[("docs/a.md", "")]);
        assert!(files.exists("docs") && files.exists("docs/a.md"));
        assert!(!files.exists("doc") && !files.exists("docs/b.md"));
    }
}
