//! The bytes of a plan.
//!
//! ```text
//! "TENSORLET PLAN\0\x02"   16 bytes: magic and format version
//! header length            u32, little-endian
//! header                   description, values and steps, in postcard's format
//! zeros                    up to the next multiple of 64
//! constants                to the end
//! ```

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use tensorlet_tensor::MAX_RANK;

use crate::verify::{MAX_ITEMS, MAX_SYMBOLS, MAX_TILES};
use crate::{Description, DimExpr, InvalidPlan, Plan, Step, SymbolId, TileSpec, Value, ValueId};

/// Magic and format version.
const MAGIC: &[u8; 16] = b"TENSORLET PLAN\0\x02";

/// Where constants begin is a multiple of this, so that they can be used in place.
const CONSTANTS_ALIGN_BYTES: usize = 64;

/// The most bytes a header may have.
///
/// Lists are limited while they are read, so that a header takes at most about 30 times its length in memory.
pub const MAX_HEADER_BYTES: usize = 16 << 20;

#[derive(Deserialize)]
struct Header {
    description: Description,
    #[serde(deserialize_with = "bounded::<_, _, MAX_SYMBOLS>")]
    symbols: Vec<String>,
    row_symbol: Option<SymbolId>,
    #[serde(deserialize_with = "bounded::<_, _, MAX_ITEMS>")]
    values: Vec<Value>,
    #[serde(deserialize_with = "bounded::<_, _, MAX_ITEMS>")]
    steps: Vec<Step>,
    #[serde(deserialize_with = "bounded::<_, _, MAX_ITEMS>")]
    outputs: Vec<ValueId>,
    #[serde(deserialize_with = "bounded::<_, _, MAX_TILES>")]
    tiles: Vec<TileSpec>,
}

#[derive(Serialize)]
struct HeaderRef<'a> {
    description: &'a Description,
    symbols: &'a [String],
    row_symbol: Option<SymbolId>,
    values: &'a [Value],
    steps: &'a [Step],
    outputs: &'a [ValueId],
    tiles: &'a [TileSpec],
}

impl<'a> Plan<'a> {
    /// Returns the plan's bytes.
    ///
    /// # Errors
    /// If the plan is invalid, or its header is longer than [`MAX_HEADER_BYTES`].
    pub fn write(&self) -> Result<Vec<u8>, InvalidPlanOrSize> {
        self.verify()?;
        let mut bytes = self.write_header()?;
        bytes.reserve_exact(self.constants.len());
        bytes.extend_from_slice(&self.constants);
        Ok(bytes)
    }

    /// Returns the plan's bytes without the constants, to be read by [`Plan::read_header`].
    ///
    /// # Errors
    /// If the header is longer than [`MAX_HEADER_BYTES`].
    pub fn write_header(&self) -> Result<Vec<u8>, InvalidPlanOrSize> {
        let header = HeaderRef {
            description: &self.description,
            symbols: &self.symbols,
            row_symbol: self.row_symbol,
            values: &self.values,
            steps: &self.steps,
            outputs: &self.outputs,
            tiles: &self.tiles,
        };
        let header = postcard::to_allocvec(&header).map_err(|_| InvalidPlanOrSize::TooLarge)?;
        if header.len() > MAX_HEADER_BYTES {
            return Err(InvalidPlanOrSize::TooLarge);
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&(header.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&header);
        bytes.resize(bytes.len().next_multiple_of(CONSTANTS_ALIGN_BYTES), 0);
        Ok(bytes)
    }

    /// Reads and verifies a plan. Its constants are borrowed from `bytes`.
    ///
    /// # Errors
    /// If the bytes are no plan, or one that breaks a rule of [`verify`](crate::verify).
    pub fn read(bytes: &'a [u8]) -> Result<Self, ReadError> {
        let plan = Self::read_header(bytes)?;
        plan.verify()?;
        Ok(plan)
    }

    /// Reads a plan whose constants may be missing, which is enough to show it. Does not verify.
    ///
    /// # Errors
    /// If the bytes do not begin with a plan's header.
    pub fn read_header(bytes: &'a [u8]) -> Result<Self, ReadError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(ReadError::Magic)?;
        let (len, rest) = rest.split_first_chunk::<4>().ok_or(ReadError::Truncated)?;
        let len = u32::from_le_bytes(*len) as usize;
        if len > MAX_HEADER_BYTES {
            return Err(ReadError::Header {
                found: format!("a header of {len} bytes"),
            });
        }
        let header = rest.get(..len).ok_or(ReadError::Truncated)?;
        let header: Header = postcard::from_bytes(header).map_err(|error| ReadError::Header {
            found: error.to_string(),
        })?;
        let begin = (bytes.len() - rest.len() + len).next_multiple_of(CONSTANTS_ALIGN_BYTES);
        let constants = bytes.get(begin..).ok_or(ReadError::Truncated)?;
        let Header {
            description,
            symbols,
            row_symbol,
            values,
            steps,
            outputs,
            tiles,
        } = header;
        Ok(Self {
            description,
            symbols,
            row_symbol,
            values,
            steps,
            outputs,
            tiles,
            constants: Cow::Borrowed(constants),
        })
    }
}

/// Reads a list of at most `MAX` items.
pub(crate) fn bounded<'de, D, T, const MAX: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Bounded<T, const MAX: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Bounded<T, MAX> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MAX} items")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
            let claimed = items.size_hint().unwrap_or(0);
            if claimed > MAX {
                return Err(A::Error::custom("a list that is too long"));
            }
            // What the bytes claim may be more than they hold.
            let mut list = Vec::with_capacity(claimed.min(1024));
            while let Some(item) = items.next_element()? {
                if list.len() == MAX {
                    return Err(A::Error::custom("a list that is too long"));
                }
                list.push(item);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_seq(Bounded::<T, MAX>(PhantomData))
}

/// Reads the dims of a value, at most [`MAX_RANK`].
pub(crate) fn bounded_dims<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<DimExpr>>, D::Error> {
    #[derive(Deserialize)]
    struct Dims(#[serde(deserialize_with = "bounded::<_, _, MAX_RANK>")] Vec<DimExpr>);

    Ok(Option::<Dims>::deserialize(deserializer)?.map(|Dims(dims)| dims))
}

/// Why a plan has no bytes.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPlanOrSize {
    /// A rule is broken.
    #[error(transparent)]
    Invalid(#[from] InvalidPlan),
    /// The header is too long.
    #[error(
        "expected a plan whose header takes at most {MAX_HEADER_BYTES} bytes, found a longer one"
    )]
    TooLarge,
}

/// Why bytes are no plan.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// They begin with something else, or with another version of the format.
    #[error("expected a Tensorlet plan of format 2, found other bytes")]
    Magic,
    /// They end early.
    #[error("expected a whole plan, found a part of one")]
    Truncated,
    /// The header cannot be read.
    #[error("expected a plan's header, found {found}")]
    Header {
        /// What was found.
        found: String,
    },
    /// The plan breaks a rule.
    #[error(transparent)]
    Invalid(#[from] InvalidPlan),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::example;

    #[test]
    fn a_plan_comes_back() {
        let bytes = example().write().unwrap();
        assert_eq!(Plan::read(&bytes).unwrap(), example());
        assert_eq!(
            example().write().unwrap(),
            bytes,
            "the same plan gives the same bytes"
        );
    }

    #[test]
    fn constants_are_aligned_and_borrowed() {
        let bytes = example().write().unwrap();
        let plan = Plan::read(&bytes).unwrap();
        assert!(matches!(plan.constants, Cow::Borrowed(_)));
        let offset = plan.constants.as_ptr().addr() - bytes.as_ptr().addr();
        assert_eq!(offset % CONSTANTS_ALIGN_BYTES, 0);
    }

    #[test]
    fn an_invalid_plan_is_not_written() {
        let mut plan = example();
        plan.steps.clear();
        assert!(matches!(plan.write(), Err(InvalidPlanOrSize::Invalid(_))));
    }

    #[test]
    fn the_header_alone_can_be_shown() {
        let bytes = example().write_header().unwrap();
        let plan = Plan::read_header(&bytes).unwrap();
        assert_eq!((plan.steps, plan.constants.len()), (example().steps, 0));
        assert!(
            matches!(Plan::read(&bytes), Err(ReadError::Invalid(_))),
            "but it is no whole plan"
        );
    }

    #[test]
    fn other_bytes_are_named() {
        assert_eq!(Plan::read(b"\0asm").unwrap_err(), ReadError::Magic);
        assert_eq!(
            Plan::read(b"TENSORLET PLAN\0\x01").unwrap_err(),
            ReadError::Magic
        );
        assert_eq!(Plan::read(MAGIC).unwrap_err(), ReadError::Truncated);
    }

    #[test]
    fn no_prefix_is_a_plan() {
        let bytes = example().write().unwrap();
        for len in 0..bytes.len() {
            assert!(
                Plan::read(&bytes[..len]).is_err(),
                "a plan cut to {len} bytes"
            );
        }
    }

    #[test]
    fn no_flipped_bit_makes_reading_panic() {
        let bytes = example().write().unwrap();
        let header_bytes = example().write_header().unwrap().len();
        for index in 0..header_bytes {
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[index] ^= 1 << bit;
                if let Ok(plan) = Plan::read_header(&bytes) {
                    let _ = (plan.to_string(), plan.lifetimes());
                }
                if let Ok(plan) = Plan::read(&bytes) {
                    assert_eq!(plan.verify(), Ok(()));
                }
            }
        }
    }

    #[test]
    fn long_headers_are_refused_before_they_are_read() {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&(MAX_HEADER_BYTES as u32 + 1).to_le_bytes());
        assert!(matches!(Plan::read(&bytes), Err(ReadError::Header { .. })));
        bytes.truncate(MAGIC.len());
        bytes.extend_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(Plan::read(&bytes), Err(ReadError::Header { .. })));
    }

    fn with_header(header: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&(header.len() as u32).to_le_bytes());
        bytes.extend_from_slice(header);
        bytes.resize(bytes.len().next_multiple_of(CONSTANTS_ALIGN_BYTES), 0);
        bytes
    }

    #[test]
    fn lists_are_limited_while_they_are_read() {
        let refuses = |change: &dyn Fn(&mut Plan<'static>)| {
            let mut plan = example();
            change(&mut plan);
            let bytes = plan.write_header().unwrap();
            matches!(Plan::read_header(&bytes), Err(ReadError::Header { .. }))
        };
        let expression = DimExpr(vec![crate::DimOp::Number(1); crate::dims::MAX_OPS + 1]);
        let dims = vec![DimExpr::number(1); MAX_RANK + 1];
        assert!(!refuses(&|_| ()));
        assert!(refuses(
            &|plan| plan.symbols = vec![String::new(); MAX_SYMBOLS + 1]
        ));
        assert!(refuses(
            &|plan| plan.outputs = vec![ValueId(0); MAX_ITEMS + 1]
        ));
        assert!(refuses(&|plan| plan.values[0].dims = Some(dims.clone())));
        assert!(refuses(
            &|plan| plan.values[0].dims = Some(vec![expression.clone()])
        ));
    }

    #[test]
    fn a_claimed_length_allocates_nothing() {
        // An empty description, then a list of symbols that claims to have as many as fit in 64 bits.
        let empty = postcard::to_allocvec(&Description::default()).unwrap();
        let claims = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        let bytes = with_header(&[empty.as_slice(), &claims].concat());
        assert!(matches!(Plan::read(&bytes), Err(ReadError::Header { .. })));
    }
}
