//! What is known of sizes without knowing the symbols.

use std::collections::BTreeMap;
use std::ops::Range;

use tensorlet_plan::{DimExpr, DimOp};

/// A sum of products, which tells whether two expressions are equal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Polynomial(BTreeMap<Vec<Atom>, i64>);

/// What a product is made of.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Atom {
    Symbol(u32),
    /// A quotient, minimum or maximum, written down.
    Opaque(String),
}

impl Polynomial {
    /// Returns an expression as a polynomial, unless it is malformed or its numbers are too large.
    pub(crate) fn of(dim: &DimExpr) -> Option<Self> {
        let mut stack: Vec<Self> = vec![];
        for op in &dim.0 {
            let item = match *op {
                DimOp::Number(number) => Self::number(number),
                DimOp::Symbol(id) => Self::atom(Atom::Symbol(id.0)),
                op => {
                    let rhs = stack.pop()?;
                    stack.pop()?.combined(op, &rhs)?
                }
            };
            stack.push(item);
        }
        let result = stack.pop()?;
        stack.is_empty().then_some(result)
    }

    /// Returns the product of some sizes.
    pub(crate) fn product(dims: &[DimExpr]) -> Option<Self> {
        dims.iter().try_fold(Self::number(1), |product, dim| {
            product.times(&Self::of(dim)?)
        })
    }

    /// Returns the number, if it is one.
    pub(crate) fn as_number(&self) -> Option<i64> {
        match self.0.iter().next() {
            None => Some(0),
            Some((atoms, &number)) => (self.0.len() == 1 && atoms.is_empty()).then_some(number),
        }
    }

    fn number(number: i64) -> Self {
        Self(BTreeMap::from([(vec![], number)])).without_zeros()
    }

    fn atom(atom: Atom) -> Self {
        Self(BTreeMap::from([(vec![atom], 1)]))
    }

    fn without_zeros(mut self) -> Self {
        self.0.retain(|_, &mut factor| factor != 0);
        self
    }

    fn plus(&self, other: &Self, sign: i64) -> Option<Self> {
        let mut sum = self.0.clone();
        for (atoms, &factor) in &other.0 {
            let slot = sum.entry(atoms.clone()).or_default();
            *slot = slot.checked_add(factor.checked_mul(sign)?)?;
        }
        Some(Self(sum).without_zeros())
    }

    fn times(&self, other: &Self) -> Option<Self> {
        let mut product: BTreeMap<Vec<Atom>, i64> = BTreeMap::new();
        for (a, &x) in &self.0 {
            for (b, &y) in &other.0 {
                let mut atoms = [a.as_slice(), b].concat();
                atoms.sort();
                let slot = product.entry(atoms).or_default();
                *slot = slot.checked_add(x.checked_mul(y)?)?;
            }
        }
        Some(Self(product).without_zeros())
    }

    fn combined(&self, op: DimOp, rhs: &Self) -> Option<Self> {
        match op {
            DimOp::Add => self.plus(rhs, 1),
            DimOp::Subtract => self.plus(rhs, -1),
            DimOp::Multiply => self.times(rhs),
            _ => Some(match (self.as_number(), rhs.as_number()) {
                (Some(lhs), Some(rhs)) => Self::number(match op {
                    DimOp::Divide if rhs > 0 => lhs.div_euclid(rhs),
                    DimOp::Minimum => lhs.min(rhs),
                    DimOp::Maximum => lhs.max(rhs),
                    _ => return None,
                }),
                _ => Self::atom(Atom::Opaque(format!("{op:?} {:?} {:?}", self.0, rhs.0))),
            }),
        }
    }
}

/// Reports whether two sizes are equal for all sizes of the symbols.
pub(crate) fn same(a: &DimExpr, b: &DimExpr) -> bool {
    a == b || matches!((Polynomial::of(a), Polynomial::of(b)), (Some(a), Some(b)) if a == b)
}

/// Reports whether two tensors have the same dims.
pub(crate) fn same_dims(a: &[DimExpr], b: &[DimExpr]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
}

/// Returns `a - b`, if that is the same for all sizes of the symbols.
pub(crate) fn difference(a: &DimExpr, b: &DimExpr) -> Option<i64> {
    let (a, b) = (Polynomial::of(a)?, Polynomial::of(b)?);
    a.plus(&b, -1)?.as_number()
}

/// Reports whether a size is one.
pub(crate) fn is_one(dim: &DimExpr) -> bool {
    dim.as_number() == Some(1)
}

/// Divides the axes of a tensor and of its reshaped form into runs that hold the same elements: `[N, 4, 6]` and
/// `[N, 24, 1]` into `[N]` and `[N]`, `[4, 6]` and `[24]`, nothing and `[1]`.
pub(crate) fn matching_axes(
    from: &[DimExpr],
    to: &[DimExpr],
) -> Option<Vec<(Range<usize>, Range<usize>)>> {
    let mut runs = vec![];
    let (mut i, mut j) = (0, 0);
    while i < from.len() && j < to.len() {
        let (begin_i, begin_j) = (i, j);
        (i, j) = (i + 1, j + 1);
        loop {
            let (a, b) = (&from[begin_i..i], &to[begin_j..j]);
            if Polynomial::product(a)? == Polynomial::product(b)? {
                break;
            }
            match example_len(a)?.cmp(&example_len(b)?) {
                std::cmp::Ordering::Less if i < from.len() => i += 1,
                std::cmp::Ordering::Greater if j < to.len() => j += 1,
                _ => return None,
            }
        }
        runs.push((begin_i..i, begin_j..j));
    }
    if !from[i..].iter().chain(&to[j..]).all(is_one) {
        return None;
    }
    runs.push((i..from.len(), j..to.len()));
    Some(runs)
}

/// Returns how many elements there are for some large sizes of the symbols; `None` for none.
fn example_len(dims: &[DimExpr]) -> Option<u128> {
    const SIZES: [u32; 8] = [1009, 1013, 1019, 1021, 1031, 1033, 1039, 1049];
    let sizes: Vec<u32> = SIZES.iter().copied().cycle().take(256).collect();
    dims.iter().try_fold(1u128, |product, dim| {
        let size = dim.evaluate(&sizes).ok().filter(|&size| size > 0)?;
        product.checked_mul(size.into())
    })
}

#[cfg(test)]
mod tests {
    use tensorlet_plan::SymbolId;
    use tensorlet_plan::dims::DimOp::{Add, Divide, Multiply, Number, Subtract};

    use super::*;

    const N: DimOp = DimOp::Symbol(SymbolId(0));
    const W: DimOp = DimOp::Symbol(SymbolId(1));

    fn dims(ops: &[&[DimOp]]) -> Vec<DimExpr> {
        ops.iter().map(|ops| DimExpr(ops.to_vec())).collect()
    }

    #[test]
    fn equal_expressions_are_recognised() {
        let [a, b] = &dims(&[
            &[N, W, Add, Number(2), Multiply],
            &[W, Number(2), Multiply, N, Number(2), Multiply, Add],
        ])[..] else {
            unreachable!()
        };
        assert!(same(a, b));
        let longer = DimExpr([a.0.as_slice(), &[Number(3), Add]].concat());
        assert_eq!(difference(&longer, b), Some(3));
        assert!(!same(&longer, b));
        let half = |ops: &[DimOp]| DimExpr([ops, &[Number(2), Divide]].concat());
        assert!(same(&half(&a.0), &half(&b.0)));
        assert!(!same(&half(&a.0), &half(&longer.0)));
        let difference = DimExpr(vec![N, N, Subtract]);
        assert!(same(&difference, &DimExpr::number(0)));
    }

    #[test]
    fn axes_of_reshaped_tensors_match_in_runs() {
        let runs = |from: &[&[DimOp]], to: &[&[DimOp]]| matching_axes(&dims(from), &dims(to));
        assert_eq!(
            runs(
                &[&[N], &[Number(4)], &[Number(6)]],
                &[&[N], &[Number(24)], &[Number(1)]]
            ),
            Some(vec![(0..1, 0..1), (1..3, 1..2), (3..3, 2..3)])
        );
        assert_eq!(
            runs(
                &[&[N], &[W], &[Number(6)]],
                &[&[N, W, Multiply], &[Number(2)], &[Number(3)]]
            ),
            Some(vec![(0..2, 0..1), (2..3, 1..3), (3..3, 3..3)])
        );
        assert_eq!(
            runs(&[&[Number(4)], &[Number(6)]], &[&[Number(6)], &[Number(4)]]),
            Some(vec![(0..2, 0..2), (2..2, 2..2)])
        );
        assert_eq!(runs(&[&[Number(4)]], &[&[Number(3)]]), None);
        assert_eq!(runs(&[&[Number(0)]], &[&[Number(0)], &[Number(3)]]), None);
    }
}
