//! Linear and cubic interpolation, one axis after the other.
//!
//! Axes that shrink come first, from the outermost on, then those that grow, from the innermost on: so no tensor in between is
//! larger than the input or the output, and the fewest elements are computed along the innermost axis, which cannot
//! be done in vectors. A plane (all resized axes of one channel, or of one block of channels) goes through all axes before the
//! next one, so that what lies in between stays in the cache.

use tensorlet_tensor::DatumType;

use super::position::{Axis, Four, Pair};
use crate::arrange::bytes::copy;
use crate::arrange::check;
use crate::crew::{Crew, Pace};
use crate::isa::{Isa, Vectorised};
use crate::run::{BindError, Run, RunError};
use crate::simd::Simd;
use crate::tensor_type::TensorType;

struct Interpolated {
    datum_type: DatumType,
    isa: Isa,
    passes: Vec<Pass>,
    /// How many elements a plane of the input has.
    x_plane: usize,
    /// How many elements a plane of the output has.
    y_plane: usize,
    /// The most elements that a plane has in between.
    most: usize,
}

/// Resizes one axis.
struct Pass {
    /// How many elements the input's axis has.
    input: usize,
    /// How many elements lie between two along the axis.
    inner: usize,
    taps: Taps,
    /// How many elements the result has.
    len: usize,
}

enum Taps {
    Linear(Vec<Pair>),
    Cubic(Vec<Four>),
}

/// Prepares an interpolation along the axes from 2 on: a cubic one if there is a coefficient.
pub(super) fn bind(
    x: &TensorType,
    axes: &[Axis],
    coefficient: Option<f32>,
    lanes: usize,
    isa: Isa,
) -> Result<Box<dyn Run>, BindError> {
    if !matches!(x.datum_type, DatumType::F32 | DatumType::U8 | DatumType::I8) {
        return Err(check::mismatch("f32, u8 or i8 to interpolate", x));
    }
    let mut dims: Vec<usize> = axes.iter().map(|axis| axis.input).collect();
    dims.push(lanes);
    let x_plane = check::product(&dims);
    let shrinking = (0..axes.len()).filter(|&axis| axes[axis].output < axes[axis].input);
    let growing = (0..axes.len())
        .rev()
        .filter(|&axis| axes[axis].output >= axes[axis].input);
    let mut passes = Vec::with_capacity(axes.len());
    for axis in shrinking.chain(growing) {
        let resized = &axes[axis];
        dims[axis] = resized.output;
        let taps = match coefficient {
            None => Taps::Linear(resized.pairs()),
            Some(coefficient) => Taps::Cubic(resized.fours(coefficient)),
        };
        if resized.input != resized.output || !taps.are_identity() {
            passes.push(Pass {
                input: resized.input,
                inner: check::product(&dims[axis + 1..]),
                taps,
                len: check::product(&dims),
            });
        }
    }
    let y_plane = check::product(&dims);
    let most = passes.iter().map(|pass| pass.len).max();
    let most = most.unwrap_or(0).max(x_plane);
    if most.checked_mul(2 * size_of::<f32>()).is_none() {
        return Err(check::mismatch("planes that fit in memory twice", x));
    }
    Ok(Box::new(Interpolated {
        datum_type: x.datum_type,
        isa,
        passes,
        x_plane,
        y_plane,
        most,
    }))
}

impl Run for Interpolated {
    fn scratch_bytes(&self) -> usize {
        match (self.datum_type, self.passes.len()) {
            (DatumType::F32, 0 | 1) => 0,
            _ => 2 * self.most * size_of::<f32>(),
        }
    }

    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        scratch: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let (x, y) = (inputs[0], &mut *outputs[0]);
        if self.passes.is_empty() {
            return copy(x, y, crew);
        }
        let len = self.scratch_bytes() / size_of::<f32>();
        let scratch: &mut [f32] = bytemuck::cast_slice_mut(scratch);
        let planes = x.len() / self.x_plane / self.datum_type.width_bytes();
        let work = self.passes.iter().map(|pass| pass.len / 2).sum::<usize>();
        let crew = crew.for_work(work.saturating_mul(planes));
        let places = crew.places(scratch, len);
        if self.datum_type == DatumType::F32 {
            let x: &[f32] = bytemuck::cast_slice(x);
            let y: &mut [f32] = bytemuck::cast_slice_mut(y);
            let planes = x
                .chunks_exact(self.x_plane)
                .zip(y.chunks_exact_mut(self.y_plane));
            return crew.share(planes, places, |(x, y), scratch| {
                let (front, back) = scratch.split_at_mut(len / 2);
                self.resize_plane(x, y, front, back, Pace::of(crew))
            });
        }
        let signed = self.datum_type == DatumType::I8;
        let planes = x
            .chunks_exact(self.x_plane)
            .zip(y.chunks_exact_mut(self.y_plane));
        crew.share(planes, places, |(x, y), scratch| {
            let memory = scratch.split_at_mut(len / 2);
            self.resize_bytes(x, y, signed, memory, Pace::of(crew))
        })
    }
}

impl Interpolated {
    /// Resizes one axis. There is one copy of it for each instruction set, however many callers.
    #[inline(never)]
    fn resize_axis(
        &self,
        pass: &Pass,
        x: &[f32],
        y: &mut [f32],
        pace: Pace<'_>,
    ) -> Result<(), RunError> {
        self.isa.run(Resized { pass, x, y, pace })
    }

    /// Resizes a plane through two buffers.
    fn resize_plane(
        &self,
        x: &[f32],
        y: &mut [f32],
        front: &mut [f32],
        back: &mut [f32],
        pace: Pace<'_>,
    ) -> Result<(), RunError> {
        let Some((last, passes)) = self.passes.split_last() else {
            return Ok(());
        };
        let Some((first, passes)) = passes.split_first() else {
            return self.resize_axis(last, x, y, pace);
        };
        let (mut full, mut free) = (front, back);
        self.resize_axis(first, x, &mut full[..first.len], pace)?;
        let mut len = first.len;
        for pass in passes {
            self.resize_axis(pass, &full[..len], &mut free[..pass.len], pace)?;
            len = pass.len;
            std::mem::swap(&mut full, &mut free);
        }
        self.resize_axis(last, &full[..len], y, pace)
    }

    /// Resizes a plane of integers, as f32 and truncated in the end.
    fn resize_bytes(
        &self,
        x: &[u8],
        y: &mut [u8],
        signed: bool,
        (front, back): (&mut [f32], &mut [f32]),
        pace: Pace<'_>,
    ) -> Result<(), RunError> {
        let (mut full, mut free) = (front, back);
        for (to, from) in full.iter_mut().zip(x) {
            *to = match signed {
                true => f32::from(from.cast_signed()),
                false => f32::from(*from),
            };
        }
        let mut len = x.len();
        for pass in &self.passes {
            self.resize_axis(pass, &full[..len], &mut free[..pass.len], pace)?;
            len = pass.len;
            std::mem::swap(&mut full, &mut free);
        }
        for (to, from) in y.iter_mut().zip(&*full) {
            *to = match signed {
                true => (*from as i8).cast_unsigned(),
                false => *from as u8,
            };
        }
        Ok(())
    }
}

impl Taps {
    /// Reports whether every element of the output is the one of the input in its place.
    fn are_identity(&self) -> bool {
        match self {
            Self::Linear(pairs) => pairs
                .iter()
                .zip(0..)
                .all(|((indices, part), place)| indices[0] == place && *part == 0.0),
            Self::Cubic(fours) => fours.iter().zip(0..).all(|((indices, weights), place)| {
                indices[1] == place && *weights == [0.0, 1.0, 0.0, 0.0]
            }),
        }
    }
}

/// A pass over a plane.
struct Resized<'a> {
    pass: &'a Pass,
    x: &'a [f32],
    y: &'a mut [f32],
    pace: Pace<'a>,
}

impl Vectorised for Resized<'_> {
    type Output = Result<(), RunError>;

    /// The loops are plain: what they become is left to the compiler, which knows the instruction set here.
    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) -> Result<(), RunError> {
        let Self {
            pass,
            x,
            y,
            mut pace,
        } = self;
        let inner = pass.inner;
        match &pass.taps {
            Taps::Linear(pairs) => {
                let parts = x
                    .chunks_exact(pass.input * inner)
                    .zip(y.chunks_exact_mut(pairs.len() * inner));
                for (x, y) in parts {
                    match inner {
                        1 => {
                            pace.count(y.len())?;
                            linear_row(pairs, x, y);
                        }
                        16 => linear_rows(pairs, x, y, 16, &mut pace)?,
                        _ => linear_rows(pairs, x, y, inner, &mut pace)?,
                    }
                }
            }
            Taps::Cubic(fours) => {
                let parts = x
                    .chunks_exact(pass.input * inner)
                    .zip(y.chunks_exact_mut(fours.len() * inner));
                for (x, y) in parts {
                    cubic_rows(fours, x, y, inner, &mut pace)?;
                }
            }
        }
        Ok(())
    }
}

/// Between elements.
#[inline(always)]
fn linear_row(pairs: &[Pair], x: &[f32], y: &mut [f32]) {
    for (y, ([a, b], part)) in y.iter_mut().zip(pairs) {
        *y = between(x[*a as usize], x[*b as usize], *part);
    }
}

/// Between rows of elements.
#[inline(always)]
fn linear_rows(
    pairs: &[Pair],
    x: &[f32],
    y: &mut [f32],
    inner: usize,
    pace: &mut Pace<'_>,
) -> Result<(), RunError> {
    for (y, ([a, b], part)) in y.chunks_exact_mut(inner).zip(pairs) {
        pace.count(1 + inner / 4)?;
        let a = &x[*a as usize * inner..][..inner];
        let b = &x[*b as usize * inner..][..inner];
        for (y, (a, b)) in y.iter_mut().zip(a.iter().zip(b)) {
            *y = between(*a, *b, *part);
        }
    }
    Ok(())
}

/// So written, equal elements give themselves exactly, and integers are not truncated to the one below.
#[inline(always)]
fn between(a: f32, b: f32, part: f32) -> f32 {
    a + (b - a) * part
}

#[inline(always)]
fn cubic_rows(
    fours: &[Four],
    x: &[f32],
    y: &mut [f32],
    inner: usize,
    pace: &mut Pace<'_>,
) -> Result<(), RunError> {
    for (y, (indices, weights)) in y.chunks_exact_mut(inner).zip(fours) {
        pace.count(2 + inner / 2)?;
        let [a, b, c, d] = indices.map(|index| &x[index as usize * inner..][..inner]);
        let [wa, wb, wc, wd] = *weights;
        let rows = a.iter().zip(b).zip(c.iter().zip(d));
        for (y, ((a, b), (c, d))) in y.iter_mut().zip(rows) {
            *y = (a * wa + b * wb) + (c * wc + d * wd);
        }
    }
    Ok(())
}
