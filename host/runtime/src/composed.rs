//! Finds the predictor in a component that `tensorlet build` composed.
//!
//! Such a component holds a predictor, which imports `tensorlet:model/offload`, and a stub that declines every offload. A host with
//! an accelerator takes the predictor and links the import itself. What else stands in the component does not matter to it.

use std::ops::Range;

use wasmparser::{Parser, Payload};

use crate::wit::{OFFLOAD_INTERFACE, PREDICT_INTERFACE};

/// Returns where in a component the predictor is: the one component directly in it that imports offload and exports predict.
/// Returns `None` if there is none, or more than one, or the bytes are no component.
pub(crate) fn predictor(component: &[u8]) -> Option<Range<usize>> {
    let mut found = None;
    let mut open: Vec<Nested> = vec![];
    let mut depth = 0usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload.ok()? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => {
                if depth == 2
                    && let Some(nested) = open.pop()
                    && nested.is_predictor()
                    && found.replace(nested.range).is_some()
                {
                    return None;
                }
                depth = depth.saturating_sub(1);
            }
            Payload::ComponentSection {
                unchecked_range, ..
            } if depth == 1 => open.push(Nested {
                range: unchecked_range,
                imports_offload: false,
                exports_predict: false,
            }),
            Payload::ComponentImportSection(section) if depth == 2 => {
                for import in section {
                    let is_offload = import.ok()?.name.name == OFFLOAD_INTERFACE;
                    let nested = open.last_mut()?;
                    nested.imports_offload |= is_offload;
                }
            }
            Payload::ComponentExportSection(section) if depth == 2 => {
                for export in section {
                    let is_predict = export.ok()?.name.name == PREDICT_INTERFACE;
                    let nested = open.last_mut()?;
                    nested.exports_predict |= is_predict;
                }
            }
            _ => {}
        }
    }
    found
}

/// A component in the one that is read.
struct Nested {
    range: Range<usize>,
    imports_offload: bool,
    exports_predict: bool,
}

impl Nested {
    fn is_predictor(&self) -> bool {
        self.imports_offload && self.exports_predict
    }
}
