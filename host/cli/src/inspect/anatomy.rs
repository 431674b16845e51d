//! Takes a component apart, to measure it and to find its plan.
//!
//! A component holds core modules, and perhaps other components; sizes are summed over all of them. Imports and
//! exports are those of the outermost, and of those directly in it.

use serde::Serialize;
use tensorlet_compile::PLAN_SECTION;
use tensorlet_plan::Plan;
use wasmparser::{Encoding, Parser, Payload};

use crate::exit::Failure;

/// The size of a page of linear memory.
const PAGE_BYTES: u64 = 64 << 10;

/// What a component consists of.
#[derive(Debug)]
pub(crate) struct Anatomy<'a> {
    /// What the component asks of its host. Those that `tensorlet build` makes ask for nothing, or for WASI if they handle HTTP requests.
    pub(crate) imports: Vec<&'a str>,
    /// What the component offers.
    pub(crate) exports: Vec<&'a str>,
    /// How large its parts are.
    pub(crate) sizes: Sizes,
    /// The components that it is made of: what `tensorlet build` makes has two at least.
    pub(crate) parts: Vec<Part<'a>>,
    plan: Option<&'a [u8]>,
}

/// A component in a component.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(crate) struct Part<'a> {
    /// How many bytes it has.
    pub(crate) bytes: u64,
    /// What it asks of the others or of the host.
    pub(crate) imports: Vec<&'a str>,
    /// What it offers.
    pub(crate) exports: Vec<&'a str>,
}

impl Part<'_> {
    /// Says what it is for, as far as its imports and exports tell.
    pub(crate) fn role(&self) -> &'static str {
        let is = |names: &[&str], interface| names.iter().any(|name| is_interface(name, interface));
        if is(&self.imports, OFFLOAD) && is(&self.exports, PREDICT) {
            return "predictor";
        }
        if is(&self.exports, ANSWER) {
            return match is(&self.imports, PREDICT) {
                true => "answerer",
                false => "no-answer",
            };
        }
        if is(&self.exports, INCOMING_HANDLER) {
            return "http";
        }
        match is(&self.exports, OFFLOAD) {
            true => "no-offload",
            false => "other",
        }
    }
}

/// The interface between a predictor and who computes for it, that of a model, that of a model which answers for files, and that of what handles
/// HTTP requests.
const OFFLOAD: &str = "tensorlet:model/offload";
const PREDICT: &str = "tensorlet:model/predict";
const ANSWER: &str = "tensorlet:model/answer";
const INCOMING_HANDLER: &str = "wasi:http/incoming-handler";

/// Reports whether a name is that of an interface, of any version.
fn is_interface(name: &str, interface: &str) -> bool {
    name.split('@').next() == Some(interface)
}

/// How large a component's parts are, in bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub(crate) struct Sizes {
    /// All of the file.
    pub(crate) total_bytes: u64,
    /// Functions.
    pub(crate) code_bytes: u64,
    /// Data segments: the memory image, with the model's weights.
    pub(crate) data_bytes: u64,
    /// Custom sections, such as the plan's header with the metadata.
    pub(crate) custom_bytes: u64,
    /// The rest: types, tables, how the parts are joined.
    pub(crate) other_bytes: u64,
    /// The memory that an instance begins with. Not a part of the file.
    pub(crate) memory_bytes: u64,
}

impl<'a> Anatomy<'a> {
    /// Takes a component apart.
    ///
    /// # Errors
    /// If the bytes are no component.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, Failure> {
        let mut anatomy = Self {
            imports: vec![],
            exports: vec![],
            sizes: Sizes::default(),
            parts: vec![],
            plan: None,
        };
        anatomy.sizes.total_bytes = bytes.len() as u64;
        if !bytes.starts_with(b"\0asm") {
            let found = if bytes.is_empty() {
                "an empty file"
            } else {
                "other bytes"
            };
            return Err(Failure::model(format!(
                "expected a WebAssembly component, found {found}"
            )));
        }
        let mut depth = 0;
        for payload in Parser::new(0).parse_all(bytes) {
            let invalid = |error| {
                Failure::model(format!(
                    "expected a WebAssembly component, found invalid bytes: {error}"
                ))
            };
            let payload = payload.map_err(invalid)?;
            match &payload {
                Payload::Version {
                    encoding: Encoding::Module,
                    ..
                } if depth == 0 => {
                    return Err(Failure::model(
                        "expected a WebAssembly component, found a core module",
                    ));
                }
                Payload::Version { .. } => depth += 1,
                Payload::End(_) => depth -= 1,
                payload => anatomy.add(payload, depth).map_err(invalid)?,
            }
        }
        let Sizes {
            total_bytes,
            code_bytes,
            data_bytes,
            custom_bytes,
            ..
        } = anatomy.sizes;
        anatomy.sizes.other_bytes = total_bytes - code_bytes - data_bytes - custom_bytes;
        Ok(anatomy)
    }

    /// Returns the plan, without its constants.
    ///
    /// # Errors
    /// If the component holds none, or one that cannot be.
    pub(crate) fn plan(&self) -> Result<Plan<'a>, Failure> {
        let Some(plan) = self.plan else {
            let message = format!(
                "expected a component that `tensorlet build` made, found one without a `{PLAN_SECTION}`"
            );
            return Err(Failure::model(message));
        };
        Plan::read_header(plan)
            .map_err(|error| Failure::model(format!("section `{PLAN_SECTION}`: {error}")))
    }

    /// Returns imports and exports of the component at a depth, if they are kept.
    fn interfaces(&mut self, depth: usize) -> Option<(&mut Vec<&'a str>, &mut Vec<&'a str>)> {
        match depth {
            1 => Some((&mut self.imports, &mut self.exports)),
            2 => {
                let part = self.parts.last_mut()?;
                Some((&mut part.imports, &mut part.exports))
            }
            _ => None,
        }
    }

    fn add(&mut self, payload: &Payload<'a>, depth: usize) -> wasmparser::Result<()> {
        let sizes = &mut self.sizes;
        match payload {
            Payload::CodeSectionStart { range, .. } => sizes.code_bytes += range.len() as u64,
            Payload::DataSection(section) => sizes.data_bytes += section.range().len() as u64,
            Payload::MemorySection(section) => {
                for memory in section.clone() {
                    sizes.memory_bytes = sizes
                        .memory_bytes
                        .saturating_add(memory?.initial.saturating_mul(PAGE_BYTES));
                }
            }
            Payload::CustomSection(section) => {
                sizes.custom_bytes += section.range().len() as u64;
                if depth == 1 && section.name() == PLAN_SECTION {
                    self.plan = Some(section.data());
                }
            }
            Payload::ComponentSection {
                unchecked_range, ..
            } if depth == 1 => self.parts.push(Part {
                bytes: unchecked_range.len() as u64,
                ..Part::default()
            }),
            Payload::ComponentImportSection(section) => {
                let Some((imports, _)) = self.interfaces(depth) else {
                    return Ok(());
                };
                for import in section.clone() {
                    imports.push(import?.name.name);
                }
            }
            Payload::ComponentExportSection(section) => {
                let Some((_, exports)) = self.interfaces(depth) else {
                    return Ok(());
                };
                for export in section.clone() {
                    exports.push(export?.name.name);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{
        CodeSection, Component, CustomSection, DataSection, Function, FunctionSection,
        MemorySection, MemoryType, Module, ModuleSection, TypeSection,
    };

    use super::*;

    fn module() -> Module {
        let (mut types, mut functions, mut memories) = (
            TypeSection::new(),
            FunctionSection::new(),
            MemorySection::new(),
        );
        types.ty().function([], []);
        functions.function(0);
        memories.memory(MemoryType {
            minimum: 3,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        let mut body = Function::new([]);
        body.instructions().end();
        let (mut code, mut data) = (CodeSection::new(), DataSection::new());
        code.function(&body);
        data.passive([7; 1000]);
        let mut module = Module::new();
        module
            .section(&types)
            .section(&functions)
            .section(&memories);
        module
            .section(&wasm_encoder::DataCountSection { count: 1 })
            .section(&code)
            .section(&data);
        module
    }

    fn component(plan: &[u8]) -> Vec<u8> {
        let mut component = Component::new();
        component
            .section(&ModuleSection(&module()))
            .section(&ModuleSection(&module()))
            .section(&CustomSection {
                name: PLAN_SECTION.into(),
                data: plan.into(),
            });
        component.finish()
    }

    #[test]
    fn parts_are_summed_over_modules() {
        let bytes = component(b"plan");
        let Sizes {
            total_bytes,
            code_bytes,
            data_bytes,
            custom_bytes,
            other_bytes,
            memory_bytes,
        } = Anatomy::read(&bytes).unwrap().sizes;
        assert_eq!(total_bytes, bytes.len() as u64);
        assert_eq!(
            total_bytes,
            code_bytes + data_bytes + custom_bytes + other_bytes
        );
        assert_eq!(memory_bytes, 6 * PAGE_BYTES);
        assert!((2000..2100).contains(&data_bytes), "{data_bytes}");
        assert!((6..20).contains(&code_bytes), "{code_bytes}");
        assert!((18..30).contains(&custom_bytes), "{custom_bytes}");
    }

    #[test]
    fn what_is_no_component_of_ours_is_refused() {
        let error = |bytes: &[u8]| match Anatomy::read(bytes) {
            Ok(anatomy) => anatomy.plan().unwrap_err().to_string(),
            Err(error) => error.to_string(),
        };
        let expected = "expected a WebAssembly component, found ";
        assert_eq!(error(b"not wasm"), format!("{expected}other bytes"));
        assert_eq!(error(b""), format!("{expected}an empty file"));
        assert!(error(b"\0asm").starts_with(&format!("{expected}invalid bytes: ")));
        assert_eq!(
            error(&module().finish()),
            "expected a WebAssembly component, found a core module"
        );
        assert!(error(&Component::new().finish()).contains("without a `tensorlet:plan`"));
        assert_eq!(
            error(&component(b"plan")),
            "section `tensorlet:plan`: expected a Tensorlet plan of format 2, found other bytes"
        );
        let whole = component(b"plan");
        for len in 0..whole.len() {
            let plan = Anatomy::read(&whole[..len]).and_then(|anatomy| anatomy.plan().map(drop));
            assert!(plan.is_err(), "a component cut to {len} bytes");
        }
    }
}
