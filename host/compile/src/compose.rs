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

#[cfg(test)]
mod tests {
    use wasm_encoder::{
        ComponentImportSection, ComponentTypeRef, ComponentTypeSection, InstanceType,
    };

    use wasmparser::{Parser, Payload};

    use super::*;

    /// A component that imports and exports empty interfaces of these names.
    fn component(imports: &[&str], exports: &[&str]) -> Vec<u8> {
        let mut component = Component::new();
        let mut types = ComponentTypeSection::new();
        types.instance(&InstanceType::new());
        component.section(&types);
        let mut section = ComponentImportSection::new();
        for import in imports {
            section.import(*import, ComponentTypeRef::Instance(0));
        }
        component.section(&section);
        let mut instances = ComponentInstanceSection::new();
        for _ in exports {
            instances.export_items(no_args());
        }
        component.section(&instances);
        let mut section = ComponentExportSection::new();
        // An export is an instance of its own, behind those that were made.
        let made = imports.len()..imports.len() + exports.len();
        for (export, instance) in exports.iter().zip(made) {
            section.export(
                *export,
                ComponentExportKind::Instance,
                instance as u32,
                None,
            );
        }
        component.section(&section);
        component.finish()
    }

    #[test]
    fn what_comes_out_imports_nothing_and_holds_both() {
        let (predictor, stub) = (component(&[OFFLOAD], &EXPORTS), component(&[], &[OFFLOAD]));
        let composed = compose(&predictor, &stub);
        wasmparser::validate(&composed).unwrap();
        let contains = |part: &[u8]| composed.windows(part.len()).any(|window| window == part);
        assert!(contains(&predictor) && contains(&stub), "as they are");
        let (imports, exports) = names(&composed);
        assert_eq!(
            (imports, exports),
            (vec![], EXPORTS.map(str::to_owned).to_vec())
        );
    }

    /// Returns what a component imports and exports.
    fn names(component: &[u8]) -> (Vec<String>, Vec<String>) {
        let (mut imports, mut exports, mut depth) = (vec![], vec![], 0);
        for payload in Parser::new(0).parse_all(component) {
            match payload.unwrap() {
                Payload::Version { .. } => depth += 1,
                Payload::End(_) => depth -= 1,
                Payload::ComponentImportSection(section) if depth == 1 => {
                    imports.extend(
                        section
                            .into_iter()
                            .map(|it| it.unwrap().name.name.to_owned()),
                    );
                }
                Payload::ComponentExportSection(section) if depth == 1 => {
                    exports.extend(
                        section
                            .into_iter()
                            .map(|it| it.unwrap().name.name.to_owned()),
                    );
                }
                _ => {}
            }
        }
        (imports, exports)
    }

    #[test]
    fn a_stub_of_something_else_does_not_fit() {
        let (predictor, other) = (component(&[OFFLOAD], &EXPORTS), component(&[], &["a:b/c"]));
        assert!(wasmparser::validate(&compose(&predictor, &other)).is_err());
    }
}
