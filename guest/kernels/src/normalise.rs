//! Normalisations: `(x - mean) / sqrt(variance + ε) × scale + bias`, in two passes, so that a large mean costs no digits.
//!
//! - `rows`: mean and variance of numbers side by side, as for layers and groups of channels.
//! - `columns`: along an axis in the middle; each lane of a vector has a mean of its own.
//! - `lrn`: local response normalisation.

mod columns;
mod lrn;
mod rows;

#[cfg(test)]
mod tests;

use tensorlet_plan::kernel::{Normalise, NormaliseKind};
use tensorlet_plan::{Kernel, Layout};
use tensorlet_tensor::DatumType;

use crate::bind::Types;
use crate::run::{BindError, Nothing, Run, Target};
use crate::tensor_type::TensorType;

/// Binds a normalisation of a plain tensor of f32.
pub(crate) fn bind(
    normalise: &Normalise,
    types: Types<'_>,
    target: &Target<'_>,
) -> Result<Box<dyn Run>, BindError> {
    let count = 1 + usize::from(normalise.scale) + usize::from(normalise.bias);
    let (Some(x), [y], true) = (
        types.inputs.first(),
        types.outputs,
        types.inputs.len() == count,
    ) else {
        return Err(BindError::new(format!(
            "expected {count} inputs and one output of a normalisation, found {} and {}",
            types.inputs.len(),
            types.outputs.len()
        )));
    };
    check_like(x, y)?;
    if x.is_empty() {
        // Products of the other sizes might overflow.
        return Ok(Box::new(Nothing));
    }
    let fits = |index: usize, len: usize| match types.inputs.get(index) {
        Some(factors) if !(is_plain_f32(factors) && factors.len() == len) => {
            Err(BindError::new(format!(
                "expected scale and bias of {len} plain f32 for a normalisation of {x}, found {factors}"
            )))
        }
        _ => Ok(()),
    };
    let out_of_range = |axis: u32| {
        BindError::new(format!(
            "expected an axis of {x} that is normalised, found {axis}"
        ))
    };
    let (factors, bound): (usize, Box<dyn Run>) = match normalise.kind {
        NormaliseKind::Layer { axis } | NormaliseKind::RootMeanSquare { axis } => {
            let at = axis as usize;
            if at >= x.dims.len() {
                return Err(out_of_range(axis));
            }
            let len = x.dims[at..].iter().product();
            (len, Box::new(rows::Rows::layer(normalise, len, target.isa)))
        }
        NormaliseKind::Axis { axis } => {
            let at = axis as usize;
            if at >= x.dims.len() {
                return Err(out_of_range(axis));
            }
            let inner = x.dims[at + 1..].iter().product();
            let columns = columns::Columns::new(normalise, x.dims[at], inner, target.isa);
            (x.dims[at], Box::new(columns))
        }
        NormaliseKind::Group { groups } => {
            let ([_, channels, spatial @ ..], groups) = (x.dims.as_slice(), groups as usize) else {
                return Err(BindError::new(format!(
                    "expected an axis of channels, found {x}"
                )));
            };
            if groups == 0 || channels % groups != 0 {
                return Err(BindError::new(format!(
                    "expected groups that divide {channels} channels, found {groups}"
                )));
            }
            let spatial = spatial.iter().product();
            let rows = rows::Rows::group(normalise, *channels, groups, spatial, target.isa);
            (*channels, Box::new(rows))
        }
    };
    fits(1, factors)?;
    fits(2, factors)?;
    Ok(bound)
}

/// Binds a local response normalisation of a plain tensor of f32.
pub(crate) fn bind_lrn(
    kernel: &Kernel,
    types: Types<'_>,
    target: &Target<'_>,
) -> Result<Box<dyn Run>, BindError> {
    let ([x], [y]) = (types.inputs, types.outputs) else {
        return Err(BindError::new("expected one input and one output of LRN"));
    };
    check_like(x, y)?;
    if x.is_empty() {
        return Ok(Box::new(Nothing));
    }
    let &Kernel::Lrn {
        size,
        alpha,
        beta,
        bias,
    } = kernel
    else {
        return Err(BindError::new("expected LRN, found another kernel"));
    };
    let [_, channels, spatial @ ..] = x.dims.as_slice() else {
        return Err(BindError::new(format!(
            "expected an axis of channels, found {x}"
        )));
    };
    if size == 0 {
        return Err(BindError::new(
            "expected LRN over at least one channel, found 0",
        ));
    }
    Ok(Box::new(lrn::Lrn {
        size: size as usize,
        factor: alpha / size as f32,
        beta,
        bias,
        channels: *channels,
        spatial: spatial.iter().product(),
        isa: target.isa,
    }))
}

fn check_like(x: &TensorType, y: &TensorType) -> Result<(), BindError> {
    if x != y || !is_plain_f32(x) {
        return Err(BindError::new(format!(
            "expected a normalisation of a plain f32 tensor to make its like, found {x} and {y}"
        )));
    }
    Ok(())
}

fn is_plain_f32(tensor: &TensorType) -> bool {
    tensor.datum_type == DatumType::F32 && tensor.layout == Layout::Plain
}

/// Finds scale and bias among the inputs.
fn factors<'a>(
    inputs: &[&'a [u8]],
    scale: bool,
    bias: bool,
) -> (Option<&'a [f32]>, Option<&'a [f32]>) {
    let at = |index: usize| bytemuck::cast_slice(inputs[index]);
    (
        scale.then(|| at(1)),
        bias.then(|| at(1 + usize::from(scale))),
    )
}
