//! What `tensorlet deploy spin` writes and says, and that it runs.

use std::fs;
use std::path::Path;

use expect_test::expect;
use serde_json::json;

use crate::http::{Host, Kind};
use crate::program::{component, component_with, fixture, folder, repository, run};
use crate::spin_manifest::Manifest;

/// Deploys models to a folder; returns what was said.
fn deploy(models: &[&Path], folder: &Path, options: &[&str]) -> String {
    let args = [
        "deploy".as_ref(),
        "spin".as_ref(),
        "-o".as_ref(),
        folder.as_os_str(),
    ];
    let models = models.iter().map(|model| model.as_os_str());
    let args = args
        .into_iter()
        .chain(models)
        .chain(options.iter().map(|option| option.as_ref()));
    run(args).stdout().to_owned()
}

fn serve(component: &Path) -> Host {
    Kind::Stock.serve(component)
}

#[test]
fn models_become_an_application() {
    let dir = folder();
    let output = dir.path().join("app");
    let (magika, add) = (repository("models/magika"), fixture("add.onnx"));
    let said = deploy(&[&magika, &add], &output, &["--name", "two-models"]);

    let manifest = Manifest::read(&output.join("spin.toml")).unwrap();
    assert_eq!(manifest.name(), "two-models");
    assert_eq!(
        manifest.routes(),
        [
            ("/v2/models/magika/...", "magika"),
            ("/v2/models/add/...", "add"),
            ("/v2/...", "magika"),
        ]
    );
    for (id, component) in &manifest.component {
        assert_eq!(component.source, format!("{id}.wasm"));
        assert_eq!(component.allowed_outbound_hosts.as_deref(), Some(&[][..]));
        let host = serve(&output.join(&component.source));
        assert_eq!(
            host.get("/v2/health/ready").json(200),
            json!({"ready": true})
        );
        let model = host.get(&format!("/v2/models/{id}")).json(200);
        assert_eq!(model["name"], *id);
    }
    let description = manifest.component["magika"].description.as_deref();
    assert_eq!(
        description,
        Some("Names the type of a file from the bytes at its two ends.")
    );
    let built = component_with("models/magika", &["--http"]);
    assert!(fs::read(built).unwrap() == fs::read(output.join("magika.wasm")).unwrap());

    let kubernetes = fs::read_to_string(output.join("spinapp.yaml")).unwrap();
    for line in [
        "  name: two-models\n",
        "  image: registry.example.com/two-models:0.1.0\n",
        "    name: two-models\n",
    ] {
        assert!(kubernetes.contains(line), "{kubernetes}");
    }

    let size = |said: &str| {
        let words = said.split(' ').map(|word| match word.parse::<f64>() {
            Ok(_) => "N",
            Err(_) => word,
        });
        words.collect::<Vec<_>>().join(" ")
    };
    expect![[r#"
        two-models: app/spin.toml, app/spinapp.yaml
          magika 1: app/magika.wasm, N MB, at /v2/models/magika/...
          add 1: app/add.wasm, N kB, at /v2/models/add/...

        Serve it here, or push it to a registry and serve it on Kubernetes:
          spin up -f app
          spin registry push -f app registry.example.com/two-models:0.1.0
          kubectl apply -f app/spinapp.yaml

        The registry is made up: --image says which is yours.
    "#]]
    .assert_eq(&size(
        &said.replace(&format!("{}/", dir.path().display()), ""),
    ));
}

#[test]
fn a_component_that_was_built_is_deployed_as_its_model_is() {
    let dir = folder();
    let from_model = dir.path().join("model");
    deploy(&[&repository("models/ppocr-cls")], &from_model, &[]);
    for (name, options) in [("library", &[][..]), ("http", &["--http"])] {
        let output = dir.path().join(name);
        let component = component_with("models/ppocr-cls", options);
        deploy(&[&component], &output, &[]);
        let files = ["ppocr-cls.wasm", "spin.toml", "spinapp.yaml"];
        for file in files {
            let same =
                fs::read(output.join(file)).unwrap() == fs::read(from_model.join(file)).unwrap();
            assert!(same, "{file} of {name}");
        }
    }
}

#[test]
fn deploying_again_replaces_what_was_deployed_and_nothing_else() {
    let dir = folder();
    let add = component("tests/fixtures/add.onnx");
    let args = [
        "deploy".as_ref(),
        "spin".as_ref(),
        add.as_os_str(),
        "-o".as_ref(),
        dir.path().as_os_str(),
    ];
    run(args).stdout();
    let image = ["--image", "ghcr.io/me/add:2"];
    let said = deploy(&[&add], dir.path(), &image);
    assert!(
        said.contains("ghcr.io/me/add:2") && !said.contains("made up"),
        "{said}"
    );
    let kubernetes = dir.path().join("spinapp.yaml");
    let text = fs::read_to_string(&kubernetes).unwrap();
    assert!(text.contains("image: ghcr.io/me/add:2\n"), "{text}");

    let changed = text.replace("maxReplicas: 10", "maxReplicas: 100");
    fs::write(&kubernetes, &changed).unwrap();
    let error = run(args).error(2);
    let expected = "spinapp.yaml: expected a file that `tensorlet deploy` wrote and nobody changed, found another; --force replaces it";
    assert!(error.ends_with(expected), "{error}");
    assert_eq!(fs::read_to_string(&kubernetes).unwrap(), changed);
    run(args.into_iter().chain(["--force".as_ref()])).stdout();
    assert!(
        fs::read_to_string(&kubernetes)
            .unwrap()
            .contains("maxReplicas: 10\n")
    );
}

#[test]
fn what_cannot_be_deployed_says_why() {
    let dir = folder();
    let error = |models: &[&Path], exit: i32| {
        let args = [
            "deploy".as_ref(),
            "spin".as_ref(),
            "-o".as_ref(),
            dir.path().as_os_str(),
        ];
        let models = models.iter().map(|model| model.as_os_str());
        run(args.into_iter().chain(models)).error(exit)
    };
    let add = component("tests/fixtures/add.onnx");
    let twice = error(&[&add, &fixture("add.onnx")], 2);
    assert!(
        twice.contains("expected models of different names, found `add` twice: "),
        "{twice}"
    );

    let other = dir.path().join("other.wasm");
    fs::write(&other, b"\0asm\x0d\0\x01\0").unwrap();
    let other = error(&[&other], 3);
    assert!(
        other.contains("other.wasm: expected a component that `tensorlet build` made"),
        "{other}"
    );
    let missing = error(&[Path::new("missing.onnx")], 1);
    assert!(
        missing.starts_with("error: cannot read missing.onnx: "),
        "{missing}"
    );
    let empty = folder();
    let empty = error(&[empty.path()], 3);
    assert!(empty.contains("found no model.toml"), "{empty}");
    assert!(!dir.path().join("spin.toml").exists(), "nothing is written");
}
