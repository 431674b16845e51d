//! The components that models are made of.

use tensorlet_compile::GuestParts;

use crate::exit::Failure;

/// They are empty if there were none when this program was built; `build.rs` says where they are looked for.
static GUEST_PARTS: GuestParts<'static> = GuestParts {
    lean: include_bytes!(concat!(env!("OUT_DIR"), "/lean.wasm")),
    with_tract: include_bytes!(concat!(env!("OUT_DIR"), "/predictor.wasm")),
    no_offload: include_bytes!(concat!(env!("OUT_DIR"), "/no-offload.wasm")),
};

/// Returns the components.
///
/// # Errors
/// If this program was built without them.
pub(super) fn embedded() -> Result<&'static GuestParts<'static>, Failure> {
    unless_empty(&GUEST_PARTS)
}

fn unless_empty<'a>(parts: &'a GuestParts<'a>) -> Result<&'a GuestParts<'a>, Failure> {
    let all = [parts.lean, parts.with_tract, parts.no_offload];
    if all.iter().any(|part| part.is_empty()) {
        return Err(Failure::host(
            "this tensorlet was built without predictors: run `cargo xtask build`",
        ));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_how_to_get_them() {
        let without = GuestParts {
            lean: b"lean",
            with_tract: b"",
            no_offload: b"",
        };
        let error = unless_empty(&without).err().unwrap().to_string();
        assert!(error.ends_with(": run `cargo xtask build`"), "{error}");
    }
}
