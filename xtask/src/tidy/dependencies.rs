//! Who may depend on whom: the invariants of ARCHITECTURE.md that `Cargo.toml` files can break.

use std::collections::BTreeSet;

use super::metadata::Crate;

/// Our crates in layers, from below: a crate depends on lower layers only. Tests may reach anywhere but from guest to
/// host.
const LAYERS: &[&[&str]] = &[
    &["tensorlet-tensor", "tensorlet-heap"],
    &[
        "tensorlet-plan",
        "tensorlet-answer",
        "tensorlet-model",
        "tensorlet-protocol",
    ],
    &["tensorlet-kernels"],
    &["tensorlet-executor"],
    &[
        "tensorlet-predictor",
        "tensorlet-answerer",
        "tensorlet-http",
        "tensorlet-batch",
    ],
    &["tensorlet-runtime"],
    &["tensorlet-compile", "tensorlet-repository"],
    &["tensorlet-server", "tensorlet-embed"],
    &["tensorlet-cli"],
];

/// Dependencies that only some crates may have, and why.
const RESERVED: &[Reserved] = &[
    Reserved {
        packages: &["tract-onnx"],
        crates: &["tensorlet-compile", "tensorlet-executor"],
        reason: "only the compiler knows ONNX, and the executor runs tract steps",
    },
    Reserved {
        packages: &["wasmtime", "wasmtime-wizer"],
        crates: &["tensorlet-compile", "tensorlet-runtime"],
        reason: "everything else reaches components through `runtime`",
    },
    Reserved {
        packages: &["axum", "http", "hyper", "tonic", "tower-http"],
        crates: &["tensorlet-server"],
        reason: "only the server knows HTTP",
    },
    Reserved {
        packages: &["serde_json"],
        crates: &[
            "tensorlet-server",
            "tensorlet-protocol",
            "tensorlet-cli",
            "xtask",
        ],
        reason: "only what talks to people and clients knows JSON",
    },
    Reserved {
        packages: &["anyhow", "eyre"],
        crates: &["tensorlet-cli", "xtask"],
        reason: "libraries have typed errors",
    },
    Reserved {
        packages: &[
            "tensorlet-answerer",
            "tensorlet-http",
            "tensorlet-predictor",
        ],
        crates: &[],
        reason: "components are embedded, not linked",
    },
];

/// What guest crates must do without: I/O, clocks, and what makes them unportable.
const NOT_IN_GUESTS: [&str; 7] = [
    "async-std",
    "chrono",
    "mio",
    "rustix",
    "tempfile",
    "time",
    "tokio",
];

struct Reserved {
    packages: &'static [&'static str],
    crates: &'static [&'static str],
    reason: &'static str,
}

/// Returns the dependencies that break an invariant.
pub(super) fn check(crates: &[Crate]) -> Vec<String> {
    [layers(crates), guests(crates), reserved(crates)].concat()
}

fn layers(crates: &[Crate]) -> Vec<String> {
    let layer_of = |name: &str| LAYERS.iter().position(|layer| layer.contains(&name));
    let mut problems = Vec::new();
    for one in crates
        .iter()
        .filter(|one| is_in(one, "guest") || is_in(one, "host"))
    {
        let Some(layer) = layer_of(&one.name) else {
            problems.push(format!(
                "{}: has no layer in {}; give it one",
                one.name,
                file!()
            ));
            continue;
        };
        for other in &one.dependencies {
            if layer_of(other).is_some_and(|other| other >= layer) {
                problems.push(format!(
                    "{}: must not depend on {other}, which is not in a lower layer",
                    one.name
                ));
            }
        }
    }
    problems
}

fn guests(crates: &[Crate]) -> Vec<String> {
    let hosts: BTreeSet<_> = crates
        .iter()
        .filter(|one| !is_in(one, "guest"))
        .map(|one| &one.name)
        .collect();
    let mut problems = Vec::new();
    for one in crates.iter().filter(|one| is_in(one, "guest")) {
        for other in one.dependencies.union(&one.dev_dependencies) {
            if hosts.contains(other) {
                problems.push(format!(
                    "{}: must not depend on {other}, which is not under guest/",
                    one.name
                ));
            }
        }
        for other in one
            .dependencies
            .iter()
            .filter(|other| NOT_IN_GUESTS.contains(&other.as_str()))
        {
            problems.push(format!(
                "{}: must not depend on {other}: guests do no I/O and read no clock",
                one.name
            ));
        }
    }
    problems
}

fn reserved(crates: &[Crate]) -> Vec<String> {
    let mut problems = Vec::new();
    // Tests may use anything.
    for one in crates.iter().filter(|one| !is_in(one, "tests")) {
        for rule in RESERVED
            .iter()
            .filter(|rule| !rule.crates.contains(&one.name.as_str()))
        {
            for package in rule
                .packages
                .iter()
                .filter(|package| one.dependencies.contains(**package))
            {
                problems.push(format!(
                    "{}: must not depend on {package}: {}",
                    one.name, rule.reason
                ));
            }
        }
    }
    problems
}

fn is_in(one: &Crate, folder: &str) -> bool {
    one.folder.split('/').next() == Some(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_one(one: Crate, expected: &str) {
        let runtime = Crate::of(
            "tensorlet-runtime",
            "host/runtime",
            &["tensorlet-executor", "wasmtime"],
        );
        assert_eq!(check(&[one, runtime]).join("\n"), expected);
    }

    #[test]
    fn accepts_what_is_in_order() {
        check_one(
            Crate::of(
                "tensorlet-executor",
                "guest/executor",
                &["tensorlet-plan", "tract-onnx"],
            ),
            "",
        );
        check_one(
            Crate::of(
                "tensorlet-cli",
                "host/cli",
                &["anyhow", "serde_json", "tensorlet-runtime"],
            ),
            "",
        );
        check_one(
            Crate::of(
                "conformance",
                "tests/conformance",
                &["anyhow", "tensorlet-runtime", "wasmtime"],
            ),
            "",
        );
    }

    #[test]
    fn refuses_host_crates_in_guests() {
        let mut one = Crate::of("tensorlet-plan", "guest/plan", &[]);
        one.dev_dependencies.insert("tensorlet-runtime".into());
        check_one(
            one,
            "tensorlet-plan: must not depend on tensorlet-runtime, which is not under guest/",
        );
    }

    #[test]
    fn refuses_clocks_and_io_in_guests() {
        check_one(
            Crate::of("tensorlet-answer", "guest/answer", &["tokio"]),
            "tensorlet-answer: must not depend on tokio: guests do no I/O and read no clock",
        );
    }

    #[test]
    fn refuses_dependencies_upwards_and_sideways() {
        check_one(
            Crate::of("tensorlet-tensor", "guest/tensor", &["tensorlet-plan"]),
            "tensorlet-tensor: must not depend on tensorlet-plan, which is not in a lower layer",
        );
        check_one(
            Crate::of("tensorlet-embed", "host/embed", &["tensorlet-server"]),
            "tensorlet-embed: must not depend on tensorlet-server, which is not in a lower layer",
        );
    }

    #[test]
    fn refuses_crates_without_a_layer() {
        let problems = check(&[Crate::of("tensorlet-new", "host/new", &[])]);
        assert!(
            problems[0].starts_with("tensorlet-new: has no layer in "),
            "{problems:?}"
        );
    }

    #[test]
    fn keeps_reserved_packages_where_they_belong() {
        for (one, expected) in [
            (
                Crate::of("tensorlet-batch", "host/batch", &["wasmtime"]),
                "tensorlet-batch: must not depend on wasmtime: everything else reaches components through `runtime`",
            ),
            (
                Crate::of("tensorlet-compile", "host/compile", &["anyhow"]),
                "tensorlet-compile: must not depend on anyhow: libraries have typed errors",
            ),
            (
                Crate::of("tensorlet-batch", "host/batch", &["http"]),
                "tensorlet-batch: must not depend on http: only the server knows HTTP",
            ),
            (
                Crate::of("tensorlet-plan", "guest/plan", &["tract-onnx"]),
                "tensorlet-plan: must not depend on tract-onnx: only the compiler knows ONNX, and the executor runs \
                 tract steps",
            ),
        ] {
            check_one(one, expected);
        }
    }
}
