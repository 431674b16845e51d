//! The Spin applications of this repository: that their manifests are in order, and that what they name is built by their commands and runs.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::http::{Kind, stock_http};
use crate::program::{component, folder, repository, run};
use crate::references::{case_folder, read_npy};
use crate::spin_manifest::Manifest;

/// Runs a command of a manifest, if it is `tensorlet build …`, by the program under test, with its output elsewhere. Returns where.
fn build(command: &str, from: &Path, source: &str, output: &Path) -> PathBuf {
    let words: Vec<&str> = command.split(' ').collect();
    let [
        "../../target/release/tensorlet" | "target/release/tensorlet",
        "build",
        options @ ..,
        model,
        "-o",
        file,
    ] = words.as_slice()
    else {
        panic!("expected `tensorlet build … MODEL -o FILE`, found `{command}`")
    };
    assert_eq!(*file, source, "what is built is what is used");
    let built = output.join(Path::new(file).file_name().unwrap());
    let model = from.join(model);
    let args = [
        OsStr::new("build"),
        model.as_os_str(),
        OsStr::new("-o"),
        built.as_os_str(),
    ];
    run(args.into_iter().chain(options.iter().map(OsStr::new))).stdout();
    built
}

#[test]
fn the_application_at_the_root_answers() {
    let (root, dir) = (repository(""), folder());
    let manifest = Manifest::read(&root.join("spin.toml")).unwrap();
    let ids: Vec<&String> = manifest.component.keys().collect();
    assert_eq!(ids, ["efficientnet-lite0", "magika"]);
    for (id, component) in &manifest.component {
        let commands = component.build.as_ref().unwrap().commands();
        let [command] = commands else {
            panic!("{id}: expected one command, found {commands:?}")
        };
        let built = build(command, &root, &component.source, dir.path());
        let route = format!("/v2/models/{id}/...");
        assert!(manifest.routes().contains(&(route.as_str(), id)), "{id}");

        let host = Kind::Stock.serve(&built);
        let picture = fs::read(repository("models/samples/coffee.png")).unwrap();
        let answer = host
            .post(&route.replace("...", "answer"), &[], &picture)
            .json(200);
        let label = match id.as_str() {
            "magika" => "png",
            _ => "espresso",
        };
        assert_eq!(answer["labels"][0]["label"], label, "{answer}");
        assert_eq!(host.get("/v2/health/live").json(200), json!({"live": true}));
    }
}

/// The handler that `cargo xtask stock` builds, where its target is there.
fn handler() -> Option<PathBuf> {
    let handler = repository("target/stock/wasm32-wasip2/release/spin_handler.wasm");
    if !handler.exists() {
        eprintln!(
            "skipped: the handler, which `cargo xtask stock` builds where wasm32-wasip2 is there"
        );
        return None;
    }
    Some(handler)
}

#[test]
fn a_handler_of_ones_own_asks_the_model() {
    let root = repository("tests/spin-handler");
    let manifest = Manifest::read(&root.join("spin.toml")).unwrap();
    let component = &manifest.component["handler"];
    assert_eq!(
        component.source,
        "target/wasm32-wasip2/release/spin_handler.wasm"
    );
    let (name, dependency) = component.dependencies.first_key_value().unwrap();
    assert_eq!(name, "tensorlet:model@0.1.0");
    let commands = component.build.as_ref().unwrap().commands();
    assert_eq!(commands[0], "cargo build --release --target wasm32-wasip2");
    let Some(handler) = handler() else { return };

    let dir = folder();
    let model = build(&commands[1], &root, &dependency.path, dir.path());
    let composed = dir.path().join("composed.wasm");
    let compose = Command::new(stock_http())
        .arg("compose")
        .args([&handler, &model])
        .arg("-o")
        .arg(&composed)
        .output()
        .unwrap();
    assert!(
        compose.status.success(),
        "{}",
        String::from_utf8_lossy(&compose.stderr)
    );

    let case = case_folder("magika", "batch-1");
    let input = read_npy(&case.join("inputs/bytes.npy"));
    let scores = read_npy(&case.join("outputs/target_label.npy"))
        .to_values::<f32>()
        .unwrap();
    let best = scores
        .iter()
        .enumerate()
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .unwrap();
    for kind in Kind::available() {
        let host = kind.serve(&composed);
        let answer: Value = host.post("/best-class", &[], input.data()).json(200);
        assert_eq!(answer["class"], best.0);
        let score = answer["score"].as_f64().unwrap() as f32;
        assert!((score - best.1).abs() < 1e-4, "{score}");
        let wrong = host.post("/best-class", &[], b"too short");
        assert_eq!(wrong.status, 400);
        let reason = String::from_utf8(wrong.body).unwrap();
        assert!(
            reason
                .starts_with("input `bytes`: expected 8192 bytes for i32[1, 2048], found 9 bytes"),
            "{reason}"
        );
    }
}

#[test]
fn a_component_that_handles_requests_is_a_model_here() {
    let http = crate::program::component_with("models/magika", &["--http"]);
    let file = repository("models/samples/primes.py");
    for options in [&["--json"][..], &["--json", "--no-offload"]] {
        let predict = |component: &Path| {
            let args = [
                OsStr::new("predict"),
                component.as_os_str(),
                file.as_os_str(),
            ];
            let json = run(args.into_iter().chain(options.iter().map(OsStr::new))).json();
            json[0]["labels"].clone()
        };
        assert_eq!(predict(&http), predict(&component("models/magika")));
    }
}
