//! The predictor component that every built component begins as.

use crate::exit::Failure;

/// Empty if there was none when this program was built; `build.rs` says where it is looked for.
static PREDICTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/predictor.wasm"));

/// Returns the predictor.
///
/// # Errors
/// If this program was built without one.
pub(super) fn bytes() -> Result<&'static [u8], Failure> {
    unless_empty(PREDICTOR)
}

fn unless_empty(predictor: &[u8]) -> Result<&[u8], Failure> {
    if predictor.is_empty() {
        return Err(Failure::host(
            "this tensorlet was built without a predictor: run `cargo xtask build`",
        ));
    }
    Ok(predictor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_how_to_get_one() {
        let error = unless_empty(b"").unwrap_err().to_string();
        assert!(error.ends_with(": run `cargo xtask build`"), "{error}");
    }
}
