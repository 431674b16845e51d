//! What is to be deployed: components that handle HTTP requests, whatever they are made of.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tensorlet_plan::Description;

use crate::build::copies;
use crate::build::{self, Compiled};
use crate::exit::Failure;
use crate::inspect::anatomy::Anatomy;
use crate::progress::Progress;
use crate::settings::Settings;

/// What a component exports that handles HTTP requests.
const INCOMING_HANDLER: &str = "wasi:http/incoming-handler@";

/// A model that is to be deployed.
pub(super) struct Model {
    /// What the user named.
    pub(super) path: PathBuf,
    pub(super) component: Vec<u8>,
    description: Description,
}

impl Model {
    /// Compiles a model, or takes a component and makes it handle requests if it does not.
    ///
    /// # Errors
    /// If there is neither, or its name cannot be a part of a path.
    pub(super) fn read(path: &Path, settings: &Settings, progress: &Progress) -> Result<Self> {
        let shown = path.display();
        let Compiled { built, description } = match component_in(path)? {
            None => build::compile_http(path, settings, progress)?,
            Some(bytes) => {
                return Self::of_component(path, bytes).with_context(|| shown.to_string());
            }
        };
        Self::new(path, built.component, description)
    }

    fn of_component(path: &Path, bytes: Vec<u8>) -> Result<Self> {
        let anatomy = Anatomy::read(&bytes)?;
        let description = anatomy.plan()?.description;
        let mut exports = anatomy.exports.iter();
        let component = match exports.any(|name| name.starts_with(INCOMING_HANDLER)) {
            true => bytes,
            false => build::handle_http(&bytes)?,
        };
        copies::warn(&path.display().to_string(), &component)?;
        Self::new(path, component, description)
    }

    fn new(path: &Path, component: Vec<u8>, description: Description) -> Result<Self> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if description.name.is_empty() || !description.name.chars().all(fits) {
            return Err(Failure::model(format!(
                "{}: expected a model whose name has letters, digits, `.`, `_` and `-`, found `{}`",
                path.display(),
                description.name
            ))
            .into());
        }
        Ok(Self {
            path: path.to_owned(),
            component,
            description,
        })
    }

    /// Returns the model's name.
    pub(super) fn name(&self) -> &str {
        &self.description.name
    }

    /// Returns the model's version.
    pub(super) fn version(&self) -> &str {
        &self.description.version
    }

    /// Returns a sentence about the model.
    pub(super) fn about(&self) -> String {
        let metadata = &self.description.metadata;
        metadata.get("description").cloned().unwrap_or_else(|| {
            let Description { name, version, .. } = &self.description;
            format!("Model {name}, version {version}.")
        })
    }
}

/// Returns the bytes of a file that is WebAssembly; `None` if it is something else, such as a folder.
fn component_in(path: &Path) -> Result<Option<Vec<u8>>> {
    if path.is_dir() {
        return Ok(None);
    }
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(bytes.starts_with(b"\0asm").then_some(bytes))
}
