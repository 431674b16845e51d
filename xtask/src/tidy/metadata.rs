//! What cargo knows of the workspace.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use xshell::{Shell, cmd};

/// The output of `cargo metadata`, the part that the rules look at.
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    pub(super) packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
    workspace_root: String,
}

/// Any package that the workspace is built from.
#[derive(Debug, Deserialize)]
pub(super) struct Package {
    id: String,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) license: Option<String>,
    pub(super) source: Option<String>,
    manifest_path: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

/// A crate of the workspace.
#[derive(Clone, Debug, Default)]
pub(super) struct Crate {
    pub(super) name: String,
    /// From the root.
    pub(super) folder: String,
    /// Names of direct dependencies, for programs and build scripts.
    pub(super) dependencies: BTreeSet<String>,
    /// Names of direct dependencies of its tests.
    pub(super) dev_dependencies: BTreeSet<String>,
}

impl Metadata {
    /// Asks cargo.
    pub(super) fn read(sh: &Shell) -> Result<Self> {
        let json = cmd!(sh, "cargo metadata --format-version 1 --all-features --filter-platform x86_64-unknown-linux-gnu").quiet().ignore_stderr().read()?;
        serde_json::from_str(&json).context("expected the output of `cargo metadata`")
    }

    /// Returns the workspace's version: that of all its crates.
    pub(super) fn version(&self) -> Result<&str> {
        let member = self
            .packages
            .iter()
            .find(|package| self.workspace_members.contains(&package.id));
        Ok(&member.context("expected a workspace with a crate")?.version)
    }

    /// Returns the crates of the workspace.
    pub(super) fn crates(&self) -> Vec<Crate> {
        let members = self
            .packages
            .iter()
            .filter(|package| self.workspace_members.contains(&package.id));
        members
            .map(|package| {
                let folder = package
                    .manifest_path
                    .trim_start_matches(&self.workspace_root);
                let of_kind = |is_dev: bool| {
                    let dependencies = package.dependencies.iter();
                    let chosen = dependencies
                        .filter(|other| (other.kind.as_deref() == Some("dev")) == is_dev);
                    chosen.map(|other| other.name.clone()).collect()
                };
                Crate {
                    name: package.name.clone(),
                    folder: folder
                        .trim_start_matches('/')
                        .trim_end_matches("/Cargo.toml")
                        .to_owned(),
                    dependencies: of_kind(false),
                    dev_dependencies: of_kind(true),
                }
            })
            .collect()
    }

    /// Returns the packages from elsewhere that have more than one version, with their versions.
    pub(super) fn duplicates(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for package in &self.packages {
            versions
                .entry(&package.name)
                .or_default()
                .insert(&package.version);
        }
        versions.retain(|_, versions| versions.len() > 1);
        versions
    }
}

impl Crate {
    /// Makes a crate, for the tests of the rules.
    #[cfg(test)]
    pub(super) fn of(name: &str, folder: &str, dependencies: &[&str]) -> Self {
        let dependencies = dependencies.iter().map(ToString::to_string).collect();
        Self {
            name: name.to_owned(),
            folder: folder.to_owned(),
            dependencies,
            ..Self::default()
        }
    }
}
