//! The bytes of a plan.
//!
//! ```text
//! "TENSORLET PLAN\0\x01"   16 bytes: magic and format version
//! header length            u32, little-endian
//! header                   description, values and steps, in postcard's format
//! zeros                    up to the next multiple of 64
//! constants                to the end
//! ```

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{Description, InvalidPlan, Plan, Step, Value};

/// Magic and format version.
const MAGIC: &[u8; 16] = b"TENSORLET PLAN\0\x01";

/// Where constants begin is a multiple of this, so that they can be used in place.
const CONSTANTS_ALIGN_BYTES: usize = 64;

/// The most bytes a header may have.
pub const MAX_HEADER_BYTES: usize = 64 << 20;

#[derive(Deserialize)]
struct Header {
    description: Description,
    values: Vec<Value>,
    steps: Vec<Step>,
}

#[derive(Serialize)]
struct HeaderRef<'a> {
    description: &'a Description,
    values: &'a [Value],
    steps: &'a [Step],
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
            values: &self.values,
            steps: &self.steps,
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
            values,
            steps,
        } = header;
        Ok(Self {
            description,
            values,
            steps,
            constants: Cow::Borrowed(constants),
        })
    }
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
    #[error("expected a Tensorlet plan of format 1, found other bytes")]
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
    use crate::text::tests::example;
    use crate::{Plan, ReadError};

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
    fn no_prefix_and_no_flipped_byte_panics() {
        let bytes = example().write().unwrap();
        for len in 0..bytes.len() {
            assert!(
                Plan::read(&bytes[..len]).is_err(),
                "a plan cut to {len} bytes"
            );
        }
        for index in 0..bytes.len() {
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[index] ^= 1 << bit;
                if let Ok(plan) = Plan::read(&bytes) {
                    plan.verify().unwrap();
                }
            }
        }
    }

    #[test]
    fn other_bytes_are_named() {
        assert_eq!(Plan::read(b"\0asm").unwrap_err(), ReadError::Magic);
        assert_eq!(
            Plan::read(b"TENSORLET PLAN\0\x02").unwrap_err(),
            ReadError::Magic
        );
    }
}
