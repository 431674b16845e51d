//! The predictor components that built components begin as.

use tensorlet_compile::Predictors;

use crate::exit::Failure;

/// Both are empty if there were none when this program was built; `build.rs` says where they are looked for.
static PREDICTORS: Predictors<'static> = Predictors {
    lean: include_bytes!(concat!(env!("OUT_DIR"), "/lean.wasm")),
    with_tract: include_bytes!(concat!(env!("OUT_DIR"), "/predictor.wasm")),
};

/// Returns the predictors.
///
/// # Errors
/// If this program was built without them.
pub(super) fn embedded() -> Result<&'static Predictors<'static>, Failure> {
    unless_empty(&PREDICTORS)
}

fn unless_empty<'a>(predictors: &'a Predictors<'a>) -> Result<&'a Predictors<'a>, Failure> {
    if predictors.lean.is_empty() || predictors.with_tract.is_empty() {
        return Err(Failure::host(
            "this tensorlet was built without predictors: run `cargo xtask build`",
        ));
    }
    Ok(predictors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_how_to_get_them() {
        let without = Predictors {
            lean: b"lean",
            with_tract: b"",
        };
        let error = unless_empty(&without).err().unwrap().to_string();
        assert!(error.ends_with(": run `cargo xtask build`"), "{error}");
    }
}
