//! Dims as numbers or expressions over symbols.
//!
//! An expression is written in postfix order, so that reading, checking and evaluating one needs no recursion:
//! `N × 2 + 1` is `[Symbol(N), Number(2), Multiply, Number(1), Add]`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The index of a symbol in [`Plan::symbols`](crate::Plan::symbols).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct SymbolId(pub u32);

/// The most operands that an expression may hold at a time.
pub const MAX_DEPTH: usize = 16;

/// The most items that an expression may have.
pub const MAX_OPS: usize = 256;

/// The size of an axis.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub struct DimExpr(
    #[serde(deserialize_with = "crate::wire::bounded::<_, _, MAX_OPS>")] pub Vec<DimOp>,
);

/// One item of a [`DimExpr`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub enum DimOp {
    /// Puts a number on the stack.
    Number(i64),
    /// Puts the size of a symbol on the stack.
    Symbol(SymbolId),
    /// Replaces the two topmost numbers by their sum.
    Add,
    /// Replaces the two topmost numbers by the lower one minus the topmost.
    Subtract,
    /// Replaces the two topmost numbers by their product.
    Multiply,
    /// Replaces the two topmost numbers by the quotient of the lower one by the topmost, rounded down.
    Divide,
    /// Replaces the two topmost numbers by the smaller one.
    Minimum,
    /// Replaces the two topmost numbers by the larger one.
    Maximum,
}

/// Why an expression has no value.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DimError {
    /// It is not a sequence that leaves one number.
    #[error("expected an expression that leaves one number, found another")]
    Malformed,
    /// It names a symbol that does not exist.
    #[error("expected one of {symbols} symbols, found symbol {found}")]
    UnknownSymbol {
        /// How many there are.
        symbols: usize,
        /// The index that was found.
        found: u32,
    },
    /// A number is out of range.
    #[error("expected sizes from 0 to 2^32 - 1, found {found}")]
    OutOfRange {
        /// What was found.
        found: String,
    },
}

impl DimExpr {
    /// A size that is known.
    pub fn number(size: i64) -> Self {
        Self(vec![DimOp::Number(size)])
    }

    /// The size that a symbol stands for.
    pub fn symbol(symbol: SymbolId) -> Self {
        Self(vec![DimOp::Symbol(symbol)])
    }

    /// Returns the size, if it is the same for all calls.
    pub fn as_number(&self) -> Option<i64> {
        match *self.0.as_slice() {
            [DimOp::Number(size)] => Some(size),
            _ => None,
        }
    }

    /// Returns the symbol, if the size is that of one.
    pub fn as_symbol(&self) -> Option<SymbolId> {
        match *self.0.as_slice() {
            [DimOp::Symbol(symbol)] => Some(symbol),
            _ => None,
        }
    }

    /// Checks that the expression leaves one number and names only the first `symbols` symbols.
    ///
    /// # Errors
    /// If not, if it is longer than [`MAX_OPS`] or deeper than [`MAX_DEPTH`], or if it is a number that is no size.
    pub fn check(&self, symbols: usize) -> Result<(), DimError> {
        if self.0.len() > MAX_OPS {
            return Err(DimError::Malformed);
        }
        let mut depth = 0usize;
        for op in &self.0 {
            match *op {
                DimOp::Symbol(SymbolId(found)) if found as usize >= symbols => {
                    return Err(DimError::UnknownSymbol { symbols, found });
                }
                DimOp::Number(_) | DimOp::Symbol(_) if depth < MAX_DEPTH => depth += 1,
                DimOp::Number(_) | DimOp::Symbol(_) => return Err(DimError::Malformed),
                _ if depth < 2 => return Err(DimError::Malformed),
                _ => depth -= 1,
            }
        }
        if depth != 1 {
            return Err(DimError::Malformed);
        }
        if let Some(size) = self.as_number() {
            self.evaluate(&[]).map_err(|_| DimError::OutOfRange {
                found: size.to_string(),
            })?;
        }
        Ok(())
    }

    /// Returns the expression in infix notation, with the names of symbols: `(N+1)/2`.
    ///
    /// What is malformed, or names no symbol, shows as `?`.
    pub fn text(&self, symbols: &[String]) -> String {
        let name = |id: SymbolId| match symbols.get(id.0 as usize) {
            Some(name) => name.clone(),
            None => "?".into(),
        };
        infix(&self.0, &name)
    }

    /// Reports whether the size depends on a symbol.
    pub fn mentions(&self, symbol: SymbolId) -> bool {
        self.0.contains(&DimOp::Symbol(symbol))
    }

    /// Returns the size, given those of the symbols.
    ///
    /// # Errors
    /// If the expression is malformed, or any number on the way or the result is out of range.
    pub fn evaluate(&self, symbols: &[u32]) -> Result<u32, DimError> {
        let mut stack = [0i64; MAX_DEPTH];
        let mut depth = 0;
        for op in &self.0 {
            let pushed = match *op {
                DimOp::Number(number) => Some(number),
                DimOp::Symbol(SymbolId(id)) => {
                    let size = symbols.get(id as usize).ok_or(DimError::UnknownSymbol {
                        symbols: symbols.len(),
                        found: id,
                    })?;
                    Some(i64::from(*size))
                }
                _ => None,
            };
            if let Some(number) = pushed {
                *stack.get_mut(depth).ok_or(DimError::Malformed)? = number;
                depth += 1;
                continue;
            }
            if depth < 2 {
                return Err(DimError::Malformed);
            }
            let (lhs, rhs) = (stack[depth - 2], stack[depth - 1]);
            let out_of_range = || DimError::OutOfRange {
                found: format!("{lhs} {op:?} {rhs}"),
            };
            stack[depth - 2] = combine(*op, lhs, rhs).ok_or_else(out_of_range)?;
            depth -= 1;
        }
        if depth != 1 {
            return Err(DimError::Malformed);
        }
        u32::try_from(stack[0]).map_err(|_| DimError::OutOfRange {
            found: stack[0].to_string(),
        })
    }
}

/// Shows symbols by their index: `s0*2`.
impl fmt::Display for DimExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&infix(&self.0, &|id| format!("s{}", id.0)))
    }
}

/// How tightly an operator binds: sums, products, and what needs no parentheses.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
enum Precedence {
    Sum,
    Product,
    Atom,
}

fn infix(ops: &[DimOp], name: &dyn Fn(SymbolId) -> String) -> String {
    let mut stack: Vec<(String, Precedence)> = Vec::new();
    for op in ops {
        let item = match *op {
            DimOp::Number(number) if number < 0 => (format!("({number})"), Precedence::Atom),
            DimOp::Number(number) => (number.to_string(), Precedence::Atom),
            DimOp::Symbol(id) => (name(id), Precedence::Atom),
            _ => {
                let (Some(rhs), Some(lhs)) = (stack.pop(), stack.pop()) else {
                    return "?".into();
                };
                join(*op, lhs, rhs)
            }
        };
        stack.push(item);
    }
    match stack.as_slice() {
        [(text, _)] => text.clone(),
        _ => "?".into(),
    }
}

fn join(op: DimOp, lhs: (String, Precedence), rhs: (String, Precedence)) -> (String, Precedence) {
    let (sign, precedence) = match op {
        DimOp::Add => ("+", Precedence::Sum),
        DimOp::Subtract => ("-", Precedence::Sum),
        DimOp::Multiply => ("*", Precedence::Product),
        DimOp::Divide => ("/", Precedence::Product),
        DimOp::Minimum => return (format!("min({}, {})", lhs.0, rhs.0), Precedence::Atom),
        _ => return (format!("max({}, {})", lhs.0, rhs.0), Precedence::Atom),
    };
    // Sums may be regrouped, products too unless something is divided; nothing else.
    let regroups = match op {
        DimOp::Add => rhs.1 == Precedence::Sum,
        DimOp::Multiply => rhs.1 == Precedence::Product && !rhs.0.contains('/'),
        _ => false,
    };
    let enclose = |text: String, needed: bool| if needed { format!("({text})") } else { text };
    let left = enclose(lhs.0, lhs.1 < precedence);
    let right = enclose(rhs.0, rhs.1 <= precedence && !regroups);
    (format!("{left}{sign}{right}"), precedence)
}

fn combine(op: DimOp, lhs: i64, rhs: i64) -> Option<i64> {
    match op {
        DimOp::Add => lhs.checked_add(rhs),
        DimOp::Subtract => lhs.checked_sub(rhs),
        DimOp::Multiply => lhs.checked_mul(rhs),
        DimOp::Divide if rhs > 0 => Some(lhs.div_euclid(rhs)),
        DimOp::Minimum => Some(lhs.min(rhs)),
        DimOp::Maximum => Some(lhs.max(rhs)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::DimOp::{Add, Divide, Maximum, Minimum, Multiply, Number, Subtract};
    use super::*;

    const N: DimOp = DimOp::Symbol(SymbolId(0));
    const W: DimOp = DimOp::Symbol(SymbolId(1));

    fn expression(ops: &[DimOp]) -> DimExpr {
        DimExpr(ops.to_vec())
    }

    #[test]
    fn evaluates() {
        let half = expression(&[N, Number(1), Add, Number(2), Divide]);
        assert_eq!(half.evaluate(&[7]), Ok(4));
        assert_eq!(half.evaluate(&[6]), Ok(3));
        let clamped = expression(&[N, Number(3), Subtract, Number(0), Maximum, W, Minimum]);
        assert_eq!(clamped.evaluate(&[1, 9]), Ok(0));
        assert_eq!(clamped.evaluate(&[7, 9]), Ok(4));
        assert_eq!(clamped.evaluate(&[70, 9]), Ok(9));
        assert_eq!(
            expression(&[Number(-1), Number(2), Divide, Number(2), Add]).evaluate(&[]),
            Ok(1),
            "quotients are rounded down, not towards zero"
        );
    }

    #[test]
    fn says_why_there_is_no_size() {
        let errors = [
            expression(&[]).evaluate(&[]),
            expression(&[Number(1), Number(2)]).evaluate(&[]),
            expression(&[Number(1), Add]).evaluate(&[]),
            expression(&[Number(1); MAX_DEPTH + 1]).evaluate(&[]),
            expression(&[W]).evaluate(&[1]),
            expression(&[N, Number(2), Subtract]).evaluate(&[1]),
            expression(&[N, Number(0), Divide]).evaluate(&[1]),
            expression(&[N, Number(-3), Divide]).evaluate(&[1]),
            expression(&[Number(1 << 32)]).evaluate(&[]),
            expression(&[Number(i64::MAX), N, Add]).evaluate(&[1]),
            expression(&[Number(i64::MIN), N, Subtract]).evaluate(&[1]),
            expression(&[Number(i64::MIN), Number(2), Multiply]).evaluate(&[]),
        ]
        .map(|result| result.unwrap_err().to_string());
        expect![[r#"
            expected an expression that leaves one number, found another
            expected an expression that leaves one number, found another
            expected an expression that leaves one number, found another
            expected an expression that leaves one number, found another
            expected one of 1 symbols, found symbol 1
            expected sizes from 0 to 2^32 - 1, found -1
            expected sizes from 0 to 2^32 - 1, found 1 Divide 0
            expected sizes from 0 to 2^32 - 1, found 1 Divide -3
            expected sizes from 0 to 2^32 - 1, found 4294967296
            expected sizes from 0 to 2^32 - 1, found 9223372036854775807 Add 1
            expected sizes from 0 to 2^32 - 1, found -9223372036854775808 Subtract 1
            expected sizes from 0 to 2^32 - 1, found -9223372036854775808 Multiply 2"#]]
        .assert_eq(&errors.join("\n"));
    }

    #[test]
    fn checks_form_without_sizes() {
        assert!(expression(&[N, Number(2), Subtract]).check(1).is_ok());
        assert!(expression(&[N]).check(0).is_err());
        assert!(expression(&[Add]).check(1).is_err());
        assert!(expression(&[N, N]).check(1).is_err());
        assert!(expression(&[Number(-1)]).check(1).is_err());
        assert!(expression(&[N; MAX_DEPTH + 1]).check(1).is_err());
        let mut long = vec![N];
        for _ in 0..MAX_OPS / 2 {
            long.extend([Number(1), Add]);
        }
        assert!(expression(&long).check(1).is_err(), "{} items", long.len());
        assert!(expression(&long[..MAX_OPS - 1]).check(1).is_ok());
    }

    #[test]
    fn shows_infix_with_as_few_parentheses_as_needed() {
        let symbols = ["N".to_owned(), "W".to_owned()];
        let texts = [
            expression(&[N, Number(2), Multiply, Number(1), Add]),
            expression(&[N, Number(1), Add, Number(2), Divide]),
            expression(&[N, W, Number(1), Add, Subtract]),
            expression(&[N, W, Number(1), Add, Add]),
            expression(&[N, W, Number(4), Multiply, Multiply]),
            expression(&[N, W, Number(4), Divide, Multiply]),
            expression(&[N, W, Number(4), Multiply, Divide]),
            expression(&[N, Number(2), Multiply, W, Minimum, Number(-1), Add]),
            expression(&[N, Number(0), Maximum]),
            expression(&[DimOp::Symbol(SymbolId(9))]),
            expression(&[N, Add]),
            expression(&[]),
        ]
        .map(|expression| expression.text(&symbols));
        expect![[r#"
            N*2+1
            (N+1)/2
            N-(W+1)
            N+W+1
            N*W*4
            N*(W/4)
            N/(W*4)
            min(N*2, W)+(-1)
            max(N, 0)
            ?
            ?
            ?"#]]
        .assert_eq(&texts.join("\n"));
        assert_eq!(expression(&[W, Number(3), Multiply]).to_string(), "s1*3");
    }
}
