//! A checker of `spin.toml`: what Spin says of manifests of version 2, where there is no Spin to say it.
//!
//! Fields and their types are those of [`Manifest`] and what it holds, and no others. Names and references are checked once it is read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::Deserialize;
use toml::Table;

/// A manifest that is in order.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    spin_manifest_version: u32,
    application: Application,
    #[serde(default)]
    variables: BTreeMap<String, Table>,
    trigger: Triggers,
    pub(crate) component: BTreeMap<String, Component>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "they are read to know that they are such")]
struct Application {
    name: String,
    version: Option<String>,
    authors: Option<Vec<String>>,
    description: Option<String>,
    targets: Option<Vec<String>>,
    trigger: Option<Table>,
    tool: Option<Table>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Triggers {
    http: Vec<HttpTrigger>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "they are read to know that they are such")]
struct HttpTrigger {
    id: Option<String>,
    route: String,
    component: String,
    executor: Option<Table>,
}

/// A component of the application.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "they are read to know that they are such")]
pub(crate) struct Component {
    /// A file, from the manifest.
    pub(crate) source: String,
    pub(crate) description: Option<String>,
    variables: Option<BTreeMap<String, String>>,
    environment: Option<BTreeMap<String, String>>,
    files: Option<Vec<toml::Value>>,
    exclude_files: Option<Vec<String>>,
    pub(crate) allowed_outbound_hosts: Option<Vec<String>>,
    key_value_stores: Option<Vec<String>>,
    sqlite_databases: Option<Vec<String>>,
    ai_models: Option<Vec<String>>,
    targets: Option<Vec<String>>,
    pub(crate) build: Option<Build>,
    tool: Option<Table>,
    dependencies_inherit_configuration: Option<bool>,
    #[serde(default)]
    pub(crate) dependencies: BTreeMap<String, Dependency>,
    profile: Option<Table>,
}

/// How a component is built.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "they are read to know that they are such")]
pub(crate) struct Build {
    command: Commands,
    workdir: Option<String>,
    watch: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Commands {
    One(String),
    Several(Vec<String>),
}

/// What satisfies an import.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dependency {
    /// A file, from the manifest. Nothing here uses registries.
    pub(crate) path: String,
    export: Option<String>,
}

impl Build {
    /// Returns the commands, in order.
    pub(crate) fn commands(&self) -> &[String] {
        match &self.command {
            Commands::One(command) => std::slice::from_ref(command),
            Commands::Several(commands) => commands,
        }
    }
}

impl Manifest {
    /// Reads a manifest and checks it.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let text = fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
        Self::parse(&text).map_err(|problems| format!("{shown}:\n{problems}"))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let manifest: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        match manifest.problems().as_slice() {
            [] => Ok(manifest),
            problems => Err(problems.join("\n")),
        }
    }

    /// Returns the routes, and which component has each.
    pub(crate) fn routes(&self) -> Vec<(&str, &str)> {
        let triggers = self.trigger.http.iter();
        triggers
            .map(|trigger| (trigger.route.as_str(), trigger.component.as_str()))
            .collect()
    }

    /// Returns the application's name.
    pub(crate) fn name(&self) -> &str {
        &self.application.name
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = vec![];
        let mut check = |is_so: bool, problem: String| {
            if !is_so {
                problems.push(problem);
            }
        };
        let Self {
            spin_manifest_version: version,
            application,
            variables,
            ..
        } = self;
        check(
            *version == 2,
            format!("expected version 2, found {version}"),
        );
        check(!application.name.is_empty(), "expected a name".into());
        if let Some(version) = &application.version {
            check(
                is_semver(version),
                format!("expected a version as 1.0.0, found `{version}`"),
            );
        }
        for name in variables.keys() {
            check(
                is_snake_case(name),
                format!("expected a variable in snake_case, found `{name}`"),
            );
        }
        let mut routes = BTreeSet::new();
        for (route, id) in self.routes() {
            check(
                is_route(route),
                format!("expected a route, found `{route}`"),
            );
            check(
                routes.insert(route),
                format!("expected the route `{route}` once"),
            );
            check(
                self.component.contains_key(id),
                format!("expected a component `{id}`, found none"),
            );
        }
        for (id, component) in &self.component {
            check(
                is_kebab_id(id),
                format!("expected an id in kebab-case, found `{id}`"),
            );
            let is_used = self.routes().iter().any(|(_, used)| used == id);
            check(is_used, format!("expected a trigger of `{id}`, found none"));
            check(
                !component.source.is_empty(),
                format!("expected a source of `{id}`"),
            );
            let build = component.build.as_ref();
            let has_commands = build.is_none_or(|build| !build.commands().is_empty());
            check(
                has_commands,
                format!("expected a command that builds `{id}`, found none"),
            );
            for (name, dependency) in &component.dependencies {
                check(
                    is_dependency(name),
                    format!("expected a package or interface, found `{name}`"),
                );
                let is_whole = !name.contains('/') && dependency.export.is_some();
                check(
                    !is_whole,
                    format!("`{name}`: expected no export for a whole package"),
                );
            }
        }
        problems
    }
}

fn is_semver(text: &str) -> bool {
    let numbers: Vec<&str> = text.split('.').collect();
    let is_number =
        |text: &&str| text.parse::<u64>().is_ok() && (*text == "0" || !text.starts_with('0'));
    numbers.len() == 3 && numbers.iter().all(is_number)
}

fn is_snake_case(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Words that begin with a letter, each in lower or upper case: what all versions of Spin take.
fn is_kebab_id(text: &str) -> bool {
    let is_word = |word: &str| {
        let is_lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let is_upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
        word.starts_with(|c: char| c.is_ascii_alphabetic())
            && (word.chars().all(is_lower) || word.chars().all(is_upper))
    };
    text.split('-').all(is_word)
}

/// A path from `/`, whose last segment may stand for any number of them.
fn is_route(text: &str) -> bool {
    let Some(path) = text.strip_prefix('/') else {
        return false;
    };
    let path = path
        .strip_suffix("...")
        .map_or(path, |begin| begin.strip_suffix('/').unwrap_or(begin));
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._~%:@!$&'()*+,;=".contains(c);
    path.is_empty()
        || path
            .split('/')
            .all(|part| !part.is_empty() && part != "..." && part.chars().all(fits))
}

/// `namespace:package`, perhaps `/interface`, perhaps `@1.0.0`.
fn is_dependency(text: &str) -> bool {
    let (name, version) = text.split_once('@').unwrap_or((text, "0.0.0"));
    let (package, interface) = name.split_once('/').unwrap_or((name, "i"));
    let parts = package.split_once(':');
    is_semver(version)
        && is_kebab_id(interface)
        && parts.is_some_and(|(namespace, package)| is_kebab_id(namespace) && is_kebab_id(package))
}

const GOOD: &str = r#"
spin_manifest_version = 2
[application]
name = "app"
version = "1.0.0"
[[trigger.http]]
route = "/v2/..."
component = "a-model"
[component.a-model]
source = "a.wasm"
allowed_outbound_hosts = []
[component.a-model.dependencies]
"a:b/c@0.1.0" = { path = "b.wasm", export = "d:e/c" }
[component.a-model.build]
command = ["make"]
"#;

#[test]
fn what_is_in_order_is_accepted() {
    Manifest::parse(GOOD).unwrap();
}

#[test]
fn what_is_not_in_order_is_found() {
    for (from, to, expected) in [
        ("version = 2", "version = 1", "expected version 2, found 1"),
        ("\"app\"", "\"\"", "expected a name"),
        (
            "\"1.0.0\"",
            "\"1\"",
            "expected a version as 1.0.0, found `1`",
        ),
        ("name = ", "title = ", "unknown field `title`"),
        ("source = ", "sauce = ", "unknown field `sauce`"),
        ("route = ", "path = ", "unknown field `path`"),
        ("trigger.http", "trigger.redis", "unknown field `redis`"),
        ("/v2/...", "v2", "expected a route, found `v2`"),
        (
            "/v2/...",
            "/v2/.../x",
            "expected a route, found `/v2/.../x`",
        ),
        ("/v2/...", "/v 2", "expected a route, found `/v 2`"),
        (
            "\"a-model\"",
            "\"b\"",
            "expected a component `b`, found none",
        ),
        (
            "a-model",
            "a_model",
            "expected an id in kebab-case, found `a_model`",
        ),
        (
            "a-model",
            "a-2",
            "expected an id in kebab-case, found `a-2`",
        ),
        (
            "a-model",
            "aModel",
            "expected an id in kebab-case, found `aModel`",
        ),
        (
            "outbound_hosts = []",
            "outbound_hosts = 1",
            "expected a sequence",
        ),
        (
            "[\"make\"]",
            "[]",
            "expected a command that builds `a-model`, found none",
        ),
        (
            "a:b/c@0.1.0",
            "a:b/c@1",
            "expected a package or interface, found `a:b/c@1`",
        ),
        (
            "a:b/c@0.1.0",
            "a:b@0.1.0",
            "expected no export for a whole package",
        ),
        (
            "path = \"b.wasm\"",
            "file = \"b.wasm\"",
            "unknown field `file`",
        ),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let error = Manifest::parse(&GOOD.replace(from, to)).expect_err(to);
        assert!(error.contains(expected), "{to}: {error}");
    }
    let twice = format!("{GOOD}[[trigger.http]]\nroute = \"/v2/...\"\ncomponent = \"a-model\"\n");
    assert!(
        Manifest::parse(&twice)
            .unwrap_err()
            .contains("expected the route `/v2/...` once")
    );
}
