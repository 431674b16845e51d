//! `Resize` and `Upsample`.

use tensorlet_plan::Kernel;
use tensorlet_plan::kernel::window::NearestRounding;
use tensorlet_plan::kernel::{Resize, ResizeCoordinates, ResizeMode};
use tract_onnx::prelude::TDim;

use super::context::Context;
use super::dims::{axis, mul, product};
use super::registry::{Entry, Importer};
use crate::graph::ValueId;

pub(super) const OPERATORS: &[Entry] = &[
    ("Resize", Importer::Function(resize)),
    ("Upsample", Importer::Function(resize)),
    ("AffineGrid", Importer::Function(affine_grid)),
];

/// The most elements of a grid that is written out.
const MAX_GRID: usize = 1 << 22;

/// The largest denominator of a factor that sizes with symbols are multiplied with.
const MAX_DENOMINATOR: i64 = 64;

/// `Upsample` has scales as an attribute until opset 9; `Resize` has them as input 1 in opset 10, then regions, scales and sizes as
/// inputs 1 to 3.
fn resize(node: &mut Context<'_, '_>) -> Option<()> {
    let x = node.input(0)?;
    let dims = node.dims(x);
    let (mode, coordinates) = method(node)?;
    let Target { sizes, scales } = target(node, &dims)?;
    if sizes == dims && scales.iter().all(|&scale| scale == 1.0) {
        return node.output(0, x);
    }
    let changed: Vec<usize> = (0..dims.len())
        .filter(|&axis| sizes[axis] != dims[axis] || scales.get(axis).is_some_and(|&s| s != 1.0))
        .collect();
    if changed.iter().all(|&axis| axis >= 2) {
        let kernel = Kernel::Resize(Resize {
            mode,
            coordinates,
            scales,
        });
        let datum_type = node.datum_type(x);
        let y = node.kernel(kernel, &[x], datum_type, sizes)?;
        return node.output(0, y);
    }
    let y = resize_others(
        node,
        x,
        &changed,
        &Target { sizes, scales },
        mode,
        coordinates,
    )?;
    node.output(0, y)
}

/// Resizes axes that are not all behind two others, by bringing them there.
fn resize_others(
    node: &mut Context<'_, '_>,
    x: ValueId,
    changed: &[usize],
    target: &Target,
    mode: ResizeMode,
    coordinates: ResizeCoordinates,
) -> Option<ValueId> {
    let dims = node.dims(x);
    let kept: Vec<usize> = (0..dims.len())
        .filter(|axis| !changed.contains(axis))
        .collect();
    let order = [kept.as_slice(), changed].concat();
    let pick = |from: &[TDim], axes: &[usize]| -> Vec<TDim> {
        axes.iter().map(|&axis| from[axis].clone()).collect()
    };
    let outer = vec![TDim::from(1), product(&pick(&dims, &kept))?];
    let x = node.transpose(x, &order)?;
    let x = node.reshaped(x, [outer.as_slice(), &pick(&dims, changed)].concat())?;
    let scales = if target.scales.is_empty() {
        vec![]
    } else {
        let own = changed.iter().map(|&axis| target.scales[axis]);
        [1.0, 1.0].into_iter().chain(own).collect()
    };
    let kernel = Kernel::Resize(Resize {
        mode,
        coordinates,
        scales,
    });
    let resized = [outer.as_slice(), &pick(&target.sizes, changed)].concat();
    let datum_type = node.datum_type(x);
    let y = node.kernel(kernel, &[x], datum_type, resized)?;
    let y = node.reshaped(y, pick(&target.sizes, &order))?;
    let mut back = vec![0; order.len()];
    for (index, &axis) in order.iter().enumerate() {
        back[axis] = index;
    }
    node.transpose(y, &back)
}

/// Returns how elements are computed, if a kernel does it so.
fn method(node: &Context<'_, '_>) -> Option<(ResizeMode, ResizeCoordinates)> {
    let unusual = node.flag("antialias", false) || node.flag("exclude_outside", false);
    if unusual {
        return None;
    }
    let old = node.opset() < 11 || node.operator() == "Upsample";
    let default = if old { "asymmetric" } else { "half_pixel" };
    let coordinates = match node.text_or("coordinate_transformation_mode", default)? {
        "half_pixel" => ResizeCoordinates::HalfPixel,
        "half_pixel_symmetric" => ResizeCoordinates::HalfPixelSymmetric,
        "pytorch_half_pixel" => ResizeCoordinates::PytorchHalfPixel,
        "align_corners" => ResizeCoordinates::AlignCorners,
        "asymmetric" => ResizeCoordinates::Asymmetric,
        _ => return None,
    };
    let default = if old { "floor" } else { "round_prefer_floor" };
    let rounding = match node.text_or("nearest_mode", default)? {
        "round_prefer_floor" => NearestRounding::PreferFloor,
        "round_prefer_ceil" => NearestRounding::PreferCeil,
        "floor" => NearestRounding::Floor,
        "ceil" => NearestRounding::Ceil,
        _ => return None,
    };
    let mode = match node.text_or("mode", "nearest")? {
        "nearest" => ResizeMode::Nearest(rounding),
        "linear" | "bilinear" => ResizeMode::Linear,
        "cubic" => ResizeMode::Cubic {
            coefficient: node.float_or("cubic_coeff_a", -0.75),
        },
        _ => return None,
    };
    Some((mode, coordinates))
}

/// What a tensor is resized to: a size for each axis, and a factor if the model gives these.
struct Target {
    sizes: Vec<TDim>,
    scales: Vec<f32>,
}

fn target(node: &Context<'_, '_>, dims: &[TDim]) -> Option<Target> {
    let axes: Vec<usize> = match node.ints("axes") {
        Some(axes) => axes
            .iter()
            .map(|&index| axis(index, dims.len()))
            .collect::<Option<_>>()?,
        None => (0..dims.len()).collect(),
    };
    if let Some(found) = scales(node).filter(|scales| !scales.is_empty()) {
        if found.len() != axes.len() || found.iter().any(|scale| scale.is_nan() || *scale <= 0.0) {
            return None;
        }
        let (mut sizes, mut scales) = (dims.to_vec(), vec![1.0; dims.len()]);
        for (&axis, scale) in axes.iter().zip(found) {
            sizes[axis] = scaled(&dims[axis], scale)?;
            scales[axis] = scale;
        }
        return Some(Target { sizes, scales });
    }
    let found = node.sizes(3)?;
    if found.len() != axes.len() {
        return None;
    }
    let mut sizes = dims.to_vec();
    for (&axis, size) in axes.iter().zip(found) {
        sizes[axis] = size;
    }
    match node.text_or("keep_aspect_ratio_policy", "stretch")? {
        "stretch" => Some(Target {
            sizes,
            scales: vec![],
        }),
        policy => proportional(&axes, dims, sizes, policy),
    }
}

/// Returns one factor for all axes: the smallest or the largest.
fn proportional(
    axes: &[usize],
    dims: &[TDim],
    mut sizes: Vec<TDim>,
    policy: &str,
) -> Option<Target> {
    let ratio = |&axis: &usize| -> Option<f32> {
        Some(sizes[axis].as_i64()? as f32 / dims[axis].as_i64()? as f32)
    };
    let ratios: Vec<f32> = axes.iter().map(ratio).collect::<Option<_>>()?;
    let scale = match policy {
        "not_larger" => ratios.into_iter().fold(f32::INFINITY, f32::min),
        "not_smaller" => ratios.into_iter().fold(0.0, f32::max),
        _ => return None,
    };
    let mut scales = vec![1.0; dims.len()];
    for &axis in axes {
        let size = (scale * dims[axis].as_i64()? as f32 + 0.5).floor();
        sizes[axis] = TDim::from(size as i64);
        scales[axis] = scale;
    }
    Some(Target { sizes, scales })
}

fn scales(node: &Context<'_, '_>) -> Option<Vec<f32>> {
    if let Some(scales) = node.float_list("scales") {
        return Some(scales.to_vec());
    }
    let index = if node.operator() == "Upsample" || node.opset() < 11 {
        1
    } else {
        2
    };
    if !node.has(index) {
        return None;
    }
    node.floats(index)
}

/// Returns a size multiplied with a factor, rounded down.
fn scaled(dim: &TDim, scale: f32) -> Option<TDim> {
    if let Some(dim) = dim.as_i64() {
        return Some(TDim::from((dim as f32 * scale).floor() as i64));
    }
    let denominator = (1..=MAX_DENOMINATOR).find(|&d| (scale * d as f32).fract() == 0.0)?;
    let numerator = (scale * denominator as f32) as i64;
    Some(mul(dim, &numerator.into())? / denominator)
}

/// Where an affine map takes the points of a regular grid from -1 to 1: `[N, D, H, W, 3]` or `[N, H, W, 2]`.
fn affine_grid(node: &mut Context<'_, '_>) -> Option<()> {
    let theta = node.input(0)?;
    let sizes = node.integers(1)?;
    let align = node.flag("align_corners", false);
    let spatial: Vec<usize> = sizes
        .get(2..)?
        .iter()
        .map(|&size| usize::try_from(size).ok())
        .collect::<Option<_>>()?;
    let (axes, points) = (spatial.len(), spatial.iter().product::<usize>());
    if node.rank(theta) != 3 || points.checked_mul(axes + 1)? > MAX_GRID {
        return None;
    }
    let coordinate = |index: usize, size: usize| -> f32 {
        match (align, size) {
            (true, 0 | 1) => 0.0,
            (true, _) => 2.0 * index as f32 / (size - 1) as f32 - 1.0,
            (false, _) => (2 * index + 1) as f32 / size as f32 - 1.0,
        }
    };
    // A point is `x, y, …, 1`: the innermost axis first.
    let grid = node.constant_f32(&[points, axes + 1], || {
        let mut elements = vec![];
        for point in 0..points {
            let mut rest = point;
            for &size in spatial.iter().rev() {
                elements.push(coordinate(rest % size, size));
                rest /= size;
            }
            elements.push(1.0);
        }
        elements
    });
    let y = super::matrices::product(node, grid, theta, true, 1.0)?;
    let mut dims = vec![node.dims(theta)[0].clone()];
    dims.extend(spatial.iter().map(TDim::from));
    dims.push(axes.into());
    let y = node.reshape(y, dims)?;
    node.output(0, y)
}
