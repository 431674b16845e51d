//! Composition, of components as `wit-component` encodes them, that do nothing.

use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve};

use super::http::HttpParts;
use super::*;

/// What speaks HTTP, small: resources that interfaces hand to each other, some before and some behind the model.
const WORLDS: &str = "
package test:worlds;

world http {
    import tensorlet:model/predict@0.1.0;
    import wasi:http/types@0.2.0;
    import tensorlet:model/answer@0.1.0;
    export wasi:http/incoming-handler@0.2.0;
}

world clock {
    include http;
    import test:clock/now;
}

world predictor {
    import tensorlet:model/offload@0.1.0;
    include tensorlet:model/model@0.1.0;
}

world answerer {
    import tensorlet:model/predict@0.1.0;
    export tensorlet:model/answer@0.1.0;
}

package test:clock { interface now { now: func() -> u64; } }

package wasi:io@0.2.0 {
    interface streams { resource input-stream { read: func(len: u64) -> list<u8>; } }
}

package wasi:http@0.2.0 {
    interface types {
        use wasi:io/streams@0.2.0.{input-stream};
        resource incoming-request { consume: func() -> result<input-stream>; }
        resource response-outparam;
    }
    interface incoming-handler {
        use types.{incoming-request, response-outparam};
        handle: func(request: incoming-request, response-out: response-outparam);
    }
}
";

/// Returns a component of a world of this project, or of [`WORLDS`].
fn component(world: &str) -> Vec<u8> {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let mut resolve = Resolve::default();
    let (ours, _) = resolve.push_path(wit).unwrap();
    let tests = resolve.push_str("worlds.wit", WORLDS).unwrap();
    let id = resolve
        .select_world(&[tests], Some(world))
        .or_else(|_| resolve.select_world(&[ours], Some(world)))
        .unwrap();
    let mut module = dummy_module(&resolve, id, ManglingAndAbi::Standard32);
    embed_component_metadata(&mut module, &resolve, id, StringEncoding::UTF8).unwrap();
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(&module).unwrap();
    encoder.encode().unwrap()
}

/// Returns what a component imports and exports.
fn names(component: &[u8]) -> (Vec<String>, Vec<String>) {
    let (mut names, mut depth) = ((vec![], vec![]), 0);
    for payload in Parser::new(0).parse_all(component) {
        match payload.unwrap() {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 1 => {
                let imports = section
                    .into_iter()
                    .map(|it| it.unwrap().name.name.to_owned());
                names.0.extend(imports);
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                let exports = section
                    .into_iter()
                    .map(|it| it.unwrap().name.name.to_owned());
                names.1.extend(exports);
            }
            _ => {}
        }
    }
    names
}

fn contains(whole: &[u8], part: &[u8]) -> bool {
    whole.windows(part.len()).any(|window| window == part)
}

#[track_caller]
fn check(composed: &[u8], imports: &[&str], exports: &[&str], parts: &[&[u8]]) {
    wasmparser::validate(composed).unwrap();
    let found = names(composed);
    assert_eq!((found.0, found.1), (owned(imports), owned(exports)));
    for part in parts {
        assert!(contains(composed, part), "parts stand in it as they are");
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn a_model_imports_nothing_and_holds_its_parts() {
    let (predictor, no_offload) = (component("predictor"), component("no-offload"));
    let parts = Parts {
        predictor: &predictor,
        no_offload: &no_offload,
        answerer: None,
    };
    let composed = compose(&parts).unwrap();
    check(
        &composed,
        &[],
        &[TENSOR, PREDICT],
        &[&predictor, &no_offload],
    );
}

#[test]
fn a_model_that_answers_exports_that_too() {
    let (predictor, no_offload) = (component("predictor"), component("no-offload"));
    let answerer = component("answerer");
    let parts = Parts {
        predictor: &predictor,
        no_offload: &no_offload,
        answerer: Some(&answerer),
    };
    let composed = compose(&parts).unwrap();
    let exports = [TENSOR, PREDICT, ANSWER];
    check(
        &composed,
        &[],
        &exports,
        &[&predictor, &no_offload, &answerer],
    );
}

#[test]
fn what_handles_requests_imports_only_wasi() {
    let (predictor, no_offload) = (component("predictor"), component("no-offload"));
    let (answerer, no_answer) = (component("answerer"), component("no-answer"));
    let http = component("http");
    let http_parts = HttpParts {
        http: &http,
        no_answer: &no_answer,
    };
    let (imports, exports) = (
        ["wasi:io/streams@0.2.0", "wasi:http/types@0.2.0"],
        ["wasi:http/incoming-handler@0.2.0"],
    );
    for (answerer, answers) in [(None, &no_answer), (Some(&*answerer), &answerer)] {
        let parts = Parts {
            predictor: &predictor,
            no_offload: &no_offload,
            answerer,
        };
        let composed = http::compose(&parts, &http_parts).unwrap();
        let all: [&[u8]; 4] = [&predictor, &no_offload, answers, &http];
        check(&composed, &imports, &exports, &all);
        assert!(answerer.is_none() || !contains(&composed, &no_answer));
    }
}

#[test]
fn parts_that_ask_for_more_are_refused() {
    let (predictor, no_offload) = (component("predictor"), component("no-offload"));
    let (clock, no_answer) = (component("clock"), component("no-answer"));
    let parts = Parts {
        predictor: &predictor,
        no_offload: &no_offload,
        answerer: None,
    };
    let http_parts = HttpParts {
        http: &clock,
        no_answer: &no_answer,
    };
    let error = http::compose(&parts, &http_parts).unwrap_err();
    assert!(
        error.ends_with("and of wasi:…, found one of `test:clock/now`"),
        "{error}"
    );

    let parts = Parts {
        answerer: Some(&clock),
        ..parts
    };
    let error = compose(&parts).unwrap_err();
    assert!(
        error.starts_with("the answerer: expected imports of "),
        "{error}"
    );
}

#[test]
fn what_is_no_component_is_refused() {
    let (predictor, no_offload) = (component("predictor"), component("no-offload"));
    let (http, no_answer) = (component("http"), component("no-answer"));
    let parts = Parts {
        predictor: &predictor,
        no_offload: &no_offload,
        answerer: None,
    };
    for len in 0..http.len().min(200) {
        let http_parts = HttpParts {
            http: &http[..len],
            no_answer: &no_answer,
        };
        let composed = http::compose(&parts, &http_parts);
        let is_valid = composed.is_ok_and(|bytes| wasmparser::validate(&bytes).is_ok());
        assert!(!is_valid, "{len} bytes of {}", http.len());
    }
}

#[test]
fn a_stub_of_something_else_does_not_fit() {
    let (predictor, other) = (component("predictor"), component("no-answer"));
    let parts = Parts {
        predictor: &predictor,
        no_offload: &other,
        answerer: None,
    };
    let composed = compose(&parts).unwrap();
    assert!(wasmparser::validate(&composed).is_err());
}
