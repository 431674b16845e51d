//! Figures in columns.

/// Aligns cells under the first row: the first column to the left, the others to the right.
pub(super) fn align(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        let mut line = format!("{:<1$}", row[0], widths[0]);
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            line += &format!("  {cell:>width$}");
        }
        text += line.trim_end();
        text.push('\n');
        if index == 0 {
            let rules: Vec<String> = widths.iter().map(|&width| "─".repeat(width)).collect();
            text += &(rules.join("  ") + "\n");
        }
    }
    text
}

/// Writes milliseconds with three digits or more, down to a microsecond; a dash if there are none.
pub(super) fn ms(ms: Option<f64>) -> String {
    let Some(ms) = ms else {
        return "–".to_owned();
    };
    let decimals = match ms {
        ..10.0 => 3,
        10.0..100.0 => 2,
        100.0..1000.0 => 1,
        _ => 0,
    };
    format!("{ms:.decimals$} ms")
}
