//! The components that models are made of.

use tensorlet_compile::GuestParts;

use crate::exit::Failure;

/// They are empty if there were none when this program was built; `build.rs` says where they are looked for.
static GUEST_PARTS: GuestParts<'static> = GuestParts {
    lean: include_bytes!(concat!(env!("OUT_DIR"), "/lean.wasm")),
    with_tract: include_bytes!(concat!(env!("OUT_DIR"), "/predictor.wasm")),
    no_offload: include_bytes!(concat!(env!("OUT_DIR"), "/no-offload.wasm")),
    picture_answerer: include_bytes!(concat!(env!("OUT_DIR"), "/answerer-picture.wasm")),
    bytes_answerer: include_bytes!(concat!(env!("OUT_DIR"), "/answerer-bytes.wasm")),
    audio_answerer: include_bytes!(concat!(env!("OUT_DIR"), "/answerer-audio.wasm")),
    no_answer: include_bytes!(concat!(env!("OUT_DIR"), "/no-answer.wasm")),
    http: include_bytes!(concat!(env!("OUT_DIR"), "/http.wasm")),
};

/// Returns the components.
///
/// # Errors
/// If this program was built without them.
pub(super) fn embedded() -> Result<&'static GuestParts<'static>, Failure> {
    unless_empty(&GUEST_PARTS)
}

fn unless_empty<'a>(parts: &'a GuestParts<'a>) -> Result<&'a GuestParts<'a>, Failure> {
    let GuestParts {
        lean,
        with_tract,
        no_offload,
        picture_answerer,
        bytes_answerer,
        audio_answerer,
        no_answer,
        http,
    } = parts;
    let predictors = [lean, with_tract, no_offload];
    let answerers = [picture_answerer, bytes_answerer, audio_answerer, no_answer];
    let mut all = predictors.into_iter().chain(answerers).chain([http]);
    if all.any(|part| part.is_empty()) {
        return Err(Failure::host(
            "this tensorlet was built without what models are made of: run `cargo xtask build`",
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
            with_tract: b"with tract",
            no_offload: b"no-offload",
            picture_answerer: b"picture",
            bytes_answerer: b"bytes",
            audio_answerer: b"",
            no_answer: b"no-answer",
            http: b"http",
        };
        let error = unless_empty(&without).err().unwrap().to_string();
        assert!(error.ends_with(": run `cargo xtask build`"), "{error}");
    }
}
