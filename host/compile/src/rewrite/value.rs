//! Small tensors whose elements are numbers, expressions over the symbols of the inputs, or unknown.

use std::cmp::Ordering;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::prelude::TDim;
use tract_onnx::tract_core::internal::DimLike;

/// The most elements that a [`Value`] has. Shapes and what is computed from them are far smaller.
pub(crate) const MAX_ELEMENTS: usize = 4096;

/// The largest number that is combined with symbols, so that expressions do not overflow.
const MAX_COEFFICIENT: i64 = 1 << 40;

/// How large two expressions may be together to be combined, as [`cost`] counts.
///
/// Simplifying takes time exponential in nested minima and maxima.
const MAX_COST: usize = 64;

/// A small tensor, each element of which may be unknown.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Value {
    data_type: DataType,
    dims: Vec<usize>,
    /// Row-major. Invariant: as many as `dims` say, at most [`MAX_ELEMENTS`].
    elements: Vec<Option<Number>>,
}

impl Value {
    /// Makes a value, if there are as many elements as the dims say and not too many.
    pub(crate) fn new(
        data_type: DataType,
        dims: Vec<usize>,
        elements: Vec<Option<Number>>,
    ) -> Option<Self> {
        let count = count(&dims)?;
        (count == elements.len()).then_some(Self {
            data_type,
            dims,
            elements,
        })
    }

    /// Makes a value of which nothing but the dims is known.
    pub(crate) fn unknown(data_type: DataType, dims: Vec<usize>) -> Option<Self> {
        let elements = vec![None; count(&dims)?];
        Some(Self {
            data_type,
            dims,
            elements,
        })
    }

    pub(crate) fn data_type(&self) -> DataType {
        self.data_type
    }

    pub(crate) fn dims(&self) -> &[usize] {
        &self.dims
    }

    pub(crate) fn elements(&self) -> &[Option<Number>] {
        &self.elements
    }

    /// Returns the same elements with other dims, if they are as many.
    pub(crate) fn reshaped(&self, dims: Vec<usize>) -> Option<Self> {
        Self::new(self.data_type, dims, self.elements.clone())
    }

    /// Returns the only element.
    pub(crate) fn single(&self) -> Option<&Number> {
        match self.elements.as_slice() {
            [element] => element.as_ref(),
            _ => None,
        }
    }

    /// Returns the elements, if all are numbers.
    pub(crate) fn numbers(&self) -> Option<Vec<&Number>> {
        let elements = self.elements.iter().map(Option::as_ref);
        elements
            .map(|element| element.filter(|number| number.is_number()))
            .collect()
    }

    /// Returns the elements, if all are integers without symbols.
    pub(crate) fn integers(&self) -> Option<Vec<i64>> {
        self.elements
            .iter()
            .map(|element| element.as_ref()?.as_i64())
            .collect()
    }

    /// Returns the elements as dims, if all are whole.
    pub(crate) fn expressions(&self) -> Option<Vec<TDim>> {
        self.elements
            .iter()
            .map(|element| element.as_ref()?.as_dim().cloned())
            .collect()
    }
}

fn count(dims: &[usize]) -> Option<usize> {
    let count = dims
        .iter()
        .try_fold(1usize, |count, &dim| count.checked_mul(dim))?;
    (count <= MAX_ELEMENTS).then_some(count)
}

/// A fraction: an expression over symbols, divided by a number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Number {
    numerator: TDim,
    /// Invariant: at least 1.
    denominator: u64,
}

impl Number {
    pub(crate) fn integer(value: i64) -> Self {
        Self::dim(value.into())
    }

    pub(crate) fn dim(dim: TDim) -> Self {
        Self {
            numerator: dim,
            denominator: 1,
        }
    }

    pub(crate) fn bool(value: bool) -> Self {
        Self::integer(value.into())
    }

    /// Makes a number of a float that is a fraction with few bits, such as 0.5 or 2.
    ///
    /// Products of others with symbols would be rounded in f32.
    pub(crate) fn float(value: f32) -> Option<Self> {
        const DENOMINATOR: f32 = 1024.0;
        let numerator = value * DENOMINATOR;
        let exact = numerator.fract() == 0.0 && value.abs() < 16384.0;
        exact.then(|| Self::fraction(TDim::from(numerator as i64), DENOMINATOR as u64))
    }

    fn fraction(numerator: TDim, denominator: u64) -> Self {
        if denominator == 1 {
            return Self {
                numerator,
                denominator,
            };
        }
        let common = numerator.gcd();
        let common = common_divisor(if common == 0 { denominator } else { common }, denominator);
        Self {
            numerator: numerator / common,
            denominator: denominator / common,
        }
    }

    /// Returns the expression, if the number is whole.
    pub(crate) fn as_dim(&self) -> Option<&TDim> {
        (self.denominator == 1).then_some(&self.numerator)
    }

    /// Returns the integer, if it is one without symbols.
    pub(crate) fn as_i64(&self) -> Option<i64> {
        self.as_dim()?.as_i64()
    }

    /// Returns the number, if it has no symbols and f32 holds it exactly.
    pub(crate) fn as_f32(&self) -> Option<f32> {
        let numerator = self.numerator.as_i64().filter(|n| n.abs() < 1 << 24)?;
        (self.denominator <= 1 << 24).then(|| numerator as f32 / self.denominator as f32)
    }

    /// Reports whether there is no symbol in it.
    pub(crate) fn is_number(&self) -> bool {
        self.numerator.as_i64().is_some()
    }

    pub(crate) fn neg(&self) -> Option<Self> {
        Self::integer(0).sub(self)
    }

    pub(crate) fn add(&self, other: &Self) -> Option<Self> {
        let (left, right, denominator) = self.common(other)?;
        Some(Self::fraction(
            checked(&left, &right, i64::checked_add, |a, b| a + b)?,
            denominator,
        ))
    }

    pub(crate) fn sub(&self, other: &Self) -> Option<Self> {
        let (left, right, denominator) = self.common(other)?;
        Some(Self::fraction(
            checked(&left, &right, i64::checked_sub, |a, b| a - b)?,
            denominator,
        ))
    }

    pub(crate) fn mul(&self, other: &Self) -> Option<Self> {
        let denominator = self.denominator.checked_mul(other.denominator)?;
        let product = mul(&self.numerator, &other.numerator)?;
        Some(Self::fraction(product, denominator))
    }

    /// Divides exactly, as floats do.
    pub(crate) fn div(&self, other: &Self) -> Option<Self> {
        let numerator = mul(
            &self.numerator,
            &i64::try_from(other.denominator).ok()?.into(),
        )?;
        if let Some(divisor) = other.numerator.as_i64() {
            let divisor = u64::try_from(divisor).ok().filter(|&divisor| divisor > 0)?;
            return Some(Self::fraction(
                numerator,
                self.denominator.checked_mul(divisor)?,
            ));
        }
        let (quotient, rest) = numerator.maybe_div(&other.numerator).ok()?;
        Some(Self::fraction(
            quotient,
            self.denominator.checked_mul(rest)?,
        ))
    }

    /// Divides and rounds towards zero, as integers do.
    pub(crate) fn div_integer(&self, other: &Self) -> Option<Self> {
        if let (Some(left), Some(right)) = (self.as_i64(), other.as_i64()) {
            return left.checked_div(right).map(Self::integer);
        }
        let quotient = self.div(other)?;
        // A quotient that was not proven to be at least zero is rounded up or down, depending on the call.
        if quotient.denominator == 1 {
            Some(quotient)
        } else {
            quotient.floor_positive()
        }
    }

    /// Returns what is left by a division that rounds down, for a divisor above zero.
    pub(crate) fn modulo(&self, other: &Self) -> Option<Self> {
        let divisor = other.as_i64().filter(|&divisor| divisor > 0)?;
        if let Some(left) = self.as_i64() {
            return Some(Self::integer(left.rem_euclid(divisor)));
        }
        self.sub(&self.div_integer(other)?.mul(other)?)
    }

    pub(crate) fn floor(&self) -> Option<Self> {
        match self.numerator.as_i64() {
            Some(numerator) => {
                let denominator = i64::try_from(self.denominator).ok()?;
                Some(Self::integer(numerator.div_euclid(denominator)))
            }
            None if self.denominator == 1 => Some(self.clone()),
            None => self.floor_positive(),
        }
    }

    pub(crate) fn ceil(&self) -> Option<Self> {
        let up = Self::fraction(
            i64::try_from(self.denominator - 1).ok()?.into(),
            self.denominator,
        );
        self.add(&up)?.floor()
    }

    /// Rounds towards zero, as a cast to integers does.
    pub(crate) fn truncate(&self) -> Option<Self> {
        match self.sign() {
            Some(Ordering::Less) => self.ceil(),
            Some(_) => self.floor(),
            None => (self.denominator == 1).then(|| self.clone()),
        }
    }

    /// Returns the smaller number, as an expression if that depends on the symbols.
    pub(crate) fn min(&self, other: &Self) -> Option<Self> {
        match self.compare(other) {
            Some(Ordering::Greater) => Some(other.clone()),
            Some(_) => Some(self.clone()),
            None => {
                let (left, right) = (self.as_dim()?, other.as_dim()?);
                affordable(left, right).then(|| Self::dim(left.clone().mini(right.clone())))
            }
        }
    }

    /// Returns the larger number, as an expression if that depends on the symbols.
    pub(crate) fn max(&self, other: &Self) -> Option<Self> {
        match self.compare(other) {
            Some(Ordering::Less) => Some(other.clone()),
            Some(_) => Some(self.clone()),
            None => {
                let (left, right) = (self.as_dim()?, other.as_dim()?);
                affordable(left, right).then(|| Self::dim(left.clone().maxi(right.clone())))
            }
        }
    }

    /// Compares, if the order is the same whatever the symbols are.
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        self.sub(other)?.sign()
    }

    /// Reports whether it is at least as large as `other`, where that can be told.
    pub(crate) fn at_least(&self, other: &Self) -> Option<bool> {
        let difference = self.sub(other)?.numerator;
        if difference.prove_positive_or_zero() {
            return Some(true);
        }
        difference.prove_strict_negative().then_some(false)
    }

    /// Reports whether both are equal, where that can be told.
    pub(crate) fn equals(&self, other: &Self) -> Option<bool> {
        if self == other {
            return Some(true);
        }
        self.compare(other).map(|order| order == Ordering::Equal)
    }

    fn sign(&self) -> Option<Ordering> {
        let dim = self.numerator.clone().simplify();
        if let Some(number) = dim.as_i64() {
            return Some(number.cmp(&0));
        }
        if dim.prove_strict_positive() {
            return Some(Ordering::Greater);
        }
        dim.prove_strict_negative().then_some(Ordering::Less)
    }

    fn floor_positive(&self) -> Option<Self> {
        let positive = self.numerator.prove_positive_or_zero();
        positive.then(|| Self::dim(self.numerator.clone() / self.denominator))
    }

    /// Returns both numerators over one denominator.
    fn common(&self, other: &Self) -> Option<(TDim, TDim, u64)> {
        if self.denominator == other.denominator {
            let numerators = (self.numerator.clone(), other.numerator.clone());
            return Some((numerators.0, numerators.1, self.denominator));
        }
        let left = mul(
            &self.numerator,
            &i64::try_from(other.denominator).ok()?.into(),
        )?;
        let right = mul(
            &other.numerator,
            &i64::try_from(self.denominator).ok()?.into(),
        )?;
        Some((
            left,
            right,
            self.denominator.checked_mul(other.denominator)?,
        ))
    }
}

fn mul(left: &TDim, right: &TDim) -> Option<TDim> {
    checked(left, right, i64::checked_mul, |a, b| a * b)
}

/// Computes with numbers if both are, and with expressions if the numbers in them are not too large.
fn checked(
    left: &TDim,
    right: &TDim,
    numbers: impl Fn(i64, i64) -> Option<i64>,
    expressions: impl Fn(TDim, TDim) -> TDim,
) -> Option<TDim> {
    if let (Some(left), Some(right)) = (left.as_i64(), right.as_i64()) {
        return numbers(left, right).map(TDim::from);
    }
    let small = |dim: &TDim| {
        dim.as_i64()
            .is_none_or(|number| number.abs() <= MAX_COEFFICIENT)
    };
    (small(left) && small(right) && affordable(left, right))
        .then(|| expressions(left.clone(), right.clone()).simplify())
}

fn affordable(left: &TDim, right: &TDim) -> bool {
    cost(left) + cost(right) <= MAX_COST
}

/// Counts the parts of an expression, those of minima and maxima four times.
fn cost(dim: &TDim) -> usize {
    let all = |dims: &[TDim]| dims.iter().map(cost).sum::<usize>();
    match dim {
        TDim::Val(_) | TDim::Sym(_) => 1,
        TDim::Add(dims) | TDim::Mul(dims) => all(dims),
        TDim::MulInt(_, dim) | TDim::Div(dim, _) => 1 + cost(dim),
        TDim::Min(dims) | TDim::Max(dims) | TDim::Broadcast(dims) => 4 * all(dims),
        TDim::Ge(left, right) | TDim::Eq(left, right) => 1 + cost(left) + cost(right),
    }
}

fn common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

#[cfg(test)]
mod tests {
    use tract_onnx::prelude::SymbolScope;

    use super::*;

    /// Reads expressions over `N`, which is at least 1.
    struct Scope(SymbolScope);

    impl Scope {
        fn new() -> Self {
            Self(SymbolScope::default().with_assertion("N>=1").unwrap())
        }

        fn number(&self, text: &str) -> Number {
            Number::dim(self.0.parse_tdim(text).unwrap().simplify())
        }
    }

    #[test]
    fn compares_what_is_certain() {
        let scope = Scope::new();
        let cases = [
            ("N", "N", Some(Ordering::Equal)),
            ("N", "-1", Some(Ordering::Greater)),
            ("N", "0", Some(Ordering::Greater)),
            ("N", "1", None),
            ("2*N+1", "2*N", Some(Ordering::Greater)),
            ("N", "3*N", Some(Ordering::Less)),
            ("(N+1)/2", "0", Some(Ordering::Greater)),
            ("N/2", "0", None),
        ];
        for (left, right, expected) in cases {
            let found = scope.number(left).compare(&scope.number(right));
            assert_eq!(found, expected, "{left} against {right}");
        }
    }

    #[test]
    fn divides_as_the_datum_type_says() {
        let scope = Scope::new();
        let (n, two) = (scope.number("N"), Number::integer(2));
        assert_eq!(n.div_integer(&two), Some(scope.number("N/2")));
        assert_eq!(n.div(&two).unwrap().mul(&two), Some(n.clone()));
        assert_eq!(n.div(&two).unwrap().ceil(), Some(scope.number("(N+1)/2")));
        assert_eq!(n.mul(&two).unwrap().div_integer(&n), Some(two.clone()));
        assert_eq!(
            Number::integer(-7).div_integer(&two),
            Some(Number::integer(-3))
        );
        assert_eq!(Number::integer(-7).modulo(&two), Some(Number::integer(1)));
        assert_eq!(
            n.neg().unwrap().div_integer(&two),
            None,
            "its rounding depends on the sign"
        );
    }

    #[test]
    fn floats_are_exact_or_unknown() {
        let half = Number::float(0.5).unwrap();
        assert_eq!(half.add(&half), Some(Number::integer(1)));
        assert_eq!(
            Number::float(-2.5).unwrap().truncate(),
            Some(Number::integer(-2))
        );
        assert_eq!(Number::float(0.1), None);
        assert_eq!(Number::float(f32::INFINITY), None);
        assert_eq!(Number::float(f32::NAN), None);
    }

    #[test]
    fn overflow_is_unknown() {
        let max = Number::integer(i64::MAX);
        assert_eq!(max.add(&Number::integer(1)), None);
        assert_eq!(Scope::new().number("N").add(&max), None);
        assert_eq!(
            Number::integer(i64::MIN).div_integer(&Number::integer(-1)),
            None
        );
    }
}
