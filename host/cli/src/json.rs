//! JSON on standard output.

use std::io::{self, Write};

use serde::Serialize;

/// Prints a value on one line.
///
/// # Errors
/// If standard output cannot be written to; a broken pipe can be told from other errors.
pub(crate) fn print(value: &impl Serialize) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    // The conversion gives back the error of standard output itself.
    serde_json::to_writer(&mut out, value).map_err(io::Error::from)?;
    writeln!(out)?;
    out.flush()
}
