//! The text form of a plan.
//!
//! ```text
//! plan NAME VERSION
//!   symbol N                              counts rows
//!   input  %0 image: f32[N, 3, 224, 224]
//!   output %9 scores: f32[N, 1000]
//!   tile   6×8 …                          a function that the compiler wrote
//!   0 conv1                               the first step
//!       %3 a: f32[N, 32, 112, 112] blocked until 1 = conv 3x3 s2 … (%0 image, %1 w: f32[2, 3, 3, 3, 16], …)
//! ```
//!
//! A value is written with its type where it is made, and `until` the last step that needs it. Constants and aliases show
//! their types where they are read; an alias also what it is `of`.

mod kernel;

use std::fmt;

use crate::{DimExpr, Layout, Lifetimes, Plan, Storage, TileSpec, Value, ValueId};

/// Plans that were not verified have a text too.
impl fmt::Display for Plan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let description = &self.description;
        writeln!(f, "plan {} {}", description.name, description.version)?;
        for (name, id) in self.symbols.iter().zip(0..) {
            let counts_rows = self.row_symbol.is_some_and(|symbol| symbol.0 == id);
            let rows = if counts_rows { ", counts rows" } else { "" };
            writeln!(f, "  symbol {name}{rows}")?;
        }
        for (value, id) in self.values.iter().zip(0..) {
            if value.storage == Storage::Input {
                writeln!(f, "  input  {}", self.typed(ValueId(id)))?;
            }
        }
        for id in &self.outputs {
            writeln!(f, "  output {}", self.typed(*id))?;
        }
        for tile in &self.tiles {
            writeln!(f, "  tile   {tile}")?;
        }
        let lifetimes = self.lifetimes();
        for (index, step) in self.steps.iter().enumerate() {
            let list = |ids: &[ValueId], show: &dyn Fn(ValueId) -> String| {
                let texts: Vec<String> = ids.iter().map(|id| show(*id)).collect();
                texts.join(", ")
            };
            let outputs = list(&step.outputs, &|id| self.result(id, &lifetimes));
            let inputs = list(&step.inputs, &|id| self.source(id));
            writeln!(f, "  {index} {}", step.name)?;
            writeln!(f, "      {outputs} = {} ({inputs})", step.kernel)?;
        }
        Ok(())
    }
}

impl Plan<'_> {
    /// Returns the text of a value's type, such as `f32[N, 32, 112, 112] blocked`.
    pub fn type_text(&self, value: &Value) -> String {
        let dims = match &value.dims {
            Some(dims) => {
                let texts: Vec<String> = dims.iter().map(|dim| self.dim_text(dim)).collect();
                texts.join(", ")
            }
            None => "?".into(),
        };
        let layout = match value.layout {
            Layout::Plain => "",
            Layout::Blocked => " blocked",
        };
        format!("{}[{dims}]{layout}", value.datum_type)
    }

    fn dim_text(&self, dim: &DimExpr) -> String {
        dim.text(&self.symbols)
    }

    fn named(&self, id: ValueId) -> String {
        match self.values.get(id.index()) {
            Some(value) => format!("%{} {}", id.0, value.name),
            None => format!("%{}", id.0),
        }
    }

    fn typed(&self, id: ValueId) -> String {
        match self.values.get(id.index()) {
            Some(value) => format!("{}: {}", self.named(id), self.type_text(value)),
            None => self.named(id),
        }
    }

    fn result(&self, id: ValueId, lifetimes: &Lifetimes) -> String {
        let until = match lifetimes.lifetime(id) {
            Some(span) if span.last as usize >= self.steps.len() => " until end".into(),
            Some(span) if span.last > span.first => format!(" until {}", span.last),
            _ => " unread".into(),
        };
        self.typed(id) + &until
    }

    fn source(&self, id: ValueId) -> String {
        match self.values.get(id.index()).map(|value| &value.storage) {
            Some(Storage::Constant(_)) => self.typed(id),
            Some(Storage::Alias(target)) => format!("{} of %{}", self.typed(id), target.0),
            _ => self.named(id),
        }
    }
}

impl fmt::Display for TileSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} rows × {} channels, {} bytes → {} bytes",
            self.rows, self.channels, self.lhs_stride_bytes, self.out_stride_bytes
        )?;
        if self.residual {
            f.write_str(" + residual")?;
        }
        if self.clamp {
            f.write_str(", clamped")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::example::example;
    use crate::{Plan, SymbolId, ValueId};

    #[test]
    fn prints_everything() {
        expect![[r#"
            plan example 1
              symbol N
              symbol W
              input  %0 image: f32[N, 3, 8, 8]
              input  %1 other: f32[N, W]
              output %10 scores: f32[N*2, 3]
              output %12 found: f32[?]
              tile   6 rows × 8 channels, 160 bytes → 40 bytes, clamped
              0 conv
                  %4 conv: f32[N, 20, 4, 4] blocked until 1 = conv 3x3 s2 p0..1 plain-input + bias, relu6 (%0 image, %2 weights: f32[2, 3, 3, 3, 16], %3 bias: f32[32])
              1 pool
                  %5 pooled: f32[N, 20, 2, 2] blocked until 2 = average-pool 2x2 s2 (%4 conv)
              2 unblock
                  %6 plain: f32[N, 20, 2, 2] until 3 = from-blocked (%5 pooled)
              3 dense
                  %9 product: f32[N*2, 10] until 5 = mat-mul packed (%7 flat: f32[N*2, 40] of %6, %8 matrix: f32[1, 40, 16])
              4 best
                  %10 scores: f32[N*2, 3] until end, %11 ranks: i64[N*2, 3] unread = top-k axis 1 largest (%9 product)
              5 rest
                  %12 found: f32[?] until end = tract, Onnx of 64 bytes: Add NonZero×2 (%9 product, %1 other)
        "#]].assert_eq(&example().to_string());
    }

    #[test]
    fn rows_are_marked() {
        let mut plan = example();
        plan.row_symbol = Some(SymbolId(0));
        assert!(plan.to_string().contains("symbol N, counts rows\n"));
    }

    #[test]
    fn a_plan_that_was_not_verified_has_a_text() {
        let mut plan = example();
        plan.steps[0].inputs.push(ValueId(u32::MAX));
        plan.outputs.push(ValueId(u32::MAX));
        plan.symbols.clear();
        let text = plan.to_string();
        assert!(
            text.contains("%4294967295") && text.contains("f32[?, 3, 8, 8]"),
            "{text}"
        );

        let bytes = example().write_header().unwrap();
        let header = Plan::read_header(&bytes).unwrap();
        assert_eq!(header.to_string(), example().to_string());
    }
}
