//! Models under `models/`, built with the compiler, and what ONNX Runtime makes of them.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use npyz::NpyFile;
use tensorlet_compile::{AnswererKind, Answers, BuildOptions, GuestParts};
use tensorlet_runtime::{Engine, EngineConfig};

/// A model, and how `model.toml` has its inputs.
pub(crate) struct Model {
    pub(crate) name: &'static str,
    input: &'static str,
}

pub(crate) const MAGIKA: Model = Model {
    name: "magika",
    input: "bytes:i32[N,2048]",
};

pub(crate) const EFFICIENTNET: Model = Model {
    name: "efficientnet-lite0",
    input: "input:f32[N,3,224,224]",
};

/// A reference: dims and elements.
pub(crate) enum Array {
    F32(Vec<u32>, Vec<f32>),
    I32(Vec<u32>, Vec<i32>),
}

impl Model {
    /// Reads an input or an output of a case.
    pub(crate) fn reference(&self, case: &str, kind: &str, name: &str) -> Array {
        let path = self
            .folder()
            .join(format!("reference/{case}/{kind}/{name}.npy"));
        let npy = NpyFile::new(BufReader::new(File::open(path).unwrap())).unwrap();
        let dims = npy.shape().iter().map(|&dim| dim as u32).collect();
        match npy.dtype().descr().contains("i4") {
            true => Array::I32(dims, npy.into_vec().unwrap()),
            false => Array::F32(dims, npy.into_vec().unwrap()),
        }
    }

    fn folder(&self) -> PathBuf {
        repository("models").join(self.name)
    }
}

/// Makes a component, as `tensorlet build` does of an ONNX file.
pub(crate) fn build(model: &Model) -> Vec<u8> {
    build_with(model, None)
}

/// Makes a component that answers, as `tensorlet build` does of a folder.
pub(crate) fn build_answering(model: &Model, kind: AnswererKind) -> Vec<u8> {
    let read = |name: &str| fs::read_to_string(model.folder().join(name)).unwrap();
    let answers = Answers {
        kind,
        model_toml: read("model.toml"),
        labels: Some(read("labels.txt")),
    };
    build_with(model, Some(answers))
}

fn build_with(model: &Model, answers: Option<Answers>) -> Vec<u8> {
    let config = EngineConfig {
        cache_dir: Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache")),
        quick_compile: true,
        ..EngineConfig::default()
    };
    let engine = Engine::new(&config).unwrap();
    let part = |name: &str| {
        let path = repository("target/guest").join(name);
        fs::read(&path).unwrap_or_else(|error| {
            panic!(
                "expected what `cargo xtask guest` builds at {}: {error}",
                path.display()
            )
        })
    };
    let parts = [
        "lean.wasm",
        "predictor.wasm",
        "no-offload.wasm",
        "answerer-picture.wasm",
        "answerer-bytes.wasm",
        "answerer-audio.wasm",
        "no-answer.wasm",
        "http.wasm",
    ];
    let [
        lean,
        with_tract,
        no_offload,
        picture,
        bytes,
        audio,
        no_answer,
        http,
    ] = parts.map(part);
    let parts = GuestParts {
        lean: &lean,
        with_tract: &with_tract,
        no_offload: &no_offload,
        picture_answerer: &picture,
        bytes_answerer: &bytes,
        audio_answerer: &audio,
        no_answer: &no_answer,
        http: &http,
    };
    let options = BuildOptions {
        name: model.name.into(),
        version: "1".into(),
        inputs: vec![model.input.parse().unwrap()],
        answers,
        ..BuildOptions::default()
    };
    let onnx = model.folder().join("model.onnx");
    let built = tensorlet_compile::build(&engine, &parts, &onnx, &options, &mut |_| ()).unwrap();
    built.component
}

pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}
