//! Looks at where models are: which there are, in which versions, and whether files have changed.

use std::collections::BTreeMap;
use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::config::{MAX_MODELS, MAX_VERSIONS, Source};

/// What a version's component is called.
const COMPONENT: &str = "model.wasm";

/// What the file is called that says how a model is served.
const CONFIG: &str = "config.toml";

/// What there is of one model.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct FoundModel {
    pub(crate) config: Option<FoundFile>,
    pub(crate) versions: BTreeMap<u64, FoundFile>,
}

/// A file, and what tells it from what it was before.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct FoundFile {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    modified: Option<SystemTime>,
    /// Device and inode: a file that took the place of another has another one.
    place: (u64, u64),
}

impl Source {
    /// Looks at all models.
    ///
    /// # Errors
    /// If the folder cannot be read, or has more models than [`MAX_MODELS`].
    pub(crate) fn scan(&self) -> io::Result<BTreeMap<String, FoundModel>> {
        let dir = match self {
            Self::Files(files) => {
                let found = files
                    .keys()
                    .map(|name| Ok((name.clone(), self.look(name)?)));
                return found.collect();
            }
            Self::Folder(dir) => dir,
        };
        let mut models = BTreeMap::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let Some(name) = entry
                .file_name()
                .to_str()
                .filter(|name| is_name(name))
                .map(String::from)
            else {
                continue;
            };
            if !is_folder(&entry) {
                continue;
            }
            if models.len() == MAX_MODELS {
                let message = format!("expected at most {MAX_MODELS} models, found more");
                return Err(io::Error::other(message));
            }
            let found = self.look(&name)?;
            models.insert(name, found);
        }
        Ok(models)
    }

    /// Looks at one model. One that is not there has no versions.
    ///
    /// # Errors
    /// If its folder cannot be read.
    pub(crate) fn look(&self, name: &str) -> io::Result<FoundModel> {
        let dir = match self {
            Self::Files(files) => {
                let file = files.get(name).and_then(|path| FoundFile::at(path));
                let versions = file.map(|file| (1, file)).into_iter().collect();
                return Ok(FoundModel {
                    config: None,
                    versions,
                });
            }
            Self::Folder(dir) => dir.join(name),
        };
        if !is_name(name) {
            return Ok(FoundModel::default());
        }
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if is_gone(&error) => return Ok(FoundModel::default()),
            Err(error) => return Err(error),
        };
        let mut versions = BTreeMap::new();
        for entry in entries {
            let entry = entry?;
            let number = entry.file_name().to_str().and_then(version);
            let Some(number) = number.filter(|_| is_folder(&entry)) else {
                continue;
            };
            if let Some(file) = FoundFile::at(&entry.path().join(COMPONENT)) {
                versions.insert(number, file);
            }
            if versions.len() > MAX_VERSIONS {
                let message =
                    format!("`{name}`: expected at most {MAX_VERSIONS} versions, found more");
                return Err(io::Error::other(message));
            }
        }
        Ok(FoundModel {
            config: FoundFile::at(&dir.join(CONFIG)),
            versions,
        })
    }
}

impl FoundFile {
    /// Looks at a file; `None` if there is none.
    fn at(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok().filter(Metadata::is_file)?;
        Some(Self {
            path: path.to_owned(),
            bytes: metadata.len(),
            modified: metadata.modified().ok(),
            place: place(&metadata),
        })
    }
}

#[cfg(unix)]
fn place(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt as _;

    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn place(_: &Metadata) -> (u64, u64) {
    (0, 0)
}

fn is_folder(entry: &DirEntry) -> bool {
    // Through links: volumes of Kubernetes consist of them.
    fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_dir())
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Reports whether a model can be called so: letters, digits, `.`, `_` and `-`, not beginning with a dot.
pub fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    !name.is_empty() && name.len() <= 255 && !name.starts_with('.') && name.chars().all(fits)
}

/// Reads the number of a version: from 1, without leading zeros, as in Triton.
fn version(name: &str) -> Option<u64> {
    let number: u64 = name.parse().ok()?;
    (number > 0 && number.to_string() == name).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> (tempfile::TempDir, Source) {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        let source = Source::Folder(dir.path().to_owned());
        (dir, source)
    }

    fn text(models: &BTreeMap<String, FoundModel>) -> Vec<String> {
        let one = |(name, model): (&String, &FoundModel)| {
            let versions: Vec<&u64> = model.versions.keys().collect();
            let config = if model.config.is_some() {
                " and a config"
            } else {
                ""
            };
            format!("{name}: {versions:?}{config}")
        };
        models.iter().map(one).collect()
    }

    #[test]
    fn finds_models_and_versions_and_nothing_else() {
        let (_dir, source) = folder(&[
            "a/1/model.wasm",
            "a/10/model.wasm",
            "a/2/model.wasm",
            "a/config.toml",
            "a/03/model.wasm",
            "a/0/model.wasm",
            "a/x/model.wasm",
            "a/4/other.wasm",
            "a/labels/names.txt",
            "b/readme",
            ".git/1/model.wasm",
            "spa ce/1/model.wasm",
            "file.wasm",
        ]);
        assert_eq!(
            text(&source.scan().unwrap()),
            ["a: [1, 2, 10] and a config", "b: []"]
        );
    }

    #[test]
    fn follows_links() {
        let (dir, source) = folder(&["a/1/model.wasm"]);
        let link = |to: &str, at: &str| {
            std::os::unix::fs::symlink(dir.path().join(to), dir.path().join(at)).unwrap()
        };
        link("a", "b");
        link("a/1", "a/2");
        assert_eq!(text(&source.scan().unwrap()), ["a: [1, 2]", "b: [1, 2]"]);
    }

    #[test]
    fn a_file_that_is_replaced_is_another() {
        let (dir, source) = folder(&["a/1/model.wasm", "new"]);
        let before = source.look("a").unwrap();
        assert_eq!(source.look("a").unwrap(), before);
        fs::rename(dir.path().join("new"), dir.path().join("a/1/model.wasm")).unwrap();
        assert_ne!(source.look("a").unwrap(), before);
    }

    #[test]
    fn names_do_not_leave_the_folder() {
        let (dir, _) = folder(&["secret/1/model.wasm", "models/a/1/model.wasm"]);
        let source = Source::Folder(dir.path().join("models"));
        for name in ["../secret", "..", ".", "", "a/../../secret", "/etc"] {
            assert_eq!(source.look(name).unwrap(), FoundModel::default(), "{name}");
        }
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_and_a_model_that_is_not_there_is_none() {
        let source = Source::Folder("/nowhere/at/all".into());
        assert!(source.scan().is_err());
        assert_eq!(source.look("a").unwrap(), FoundModel::default());
    }

    #[test]
    fn files_are_version_1() {
        let (dir, _) = folder(&["some.wasm"]);
        let files = [("a", "some.wasm"), ("b", "other.wasm")]
            .map(|(name, file)| (name.to_owned(), dir.path().join(file)));
        let source = Source::Files(files.into());
        assert_eq!(text(&source.scan().unwrap()), ["a: [1]", "b: []"]);
    }
}
