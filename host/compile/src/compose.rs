//! Joins a predictor with what it imports, to one component that imports nothing.
//!
//! ```text
//! (component
//!   (component $no-offload …)                                  declines everything
//!   (component $predictor …)                                   holds the model
//!   (instance $offload (instantiate $no-offload))
//!   (instance $model (instantiate $predictor (with offload $offload)))
//!   (export tensor $model) (export predict $model))
//! ```
//!
//! The predictor stands in it as it is, so that a host can cut it out and link an accelerator in place of `$no-offload`.

use wasm_encoder::{
    Component, ComponentAliasSection, ComponentExportKind, ComponentExportSection,
    ComponentInstanceSection, ComponentSectionId, RawSection,
};

/// What a predictor imports.
const OFFLOAD: &str = "tensorlet:model/offload@0.1.0";

/// What a model exports, in the order in which one builds on the other.
const EXPORTS: [&str; 2] = [
    "tensorlet:model/tensor@0.1.0",
    "tensorlet:model/predict@0.1.0",
];

/// Returns the component that exports what the predictor does and imports nothing.
pub(crate) fn compose(predictor: &[u8], no_offload: &[u8]) -> Vec<u8> {
    let mut composed = Component::new();
    for nested in [no_offload, predictor] {
        composed.section(&RawSection {
            id: ComponentSectionId::Component.into(),
            data: nested,
        });
    }
    let mut instances = ComponentInstanceSection::new();
    instances.instantiate(0, no_args());
    composed.section(&instances);
    alias(&mut composed, 0, OFFLOAD);
    let mut instances = ComponentInstanceSection::new();
    instances.instantiate(1, [(OFFLOAD, ComponentExportKind::Instance, 1)]);
    composed.section(&instances);
    // An export is an instance of its own, so that two come to be for each.
    for (export, instance) in EXPORTS.into_iter().zip([3, 5]) {
        alias(&mut composed, 2, export);
        let mut exports = ComponentExportSection::new();
        exports.export(export, ComponentExportKind::Instance, instance, None);
        composed.section(&exports);
    }
    composed.finish()
}

fn no_args() -> [(&'static str, ComponentExportKind, u32); 0] {
    []
}

/// Makes an export of an instance the next instance.
fn alias(composed: &mut Component, instance: u32, name: &str) {
    let mut aliases = ComponentAliasSection::new();
    aliases.alias(wasm_encoder::Alias::InstanceExport {
        instance,
        kind: ComponentExportKind::Instance,
        name,
    });
    composed.section(&aliases);
}
