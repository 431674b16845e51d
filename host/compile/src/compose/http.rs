//! Joins a model with what speaks HTTP for it, to one component that imports WASI and nothing else.
//!
//! ```text
//! (component
//!   (component $no-offload …) (component $predictor …) (component $answerer …)    as in a model without HTTP
//!   (instance $model …)
//!   (import wasi:io/streams …) (import wasi:http/types …) …                       what $http imports, but for the model
//!   (component $http …)                                                           the Open Inference Protocol
//!   (instance $handler (instantiate $http (with predict $model) (with answer …) (with wasi:http/types …) …))
//!   (export wasi:http/incoming-handler $handler))
//! ```
//!
//! An import has a type, which refers to types of the imports before it. All of that stands at the beginning of `$http`, its *prologue*, and is copied
//! from there, but for the imports that the model satisfies: whoever refers to one of those is made to refer to the model.

use wasm_encoder::{
    Alias, ComponentAliasSection, ComponentExportKind, ComponentImportSection, ComponentSectionId,
    ComponentTypeRef, RawSection,
};
use wasmparser::{ComponentAlias, ComponentExternalKind, Parser, Payload};

use super::{ANSWER, Model, PREDICT, Parts, TENSOR};
use crate::composer::{Composer, Instance};

/// What a component that speaks HTTP exports.
const INCOMING_HANDLER: &str = "wasi:http/incoming-handler@0.2.0";

/// The package that a component may import, whose host is any that speaks HTTP.
const WASI: &str = "wasi:";

/// What a model is joined with.
#[derive(Clone, Copy)]
pub(crate) struct HttpParts<'a> {
    /// What speaks HTTP.
    pub(crate) http: &'a [u8],
    /// What answers where nobody declared how.
    pub(crate) no_answer: &'a [u8],
}

/// Returns the component that handles HTTP requests for the model and imports only WASI.
///
/// # Errors
/// If a part is no component, or `http` imports what is neither the model's nor of WASI.
pub(crate) fn compose(parts: &Parts<'_>, http_parts: &HttpParts<'_>) -> Result<Vec<u8>, String> {
    let mut composed = Composer::default();
    let mut model = Model::instantiate(&mut composed, parts)?;
    if model.answer.is_none() {
        let no_answer = composed.nest(http_parts.no_answer);
        let no_answer = composed.instantiate(no_answer, []);
        model.answer = Some(composed.alias(no_answer, ANSWER));
    }
    let imports = copy_prologue(&mut composed, http_parts.http, &model)?;
    let http = composed.nest(http_parts.http);
    let http = composed.instantiate(http, imports);
    let handler = composed.alias(http, INCOMING_HANDLER);
    composed.export(INCOMING_HANDLER, handler);
    Ok(composed.finish())
}

/// Copies the imports of a component with all that they refer to. Returns an instance for each: the model's, or what was imported.
fn copy_prologue<'a>(
    composed: &mut Composer,
    component: &'a [u8],
    model: &Model,
) -> Result<Vec<(&'a str, Instance)>, String> {
    let text = |error: wasmparser::BinaryReaderError| format!("http: {error}");
    let count = super::imports(component)?.len();
    let mut imports: Vec<(&str, Instance)> = vec![];
    let mut payloads = Parser::new(0).parse_all(component);
    while imports.len() < count {
        let payload = payloads
            .next()
            .ok_or("http: expected a component, found a part of one")?;
        match payload.map_err(text)? {
            Payload::Version { .. } | Payload::CustomSection(_) => {}
            Payload::ComponentTypeSection(section) => composed.section(&RawSection {
                id: ComponentSectionId::Type.into(),
                data: &component[section.range()],
            }),
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let import = import.map_err(text)?;
                    let name = import.name.name;
                    let instance = match model.interface(name) {
                        Some(instance) => instance,
                        None => import_again(composed, name, import.ty)?,
                    };
                    imports.push((name, instance));
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    alias_again(composed, &alias.map_err(text)?, &imports)?;
                }
            }
            other => {
                return Err(format!(
                    "http: expected imports before anything else, found {other:?}"
                ));
            }
        }
    }
    Ok(imports)
}

/// Imports what a component imports, of a type that has the same number here.
fn import_again(
    composed: &mut Composer,
    name: &str,
    found: wasmparser::ComponentTypeRef,
) -> Result<Instance, String> {
    let wasmparser::ComponentTypeRef::Instance(index) = found else {
        return Err(format!(
            "http: expected imports of interfaces, found `{name}`, which is none"
        ));
    };
    if !name.starts_with(WASI) {
        return Err(format!(
            "http: expected imports of {TENSOR}, {PREDICT}, {ANSWER} and of {WASI}…, found one of `{name}`"
        ));
    }
    let mut section = ComponentImportSection::new();
    section.import(name, ComponentTypeRef::Instance(index));
    composed.section(&section);
    Ok(composed.next_instance())
}

/// Names a type that one of the imports so far exports.
fn alias_again(
    composed: &mut Composer,
    alias: &ComponentAlias<'_>,
    imports: &[(&str, Instance)],
) -> Result<(), String> {
    let ComponentAlias::InstanceExport {
        kind: ComponentExternalKind::Type,
        instance_index,
        name,
    } = alias
    else {
        return Err(format!(
            "http: expected imports to refer to types of other imports only, found {alias:?}"
        ));
    };
    // Before anything else, instances are imports.
    let (_, instance) = imports
        .get(*instance_index as usize)
        .ok_or("http: expected a type of an import, found one of nothing")?;
    let mut section = ComponentAliasSection::new();
    section.alias(Alias::InstanceExport {
        instance: instance.index(),
        kind: ComponentExportKind::Type,
        name,
    });
    composed.section(&section);
    Ok(())
}
