//! Changes components byte by byte: cuts memory, adds sections, and measures parts.

use std::ops::Range;

use wasm_encoder::{ComponentSection, CustomSection};
use wasmparser::{ComponentAlias, Parser, Payload};

/// The size of a page of linear memory.
const PAGE_BYTES: u64 = 64 << 10;

/// The custom section with the plan's header, for `tensorlet inspect`.
pub const PLAN_SECTION: &str = "tensorlet:plan";

/// Lowers the initial size of the component's one memory to `keep_bytes`.
///
/// The number is rewritten in place, padded to its old length, so that nothing around it moves.
pub(crate) fn trim_memory(mut component: Vec<u8>, keep_bytes: u64) -> Result<Vec<u8>, String> {
    let (offset, pages) = find_memory(&component)?;
    let keep_pages = keep_bytes.div_ceil(PAGE_BYTES);
    if keep_pages > pages {
        return Err(format!(
            "expected the predictor to keep at most {pages} pages of memory, found {keep_pages}"
        ));
    }
    let mut rest = keep_pages;
    let mut index = offset;
    loop {
        let has_more = component[index] & 0x80 != 0;
        component[index] = (rest & 0x7f) as u8 | if has_more { 0x80 } else { 0 };
        rest >>= 7;
        index += 1;
        if !has_more {
            break;
        }
    }
    debug_assert_eq!(find_memory(&component), Ok((offset, keep_pages)));
    Ok(component)
}

/// Renames a function that the component's core module exports to a name of the same length.
///
/// Wizer removes exports by name, from the component and from its core modules alike. Under another name, the core
/// module keeps the function that the component still lifts.
pub(crate) fn rename_core_export(
    mut component: Vec<u8>,
    from: &str,
    to: &str,
) -> Result<Vec<u8>, String> {
    assert_eq!(from.len(), to.len(), "names are rewritten in place");
    let mut names: Vec<Range<usize>> = vec![];
    let offset_of = |name: &str| name.as_ptr().addr() - component.as_ptr().addr();
    let mut found = |name: &str| {
        if name == from {
            names.push(offset_of(name)..offset_of(name) + name.len());
        }
    };
    for payload in Parser::new(0).parse_all(&component) {
        match payload.map_err(|error| error.to_string())? {
            Payload::ExportSection(section) => {
                for export in section {
                    found(export.map_err(|error| error.to_string())?.name);
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    if let ComponentAlias::CoreInstanceExport { name, .. } =
                        alias.map_err(|error| error.to_string())?
                    {
                        found(name);
                    }
                }
            }
            _ => {}
        }
    }
    if names.len() < 2 {
        return Err(format!(
            "expected a predictor that exports `{from}`, found none"
        ));
    }
    for name in names {
        component[name].copy_from_slice(to.as_bytes());
    }
    Ok(component)
}

/// Appends the custom section with the plan's header.
pub(crate) fn append_plan_header(component: &mut Vec<u8>, header: &[u8]) {
    CustomSection {
        name: PLAN_SECTION.into(),
        data: header.into(),
    }
    .append_to_component(component);
}

/// Returns the plan's header.
///
/// # Errors
/// If the bytes are no component, or one without it.
pub(crate) fn plan_header(component: &[u8]) -> Result<&[u8], String> {
    let mut depth = 0usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(|error| error.to_string())? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if depth == 1 && section.name() == PLAN_SECTION => {
                return Ok(section.data());
            }
            _ => {}
        }
    }
    Err(format!(
        "expected a component that `tensorlet build` made, found one without a `{PLAN_SECTION}`"
    ))
}

/// Returns where the initial size of the component's one memory is written, and its pages.
fn find_memory(component: &[u8]) -> Result<(usize, u64), String> {
    let mut found = None;
    for payload in Parser::new(0).parse_all(component) {
        let Payload::MemorySection(section) = payload.map_err(|error| error.to_string())? else {
            continue;
        };
        for memory in section.into_iter_with_offsets() {
            let (offset, memory) = memory.map_err(|error| error.to_string())?;
            // One byte of flags comes before the size.
            if found.replace((offset + 1, memory.initial)).is_some() {
                return Err("expected a predictor with one memory, found more".into());
            }
        }
    }
    found.ok_or_else(|| "expected a predictor with one memory, found none".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(pages: u64) -> Vec<u8> {
        use wasm_encoder::{Component, MemorySection, MemoryType, Module, ModuleSection};
        let mut memories = MemorySection::new();
        memories.memory(MemoryType {
            minimum: pages,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        let mut module = Module::new();
        module.section(&memories);
        let mut component = Component::new();
        component.section(&ModuleSection(&module));
        component.finish()
    }

    #[test]
    fn the_size_is_rewritten_in_place() {
        let before = component(70_000);
        let after = trim_memory(before.clone(), 3 * PAGE_BYTES - 1).unwrap();
        assert_eq!(after.len(), before.len());
        assert_eq!(find_memory(&after).unwrap().1, 3);
        wasmparser::validate(&after).unwrap();
    }

    #[test]
    fn a_component_without_the_export_is_refused() {
        assert!(
            rename_core_export(component(1), "prepare", "Prepare")
                .unwrap_err()
                .contains("found none")
        );
    }

    #[test]
    fn memory_is_never_enlarged() {
        assert!(trim_memory(component(2), 2 * PAGE_BYTES).is_ok());
        assert!(trim_memory(component(2), 2 * PAGE_BYTES + 1).is_err());
    }

    #[test]
    fn a_plan_header_can_be_found_again() {
        let mut component = component(1);
        append_plan_header(&mut component, b"header");
        wasmparser::validate(&component).unwrap();
        assert_eq!(plan_header(&component).unwrap(), b"header");
    }

    #[test]
    fn a_component_without_a_plan_says_so() {
        let error = plan_header(&self::component(1)).unwrap_err();
        assert!(error.contains("without a `tensorlet:plan`"), "{error}");
        assert!(plan_header(b"not wasm").is_err());
    }
}
