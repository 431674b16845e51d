//! Licences, sources and duplicates of dependencies, as `deny.toml` allows them.
//!
//! cargo-deny checks the same and more, but takes longer to compile than the project. Here it is read from what
//! `cargo metadata` tells.

mod licence;

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use self::licence::is_allowed;
use super::metadata::Metadata;

/// The parts of `deny.toml` that are read here.
#[derive(Deserialize)]
struct DenyToml {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Bans {
    skip: Vec<Skip>,
}

#[derive(Deserialize)]
struct Skip {
    /// `name@version`, where the version may be cut off after any number.
    #[serde(rename = "crate")]
    spec: String,
    reason: String,
}

/// Returns the dependencies that `deny_toml` does not allow, and what it allows in vain.
pub(super) fn check(metadata: &Metadata, deny_toml: &str) -> Result<Vec<String>> {
    let deny: DenyToml = toml::from_str(deny_toml).context("deny.toml")?;
    let mut problems = duplicates(metadata, &deny.bans.skip);
    for package in &metadata.packages {
        let name = &package.name;
        let licence = package.license.as_deref().unwrap_or_default();
        if !is_allowed(licence, &deny.licenses.allow) {
            problems.push(format!(
                "{name}: expected a licence that deny.toml allows, found `{licence}`"
            ));
        }
        if let Some(source) = package
            .source
            .as_ref()
            .filter(|source| !source.starts_with("registry+"))
        {
            problems.push(format!(
                "{name}: expected it to come from the registry, found {source}"
            ));
        }
    }
    Ok(problems)
}

fn duplicates(metadata: &Metadata, skips: &[Skip]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut used = BTreeSet::new();
    for (name, versions) in metadata.duplicates() {
        let mut left = versions.clone();
        for skip in skips {
            let skipped: Vec<_> = versions
                .iter()
                .filter(|version| skip.covers(name, version))
                .collect();
            if !skipped.is_empty() {
                used.insert(&skip.spec);
            }
            left.retain(|version| !skipped.contains(&version));
        }
        if left.len() > 1 {
            let versions = Vec::from_iter(left).join(" and ");
            problems.push(format!(
                "{name}: expected one version, or a reason in deny.toml, found {versions}"
            ));
        }
    }
    for skip in skips {
        if !used.contains(&skip.spec) {
            problems.push(format!(
                "deny.toml: skips {}, which has no other version",
                skip.spec
            ));
        }
        if skip.reason.is_empty() {
            problems.push(format!("deny.toml: skips {} without a reason", skip.spec));
        }
    }
    problems
}

impl Skip {
    fn covers(&self, name: &str, version: &str) -> bool {
        let Some((skipped, prefix)) = self.spec.split_once('@') else {
            return false;
        };
        let rest = version.strip_prefix(prefix);
        name == skipped && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKAGES: &[(&str, &str, &str, &str)] = &[
        ("syn", "2.0.1", "MIT OR Apache-2.0", "registry+x"),
        ("syn", "3.0.1", "MIT OR Apache-2.0", "registry+x"),
        ("zlib", "1.0.0", "Zlib", "registry+x"),
    ];

    #[track_caller]
    fn check_packages(packages: &[(&str, &str, &str, &str)], skip: &str, expected: &[&str]) {
        let packages = packages.iter().map(|(name, version, license, source)| {
            serde_json::json!({
                "id": format!("{name} {version}"), "name": name, "version": version, "license": license,
                "source": source, "manifest_path": "", "dependencies": [],
            })
        });
        let metadata = serde_json::json!({
            "packages": Vec::from_iter(packages), "workspace_members": [], "workspace_root": "/",
        });
        let metadata = serde_json::from_value(metadata).unwrap();
        let toml = format!("[licenses]\nallow = ['MIT', 'Zlib']\n[bans]\nskip = [{skip}]\n");
        assert_eq!(check(&metadata, &toml).unwrap(), expected);
    }

    #[test]
    fn accepts_what_is_allowed() {
        check_packages(PACKAGES, "{ crate = 'syn@2', reason = 'because' }", &[]);
    }

    #[test]
    fn refuses_duplicates_without_a_reason() {
        let problem = "syn: expected one version, or a reason in deny.toml, found 2.0.1 and 3.0.1";
        check_packages(PACKAGES, "", &[problem]);
        let problems = [
            problem,
            "deny.toml: skips syn@2.1, which has no other version",
        ];
        check_packages(
            PACKAGES,
            "{ crate = 'syn@2.1', reason = 'because' }",
            &problems,
        );
        check_packages(
            PACKAGES,
            "{ crate = 'syn@2', reason = '' }",
            &["deny.toml: skips syn@2 without a reason"],
        );
    }

    #[test]
    fn refuses_skips_in_vain() {
        check_packages(
            &PACKAGES[1..],
            "{ crate = 'syn@2', reason = 'because' }",
            &["deny.toml: skips syn@2, which has no other version"],
        );
    }

    #[test]
    fn refuses_licences_and_sources() {
        check_packages(
            &[
                ("a", "1.0.0", "GPL-3.0-only", "registry+x"),
                ("b", "1.0.0", "MIT", "git+x"),
            ],
            "",
            &[
                "a: expected a licence that deny.toml allows, found `GPL-3.0-only`",
                "b: expected it to come from the registry, found git+x",
            ],
        );
    }
}
