//! Folders of models for scenarios.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use xshell::Shell;

use super::DIR;
use super::toy::{Behaviour, toy};
use crate::models;

/// A folder of models.
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes an empty one, in place of what was there.
    pub(crate) fn new(name: &str) -> Result<Self> {
        let path = Path::new(DIR).join(name);
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        fs::create_dir_all(&path)?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a version of a model, which is served as `config.toml` says.
    pub(crate) fn add(&self, model: &str, component: &Path, config: &str) -> Result<()> {
        let dir = self.path.join(model);
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("config.toml"), config)?;
        self.add_version(model, 1, component)
    }

    /// Adds a version. It is there at once, as a whole.
    pub(crate) fn add_version(&self, model: &str, version: u32, component: &Path) -> Result<()> {
        self.stage_version(model, version, component)?;
        self.add_staged_version(model, version)
    }

    /// Writes a version to disk, out of sight, so that adding it takes no time from what is measured.
    pub(crate) fn stage_version(&self, model: &str, version: u32, component: &Path) -> Result<()> {
        let dir = self.path.join(model).join(staged(version));
        fs::create_dir_all(&dir)?;
        // A copy, not a link: a new version is another file.
        let file = dir.join("model.wasm");
        fs::copy(component, &file)?;
        fs::File::open(&file)?.sync_all()?;
        Ok(())
    }

    /// Adds a version that was staged.
    pub(crate) fn add_staged_version(&self, model: &str, version: u32) -> Result<()> {
        let dir = self.path.join(model);
        let (from, to) = (dir.join(staged(version)), dir.join(version.to_string()));
        fs::rename(&from, to).with_context(|| format!("rename {}", from.display()))
    }

    pub(crate) fn remove_version(&self, model: &str, version: u32) -> Result<()> {
        let dir = self.path.join(model).join(version.to_string());
        fs::remove_dir_all(&dir).with_context(|| format!("remove {}", dir.display()))
    }
}

/// Names the folder of a version that is not to be seen yet.
fn staged(version: u32) -> String {
    format!("new-{version}")
}

/// Returns the component of a model under models/, built if it is not there.
pub(crate) fn component(sh: &Shell, model: &str) -> Result<PathBuf> {
    models::compile(sh, model, DIR)?;
    Ok(Path::new(DIR).join(format!("{model}.wasm")))
}

/// Makes a component of a few instructions that misbehaves.
pub(crate) fn hostile(name: &str, behaviour: Behaviour) -> Result<PathBuf> {
    let path = Path::new(DIR).join(format!("{name}.wasm"));
    fs::write(&path, toy(0, behaviour, Path::new("wit")))?;
    Ok(path)
}
