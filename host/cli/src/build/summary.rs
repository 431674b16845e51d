//! What a build tells in the end.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use tensorlet_compile::Built;
use tensorlet_plan::Description;

use crate::inspect::anatomy::Anatomy;
use crate::table::printable;
use crate::units::size;

/// What a build tells in the end.
pub(super) struct Summary<'a> {
    pub(super) built: &'a Built,
    pub(super) description: &'a Description,
    pub(super) output: &'a Path,
    pub(super) build_time: Duration,
    /// How long the component took to compile for this machine, if it was.
    pub(super) compile_time: Option<Duration>,
}

impl Summary<'_> {
    /// Prints it.
    pub(super) fn print(&self) -> Result<()> {
        let description = self.description;
        let mut out = std::io::stdout().lock();
        let (name, version) = (
            printable(&description.name),
            printable(&description.version),
        );
        writeln!(out, "{name} {version}: {}", self.output.display())?;
        for input in &description.signature.inputs {
            writeln!(out, "  input   {}", printable(&input.to_string()))?;
        }
        for output in &description.signature.outputs {
            writeln!(out, "  output  {}", printable(&output.to_string()))?;
        }
        let (component, onnx) = (
            size(self.built.component.len() as u64),
            size(self.built.onnx_bytes),
        );
        writeln!(out, "  size    {component}, of an ONNX file of {onnx}")?;
        writeln!(out, "  parts   {}", self.parts()?)?;
        let steps = self.built.steps;
        writeln!(out, "  plan    {steps} steps")?;
        writeln!(out, "  tract   {}", self.left_to_tract())?;
        write!(out, "  took    {:.1} s", self.build_time.as_secs_f64())?;
        match self.compile_time {
            Some(time) => writeln!(
                out,
                ", and {:.1} s to compile it for this machine",
                time.as_secs_f64()
            )?,
            None => writeln!(out)?,
        }
        Ok(())
    }

    /// Names the components in it, with their sizes.
    fn parts(&self) -> Result<String> {
        let anatomy = Anatomy::read(&self.built.component)?;
        let parts = anatomy.parts.iter();
        let parts: Vec<String> = parts
            .map(|part| format!("{} {}", part.role(), size(part.bytes)))
            .collect();
        Ok(parts.join(", "))
    }

    /// Names the operators that have no kernel of Tensorlet's own.
    fn left_to_tract(&self) -> String {
        let left: Vec<String> = self
            .built
            .left_to_tract
            .iter()
            .map(|(name, count)| format!("{}×{count}", printable(name)))
            .collect();
        match left.as_slice() {
            [] => "none: the component is lean".into(),
            left => left.join(" "),
        }
    }
}
