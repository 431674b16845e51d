//! Empties the functions of a component that nothing can call any more.
//!
//! `prepare` has run, and with it the code that reads plans: a tenth of a lean predictor. Functions keep their index, so
//! that nothing else has to change; the body of one that is reached from no export, table or global becomes `unreachable`.

use wasm_encoder::{CodeSection, Component, Module, RawSection, SectionId};
use wasmparser::{
    BinaryReader, BinaryReaderError, ConstExpr, ElementItems, ElementSectionReader,
    ExportSectionReader, ExternalKind, FunctionBody, GlobalSectionReader, ImportSectionReader,
    Operator, TypeRef,
};

use crate::sections::{Section, core_module, sections, text};

/// Returns the component without the code that only `dead` exports of its first core module reach. Modules that follow join it with
/// what it imports, and stay.
///
/// Who calls one of these exports all the same gets a trap.
///
/// # Errors
/// If the component holds no core module.
pub(crate) fn prune(component: &[u8], dead: &[&str]) -> Result<Vec<u8>, String> {
    let sections = sections(component)?;
    let main = core_module(&sections)?;
    let changed = prune_module(&component[main.clone()], dead)?;
    let mut pruned = Component::new();
    for Section { id, content } in sections {
        let data = match content == main {
            true => &changed,
            false => &component[content],
        };
        pruned.section(&RawSection { id, data });
    }
    Ok(pruned.finish())
}

fn prune_module(module: &[u8], dead: &[&str]) -> Result<Vec<u8>, String> {
    let sections = sections(module)?;
    let mut functions = Functions::default();
    for Section { id, content } in &sections {
        functions
            .read_section(*id, &module[content.clone()], dead)
            .map_err(text)?;
    }
    let is_reached = functions.reached().map_err(text)?;
    let mut pruned = Module::new();
    for Section { id, content } in &sections {
        if *id != u8::from(SectionId::Code) {
            let data = &module[content.clone()];
            pruned.section(&RawSection { id: *id, data });
            continue;
        }
        let mut code = CodeSection::new();
        for (body, is_reached) in functions.bodies.iter().zip(&is_reached) {
            match is_reached {
                true => code.raw(body.as_bytes()),
                // No locals, `unreachable`, `end`.
                false => code.raw(&[0x00, 0x00, 0x0b]),
            };
        }
        pruned.section(&code);
    }
    Ok(pruned.finish())
}

/// The functions of a module.
#[derive(Default)]
struct Functions<'a> {
    /// How many are imported; they come first.
    imported: u32,
    /// Those that something outside of other functions refers to.
    roots: Vec<u32>,
    /// Those that are defined.
    bodies: Vec<FunctionBody<'a>>,
}

impl<'a> Functions<'a> {
    fn read_section(
        &mut self,
        id: u8,
        content: &'a [u8],
        dead: &[&str],
    ) -> Result<(), BinaryReaderError> {
        let is = |section: SectionId| id == u8::from(section);
        let mut reader = BinaryReader::new(content, 0);
        if is(SectionId::Import) {
            for import in ImportSectionReader::new(reader)?.into_imports() {
                let is_function = matches!(import?.ty, TypeRef::Func(_) | TypeRef::FuncExact(_));
                self.imported += u32::from(is_function);
            }
        } else if is(SectionId::Export) {
            for export in ExportSectionReader::new(reader)? {
                let export = export?;
                if export.kind == ExternalKind::Func && !dead.contains(&export.name) {
                    self.roots.push(export.index);
                }
            }
        } else if is(SectionId::Start) {
            self.roots.push(reader.read_var_u32()?);
        } else if is(SectionId::Global) {
            for global in GlobalSectionReader::new(reader)? {
                self.read_expression(&global?.init_expr)?;
            }
        } else if is(SectionId::Element) {
            for element in ElementSectionReader::new(reader)? {
                self.read_items(element?.items)?;
            }
        } else if is(SectionId::Code) {
            let count = reader.read_var_u32()?;
            for _ in 0..count {
                self.bodies.push(FunctionBody::new(reader.read_reader()?));
            }
        }
        Ok(())
    }

    fn read_items(&mut self, items: ElementItems<'_>) -> Result<(), BinaryReaderError> {
        match items {
            ElementItems::Functions(functions) => {
                for function in functions {
                    self.roots.push(function?);
                }
            }
            ElementItems::Expressions(_, expressions) => {
                for expression in expressions {
                    self.read_expression(&expression?)?;
                }
            }
        }
        Ok(())
    }

    fn read_expression(&mut self, expression: &ConstExpr<'_>) -> Result<(), BinaryReaderError> {
        for operator in expression.get_operators_reader() {
            self.roots.extend(function_of(&operator?));
        }
        Ok(())
    }

    /// Returns, for each defined function, whether it is reached from a root.
    fn reached(&self) -> Result<Vec<bool>, BinaryReaderError> {
        let mut is_reached = vec![false; self.bodies.len()];
        let mut waiting = self.roots.clone();
        while let Some(function) = waiting.pop() {
            let Some(index) = function.checked_sub(self.imported) else {
                continue;
            };
            let index = index as usize;
            if index >= self.bodies.len() || std::mem::replace(&mut is_reached[index], true) {
                continue;
            }
            let mut operators = self.bodies[index].get_operators_reader()?;
            while !operators.eof() {
                waiting.extend(function_of(&operators.read()?));
            }
        }
        Ok(is_reached)
    }
}

/// Returns the function that an operator names.
fn function_of(operator: &Operator<'_>) -> Option<u32> {
    match *operator {
        Operator::Call { function_index }
        | Operator::ReturnCall { function_index }
        | Operator::RefFunc { function_index } => Some(function_index),
        _ => None,
    }
}

/// Returns ids and contents of the sections of a module or component.
#[cfg(test)]
mod tests {
    use wasm_encoder::{
        ConstExpr, ElementSection, Elements, ExportKind, ExportSection, Function, FunctionSection,
        ModuleSection, RefType, TableSection, TableType, TypeSection,
    };
    use wasmparser::{Parser, Payload};

    use super::*;

    /// A component whose function `i` calls those of `calls[i]`, with exports and a table.
    fn component(calls: &[&[u32]], exports: &[(&str, u32)], table: &[u32]) -> Vec<u8> {
        let mut module = Module::new();
        let mut types = TypeSection::new();
        types.ty().function([], []);
        module.section(&types);
        let mut functions = FunctionSection::new();
        for _ in calls {
            functions.function(0);
        }
        module.section(&functions);
        let mut tables = TableSection::new();
        tables.table(TableType {
            element_type: RefType::FUNCREF,
            table64: false,
            minimum: 10,
            maximum: None,
            shared: false,
        });
        module.section(&tables);
        let mut section = ExportSection::new();
        for &(name, index) in exports {
            section.export(name, ExportKind::Func, index);
        }
        module.section(&section);
        let mut elements = ElementSection::new();
        elements.active(
            None,
            &ConstExpr::i32_const(1),
            Elements::Functions(table.into()),
        );
        module.section(&elements);
        let mut code = CodeSection::new();
        for callees in calls {
            let mut function = Function::new([]);
            for &callee in *callees {
                function.instructions().call(callee);
            }
            function.instructions().end();
            code.function(&function);
        }
        module.section(&code);
        let mut component = Component::new();
        component.section(&ModuleSection(&module));
        component.finish()
    }

    /// Returns which functions are empty.
    fn empty(component: &[u8]) -> Vec<bool> {
        wasmparser::validate(component).unwrap();
        let mut empty = Vec::new();
        for payload in Parser::new(0).parse_all(component) {
            if let Payload::CodeSectionEntry(body) = payload.unwrap() {
                let mut operators = body.get_operators_reader().unwrap();
                empty.push(matches!(operators.read().unwrap(), Operator::Unreachable));
            }
        }
        empty
    }

    #[test]
    fn what_only_dead_exports_reach_is_emptied() {
        let calls: [&[u32]; 6] = [&[1, 2], &[3], &[], &[], &[1], &[5]];
        let component = component(&calls, &[("dead", 0), ("alive", 4)], &[]);
        let pruned = prune(&component, &["dead"]).unwrap();
        assert_eq!(empty(&pruned), [true, false, true, false, false, true]);
        assert_eq!(
            prune(&pruned, &["dead"]).unwrap(),
            pruned,
            "a second time nothing changes"
        );
    }

    #[test]
    fn what_a_table_holds_stays() {
        let component = component(&[&[1], &[], &[]], &[("dead", 2)], &[0]);
        let pruned = prune(&component, &["dead"]).unwrap();
        assert_eq!(empty(&pruned), [false, false, true]);
    }

    #[test]
    fn without_dead_code_nothing_changes() {
        let component = component(&[&[1], &[0]], &[("f", 0)], &[]);
        assert_eq!(prune(&component, &["other"]).unwrap(), component);
    }

    #[test]
    fn a_component_without_a_module_is_refused() {
        let empty = Component::new().finish();
        assert!(prune(&empty, &[]).unwrap_err().contains("found none"));
        assert!(prune(b"\0asm", &[]).is_err());
    }
}
