//! Finds the components that `tensorlet build` composed a component of.
//!
//! Such a component holds a *predictor*, which imports `tensorlet:model/offload`, and a stub that declines every offload. If it was declared how files
//! become answers it holds an *answerer* too, which imports `tensorlet:model/predict`; and if it is to handle HTTP requests, what
//! does that. Our own host takes the predictor and links its import itself. What else stands in the component does not matter to it, so one that
//! handles requests elsewhere is a model here.

use std::ops::Range;

use wasmparser::{Parser, Payload};

use crate::wit::{ANSWER_INTERFACE, OFFLOAD_INTERFACE, PREDICT_INTERFACE};

/// What an engine executes of a component.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    /// The predictor, whose import every engine links; of a component that has none, all of it.
    Predictor,
    /// The answerer.
    Answerer,
}

impl Part {
    /// Returns the bytes of this part of a component; `None` if it has no such part.
    pub(crate) fn of(self, component: &[u8]) -> Option<&[u8]> {
        let parts = Parts::of(component);
        match self {
            Self::Predictor => Some(parts.predictor.map_or(component, |range| &component[range])),
            Self::Answerer => parts.answerer.map(|range| &component[range]),
        }
    }

    /// Returns what the cache calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Predictor => "predictor",
            Self::Answerer => "answerer",
        }
    }
}

/// Where the parts of a component are, in its bytes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Parts {
    /// The one component directly in it that imports offload and exports predict.
    pub predictor: Option<Range<usize>>,
    /// The one component directly in it that imports predict and exports answer.
    pub answerer: Option<Range<usize>>,
}

impl Parts {
    /// Finds the parts of a component. One that is there more than once is not found, and bytes that are no component have none.
    pub fn of(component: &[u8]) -> Self {
        let Some(nested) = nested(component) else {
            return Self::default();
        };
        let the_one = |import: &str, export: &str| {
            let mut found = nested.iter().filter(|nested| nested.is(import, export));
            let first = found.next()?;
            found.next().is_none().then(|| first.range.clone())
        };
        Self {
            predictor: the_one(OFFLOAD_INTERFACE, PREDICT_INTERFACE),
            answerer: the_one(PREDICT_INTERFACE, ANSWER_INTERFACE),
        }
    }
}

/// A component in the one that is read.
struct Nested<'a> {
    range: Range<usize>,
    imports: Vec<&'a str>,
    exports: Vec<&'a str>,
}

impl Nested<'_> {
    fn is(&self, import: &str, export: &str) -> bool {
        self.imports.contains(&import) && self.exports.contains(&export)
    }
}

/// Returns the components directly in one; `None` if the bytes are no component.
fn nested(component: &[u8]) -> Option<Vec<Nested<'_>>> {
    let mut found: Vec<Nested<'_>> = vec![];
    let mut depth = 0usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload.ok()? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentSection {
                unchecked_range, ..
            } if depth == 1 => {
                // A file that was cut off still says how long its parts were.
                component.get(unchecked_range.clone())?;
                found.push(Nested {
                    range: unchecked_range,
                    imports: vec![],
                    exports: vec![],
                });
            }
            Payload::ComponentImportSection(section) if depth == 2 => {
                for import in section {
                    found.last_mut()?.imports.push(import.ok()?.name.name);
                }
            }
            Payload::ComponentExportSection(section) if depth == 2 => {
                for export in section {
                    found.last_mut()?.exports.push(export.ok()?.name.name);
                }
            }
            _ => {}
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component of components, of which each imports and exports empty interfaces of these names.
    fn component(nested: &[(&[&str], &[&str])]) -> Vec<u8> {
        let nested: String = nested
            .iter()
            .map(|(imports, exports)| {
                let imports = imports
                    .iter()
                    .map(|name| format!("(import \"{name}\" (instance))"));
                let exports = exports
                    .iter()
                    .map(|name| format!("(export \"{name}\" (instance $i))"));
                let (imports, exports): (String, String) = (imports.collect(), exports.collect());
                format!("(component {imports} (instance $i) {exports})")
            })
            .collect();
        wat::parse_str(format!("(component {nested})")).unwrap()
    }

    const PREDICTOR: (&[&str], &[&str]) = (&[OFFLOAD_INTERFACE], &[PREDICT_INTERFACE]);
    const ANSWERER: (&[&str], &[&str]) = (&[PREDICT_INTERFACE], &[ANSWER_INTERFACE]);
    const NO_OFFLOAD: (&[&str], &[&str]) = (&[], &[OFFLOAD_INTERFACE]);
    const NO_ANSWER: (&[&str], &[&str]) = (&[], &[ANSWER_INTERFACE]);
    const HTTP: (&[&str], &[&str]) = (
        &[PREDICT_INTERFACE, ANSWER_INTERFACE],
        &["wasi:http/incoming-handler@0.2.0"],
    );

    #[track_caller]
    fn check(nested: &[(&[&str], &[&str])], has_predictor: bool, has_answerer: bool) {
        let bytes = component(nested);
        let parts = Parts::of(&bytes);
        assert_eq!(parts.predictor.is_some(), has_predictor);
        assert_eq!(parts.answerer.is_some(), has_answerer);
        for range in [parts.predictor, parts.answerer].into_iter().flatten() {
            assert!(
                bytes[range].starts_with(b"\0asm"),
                "it begins where it begins"
            );
        }
    }

    #[test]
    fn parts_are_found_by_what_they_import_and_export() {
        check(&[NO_OFFLOAD, PREDICTOR], true, false);
        check(&[NO_OFFLOAD, PREDICTOR, ANSWERER], true, true);
        check(&[NO_OFFLOAD, PREDICTOR, ANSWERER, HTTP], true, true);
        check(&[NO_OFFLOAD, PREDICTOR, NO_ANSWER, HTTP], true, false);
    }

    #[test]
    fn what_is_there_twice_is_not_found() {
        check(&[NO_OFFLOAD, PREDICTOR, PREDICTOR, ANSWERER], false, true);
        check(&[PREDICTOR, ANSWERER, ANSWERER], true, false);
    }

    #[test]
    fn what_is_no_component_has_no_parts() {
        let whole = component(&[NO_OFFLOAD, PREDICTOR]);
        for len in 0..whole.len() {
            assert_eq!(Parts::of(&whole[..len]), Parts::default(), "{len} bytes");
        }
    }
}
