//! The sections of modules and components, to change some and copy the others.

use std::ops::Range;

use wasm_encoder::ComponentSectionId;
use wasmparser::{BinaryReader, BinaryReaderError};

/// A section of a module or component.
pub(crate) struct Section {
    pub(crate) id: u8,
    /// Where its content is, without id and length.
    pub(crate) content: Range<usize>,
}

/// Returns the sections of a module or component.
///
/// # Errors
/// If the bytes are neither.
pub(crate) fn sections(bytes: &[u8]) -> Result<Vec<Section>, String> {
    if !bytes.starts_with(b"\0asm") {
        return Err("expected WebAssembly, found other bytes".into());
    }
    let read = || -> Result<Vec<Section>, BinaryReaderError> {
        let mut reader = BinaryReader::new(bytes, 0);
        let _magic_and_version = reader.read_u64()?;
        let mut sections = vec![];
        while !reader.eof() {
            let id = reader.read_u8()?;
            let content = reader.read_reader()?.range();
            sections.push(Section { id, content });
        }
        Ok(sections)
    };
    read().map_err(text)
}

/// Returns where the component's own core module is: its first, which those follow that join it with what it imports.
///
/// # Errors
/// If there is none.
pub(crate) fn core_module(sections: &[Section]) -> Result<Range<usize>, String> {
    sections
        .iter()
        .find(|section| section.id == ComponentSectionId::CoreModule as u8)
        .map(|module| module.content.clone())
        .ok_or_else(|| "expected a component with a core module, found none".into())
}

/// Returns what an error says.
pub(crate) fn text(error: BinaryReaderError) -> String {
    error.to_string()
}
