//! `tensorlet inspect`: what a component takes, gives and holds. It is read, never run.

pub(crate) mod anatomy;
mod report;

use std::fs;
use std::io::Write;

use anyhow::{Context, Result};

use self::anatomy::Anatomy;
use self::report::Report;
use crate::args::InspectArgs;
use crate::json;
use crate::table::printable;

/// Prints what the component is, as tables, JSON, or the text of its plan.
pub(crate) fn run(args: &InspectArgs) -> Result<()> {
    let shown = args.component.display();
    let bytes = fs::read(&args.component).with_context(|| format!("cannot read {shown}"))?;
    let anatomy = Anatomy::read(&bytes).with_context(|| shown.to_string())?;
    let plan = anatomy.plan().with_context(|| shown.to_string())?;

    if args.json {
        return Ok(json::print(&Report::new(&plan, &anatomy))?);
    }
    let mut out = std::io::stdout().lock();
    if args.plan {
        for line in plan.to_string().lines() {
            writeln!(out, "{}", printable(line))?;
        }
    } else {
        Report::new(&plan, &anatomy).print(&mut out)?;
    }
    Ok(())
}
