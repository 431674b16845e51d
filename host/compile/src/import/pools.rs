//! Pooling, and the windows of convolutions and pools.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::{Pool, PoolKind, ReduceOp};
use tract_onnx::prelude::TDim;
use tract_onnx::tract_core::internal::DimLike;

use super::context::Context;
use super::registry::{Entry, Importer};

pub(super) const OPERATORS: &[Entry] = &[
    ("MaxPool", Importer::Function(pool)),
    ("AveragePool", Importer::Function(pool)),
    ("LpPool", Importer::Function(pool)),
    ("GlobalAveragePool", Importer::Function(global_pool)),
    ("GlobalMaxPool", Importer::Function(global_pool)),
    ("GlobalLpPool", Importer::Function(global_pool)),
];

/// How padding is given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum AutoPad {
    /// By numbers.
    Explicit,
    /// None.
    Valid,
    /// So that the output is the input's size by the stride, with the odd one behind.
    SameUpper,
    /// The same, with the odd one in front.
    SameLower,
}

impl AutoPad {
    pub(super) fn read(node: &Context<'_, '_>) -> Option<Self> {
        Some(match node.text_or("auto_pad", "NOTSET")? {
            "NOTSET" | "" => Self::Explicit,
            "VALID" => Self::Valid,
            "SAME_UPPER" => Self::SameUpper,
            "SAME_LOWER" => Self::SameLower,
            _ => return None,
        })
    }
}

/// The window of a convolution or pool, one entry a spatial axis.
pub(super) struct Window {
    pub(super) kernel: Vec<u32>,
    pub(super) strides: Vec<u32>,
    pub(super) dilations: Vec<u32>,
    pub(super) pads_before: Vec<u32>,
    pub(super) pads_after: Vec<u32>,
}

impl Window {
    /// Reads strides, dilations and pads; `None` if they are out of range, or depend on sizes that are not known.
    pub(super) fn read(node: &Context<'_, '_>, sizes: &[TDim], kernel: &[usize]) -> Option<Self> {
        let spatial = kernel.len();
        if sizes.len() != spatial || kernel.contains(&0) {
            return None;
        }
        let mut window = Self {
            kernel: kernel
                .iter()
                .map(|&k| u32::try_from(k).ok())
                .collect::<Option<_>>()?,
            strides: positive(node, "strides", spatial)?,
            dilations: positive(node, "dilations", spatial)?,
            pads_before: vec![0; spatial],
            pads_after: vec![0; spatial],
        };
        match AutoPad::read(node)? {
            AutoPad::Valid => {}
            AutoPad::Explicit => {
                let pads = node.ints("pads").unwrap_or_default();
                if !pads.is_empty() && pads.len() != 2 * spatial {
                    return None;
                }
                for (axis, &pad) in pads.iter().enumerate() {
                    let pad = u32::try_from(pad).ok()?;
                    match axis.checked_sub(spatial) {
                        None => window.pads_before[axis] = pad,
                        Some(axis) => window.pads_after[axis] = pad,
                    }
                }
            }
            same => {
                for (axis, size) in sizes.iter().enumerate() {
                    let total = window.same_padding(axis, size)?;
                    let (less, more) = (total / 2, total - total / 2);
                    let upper = same == AutoPad::SameUpper;
                    window.pads_before[axis] =
                        u32::try_from(if upper { less } else { more }).ok()?;
                    window.pads_after[axis] =
                        u32::try_from(if upper { more } else { less }).ok()?;
                }
            }
        }
        Some(window)
    }

    /// Returns how much padding gives an output of the input's size by the stride.
    fn same_padding(&self, axis: usize, size: &TDim) -> Option<i64> {
        let (stride, extent) = (i64::from(self.strides[axis]), self.extent(axis));
        if stride == 1 {
            return Some(extent - 1);
        }
        let size = size.as_i64()?;
        let count = size.checked_add(stride - 1)? / stride;
        Some(((count - 1) * stride + extent - size).max(0))
    }

    /// Returns how far a window reaches.
    fn extent(&self, axis: usize) -> i64 {
        (i64::from(self.kernel[axis]) - 1) * i64::from(self.dilations[axis]) + 1
    }

    /// Returns the output's sizes, where windows lie within the padded input.
    pub(super) fn conv_sizes(&self, sizes: &[TDim]) -> Option<Vec<TDim>> {
        let size = |(axis, size): (usize, &TDim)| {
            let room = size.clone() + self.padding(axis) - self.extent(axis);
            if room.as_i64().is_some_and(|room| room < 0) {
                return None;
            }
            Some(room / self.strides[axis] + 1)
        };
        sizes.iter().enumerate().map(size).collect()
    }

    /// Returns the output's sizes, where the last window may lie partly behind the padding, but not wholly behind the input.
    fn ceil_sizes(&self, sizes: &[TDim]) -> Option<Vec<TDim>> {
        let size = |(axis, size): (usize, &TDim)| {
            let stride = i64::from(self.strides[axis]);
            let room = size.clone() + self.padding(axis) - self.extent(axis);
            if room.as_i64().is_some_and(|room| room <= -stride) {
                return None;
            }
            let count = (room + (stride - 1)) / stride + 1;
            let after = i64::from(self.pads_after[axis]);
            if after + stride <= self.extent(axis) {
                return Some(count);
            }
            let starts = size.clone() + i64::from(self.pads_before[axis]) - 1;
            let begun = starts / stride + 1;
            Some(match (count.as_i64(), begun.as_i64()) {
                (Some(count), Some(begun)) => count.min(begun).into(),
                _ => count.mini(begun),
            })
        };
        sizes.iter().enumerate().map(size).collect()
    }

    fn padding(&self, axis: usize) -> i64 {
        i64::from(self.pads_before[axis]) + i64::from(self.pads_after[axis])
    }
}

/// Returns an attribute of one positive number an axis, 1 if it is left out.
pub(super) fn positive(node: &Context<'_, '_>, name: &str, axes: usize) -> Option<Vec<u32>> {
    match node.ints(name) {
        None => Some(vec![1; axes]),
        Some([]) => Some(vec![1; axes]),
        Some(values) if values.len() == axes => values
            .iter()
            .map(|&value| u32::try_from(value).ok().filter(|&value| value > 0))
            .collect(),
        Some(_) => None,
    }
}

fn pool(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let dims = node.dims(x);
    let kernel: Vec<usize> = node
        .ints("kernel_shape")?
        .iter()
        .map(|&k| usize::try_from(k).ok())
        .collect::<Option<_>>()?;
    let kind = match node.operator() {
        "MaxPool" => PoolKind::Max,
        "AveragePool" => PoolKind::Average {
            count_padding: node.flag("count_include_pad", false),
        },
        _ => PoolKind::Lp {
            p: u32::try_from(node.int_or("p", 2)).ok()?,
        },
    };
    // The positions of the largest elements are for un-pooling.
    if node.wants(1) {
        return None;
    }
    let window = Window::read(node, dims.get(2..)?, &kernel)?;
    let sizes = if node.flag("ceil_mode", false) && AutoPad::read(node)? == AutoPad::Explicit {
        window.ceil_sizes(&dims[2..])?
    } else {
        window.conv_sizes(&dims[2..])?
    };
    let dims = [&dims[..2], &sizes].concat();
    let kernel = Kernel::Pool(Pool {
        kind,
        kernel: window.kernel,
        strides: window.strides,
        dilations: window.dilations,
        pads_before: window.pads_before,
        pads_after: window.pads_after,
    });
    let datum_type = node.datum_type(x);
    let y = node.kernel(kernel, &[x], datum_type, dims)?;
    node.output(0, y)
}

fn global_pool(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let op = match (node.operator(), node.int_or("p", 2)) {
        ("GlobalAveragePool", _) => ReduceOp::Mean,
        ("GlobalMaxPool", _) => ReduceOp::Max,
        (_, 1) => ReduceOp::L1,
        (_, 2) => ReduceOp::L2,
        _ => return None,
    };
    let axes: Vec<usize> = (2..node.rank(x)).collect();
    let y = if axes.is_empty() {
        x
    } else {
        node.reduce(op, x, &axes)?
    };
    node.output(0, y)
}
