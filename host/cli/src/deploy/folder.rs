//! The folder that a deployment is written to.
//!
//! Deploying again replaces what was written before, which is the normal case. But what somebody else wrote, or changed since, is theirs. Texts
//! begin with a line that holds the hash of the rest, so a change shows; components are known by the plan in them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::exit::Failure;
use crate::inspect::anatomy::Anatomy;
use crate::output_file;
use crate::units::hex;

/// How texts begin; their hash follows.
const MARK: &str = "# Written by `tensorlet deploy`, which replaces this file unless it is changed. SHA-256 of what follows: ";

/// A folder that may hold what was deployed before.
pub(super) struct Folder {
    path: PathBuf,
    force: bool,
}

/// A file that is to be written.
pub(super) struct NewFile {
    name: String,
    bytes: Vec<u8>,
}

/// Returns the name of the file of a component.
pub(super) fn component_file(id: &str) -> String {
    format!("{id}.wasm")
}

impl NewFile {
    /// A component.
    pub(super) fn component(id: &str, component: &[u8]) -> Self {
        Self {
            name: component_file(id),
            bytes: component.to_vec(),
        }
    }

    /// A text, in a language whose comments begin with `#`.
    pub(super) fn text(name: &str, text: &str) -> Self {
        let hash = hex(&Sha256::digest(text));
        Self {
            name: name.into(),
            bytes: format!("{MARK}{hash}\n{text}").into_bytes(),
        }
    }
}

impl Folder {
    /// Names the folder, which need not be there. With `force`, whatever is in it may be replaced.
    ///
    /// # Errors
    /// If it is a file.
    pub(super) fn new(path: &Path, force: bool) -> Result<Self> {
        let shown = path.display();
        if path.exists() && !path.is_dir() {
            return Err(Failure::usage(format!(
                "--output: expected a folder, found the file {shown}"
            ))
            .into());
        }
        Ok(Self {
            path: path.to_owned(),
            force,
        })
    }

    /// Checks that files of these names may be replaced.
    ///
    /// # Errors
    /// If one is not what was written before.
    pub(super) fn check<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<()> {
        for name in names {
            let path = self.path.join(name);
            if self.force || !path.exists() {
                continue;
            }
            let shown = path.display();
            let found = fs::read(&path).with_context(|| format!("cannot read {shown}"))?;
            if !is_own(&found) {
                return Err(Failure::usage(format!(
                    "{shown}: expected a file that `tensorlet deploy` wrote and nobody changed, found another; --force replaces it"
                ))
                .into());
            }
        }
        Ok(())
    }

    /// Writes all files, or none if one may not be replaced. Makes the folder if it is not there.
    ///
    /// # Errors
    /// As [`Folder::check`], and if the folder cannot be written to.
    pub(super) fn write(&self, files: &[NewFile]) -> Result<()> {
        self.check(files.iter().map(|file| file.name.as_str()))?;
        fs::create_dir_all(&self.path)
            .with_context(|| format!("cannot make the folder {}", self.path.display()))?;
        for NewFile { name, bytes } in files {
            output_file::write(&self.path.join(name), bytes)?;
        }
        Ok(())
    }
}

/// Reports whether a file is as `tensorlet` wrote it.
fn is_own(bytes: &[u8]) -> bool {
    if let Ok(anatomy) = Anatomy::read(bytes) {
        return anatomy.plan().is_ok();
    }
    let text = str::from_utf8(bytes).ok();
    let marked = text.and_then(|text| text.strip_prefix(MARK)?.split_once('\n'));
    marked.is_some_and(|(hash, text)| hash == hex(&Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(folder: &Path, name: &str) -> String {
        fs::read_to_string(folder.join(name)).unwrap()
    }

    #[test]
    fn what_was_written_before_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/spin");
        let folder = Folder::new(&path, false).unwrap();
        for text in ["one\n", "two\n", "two\n"] {
            folder.write(&[NewFile::text("spin.toml", text)]).unwrap();
            assert!(read(&path, "spin.toml").ends_with(text));
        }
    }

    #[test]
    fn what_others_wrote_or_changed_is_kept_unless_forced() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path(), false).unwrap();
        let new = [
            NewFile::component("a", b"new"),
            NewFile::text("spin.toml", "new\n"),
        ];
        folder
            .write(&[NewFile::text("spin.toml", "old\n")])
            .unwrap();
        let changed = format!("{}# and more\n", read(dir.path(), "spin.toml"));

        for (name, theirs) in [
            ("spin.toml", changed.as_str()),
            ("spin.toml", "theirs"),
            ("spin.toml", ""),
            ("a.wasm", "\0asm\x0d\0\x01\0"),
            ("a.wasm", "theirs"),
        ] {
            fs::write(dir.path().join(name), theirs).unwrap();
            let error = folder.write(&new).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("--force"), "{error}");
            assert_eq!(read(dir.path(), name), theirs, "it is as it was");
            fs::remove_file(dir.path().join(name)).unwrap();
        }

        fs::write(dir.path().join("spin.toml"), "theirs").unwrap();
        let forced = Folder::new(dir.path(), true).unwrap();
        forced.write(&new).unwrap();
        assert!(read(dir.path(), "spin.toml").ends_with("new\n"));
    }

    #[test]
    fn a_file_is_no_folder() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Folder::new(file.path(), true).err().unwrap().to_string();
        assert!(
            error.starts_with("--output: expected a folder, found the file "),
            "{error}"
        );
    }
}
