//! What every reader of a plan may rely on.
//!
//! - **Indices.** Every value, symbol and byte range exists. Lists are no longer than the limits of this module.
//! - **Signature.** The first values are the signature's inputs, in its order, with its names, datum types and dims; no
//!   other value is an input. There are as many outputs as in the signature, of its datum types and numbers, row-major.
//!   Names of inputs, of outputs, and of symbols are unique.
//! - **Order.** A buffer is written by exactly one step, and read only by later ones. Nothing else is written.
//! - **Aliases.** An alias names an earlier value, so chains of them end in something that is none. Both are row-major and have
//!   equally many bytes, as far as numbers tell; where symbols decide, the executor compares.
//! - **Constants.** They begin at multiples of 64 and are exactly as long as their dims say, which have no symbols.
//! - **Dims.** Expressions are well formed. Blocked values are f32 of rank 3 or more. Where only the data decides the dims,
//!   a tract step writes the value, and only tract steps and callers read it.
//! - **Symbols.** Each is by itself a dim of an input. The row symbol is axis 0 of every input and output and stands at no other.
//! - **Tract steps.** Their values are row-major.
//!
//! A plan that is a [segment](crate::segments) of another may take and give values in blocks, with dims that are expressions over symbols
//! that no input has: sizes are given with each run. It has no tract step.
//!
//! Not checked are the attributes of kernels and whether they fit the values: kernels do so, when they are bound to sizes.

mod steps;
mod values;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use tensorlet_tensor::{Dim, TensorSpec};

use crate::{DimExpr, Layout, Plan, SymbolId, Value};

/// The most values, the most steps and the most outputs that a plan may have.
pub const MAX_ITEMS: usize = 1 << 20;

/// The most symbols that a plan may have.
pub const MAX_SYMBOLS: usize = 1 << 10;

/// The most tiles that a plan may have.
pub const MAX_TILES: usize = 1 << 10;

/// Where constants begin is a multiple of this.
pub const CONSTANT_ALIGN_BYTES: u64 = 64;

/// A plan that breaks a rule of this module.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("invalid plan: {reason}")]
pub struct InvalidPlan {
    reason: String,
}

/// What a plan is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Role {
    /// What callers call.
    Model,
    /// A part of a model.
    Segment,
}

impl Plan<'_> {
    /// Checks the rules of [`verify`](crate::verify).
    ///
    /// # Errors
    /// If one is broken; the error says which and where.
    pub fn verify(&self) -> Result<(), InvalidPlan> {
        self.check(Role::Model)
    }

    /// Checks the rules of [`verify`](crate::verify) for a segment.
    ///
    /// # Errors
    /// If one is broken; the error says which and where.
    pub fn verify_segment(&self) -> Result<(), InvalidPlan> {
        self.check(Role::Segment)
    }

    fn check(&self, role: Role) -> Result<(), InvalidPlan> {
        self.check_counts()?;
        let signature = &self.description.signature;
        check_unique("inputs", signature.inputs.iter().map(|spec| &spec.name))?;
        check_unique("outputs", signature.outputs.iter().map(|spec| &spec.name))?;
        check_unique("symbols", self.symbols.iter())?;
        values::check(self)?;
        self.check_inputs(role)?;
        if role == Role::Model {
            self.check_symbols()?;
        }
        steps::check(self, role)?;
        self.check_outputs(role)?;
        self.check_row_symbol()?;
        self.check_tiles()
    }

    fn check_counts(&self) -> Result<(), InvalidPlan> {
        let counts = [
            ("values", self.values.len(), MAX_ITEMS),
            ("steps", self.steps.len(), MAX_ITEMS),
            ("outputs", self.outputs.len(), MAX_ITEMS),
            ("symbols", self.symbols.len(), MAX_SYMBOLS),
            ("tiles", self.tiles.len(), MAX_TILES),
        ];
        for (what, found, limit) in counts {
            if found > limit {
                return Err(invalid(format!(
                    "expected at most {limit} {what}, found {found}"
                )));
            }
        }
        Ok(())
    }

    fn check_inputs(&self, role: Role) -> Result<(), InvalidPlan> {
        let specs = &self.description.signature.inputs;
        if self.values.len() < specs.len() {
            return Err(invalid(format!(
                "expected the signature's {} inputs first, found {} values",
                specs.len(),
                self.values.len()
            )));
        }
        for (index, (value, spec)) in self.values.iter().zip(specs).enumerate() {
            if value.name != spec.name || !self.fits(value, spec, role) {
                return Err(invalid(format!(
                    "expected value {index} to be the input {spec}, found {}: {}",
                    value.name,
                    self.type_text(value)
                )));
            }
        }
        Ok(())
    }

    /// Reports whether a value has datum type and dims of an input.
    fn fits(&self, value: &Value, spec: &TensorSpec, role: Role) -> bool {
        let same = |(expression, dim): (&DimExpr, &Dim)| match dim {
            Dim::Fixed(size) => expression.as_number() == Some(i64::from(*size)),
            Dim::Symbol(name) => expression
                .as_symbol()
                .and_then(|id| self.symbols.get(id.0 as usize))
                .is_some_and(|symbol| symbol == name),
        };
        let Some(dims) = &value.dims else {
            return false;
        };
        let fits_model = || value.layout == Layout::Plain && dims.iter().zip(&spec.dims).all(same);
        value.datum_type == spec.datum_type
            && dims.len() == spec.dims.len()
            && (role == Role::Segment || fits_model())
    }

    fn check_symbols(&self) -> Result<(), InvalidPlan> {
        let inputs = &self.values[..self.description.signature.inputs.len()];
        let mut plain = vec![false; self.symbols.len()];
        for dim in inputs.iter().flat_map(|value| value.dims.iter().flatten()) {
            if let Some(SymbolId(id)) = dim.as_symbol() {
                plain[id as usize] = true;
            }
        }
        if let Some(id) = plain.iter().position(|plain| !plain) {
            return Err(invalid(format!(
                "expected symbol `{}` to be a dim of an input, found it in none",
                self.symbols[id]
            )));
        }
        Ok(())
    }

    fn check_outputs(&self, role: Role) -> Result<(), InvalidPlan> {
        let specs = &self.description.signature.outputs;
        if self.outputs.len() != specs.len() {
            return Err(invalid(format!(
                "expected the signature's {} outputs, found {}",
                specs.len(),
                self.outputs.len()
            )));
        }
        for (id, spec) in self.outputs.iter().zip(specs) {
            let broken = |found: String| {
                invalid(format!("expected a value for output {spec}, found {found}"))
            };
            let Some(value) = self.values.get(id.index()) else {
                return Err(broken(format!("%{}, which does not exist", id.0)));
            };
            let numbers_agree = |dims: &Vec<DimExpr>| {
                dims.len() == spec.dims.len()
                    && dims.iter().zip(&spec.dims).all(|pair| match pair {
                        (expression, Dim::Fixed(size)) => expression
                            .as_number()
                            .is_none_or(|number| number == i64::from(*size)),
                        (_, Dim::Symbol(_)) => true,
                    })
            };
            if value.datum_type != spec.datum_type
                || (role == Role::Model && value.layout != Layout::Plain)
                || !value.dims.as_ref().is_none_or(numbers_agree)
            {
                return Err(broken(self.type_text(value)));
            }
        }
        Ok(())
    }

    fn check_row_symbol(&self) -> Result<(), InvalidPlan> {
        let Some(symbol) = self.row_symbol else {
            return Ok(());
        };
        let Some(name) = self.symbols.get(symbol.0 as usize) else {
            return Err(invalid(format!(
                "expected one of {} symbols to count rows, found symbol {}",
                self.symbols.len(),
                symbol.0
            )));
        };
        let counts_rows = |value: &Value| {
            let dims = value.dims.as_deref().unwrap_or_default();
            dims.split_first().is_some_and(|(first, rest)| {
                first.as_symbol() == Some(symbol) && !rest.iter().any(|dim| dim.mentions(symbol))
            })
        };
        let inputs = &self.values[..self.description.signature.inputs.len()];
        let outputs = self.outputs.iter().map(|id| &self.values[id.index()]);
        match inputs
            .iter()
            .chain(outputs)
            .find(|value| !counts_rows(value))
        {
            None => Ok(()),
            Some(value) => Err(invalid(format!(
                "expected `{name}`, which counts rows, at axis 0 of every input and output and nowhere else, found {}: {}",
                value.name,
                self.type_text(value)
            ))),
        }
    }

    fn check_tiles(&self) -> Result<(), InvalidPlan> {
        for (index, tile) in self.tiles.iter().enumerate() {
            let is_whole = |bytes: u32| bytes.is_multiple_of(4);
            if !matches!(tile.channels, 4 | 8 | 12 | 16)
                || tile.rows == 0
                || !is_whole(tile.lhs_stride_bytes)
                || !is_whole(tile.out_stride_bytes)
            {
                return Err(invalid(format!(
                    "expected rows of whole numbers and 4, 8, 12 or 16 channels in tile {index}, found {tile:?}"
                )));
            }
        }
        Ok(())
    }
}

fn check_unique<'a>(
    what: &str,
    names: impl Iterator<Item = &'a String>,
) -> Result<(), InvalidPlan> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(invalid(format!("two {what} are named `{name}`")));
        }
    }
    Ok(())
}

fn invalid(reason: String) -> InvalidPlan {
    InvalidPlan { reason }
}
