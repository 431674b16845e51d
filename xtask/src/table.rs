//! Tables for people.

use std::fmt;

/// Rows of cells under a header. The first column is aligned to the left, the others, figures, to the right.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Makes an empty table.
    pub(crate) fn new(header: &[&str]) -> Self {
        Self {
            rows: vec![header.iter().map(ToString::to_string).collect()],
        }
    }

    /// Adds a row.
    ///
    /// # Panics
    /// If the row has not as many cells as the header.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        assert_eq!(
            cells.len(),
            self.rows[0].len(),
            "a row has a cell for each column"
        );
        self.rows.push(cells);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            self.rows
                .iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.rows[0].len()).map(width).collect();
        for (index, row) in self.rows.iter().enumerate() {
            write!(f, "{:<1$}", row[0], widths[0])?;
            for (cell, width) in row.iter().zip(&widths).skip(1) {
                write!(f, "  {cell:>width$}")?;
            }
            writeln!(f)?;
            if index == 0 {
                let rules: Vec<String> = widths.iter().map(|&width| "─".repeat(width)).collect();
                writeln!(f, "{}", rules.join("  "))?;
            }
        }
        Ok(())
    }
}

/// Writes milliseconds with three digits or more, down to a microsecond.
pub(crate) fn ms(ms: f64) -> String {
    if ms.is_nan() {
        return "–".to_owned();
    }
    let decimals = match ms {
        ..10.0 => 3,
        10.0..100.0 => 2,
        100.0..1000.0 => 1,
        _ => 0,
    };
    format!("{ms:.decimals$} ms")
}

/// Writes bytes in units of a million.
pub(crate) fn mb(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// Writes bytes in units of a thousand.
pub(crate) fn kb(bytes: f64) -> String {
    if bytes.is_nan() {
        return "–".to_owned();
    }
    format!("{:.0} kB", bytes / 1e3)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn aligns_columns() {
        let mut table = Table::new(&["model", "median", "×"]);
        table.row(vec![
            "efficientnet-lite0, 1×3".into(),
            ms(31.2),
            "7.43".into(),
        ]);
        table.row(vec!["ppocr-cls".into(), ms(0.4912), "10.10".into()]);
        expect![[r"
            model                      median      ×
            ───────────────────────  ────────  ─────
            efficientnet-lite0, 1×3  31.20 ms   7.43
            ppocr-cls                0.491 ms  10.10
        "]]
        .assert_eq(&table.to_string());
    }

    #[test]
    fn writes_figures_with_few_digits() {
        assert_eq!(ms(0.0712), "0.071 ms");
        assert_eq!(ms(123.46), "123.5 ms");
        assert_eq!(ms(12345.6), "12346 ms");
        assert_eq!(mb(18_760_000), "18.8 MB");
        assert_eq!(kb(18_760.0), "19 kB");
        assert_eq!([ms(f64::NAN), kb(f64::NAN)], ["–", "–"]);
    }
}
