//! The rules for single values: dims, layout, and where they lie.

use tensorlet_tensor::{DatumType, MAX_RANK};

use super::{CONSTANT_ALIGN_BYTES, InvalidPlan, invalid};
use crate::dims::DimError;
use crate::{Layout, Plan, Storage, Value};

/// How many channels lie side by side in a blocked value.
const BLOCK: u64 = 16;

pub(super) fn check(plan: &Plan<'_>) -> Result<(), InvalidPlan> {
    for (index, value) in plan.values.iter().enumerate() {
        let broken = |reason: String| invalid(format!("value {index} `{}`: {reason}", value.name));
        check_dims(plan, value).map_err(broken)?;
        check_storage(plan, index, value).map_err(broken)?;
    }
    Ok(())
}

fn check_dims(plan: &Plan<'_>, value: &Value) -> Result<(), String> {
    let Some(dims) = &value.dims else {
        if value.storage != Storage::Buffer || value.layout != Layout::Plain {
            return Err("expected a row-major buffer, as only the data decides its dims, found another value".into());
        }
        return Ok(());
    };
    if dims.len() > MAX_RANK {
        return Err(format!(
            "expected at most {MAX_RANK} dims, found {}",
            dims.len()
        ));
    }
    for (axis, dim) in dims.iter().enumerate() {
        dim.check(plan.symbols.len())
            .map_err(|error| format!("axis {axis}: {error}"))?;
    }
    let is_blockable = value.datum_type == DatumType::F32 && dims.len() >= 3;
    if value.layout == Layout::Blocked && !is_blockable {
        return Err(format!(
            "expected f32 of rank 3 or more in blocks, found {} of rank {}",
            value.datum_type,
            dims.len()
        ));
    }
    Ok(())
}

fn check_storage(plan: &Plan<'_>, index: usize, value: &Value) -> Result<(), String> {
    let inputs = plan.description.signature.inputs.len();
    let is_input = value.storage == Storage::Input;
    if is_input != (index < inputs) {
        return Err(format!(
            "expected the signature's {inputs} inputs first, found {}",
            if is_input {
                "a further input"
            } else {
                "no input"
            }
        ));
    }
    match &value.storage {
        Storage::Input | Storage::Buffer => Ok(()),
        Storage::Constant(range) => check_constant(plan, value, range.start, range.end),
        Storage::Alias(target) => match plan.values.get(target.index()) {
            Some(other) if target.index() < index => check_alias(plan, value, other),
            _ => Err(format!(
                "expected an alias of an earlier value, found one of %{}",
                target.0
            )),
        },
    }
}

fn check_constant(plan: &Plan<'_>, value: &Value, start: u64, end: u64) -> Result<(), String> {
    let len = plan.constants.len() as u64;
    if start > end || end > len || !start.is_multiple_of(CONSTANT_ALIGN_BYTES) {
        return Err(format!(
            "expected a multiple of {CONSTANT_ALIGN_BYTES} and a range within the {len} bytes of constants, found {start}..{end}"
        ));
    }
    match stored_bytes(value, &[]) {
        Ok(bytes) if bytes == end - start => Ok(()),
        Ok(bytes) => Err(format!(
            "expected {bytes} bytes for {}, found {}",
            plan.type_text(value),
            end - start
        )),
        Err(error) => Err(format!("expected a constant of known dims: {error}")),
    }
}

fn check_alias(plan: &Plan<'_>, value: &Value, other: &Value) -> Result<(), String> {
    if other.dims.is_none() || other.layout != Layout::Plain || value.layout != Layout::Plain {
        return Err(format!(
            "expected an alias between row-major values of known dims, found {} of {}",
            plan.type_text(value),
            plan.type_text(other)
        ));
    }
    // Sizes that depend on symbols are compared when they are known: some models are right for certain sizes alone.
    let (Ok(bytes), Ok(other_bytes)) = (stored_bytes(value, &[]), stored_bytes(other, &[])) else {
        return Ok(());
    };
    if bytes != other_bytes {
        return Err(format!(
            "expected an alias of equally many bytes, found {} of `{}`: {}",
            plan.type_text(value),
            other.name,
            plan.type_text(other)
        ));
    }
    Ok(())
}

/// Returns how many bytes a value of known dims has in memory, for given sizes of the symbols.
fn stored_bytes(value: &Value, symbols: &[u32]) -> Result<u64, DimError> {
    let mut bytes = value.datum_type.width_bytes() as u64;
    for (axis, dim) in value.dims.iter().flatten().enumerate() {
        let mut size = u64::from(dim.evaluate(symbols)?);
        if axis == 1 && value.layout == Layout::Blocked {
            size = size.next_multiple_of(BLOCK);
        }
        bytes = bytes
            .checked_mul(size)
            .ok_or_else(|| DimError::OutOfRange {
                found: format!("{bytes} bytes × {size}"),
            })?;
    }
    Ok(bytes)
}
