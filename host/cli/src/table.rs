//! Tables on a terminal.

use std::fmt;

use comfy_table::{LineStyle, TableStyle};

/// A table with a header.
pub(crate) struct Table(comfy_table::Table);

impl Table {
    /// Makes a table without rows.
    pub(crate) fn new(header: &[&str]) -> Self {
        let mut table = comfy_table::Table::new();
        let line = LineStyle::none().fill('─').junction('─');
        table
            .load_style(TableStyle::new().header_separator(line))
            .set_header(header.to_vec());
        Self(table)
    }

    /// Adds a row. What would control the terminal is shown instead.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.0.add_row(cells.map(|cell| printable(&cell)));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.0.trim_fmt())
    }
}

/// Returns the text with control characters written out.
///
/// Names, labels and metadata are whatever the author of a model wrote: they must not reach the terminal's controls.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // Direction marks would let a text pose as another.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                printable.extend(c.escape_unicode())
            }
            _ if c.is_control() => printable.extend(c.escape_debug()),
            _ => printable.push(c),
        }
    }
    printable
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let mut table = Table::new(&["file", "score"]);
        table.row(["kaffee ☕.png".into(), "0.93".into()]);
        table.row(["x".into(), String::new()]);
        expect![[r#"
             file            score
            ───────────────────────
             kaffee ☕.png   0.93
             x
        "#]]
        .assert_eq(&table.to_string());
    }

    #[test]
    fn a_text_cannot_control_the_terminal() {
        assert_eq!(
            printable("a\x1b[2Jb\r\u{202e}c é"),
            "a\\u{1b}[2Jb\\r\\u{202e}c é"
        );
    }
}
