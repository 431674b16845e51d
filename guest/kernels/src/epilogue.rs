//! What is done with each sum of a convolution or product: checking that it can be done.

use tensorlet_plan::Layout;
use tensorlet_plan::kernel::{Activation, Epilogue};
use tensorlet_tensor::DatumType;

use crate::attributes::Attributes;
use crate::run::BindError;
use crate::tensor_type::{BLOCK, TensorType};
use crate::unary;

/// Checks the inputs of an epilogue, which are a kernel's last ones, and its activation.
///
/// # Errors
/// If there are others than bias and residual, these do not fit `channels` and the output, or the activation does not make f32
/// of f32.
pub(crate) fn check(
    epilogue: &Epilogue,
    mut inputs: &[TensorType],
    channels: usize,
    y: &TensorType,
) -> Result<(), BindError> {
    if let Activation::Unary(op) = epilogue.activation {
        unary::check_float(op)?;
    }
    let all = inputs;
    let mut fits = true;
    if epilogue.bias {
        let padded = channels.checked_next_multiple_of(BLOCK);
        fits &= inputs
            .split_off_first()
            .is_some_and(|bias| is_plain(bias) && bias.stored_len() == padded);
    }
    if epilogue.residual {
        fits &= inputs.split_off_first() == Some(y);
    }
    if fits && inputs.is_empty() {
        return Ok(());
    }
    Err(BindError::new(format!(
        "expected the inputs of {} for {channels} channels and {y}, found {}",
        Attributes(epilogue),
        crate::bind::Types {
            inputs: all,
            outputs: &[]
        }
    )))
}

/// Reports whether a tensor is plain and of f32.
pub(crate) fn is_plain(tensor: &TensorType) -> bool {
    tensor.layout == Layout::Plain && tensor.datum_type == DatumType::F32
}
