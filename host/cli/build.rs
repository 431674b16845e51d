//! Puts the components that models are made of where `src/build/parts.rs` embeds them.
//!
//! They are in `target/guest`, where `cargo xtask guest` makes them, or in the folder that
//! `TENSORLET_PREDICTORS` names. In place of one that is missing an empty file is embedded, so that clippy and docs need no guest.

use std::path::{Path, PathBuf};
use std::{env, fs};

const PARTS: [&str; 8] = [
    "lean.wasm",
    "predictor.wasm",
    "no-offload.wasm",
    "answerer-picture.wasm",
    "answerer-bytes.wasm",
    "answerer-audio.wasm",
    "no-answer.wasm",
    "http.wasm",
];

fn main() {
    let set_by_cargo =
        |name| PathBuf::from(env::var_os(name).expect("cargo sets it for build scripts"));
    let folder = match env::var_os("TENSORLET_PREDICTORS") {
        Some(path) => PathBuf::from(path),
        None => set_by_cargo("CARGO_MANIFEST_DIR").join("../../target/guest"),
    };
    println!("cargo:rerun-if-env-changed=TENSORLET_PREDICTORS");
    for name in PARTS {
        let part = folder.join(name);
        println!("cargo:rerun-if-changed={}", part.display());
        let embedded = set_by_cargo("OUT_DIR").join(name);
        fs::write(&embedded, read(&part)).expect("cargo made OUT_DIR for this");
    }
}

/// Returns the bytes of the file, none if there is no file.
fn read(path: &Path) -> Vec<u8> {
    match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            println!(
                "cargo:warning=a part of models is not embedded, as {} cannot be read: {error}",
                path.display()
            );
            Vec::new()
        }
    }
}
