//! Elements that move without being computed with. Any datum type.

use serde::{Deserialize, Serialize};

/// Takes a part of each axis. The dims of the output tell how many elements.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// For each axis the first element: from the end if negative (-1 is the last one).
    pub starts: Vec<i64>,
    /// For each axis the distance of elements; negative runs backwards, never 0.
    pub steps: Vec<i64>,
}

/// Adds elements around a tensor.
///
/// # Source
/// ONNX `Pad`, opset 21.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pad {
    /// What is added.
    pub mode: PadMode,
    /// For each axis how many elements in front; negative ones are cut off. The dims of the output tell how many behind.
    pub before: Vec<i64>,
}

/// What is added around a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum PadMode {
    /// This number, converted to the datum type.
    Constant(f64),
    /// The tensor mirrored at its first and last element.
    Reflect,
    /// The first or last element.
    Edge,
    /// The tensor again.
    Wrap,
}

/// Looks up elements. Indices are i32 or i64; negative ones count from the end.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Gather {
    /// ONNX `Gather`.
    Slices {
        /// Along which axis.
        axis: u32,
        /// What an index beyond the axis does.
        out_of_range: OutOfRange,
    },
    /// ONNX `GatherElements`.
    Elements {
        /// Along which axis.
        axis: u32,
    },
    /// ONNX `GatherND`.
    Nd {
        /// How many leading axes of data and indices run together.
        batch_dims: u32,
    },
}

/// What an index beyond an axis does.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum OutOfRange {
    /// The call fails.
    Fail,
    /// The last element is taken instead; negative indices do not count from the end. This is how a product with a one-hot
    /// matrix becomes a look-up: the table has one more row, of zeros.
    Last,
}

/// Replaces elements. Indices are i32 or i64; negative ones count from the end.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Scatter {
    /// `None` for ONNX `ScatterND`, else the axis of `ScatterElements`.
    pub axis: Option<u32>,
    /// How an update and what was there become one.
    pub reduction: ScatterReduction,
}

/// How an update and what was there become one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum ScatterReduction {
    /// The update.
    Replace,
    /// The sum.
    Add,
    /// The product.
    Multiply,
    /// The larger one.
    Maximum,
    /// The smaller one.
    Minimum,
}

/// The largest or smallest elements along an axis, in order; of equal ones the first comes first.
///
/// # Source
/// ONNX `TopK`, opset 11.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct TopK {
    /// Along which axis.
    pub axis: u32,
    /// Whether the largest are taken.
    pub largest: bool,
}
