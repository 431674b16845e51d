//! `tensorlet serve`, called as clients do, and told to end as supervisors do.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::program::{command, component, folder, run};

/// The server, in a process of its own.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start(args: &[&str], models: &Path) -> Self {
        let mut process = command()
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(args)
            .arg(models)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = process.stderr.take().unwrap();
        let mut lines = BufReader::new(stderr).lines().map(Result::unwrap);
        let address = lines.find_map(|line| Some(line.split_once("address=")?.1.trim().to_owned()));
        let url = format!("http://{}", address.expect("it says where it listens"));
        thread::spawn(move || lines.for_each(drop));
        let server = Self { process, url };
        server.eventually("it is ready", || server.get("/v2/health/ready").0 == 200);
        server
    }

    fn get(&self, path: &str) -> (u16, String) {
        let mut response = agent().get(format!("{}{path}", self.url)).call().unwrap();
        (
            response.status().as_u16(),
            response.body_mut().read_to_string().unwrap(),
        )
    }

    fn post(&self, path: &str, body: &str) -> (u16, Value) {
        let mut response = agent()
            .post(format!("{}{path}", self.url))
            .send(body)
            .unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (
            response.status().as_u16(),
            serde_json::from_str(&text).unwrap_or(Value::Null),
        )
    }

    /// Calls `add` and returns the version that has answered.
    fn version(&self) -> String {
        let (status, body) = self.post("/v2/models/add/infer", &call());
        assert_eq!(
            (status, &body["outputs"][0]["data"]),
            (200, &json!([6.0, 8.0, 10.0, 12.0])),
            "{body}"
        );
        body["model_version"].as_str().unwrap().to_owned()
    }

    fn signal(&self, signal: &str) {
        let kill = std::process::Command::new("kill")
            .args([signal, &self.process.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
    }

    #[track_caller]
    fn eventually(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        for _ in 0..12_000 {
            if is_so() {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("{what}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended, or the test has failed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into()
}

fn call() -> String {
    let tensor = |name: &str, data: [f32; 4]| json!({"name": name, "shape": [1, 4], "datatype": "FP32", "data": data});
    json!({"inputs": [tensor("a", [1.0, 2.0, 3.0, 4.0]), tensor("b", [5.0, 6.0, 7.0, 8.0])]})
        .to_string()
}

/// Puts a version of `add` into a folder of models.
fn put(models: &Path, version: u32) {
    let dir = models.join("add").join(version.to_string());
    fs::create_dir_all(&dir).unwrap();
    fs::copy(component("tests/fixtures/add.onnx"), dir.join("model.wasm")).unwrap();
}

#[test]
fn answers_reloads_and_ends_well() {
    let models = folder();
    put(models.path(), 1);
    let mut server = Server::start(&[], models.path());
    assert_eq!(server.version(), "1");
    let (status, metadata) = server.get("/v2/models/add");
    assert_eq!(status, 200);
    assert_eq!(
        serde_json::from_str::<Value>(&metadata).unwrap()["inputs"][0]["datatype"],
        "FP32"
    );
    assert_eq!(server.get("/v2/models/nothing").0, 404);
    assert_eq!(server.post("/v2/models/add/infer", "{}").0, 400);
    let (status, metrics) = server.get("/metrics");
    assert_eq!(status, 200);
    assert!(metrics.contains("model=\"add\""), "{metrics}");

    put(models.path(), 2);
    server.signal("-HUP");
    server.eventually("the new version serves", || server.version() == "2");

    server.signal("-TERM");
    assert_eq!(server.process.wait().unwrap().code(), Some(0));
}

#[test]
fn a_single_component_is_a_model_and_no_offload_serves_too() {
    let dir = folder();
    let file = dir.path().join("add.wasm");
    fs::copy(component("tests/fixtures/add.onnx"), &file).unwrap();
    let server = Server::start(&["--no-offload"], &file);
    assert_eq!(server.version(), "1");
}

#[test]
fn what_is_no_model_is_an_error() {
    let run = run(["serve", "/nowhere/at/all"]);
    let error = run.error(1);
    assert!(
        error
            .contains("/nowhere/at/all: expected a folder of models, or components, found neither"),
        "{error}"
    );
}

#[test]
fn an_address_that_is_taken_is_an_error() {
    let models = folder();
    put(models.path(), 1);
    let server = Server::start(&[], models.path());
    let address = server.url.strip_prefix("http://").unwrap();
    let second = run([
        "serve".as_ref(),
        "--listen".as_ref(),
        address.as_ref(),
        models.path().as_os_str(),
    ]);
    let error = second.error(1);
    assert!(
        error.contains(&format!("cannot listen on {address}")),
        "{error}"
    );
}

#[test]
fn answers_for_files() {
    let models = folder();
    for model in ["magika", "efficientnet-lite0"] {
        let dir = models.path().join(model).join("1");
        fs::create_dir_all(&dir).unwrap();
        fs::copy(
            component(&format!("models/{model}")),
            dir.join("model.wasm"),
        )
        .unwrap();
    }
    put(models.path(), 1);
    let server = Server::start(&[], models.path());
    let post = |model: &str, file: &[u8]| {
        let url = format!("{}/v2/models/{model}/answer", server.url);
        let mut response = agent().post(url).send(file).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        let body: Value = serde_json::from_str(&text).unwrap();
        (response.status().as_u16(), body)
    };
    let picture = fs::read(crate::program::repository("models/samples/coffee.png")).unwrap();

    let (status, body) = post("efficientnet-lite0", &picture);
    assert_eq!(
        (status, &body["model_version"]),
        (200, &json!("1")),
        "{body}"
    );
    assert_eq!(body["labels"][0]["label"], "espresso", "{body}");
    let (_, body) = post("magika", &picture);
    assert_eq!(body["labels"][0]["label"], "png", "{body}");

    let (status, body) = post("efficientnet-lite0", b"no picture");
    assert_eq!(status, 400, "{body}");
    assert!(
        body["error"]
            .as_str()
            .unwrap()
            .starts_with("file: expected "),
        "{body}"
    );
    let (status, body) = post("add", &picture);
    assert_eq!(status, 404, "{body}");
    assert!(
        body["error"].as_str().unwrap().contains("takes tensors"),
        "{body}"
    );
}
