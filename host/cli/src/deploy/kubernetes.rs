//! `spinapp.yaml`: the application for SpinKube, and how many replicas of it there are.

use anyhow::{Context, Result};
use serde::Serialize;

/// How many replicas there are at most.
const MAX_REPLICAS: u32 = 10;

/// The share of the requested processor at which replicas are added, in percent.
const TARGET_PERCENT: u32 = 70;

/// What a host takes in memory before it has a model, and steps in which more is asked for. After 8 requests at once, a host with Spin's settings held 96 MB for a
/// component of 4 MB, and 150 MB for one of 20 MB.
const HOST_MIB: u64 = 96;
const STEP_MIB: u64 = 16;

/// How many times the bytes of a component a host takes for it: the component, its machine code and image, and the pages that requests write.
const COMPONENT_FACTOR: u64 = 4;

/// An application in a registry.
pub(super) struct SpinApp<'a> {
    pub(super) name: &'a str,
    pub(super) image: &'a str,
    /// How many bytes its components have together.
    pub(super) component_bytes: u64,
}

/// A document of Kubernetes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'a str,
    kind: &'a str,
    metadata: Metadata,
    spec: Spec<'a>,
}

#[derive(Serialize)]
struct Metadata {
    name: String,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Spec<'a> {
    App(AppSpec<'a>),
    Autoscaler(AutoscalerSpec<'a>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AppSpec<'a> {
    image: &'a str,
    executor: &'a str,
    enable_autoscaling: bool,
    checks: Checks<'a>,
    resources: Resources<'a>,
}

#[derive(Serialize)]
struct Checks<'a> {
    liveness: Probe<'a>,
    readiness: Probe<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Probe<'a> {
    http_get: HttpGet<'a>,
}

#[derive(Serialize)]
struct HttpGet<'a> {
    path: &'a str,
}

#[derive(Serialize)]
struct Resources<'a> {
    requests: Requests<'a>,
}

#[derive(Serialize)]
struct Requests<'a> {
    cpu: &'a str,
    memory: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AutoscalerSpec<'a> {
    scale_target_ref: ScaleTarget<'a>,
    min_replicas: u32,
    max_replicas: u32,
    metrics: [Metric<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ScaleTarget<'a> {
    api_version: &'a str,
    kind: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
struct Metric<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    resource: ResourceMetric<'a>,
}

#[derive(Serialize)]
struct ResourceMetric<'a> {
    name: &'a str,
    target: Target<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Target<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    average_utilization: u32,
}

impl SpinApp<'_> {
    /// Returns the documents of the application and of its autoscaler.
    pub(super) fn to_yaml(&self) -> Result<String> {
        serde_saphyr::to_string_multiple(&[self.app(), self.autoscaler()])
            .context("the application cannot be written as YAML")
    }

    fn app(&self) -> Document<'_> {
        let probe = |path| Probe {
            http_get: HttpGet { path },
        };
        Document {
            api_version: "core.spinkube.dev/v1alpha1",
            kind: "SpinApp",
            metadata: Metadata {
                name: self.name.into(),
            },
            spec: Spec::App(AppSpec {
                image: self.image,
                executor: "containerd-shim-spin",
                enable_autoscaling: true,
                checks: Checks {
                    liveness: probe("/v2/health/live"),
                    readiness: probe("/v2/health/ready"),
                },
                resources: Resources {
                    requests: Requests {
                        cpu: "500m",
                        memory: format!("{}Mi", self.memory_mib()),
                    },
                },
            }),
        }
    }

    fn autoscaler(&self) -> Document<'_> {
        let metric = Metric {
            kind: "Resource",
            resource: ResourceMetric {
                name: "cpu",
                target: Target {
                    kind: "Utilization",
                    average_utilization: TARGET_PERCENT,
                },
            },
        };
        Document {
            api_version: "autoscaling/v2",
            kind: "HorizontalPodAutoscaler",
            metadata: Metadata {
                name: format!("{}-autoscaler", self.name),
            },
            spec: Spec::Autoscaler(AutoscalerSpec {
                // The operator makes a deployment of the application's name.
                scale_target_ref: ScaleTarget {
                    api_version: "apps/v1",
                    kind: "Deployment",
                    name: self.name,
                },
                min_replicas: 1,
                max_replicas: MAX_REPLICAS,
                metrics: [metric],
            }),
        }
    }

    fn memory_mib(&self) -> u64 {
        let components_mib = self.component_bytes.saturating_mul(COMPONENT_FACTOR) >> 20;
        (HOST_MIB + components_mib).next_multiple_of(STEP_MIB)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn an_application_is_scaled_by_the_processor_it_takes() {
        let app = SpinApp {
            name: "magika",
            image: "ghcr.io/me/magika:1.0.0",
            component_bytes: 4_600_000,
        };
        expect![[r#"
            apiVersion: core.spinkube.dev/v1alpha1
            kind: SpinApp
            metadata:
              name: magika
            spec:
              image: ghcr.io/me/magika:1.0.0
              executor: containerd-shim-spin
              enableAutoscaling: true
              checks:
                liveness:
                  httpGet:
                    path: /v2/health/live
                readiness:
                  httpGet:
                    path: /v2/health/ready
              resources:
                requests:
                  cpu: 500m
                  memory: 128Mi
            ---
            apiVersion: autoscaling/v2
            kind: HorizontalPodAutoscaler
            metadata:
              name: magika-autoscaler
            spec:
              scaleTargetRef:
                apiVersion: apps/v1
                kind: Deployment
                name: magika
              minReplicas: 1
              maxReplicas: 10
              metrics:
              - type: Resource
                resource:
                  name: cpu
                  target:
                    type: Utilization
                    averageUtilization: 70
        "#]]
        .assert_eq(&app.to_yaml().unwrap());
    }
}
