//! Attributes that make tract ask for memory without end, or divide by zero.

use tract_onnx::pb::NodeProto;

use crate::rewrite::error::RewriteError;
use crate::rewrite::graph::{ints, node_name};

/// Checks the attributes of a node.
///
/// # Errors
/// If `perm` is not a permutation.
pub(super) fn check_attributes(node: &NodeProto) -> Result<(), RewriteError> {
    let perm = ints(node, "perm").filter(|_| node.op_type == "Transpose");
    let mut axes = perm.unwrap_or_default().to_vec();
    axes.sort_unstable();
    if axes.iter().zip(0..).any(|(&axis, index)| axis != index) {
        let message = "expected `perm` to name each axis once";
        return Err(invalid(node, message, perm.unwrap_or_default()));
    }
    Ok(())
}

fn invalid(node: &NodeProto, expected: &str, found: &[i64]) -> RewriteError {
    let (name, operator) = (node_name(node), &node.op_type);
    RewriteError::invalid(format!(
        "node `{name}` ({operator}): {expected}, found {found:?}"
    ))
}
