//! Convolutions.
//!
//! How the weights are packed decides which algorithm computes; see [`ConvWeights`].

mod blocked;
mod dense;
mod depthwise;
mod inputs;
mod plain;
mod strips;

#[cfg(test)]
mod testing;

use tensorlet_plan::kernel::{Conv, ConvWeights};

use crate::bind::Types;
use crate::run::{BindError, Run, Target};

pub(crate) use blocked::want_tiles;
pub use blocked::{pack_blocked, pack_plain_input};
pub use depthwise::pack_depthwise;
pub use strips::bind_strips;

pub(crate) fn bind(
    conv: &Conv,
    types: Types<'_>,
    target: &Target<'_>,
) -> Result<Box<dyn Run>, BindError> {
    match conv.weights {
        ConvWeights::Blocked | ConvWeights::PlainInput => blocked::bind(conv, types, target),
        ConvWeights::Depthwise => depthwise::bind(conv, types, target),
        ConvWeights::Plain => plain::bind(conv, types, target),
    }
}
