//! The predictor component that every built component begins as.

use crate::exit::Failure;

/// Empty if there was none when this program was built; `build.rs` says where it is looked for.
static PREDICTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/predictor.wasm"));

/// Returns the predictor.
///
/// # Errors
/// If this program was built without one.
pub(super) fn bytes() -> Result<&'static [u8], Failure> {
    if PREDICTOR.is_empty() {
        return Err(Failure::host(
            "this tensorlet was built without a predictor: run `cargo xtask build`",
        ));
    }
    Ok(PREDICTOR)
}
