//! Sizes as expressions: what operators compute of them, and their form in plans.

use tensorlet_plan::dims::MAX_DEPTH;
use tensorlet_plan::{DimExpr, DimOp, SymbolId};
use tract_onnx::prelude::TDim;
use tract_onnx::tract_core::internal::{DimLike, Symbol};

/// Returns the size as a plan has it; `None` if it depends on something else than `symbols`, or is too deep.
pub(super) fn to_expr(
    dim: &TDim,
    symbols: &impl Fn(&Symbol) -> Option<SymbolId>,
) -> Option<DimExpr> {
    let mut ops = vec![];
    write(dim, symbols, &mut ops, 0)?;
    Some(DimExpr(ops))
}

/// Appends the operations that leave `dim` on a stack that holds `depth` numbers.
fn write(
    dim: &TDim,
    symbols: &impl Fn(&Symbol) -> Option<SymbolId>,
    ops: &mut Vec<DimOp>,
    depth: usize,
) -> Option<()> {
    if depth >= MAX_DEPTH {
        return None;
    }
    let fold = |dims: &[TDim], op: DimOp, ops: &mut Vec<DimOp>| {
        let (first, rest) = dims.split_first()?;
        write(first, symbols, ops, depth)?;
        for dim in rest {
            write(dim, symbols, ops, depth + 1)?;
            ops.push(op);
        }
        Some(())
    };
    match dim {
        TDim::Val(number) => ops.push(DimOp::Number(*number)),
        TDim::Sym(symbol) => ops.push(DimOp::Symbol(symbols(symbol)?)),
        TDim::Add(dims) => fold(dims, DimOp::Add, ops)?,
        TDim::Mul(dims) => fold(dims, DimOp::Multiply, ops)?,
        TDim::Min(dims) => fold(dims, DimOp::Minimum, ops)?,
        // Sizes that are broadcast are equal, or 1.
        TDim::Max(dims) | TDim::Broadcast(dims) => fold(dims, DimOp::Maximum, ops)?,
        TDim::MulInt(factor, dim) => {
            write(dim, symbols, ops, depth)?;
            write(&TDim::Val(*factor), symbols, ops, depth + 1)?;
            ops.push(DimOp::Multiply);
        }
        TDim::Div(dim, divisor) => {
            let divisor = i64::try_from(*divisor)
                .ok()
                .filter(|&divisor| divisor > 0)?;
            write(dim, symbols, ops, depth)?;
            write(&TDim::Val(divisor), symbols, ops, depth + 1)?;
            ops.push(DimOp::Divide);
        }
        TDim::Ge(..) | TDim::Eq(..) => return None,
    }
    Some(())
}

/// Sizes that are numbers.
pub(super) fn numbers(dims: &[usize]) -> Vec<TDim> {
    dims.iter().map(TDim::from).collect()
}

/// Returns the sizes, if they are all numbers.
pub(super) fn fixed(dims: &[TDim]) -> Option<Vec<usize>> {
    dims.iter().map(TDim::as_usize).collect()
}

/// Returns how many elements there are; `None` if that overflows.
pub(super) fn product(dims: &[TDim]) -> Option<TDim> {
    dims.iter()
        .try_fold(TDim::from(1), |product, dim| mul(&product, dim))
}

/// Multiplies; `None` if numbers overflow.
pub(super) fn mul(left: &TDim, right: &TDim) -> Option<TDim> {
    match (left.as_i64(), right.as_i64()) {
        (Some(left), Some(right)) => left.checked_mul(right).map(TDim::from),
        _ => Some(left.clone() * right),
    }
}

/// Divides one product of sizes by another, which must divide it.
pub(super) fn quotient(numerator: &[TDim], denominator: &[TDim]) -> Option<TDim> {
    let mut left: Vec<&TDim> = numerator.iter().collect();
    let mut right = vec![];
    for dim in denominator {
        match left.iter().position(|other| *other == dim) {
            Some(index) => drop(left.swap_remove(index)),
            None => right.push(dim.clone()),
        }
    }
    let left: Vec<TDim> = left.into_iter().cloned().collect();
    let (left, right) = (product(&left)?, product(&right)?);
    if let (Some(left), Some(right)) = (left.as_i64(), right.as_i64()) {
        return (right > 0 && left % right == 0).then(|| (left / right).into());
    }
    if right.as_i64() == Some(0) {
        return None;
    }
    let (quotient, rest) = left.maybe_div(&right).ok()?;
    Some(if rest == 1 { quotient } else { quotient / rest })
}

/// Returns the dims that both are broadcast to.
pub(super) fn broadcast(left: &[TDim], right: &[TDim]) -> Option<Vec<TDim>> {
    let rank = left.len().max(right.len());
    let size = |dims: &[TDim], axis: usize| match (axis + dims.len()).checked_sub(rank) {
        Some(axis) => dims[axis].clone(),
        None => TDim::from(1),
    };
    (0..rank)
        .map(|axis| broadcast_size(size(left, axis), size(right, axis)))
        .collect()
}

fn broadcast_size(left: TDim, right: TDim) -> Option<TDim> {
    if left == right || right.is_one() {
        return Some(left);
    }
    if left.is_one() {
        return Some(right);
    }
    match (left.as_i64(), right.as_i64()) {
        (Some(_), Some(_)) => None,
        // The other is the same in every call that succeeds, or 1.
        (Some(_), None) => Some(left),
        (None, Some(_)) => Some(right),
        // Made of the same symbols, they are equal where they fit, such as twice the half of a size and that size.
        (None, None) if left.symbols() == right.symbols() => Some(simpler(left, right)),
        (None, None) => left.broadcast(right).ok(),
    }
}

/// Returns the simpler of two sizes that must be equal, a number if one is.
pub(super) fn simpler(left: TDim, right: TDim) -> TDim {
    if left == right {
        return left;
    }
    let cost = |dim: &TDim| match dim.as_i64() {
        Some(_) => 0,
        None => dim.to_string().len(),
    };
    if cost(&right) < cost(&left) {
        right
    } else {
        left
    }
}

/// Counts an axis from the front; `None` if there is no such axis.
pub(super) fn axis(axis: i64, rank: usize) -> Option<usize> {
    let axis = if axis < 0 {
        axis.checked_add(i64::try_from(rank).ok()?)?
    } else {
        axis
    };
    usize::try_from(axis).ok().filter(|&axis| axis < rank)
}

/// Counts axes from the front and sorts them; `None` if one does not exist or is named twice.
pub(super) fn axes(axes: &[i64], rank: usize) -> Option<Vec<usize>> {
    let mut axes: Vec<usize> = axes
        .iter()
        .map(|&index| axis(index, rank))
        .collect::<Option<_>>()?;
    axes.sort_unstable();
    let count = axes.len();
    axes.dedup();
    (axes.len() == count).then_some(axes)
}

/// Returns axes as kernels have them.
pub(super) fn as_u32(axes: &[usize]) -> Vec<u32> {
    axes.iter().map(|&axis| axis as u32).collect()
}

#[cfg(test)]
mod tests {
    use tract_onnx::prelude::SymbolScope;

    use super::*;

    fn scope() -> SymbolScope {
        SymbolScope::default()
            .with_assertion("N>=1")
            .and_then(|scope| scope.with_assertion("W>=1"))
            .unwrap()
    }

    /// Reads sizes such as `N, 2*W`.
    fn dims(scope: &SymbolScope, text: &str) -> Vec<TDim> {
        let texts = text.split(',').filter(|text| !text.trim().is_empty());
        texts
            .map(|text| scope.parse_tdim(text.trim()).unwrap().simplify())
            .collect()
    }

    fn shown(dims: &[TDim]) -> String {
        let texts: Vec<String> = dims.iter().map(TDim::to_string).collect();
        texts.join(", ")
    }

    #[test]
    fn expressions_have_the_same_value() {
        let scope = scope();
        let symbols = |symbol: &Symbol| match symbol.to_string().as_str() {
            "N" => Some(SymbolId(0)),
            "W" => Some(SymbolId(1)),
            _ => None,
        };
        for (text, expected) in [
            ("7", 7),
            ("N", 5),
            ("2*N+1", 11),
            ("(W+1)/4", 3),
            ("N*W", 55),
            ("11-N", 6),
            ("min(N,W)", 5),
            ("max(N,W)+N", 16),
        ] {
            let dim = scope.parse_tdim(text).unwrap();
            let expr = to_expr(&dim, &symbols).unwrap();
            assert_eq!(expr.evaluate(&[5, 11]), Ok(expected), "{text}: {expr:?}");
        }
        let unknown = TDim::from(scope.sym("data"));
        assert_eq!(to_expr(&unknown, &symbols), None);
    }

    #[test]
    fn dims_are_broadcast() {
        let scope = scope();
        let cases = [
            ("2, 3", "3", Some("2, 3")),
            ("2, 1", "4", Some("2, 4")),
            ("N, 3", "1, 1", Some("N, 3")),
            ("N, 3", "5, 3", Some("5, 3")),
            ("2, 3", "4", None),
            ("", "N", Some("N")),
            ("2*(W/2)", "W", Some("W")),
            ("N", "W", Some("broadcast((N), (W))")),
        ];
        for (left, right, expected) in cases {
            let found = broadcast(&dims(&scope, left), &dims(&scope, right));
            let found = found.map(|dims| shown(&dims));
            assert_eq!(found.as_deref(), expected, "{left} with {right}");
        }
    }

    #[test]
    fn quotients_cancel_symbols() {
        let scope = scope();
        let cases = [
            ("N, 4, W", "N, W", Some("4")),
            ("N, 4*W", "N, 2", Some("2*W")),
            ("6, 4", "8", Some("3")),
            ("6, 4", "7", None),
            ("6, 4", "0", None),
            ("N, W", "2", Some("((N)*(W))/2")),
            ("4", "N", None),
        ];
        for (left, right, expected) in cases {
            let found = quotient(&dims(&scope, left), &dims(&scope, right));
            let found = found.map(|dim| dim.to_string());
            assert_eq!(found.as_deref(), expected, "{left} by {right}");
        }
    }

    #[test]
    fn axes_are_counted_from_the_front() {
        assert_eq!(axes(&[-1, 0], 3), Some(vec![0, 2]));
        assert_eq!(axes(&[1, -2], 3), None, "twice the same");
        assert_eq!(axes(&[3], 3), None);
        assert_eq!(axis(i64::MIN, 3), None);
    }
}
