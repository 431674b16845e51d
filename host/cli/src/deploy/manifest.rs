//! `spin.toml`, a manifest of version 2.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Serialize;

use super::folder::component_file;

/// The version of manifests that every Spin since 2.0 reads.
const VERSION: u32 = 2;

/// A model of the application.
pub(super) struct Model<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) description: String,
}

#[derive(Serialize)]
struct Manifest<'a> {
    spin_manifest_version: u32,
    application: Application<'a>,
    trigger: Triggers<'a>,
    component: BTreeMap<&'a str, Component<'a>>,
}

#[derive(Serialize)]
struct Application<'a> {
    name: &'a str,
    version: &'a str,
    description: String,
}

#[derive(Serialize)]
struct Triggers<'a> {
    http: Vec<HttpTrigger<'a>>,
}

#[derive(Serialize)]
struct HttpTrigger<'a> {
    route: String,
    component: &'a str,
}

#[derive(Serialize)]
struct Component<'a> {
    source: String,
    description: &'a str,
    /// None: a model calls nobody.
    allowed_outbound_hosts: [&'a str; 0],
}

/// Returns where a model answers: at this path and below.
pub(super) fn route(name: &str) -> String {
    format!("/v2/models/{name}/...")
}

/// Returns the text of a manifest of these models, of which there is at least one.
///
/// Every component can tell whether it lives and that it speaks the protocol, so the first one answers what concerns no model.
pub(super) fn write(name: &str, version: &str, models: &[Model<'_>]) -> Result<String> {
    let first = models.first().map(|model| HttpTrigger {
        route: "/v2/...".into(),
        component: model.id,
    });
    let triggers = models.iter().map(|model| HttpTrigger {
        route: route(model.name),
        component: model.id,
    });
    let components = models.iter().map(|model| {
        let component = Component {
            source: component_file(model.id),
            description: &model.description,
            allowed_outbound_hosts: [],
        };
        (model.id, component)
    });
    let names: Vec<&str> = models.iter().map(|model| model.name).collect();
    let manifest = Manifest {
        spin_manifest_version: VERSION,
        application: Application {
            name,
            version,
            description: format!("Models that answer over HTTP: {}", names.join(", ")),
        },
        trigger: Triggers {
            http: triggers.chain(first).collect(),
        },
        component: components.collect(),
    };
    toml::to_string(&manifest).context("the manifest cannot be written as TOML")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_manifest_has_a_route_for_each_model() {
        let model = |id, name, description: &str| Model {
            id,
            name,
            description: description.into(),
        };
        let models = [
            model("magika", "magika", "Names \"the type\" of a file."),
            model("yolo-v8", "yolo_v8", "Model yolo_v8, version 1."),
        ];
        expect![[r#"
            spin_manifest_version = 2

            [application]
            name = "models"
            version = "0.1.0"
            description = "Models that answer over HTTP: magika, yolo_v8"

            [[trigger.http]]
            route = "/v2/models/magika/..."
            component = "magika"

            [[trigger.http]]
            route = "/v2/models/yolo_v8/..."
            component = "yolo-v8"

            [[trigger.http]]
            route = "/v2/..."
            component = "magika"

            [component.magika]
            source = "magika.wasm"
            description = 'Names "the type" of a file.'
            allowed_outbound_hosts = []

            [component.yolo-v8]
            source = "yolo-v8.wasm"
            description = "Model yolo_v8, version 1."
            allowed_outbound_hosts = []
        "#]]
        .assert_eq(&write("models", "0.1.0", &models).unwrap());
    }
}
