//! Puts the predictor component where `src/build/predictor.rs` embeds it.
//!
//! It is `target/guest/predictor.wasm`, which `cargo xtask guest` makes, or the file that `TENSORLET_PREDICTOR` names. Without
//! one an empty file is embedded, so that clippy and docs need no guest.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let set_by_cargo =
        |name| PathBuf::from(env::var_os(name).expect("cargo sets it for build scripts"));
    let predictor = match env::var_os("TENSORLET_PREDICTOR") {
        Some(path) => PathBuf::from(path),
        None => set_by_cargo("CARGO_MANIFEST_DIR").join("../../target/guest/predictor.wasm"),
    };
    println!("cargo:rerun-if-env-changed=TENSORLET_PREDICTOR");
    println!("cargo:rerun-if-changed={}", predictor.display());

    let embedded = set_by_cargo("OUT_DIR").join("predictor.wasm");
    fs::write(&embedded, read(&predictor)).expect("cargo made OUT_DIR for this");
}

/// Returns the bytes of the file, none if there is no file.
fn read(path: &Path) -> Vec<u8> {
    match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            println!(
                "cargo:warning=no predictor is embedded, as {} cannot be read: {error}",
                path.display()
            );
            Vec::new()
        }
    }
}
