//! Finds the family of a kernel.

use tensorlet_plan::Kernel;

use crate::run::{BindError, Run, Target};
use crate::tensor_type::TensorType;
use crate::{
    arrange, attention, binary, cast, conv, conv_transpose, gather, layout, matmul, normalise,
    pool, rank, recurrent, reduce, resize, scatter, softmax, unary, where_,
};

/// What a family is given: the types of a step's inputs and outputs.
#[derive(Clone, Copy, Debug)]
pub struct Types<'a> {
    /// The inputs, in the kernel's order, those that are absent left out.
    pub inputs: &'a [TensorType],
    /// The outputs, likewise.
    pub outputs: &'a [TensorType],
}

impl std::fmt::Display for Types<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (separator, tensors) in [("", self.inputs), (" → ", self.outputs)] {
            f.write_str(separator)?;
            for (i, tensor) in tensors.iter().enumerate() {
                f.write_str(if i == 0 { "" } else { ", " })?;
                tensor.fmt(f)?;
            }
        }
        Ok(())
    }
}

/// Binds a kernel to the sizes of its tensors.
///
/// # Errors
/// If there is no kernel for these types, or the types and the kernel's attributes contradict each other. The error says what
/// was expected and what was found.
pub fn bind(
    kernel: &Kernel,
    inputs: &[TensorType],
    outputs: &[TensorType],
    target: &Target<'_>,
) -> Result<Box<dyn Run>, BindError> {
    for tensor in inputs.iter().chain(outputs) {
        let bytes = tensor.stored_bytes();
        if bytes.is_none_or(|bytes| bytes > isize::MAX as usize) {
            return Err(BindError::new(format!(
                "expected a tensor that fits in memory and has the rank of its layout, found {tensor}"
            )));
        }
    }
    let types = Types { inputs, outputs };
    match kernel {
        Kernel::Conv(conv) => conv::bind(conv, types, target),
        Kernel::ConvTranspose(conv) => conv_transpose::bind(conv, types, target),
        Kernel::MatMul(matmul) => matmul::bind(matmul, types, target),
        Kernel::Attention(attention) => attention::bind(attention, types, target),
        Kernel::Recurrent(recurrent) => recurrent::bind(recurrent, types, target),
        Kernel::ToBlocked | Kernel::FromBlocked => layout::bind(kernel, types),
        Kernel::Unary(op) => unary::bind(*op, types, target),
        Kernel::Binary(op) => binary::bind(*op, types, target),
        Kernel::Where => where_::bind(types),
        Kernel::Cast => cast::bind(types),
        Kernel::Pool(pool) => pool::bind(pool, types, target),
        Kernel::Reduce(reduce) => reduce::bind(reduce, types, target),
        Kernel::Softmax { axis, log } => softmax::bind(*axis, *log, types, target),
        Kernel::Normalise(normalise) => normalise::bind(normalise, types, target),
        Kernel::Lrn { .. } => normalise::bind_lrn(kernel, types, target),
        Kernel::Resize(resize) => resize::bind(resize, types, target),
        Kernel::ArgReduce { .. } | Kernel::TopK(_) | Kernel::CumSum { .. } => {
            rank::bind(kernel, types)
        }
        Kernel::Gather(gather) => gather::bind(*gather, types),
        Kernel::Scatter(scatter) => scatter::bind(*scatter, types),
        Kernel::Transpose { .. }
        | Kernel::Copy
        | Kernel::Concat { .. }
        | Kernel::Slice(_)
        | Kernel::Pad(_)
        | Kernel::Expand
        | Kernel::Tile
        | Kernel::OneHot { .. }
        | Kernel::Trilu { .. }
        | Kernel::Dims { .. } => arrange::bind(kernel, types),
        Kernel::Tract(_) => Err(BindError::new(
            "expected a kernel of Tensorlet's own, found a tract step",
        )),
    }
}
