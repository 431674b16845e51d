//! What `tensorlet inspect` prints.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;
use tensorlet_plan::Plan;
use tensorlet_tensor::{Dim, TensorSpec};

use super::anatomy::{Anatomy, Part, Sizes};
use crate::table::{Table, printable};
use crate::units::size;

/// The most characters of a metadata value that a table shows.
const MAX_VALUE_CHARS: usize = 80;

/// What there is to know of a component. As JSON, it is the output of `tensorlet inspect --json`.
#[derive(Serialize)]
pub(super) struct Report<'a> {
    name: &'a str,
    version: &'a str,
    inputs: Vec<Spec<'a>>,
    outputs: Vec<Spec<'a>>,
    batch_symbol: Option<&'a str>,
    metadata: &'a BTreeMap<String, String>,
    sizes: Sizes,
    imports: &'a [&'a str],
    exports: &'a [&'a str],
    /// The components that it is made of.
    parts: Vec<PartReport<'a>>,
    /// How many steps the plan has.
    steps: usize,
    /// Those that have no kernel and run by tract, with their number; none in a lean component.
    tract_operators: BTreeMap<String, u32>,
}

/// A component in it.
#[derive(Serialize)]
struct PartReport<'a> {
    role: &'static str,
    #[serde(flatten)]
    part: &'a Part<'a>,
}

/// An input or output, dims as numbers and symbols.
#[derive(Serialize)]
struct Spec<'a> {
    name: &'a str,
    datum_type: &'static str,
    dims: Vec<Size<'a>>,
    #[serde(skip)]
    spec: &'a TensorSpec,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Size<'a> {
    Fixed(u32),
    Symbol(&'a str),
}

impl<'a> Report<'a> {
    pub(super) fn new(plan: &'a Plan<'_>, anatomy: &'a Anatomy<'_>) -> Self {
        let description = &plan.description;
        let specs = |specs: &'a [TensorSpec]| specs.iter().map(Spec::new).collect();
        Self {
            name: &description.name,
            version: &description.version,
            inputs: specs(&description.signature.inputs),
            outputs: specs(&description.signature.outputs),
            batch_symbol: description.signature.batch_symbol.as_deref(),
            metadata: &description.metadata,
            sizes: anatomy.sizes,
            imports: &anatomy.imports,
            exports: &anatomy.exports,
            parts: anatomy
                .parts
                .iter()
                .map(|part| PartReport {
                    role: part.role(),
                    part,
                })
                .collect(),
            steps: plan.steps.len(),
            tract_operators: plan.tract_operators(),
        }
    }

    /// Prints tables.
    pub(super) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "{} {}\n",
            printable(self.name),
            printable(self.version)
        )?;
        writeln!(out, "{}", self.signature())?;
        writeln!(out, "{}", self.sizes())?;
        if !self.parts.is_empty() {
            writeln!(out, "{}", self.parts())?;
        }
        if self.tract_operators.is_empty() {
            writeln!(
                out,
                "lean: every step of the plan is a kernel, {} in all\n",
                self.steps
            )?;
        } else {
            let mut table = Table::new(&["operator", "by tract"]);
            for (operator, count) in &self.tract_operators {
                table.row([operator.clone(), count.to_string()]);
            }
            writeln!(out, "{table}")?;
        }
        let mut table = Table::new(&["metadata", "value"]);
        for (key, value) in self.metadata {
            table.row([key.clone(), abbreviated(value)]);
        }
        write!(out, "{table}")
    }

    fn signature(&self) -> Table {
        let mut table = Table::new(&["signature", "name", "type"]);
        for (kind, specs) in [("input", &self.inputs), ("output", &self.outputs)] {
            for spec in specs {
                table.row([kind.into(), spec.name.into(), spec.spec.type_text()]);
            }
        }
        let batch = self.batch_symbol.unwrap_or("none: calls cannot be joined");
        table.row(["batch axis".into(), batch.into(), String::new()]);
        for (kind, names) in [("import", self.imports), ("export", self.exports)] {
            if names.is_empty() {
                table.row([kind.into(), "none".into(), String::new()]);
            }
            for name in names {
                table.row([kind.into(), (*name).into(), String::new()]);
            }
        }
        table
    }

    fn parts(&self) -> Table {
        let mut table = Table::new(&["made of", "size", "imports", "exports"]);
        for PartReport { role, part } in &self.parts {
            table.row([
                (*role).into(),
                size(part.bytes),
                short(&part.imports),
                short(&part.exports),
            ]);
        }
        table
    }

    fn sizes(&self) -> Table {
        let mut table = Table::new(&["part", "size"]);
        let Sizes {
            total_bytes,
            code_bytes,
            data_bytes,
            custom_bytes,
            other_bytes,
            memory_bytes,
        } = self.sizes;
        for (part, bytes) in [
            ("code", code_bytes),
            ("memory image, with the weights", data_bytes),
            ("custom sections", custom_bytes),
            ("other", other_bytes),
            ("whole component", total_bytes),
            ("memory of a fresh instance", memory_bytes),
        ] {
            table.row([part.into(), size(bytes)]);
        }
        table
    }
}

impl<'a> Spec<'a> {
    fn new(spec: &'a TensorSpec) -> Self {
        let dims = spec.dims.iter().map(|dim| match dim {
            Dim::Fixed(size) => Size::Fixed(*size),
            Dim::Symbol(symbol) => Size::Symbol(symbol),
        });
        Self {
            name: &spec.name,
            datum_type: spec.datum_type.name(),
            dims: dims.collect(),
            spec,
        }
    }
}

/// Returns the names of interfaces without package and version, as those of one package stand side by side.
fn short(names: &[&str]) -> String {
    if names.is_empty() {
        return "nothing".into();
    }
    let names = names.iter().map(|name| {
        let name = name.rsplit('/').next().unwrap_or(name);
        name.split('@').next().unwrap_or(name)
    });
    names.collect::<Vec<_>>().join(", ")
}

/// Returns the first line of a text, cut if it is long.
fn abbreviated(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    let cut: String = first.chars().take(MAX_VALUE_CHARS).collect();
    if cut.len() == text.trim_end().len() {
        return cut;
    }
    format!("{cut}… ({})", size(text.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_shown_by_name() {
        assert_eq!(short(&[]), "nothing");
        assert_eq!(short(&["a:b/c@0.1.0", "d", "e/f"]), "c, d, f");
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(abbreviated("MIT"), "MIT");
        assert_eq!(abbreviated("one line\n"), "one line");
        assert_eq!(abbreviated("cat\ndog\n"), "cat… (8 B)");
        assert_eq!(
            abbreviated(&"é".repeat(100)),
            format!("{}… (200 B)", "é".repeat(80))
        );
        assert_eq!(abbreviated(""), "");
    }
}
