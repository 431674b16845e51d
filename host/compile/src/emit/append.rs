//! Appends functions to a component's core module: its first, which those follow that join it with what it imports.
//!
//! Sections that do not change are copied as they are; in those that do, new entries follow the old ones:
//!
//! ```text
//! component ─ core module ─ types      … + (func (param i32))
//!                         ─ functions  … + one of that type for each
//!                         ─ table      larger by as many
//!                         ─ elements   … + one segment, at the table's old size
//!                         ─ code       … + bodies
//! ```

use tensorlet_plan::TileSpec;
use wasm_encoder::{
    Component, ConstExpr, Encode, Function, Module, RawSection, RefType, SectionId, TableSection,
    TableType, ValType,
};
use wasmparser::{
    BinaryReader, BinaryReaderError, ImportSectionReader, TableInit, TypeRef, TypeSectionReader,
};

use super::tile_function;
use crate::sections::{Section, core_module, sections, text};

/// The sections that get new entries at their end.
const EXTENDED: [SectionId; 4] = [
    SectionId::Type,
    SectionId::Function,
    SectionId::Element,
    SectionId::Code,
];

/// Returns the component with functions that compute tiles of these kinds, appended as [`append_functions`] does.
///
/// # Errors
/// As [`append_functions`] and [`tile_function`].
pub fn append_tiles(component: Vec<u8>, tiles: &[TileSpec]) -> Result<Vec<u8>, String> {
    if tiles.is_empty() {
        return Ok(component);
    }
    let functions: Vec<Function> = tiles.iter().map(tile_function).collect::<Result<_, _>>()?;
    append_functions(&component, &functions)
}

/// Returns the component with these functions appended to its core module, each of type `(func (param i32))`, and to the
/// end of that module's table, in order. A module's function pointers are indices of its table: [`table_size`] tells the first.
///
/// # Errors
/// If the component holds no core module, or the first is not one with code and one table of functions.
pub fn append_functions(component: &[u8], functions: &[Function]) -> Result<Vec<u8>, String> {
    let sections = sections(component)?;
    let core = core_module(&sections)?;
    let mut appended = Component::new();
    for section in &sections {
        let changed;
        let data = if section.content == core {
            changed = append_to_module(&component[core.clone()], functions)?;
            &changed
        } else {
            &component[section.content.clone()]
        };
        appended.section(&RawSection {
            id: section.id,
            data,
        });
    }
    Ok(appended.finish())
}

/// Returns how many functions the table of the component's core module holds: the index of the first that is appended.
///
/// # Errors
/// As [`append_functions`].
pub fn table_size(component: &[u8]) -> Result<u32, String> {
    let module = &component[core_module(&sections(component)?)?];
    let sections = sections(module)?;
    let section = find(&sections, SectionId::Table)
        .ok_or("expected a core module with a table, found none")?;
    Ok(Table::read(module, section)?.size)
}

fn find(sections: &[Section], id: SectionId) -> Option<&Section> {
    sections.iter().find(|section| section.id == u8::from(id))
}

fn append_to_module(module: &[u8], functions: &[Function]) -> Result<Vec<u8>, String> {
    let sections = sections(module)?;
    let new = New::read(module, &sections, functions)?;
    let mut appended = Module::new();
    let mut has_elements = false;
    for Section { id, content } in &sections {
        let data = &module[content.clone()];
        let is = |kind: SectionId| *id == u8::from(kind);
        // Elements come right before data count and code.
        if !has_elements && (is(SectionId::DataCount) || is(SectionId::Code)) {
            let id = SectionId::Element.into();
            let data = &new.extend(SectionId::Element, &[0])?;
            appended.section(&RawSection { id, data });
            has_elements = true;
        }
        has_elements |= is(SectionId::Element);
        if is(SectionId::Table) {
            appended.section(&new.table());
        } else if let Some(kind) = EXTENDED.into_iter().find(|kind| is(*kind)) {
            let data = &new.extend(kind, data)?;
            appended.section(&RawSection { id: *id, data });
        } else {
            appended.section(&RawSection { id: *id, data });
        }
    }
    Ok(appended.finish())
}

/// What is new, and what it depends on.
struct New<'a> {
    functions: &'a [Function],
    /// `functions.len()`.
    count: u32,
    /// The index of the new type.
    type_index: u32,
    /// The index of the first new function.
    function_index: u32,
    /// The table as it was.
    table: Table,
}

impl<'a> New<'a> {
    fn read(
        module: &[u8],
        sections: &[Section],
        functions: &'a [Function],
    ) -> Result<Self, String> {
        let required = |id: SectionId| {
            find(sections, id)
                .ok_or_else(|| format!("expected a core module with a section {id:?}, found none"))
        };
        required(SectionId::Code)?;
        let imported = match find(sections, SectionId::Import) {
            Some(imports) => count_imports(module, imports).map_err(text)?,
            None => 0,
        };
        let mut defined = reader(module, required(SectionId::Function)?);
        let defined = defined.read_var_u32().map_err(text)?;
        let table = Table::read(module, required(SectionId::Table)?)?;
        let count = u32::try_from(functions.len()).unwrap_or(u32::MAX);
        let most = u64::from(table.size).max(u64::from(imported) + u64::from(defined));
        if most + u64::from(count) > u64::from(u32::MAX) {
            return Err(format!(
                "expected as many functions as an index can tell apart, found {count} after {most}"
            ));
        }
        Ok(Self {
            functions,
            count,
            type_index: count_types(module, required(SectionId::Type)?).map_err(text)?,
            function_index: imported + defined,
            table,
        })
    }

    /// Returns a section with the new entries.
    fn extend(&self, id: SectionId, section: &[u8]) -> Result<Vec<u8>, String> {
        let mut entries = vec![];
        let added = match id {
            SectionId::Type => {
                // A function of one parameter.
                entries.push(0x60);
                [ValType::I32].as_slice().encode(&mut entries);
                <[ValType]>::encode(&[], &mut entries);
                1
            }
            SectionId::Function => {
                for _ in self.functions {
                    self.type_index.encode(&mut entries);
                }
                self.count
            }
            SectionId::Element => {
                // A segment of functions, for table 0.
                entries.push(0);
                ConstExpr::i32_const(self.table.size.cast_signed()).encode(&mut entries);
                self.count.encode(&mut entries);
                for index in 0..self.count {
                    (self.function_index + index).encode(&mut entries);
                }
                1
            }
            _ => {
                for function in self.functions {
                    function.encode(&mut entries);
                }
                self.count
            }
        };
        let mut old = BinaryReader::new(section, 0);
        let count = old.read_var_u32().map_err(text)?.checked_add(added);
        let count = count.ok_or("expected a section with fewer entries")?;
        let mut extended = Vec::with_capacity(section.len() + entries.len() + 1);
        count.encode(&mut extended);
        extended.extend_from_slice(&section[old.current_position()..]);
        extended.extend_from_slice(&entries);
        Ok(extended)
    }

    fn table(&self) -> TableSection {
        let larger_by_count = |size: u32| u64::from(size) + u64::from(self.count);
        let mut tables = TableSection::new();
        tables.table(TableType {
            element_type: RefType::FUNCREF,
            table64: false,
            minimum: larger_by_count(self.table.size),
            maximum: self
                .table
                .maximum
                .map(|maximum| larger_by_count(maximum).min(u32::MAX.into())),
            shared: false,
        });
        tables
    }
}

/// A module's one table.
struct Table {
    size: u32,
    maximum: Option<u32>,
}

impl Table {
    fn read(module: &[u8], section: &Section) -> Result<Self, String> {
        let mut tables = reader(module, section);
        let found = tables.read_var_u32().map_err(text)?;
        if found != 1 {
            return Err(format!(
                "expected a core module with one table, found {found}"
            ));
        }
        let table: wasmparser::Table<'_> = tables.read().map_err(text)?;
        let wasmparser::TableType {
            initial, maximum, ..
        } = table.ty;
        let is_plain = table.ty.element_type == wasmparser::RefType::FUNCREF
            && matches!(table.init, TableInit::RefNull)
            && !table.ty.table64
            && !table.ty.shared;
        match (
            u32::try_from(initial),
            maximum.map(u32::try_from).transpose(),
        ) {
            (Ok(size), Ok(maximum)) if is_plain => Ok(Self { size, maximum }),
            _ => Err(format!(
                "expected a core module with a table of functions, found {:?}",
                table.ty
            )),
        }
    }
}

fn reader<'a>(module: &'a [u8], section: &Section) -> BinaryReader<'a> {
    BinaryReader::new(&module[section.content.clone()], section.content.start)
}

fn count_types(module: &[u8], section: &Section) -> Result<u32, BinaryReaderError> {
    let mut count = 0;
    for group in TypeSectionReader::new(reader(module, section))? {
        count += u32::try_from(group?.types().len()).unwrap_or(u32::MAX);
    }
    Ok(count)
}

fn count_imports(module: &[u8], section: &Section) -> Result<u32, BinaryReaderError> {
    let mut count = 0;
    for import in ImportSectionReader::new(reader(module, section))?.into_imports() {
        count += u32::from(matches!(
            import?.ty,
            TypeRef::Func(_) | TypeRef::FuncExact(_)
        ));
    }
    Ok(count)
}
