//! Sizes at which tract fails in ways that cannot be caught.

use tract_onnx::pb::NodeProto;

use super::Facts;
use crate::rewrite::error::{RewriteError, RewriteErrorKind};
use crate::rewrite::graph::{input, node_name};

/// The most bytes of a tensor that does not depend on the inputs, other than an initializer.
///
/// tract computes such tensors while it loads a model.
const MAX_CONSTANT_BYTES: u64 = 2 << 30;

/// Checks a constant that a node makes.
///
/// # Errors
/// If it is larger than [`MAX_CONSTANT_BYTES`].
pub(super) fn check_constant(
    facts: &Facts,
    node: &NodeProto,
    output: &str,
) -> Result<(), RewriteError> {
    match facts.size_bytes(output) {
        Some(size_bytes) if size_bytes > MAX_CONSTANT_BYTES => {
            Err(too_large(node, &facts.describe(output)))
        }
        _ => Ok(()),
    }
}

/// Checks the inputs of a node, before tract's rules see them.
///
/// # Errors
/// If one of which tract reads the first element has none, or one whose copy the rules make is too large.
pub(super) fn check_inputs(facts: &Facts, node: &NodeProto) -> Result<(), RewriteError> {
    for &index in scalars(&node.op_type) {
        let Some(name) = input(node, index) else {
            continue;
        };
        if facts.size_bytes(name) == Some(0) {
            let (node_name, found) = (node_name(node), facts.describe(name));
            return Err(RewriteError::invalid(format!(
                "node `{node_name}` ({}): expected one element in input {index}, found {found}",
                node.op_type
            )));
        }
    }
    let copies = matches!(node.op_type.as_str(), "EyeLike" | "ConstantLike");
    match input(node, 0) {
        // An element of the copy has up to 8 times the width.
        Some(name)
            if copies
                && facts
                    .size_bytes(name)
                    .is_some_and(|size| size > MAX_CONSTANT_BYTES / 8) =>
        {
            Err(too_large(node, &facts.describe(name)))
        }
        _ => Ok(()),
    }
}

/// Returns the inputs that are scalars. tract reads them without a look at their size.
fn scalars(op_type: &str) -> &'static [usize] {
    match op_type {
        "If" => &[0],
        "Range" => &[0, 1, 2],
        "Clip" | "Dropout" => &[1, 2],
        "CumSum" | "OneHot" | "TopK" | "Trilu" => &[1],
        "Pad" => &[2],
        "NonMaxSuppression" => &[2, 3, 4],
        "DequantizeLinear" | "QuantizeLinear" => &[1, 2],
        "QLinearMatMul" | "QLinearConv" => &[1, 2, 4, 5, 6, 7],
        "STFT" | "DFT" => &[1],
        _ => &[],
    }
}

fn too_large(node: &NodeProto, found: &str) -> RewriteError {
    let (name, operator) = (node_name(node), &node.op_type);
    RewriteError::new(
        RewriteErrorKind::TooLarge,
        format!(
            "node `{name}` ({operator}): expected a constant of at most {MAX_CONSTANT_BYTES} bytes, found {found}"
        ),
    )
}
