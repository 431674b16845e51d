//! Scaled dot-product attention.
//!
//! For one matrix of queries after the other, and some of its rows at a time, so that scores stay in the cache:
//!
//! ```text
//! scores = rows of q × kᵀ × scale + mask ─ softmax ─► × v ─► rows of y
//! ```

mod dots;
mod mask;
#[cfg(test)]
mod tests;

use tensorlet_plan::Layout;
use tensorlet_plan::kernel::{Activation, Attention};
use tensorlet_tensor::DatumType;

use self::mask::Mask;
use crate::bind::Types;
use crate::crew::Crew;
use crate::isa::Isa;
use crate::layout;
use crate::run::{BindError, Run, RunError, Target};
use crate::softmax;
use crate::tensor_type::{BLOCK, TensorType};
use crate::tile::Segment;
use crate::tile::product::{Area, Operands, Product, Shape};

/// So many scores are computed at a time, or those of one row: 64 KiB.
const SCORES_LEN: usize = 16 << 10;

/// What a product wants the columns of its weights to be a multiple of.
const COLUMNS: usize = 8;

/// For so few rows keys and values are read where they are instead of being packed.
const FEW_ROWS: usize = 2;

/// Binds attention over plain tensors of f32.
pub(crate) fn bind(
    attention: &Attention,
    types: Types<'_>,
    target: &Target<'_>,
) -> Result<Box<dyn Run>, BindError> {
    let ([q, k, v, mask @ ..], [y]) = (types.inputs, types.outputs) else {
        return Err(BindError::new(
            "expected q, k, v and one output of attention",
        ));
    };
    let refuse = |what: &str| {
        BindError::new(format!(
            "expected {what}, found attention of {q}, {k} and {v} to {y}"
        ))
    };
    let is_plain =
        |tensor: &TensorType| tensor.datum_type == DatumType::F32 && tensor.layout == Layout::Plain;
    if !types.inputs.iter().chain([y]).all(is_plain) || mask.len() != usize::from(attention.mask) {
        return Err(refuse("plain f32 tensors, and a mask if there is one"));
    }
    let ([leading @ .., rows, depth], [v_leading @ .., keys, width]) =
        (q.dims.as_slice(), v.dims.as_slice())
    else {
        return Err(refuse("at least two axes"));
    };
    let sizes = Sizes {
        matrices: leading.iter().product(),
        rows: *rows,
        keys: *keys,
        depth: *depth,
        width: *width,
    };
    let with = |a: usize, b: usize| [leading, &[a, b]].concat();
    let k_dims = if attention.transposed_k {
        with(*depth, *keys)
    } else {
        with(*keys, *depth)
    };
    if leading != v_leading || k.dims != k_dims || y.dims != with(*rows, *width) {
        return Err(refuse(
            "equal leading axes, and lengths and depths that fit",
        ));
    }
    if *keys == 0 || *depth == 0 {
        return Err(refuse("at least one key, and at least one number a key"));
    }
    let mask = match mask.first() {
        Some(mask) => Some(Mask::new(mask, leading, *rows, *keys)?),
        None => None,
    };
    Ok(Box::new(Bound::new(attention, sizes, mask, target)?))
}

#[derive(Clone, Copy)]
struct Sizes {
    matrices: usize,
    /// Queries, and rows of the output.
    rows: usize,
    keys: usize,
    /// Numbers a query or key.
    depth: usize,
    /// Numbers a value.
    width: usize,
}

/// Attention over tensors of known sizes.
struct Bound {
    sizes: Sizes,
    mask: Option<Mask>,
    /// What scores are multiplied with.
    scale: f32,
    /// Rows at a time.
    chunk: usize,
    keys: Keys,
    scores: Product,
    /// Whether values are read where they are.
    values_in_place: bool,
    values: Product,
    isa: Isa,
}

/// How keys become the weights of a product.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Keys {
    /// Not at all: scores are computed one by one.
    Dots,
    /// They are given so.
    InPlace,
    /// As columns, which are put in blocks.
    Columns,
    /// As rows, which are put in blocks.
    Rows,
}

impl Bound {
    fn new(
        attention: &Attention,
        sizes: Sizes,
        mask: Option<Mask>,
        target: &Target<'_>,
    ) -> Result<Self, BindError> {
        let Sizes {
            rows,
            keys,
            depth,
            width,
            ..
        } = sizes;
        let chunk = (SCORES_LEN / keys).clamp(1, rows.max(1));
        let fits = |a: usize, b: usize| {
            b.checked_next_multiple_of(BLOCK)
                .and_then(|b| a.checked_mul(b))
                .is_some_and(|len| len < usize::MAX / 16)
        };
        if !fits(depth, keys) || !fits(keys, width) || !fits(chunk, keys) {
            return Err(BindError::new(
                "expected attention that fits in memory, found a larger one",
            ));
        }
        let shape = |len: usize, columns: usize, in_place: bool, scale: f32| Shape {
            segments: vec![Segment {
                offset_bytes: 0,
                len,
            }],
            lhs_stride: len,
            weights_step: if in_place { columns } else { BLOCK },
            weights_block: if in_place { BLOCK } else { len * BLOCK },
            columns,
            out_stride: columns,
            out_block: BLOCK,
            whole_blocks: false,
            scale,
            residual: false,
            activation: Activation::None,
        };
        let is_few = rows <= FEW_ROWS;
        let how = match (is_few, attention.transposed_k) {
            (true, false) => Keys::Dots,
            (true, true) if keys.is_multiple_of(COLUMNS) => Keys::InPlace,
            (_, true) => Keys::Columns,
            (false, false) => Keys::Rows,
        };
        let scores = shape(depth, keys, how == Keys::InPlace, attention.scale);
        let values_in_place = is_few && width.is_multiple_of(COLUMNS);
        let values = shape(keys, width, values_in_place, 1.0);
        Ok(Self {
            sizes,
            mask,
            scale: attention.scale,
            chunk,
            keys: how,
            scores: Product::new(scores, chunk, target)?,
            values_in_place,
            values: Product::new(values, chunk, target)?,
            isa: target.isa,
        })
    }

    /// How many numbers the scratch memory has for scores, keys and values.
    fn lens(&self) -> [usize; 3] {
        let Sizes {
            keys, depth, width, ..
        } = self.sizes;
        [
            self.chunk * keys,
            match self.keys {
                Keys::Dots | Keys::InPlace => 0,
                Keys::Columns | Keys::Rows => depth * keys.next_multiple_of(BLOCK),
            },
            if self.values_in_place {
                0
            } else {
                keys * width.next_multiple_of(BLOCK)
            },
        ]
    }

    /// Returns how much work a matrix is.
    fn work(&self) -> usize {
        let rows = self.sizes.rows;
        let scores = self.scores.work(rows);
        scores.saturating_add(self.values.work(rows))
    }

    /// Returns how many rows are computed by one thread. It puts keys and values in blocks for them.
    #[cfg(not(target_arch = "wasm32"))]
    fn step(&self, crew: Crew<'_>) -> usize {
        /// For fewer rows that would take long.
        const ROWS: usize = 48;
        let Sizes { matrices, rows, .. } = self.sizes;
        let pieces = crew.pieces(matrices, self.work()).min(rows / ROWS).max(1);
        rows.div_ceil(pieces)
    }

    /// Returns how many rows are computed by one thread.
    #[cfg(target_arch = "wasm32")]
    fn step(&self, _crew: Crew<'_>) -> usize {
        self.sizes.rows
    }

    /// Computes some rows of one matrix, given by their indices.
    ///
    /// # Errors
    /// If the call is interrupted.
    fn rows(
        &self,
        (index, begin): (usize, usize),
        [q, k, v]: [&[f32]; 3],
        mask: &[f32],
        y: &mut [f32],
        scratch: &mut [f32],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let rows = y.len() / self.sizes.width;
        let Sizes {
            keys, depth, width, ..
        } = self.sizes;
        let [scores_len, keys_len, values_len] = self.lens();
        let (scores, scratch) = scratch.split_at_mut(scores_len);
        let (packed_keys, packed_values) = scratch.split_at_mut(keys_len);
        let packed_k: &[f32] = match self.keys {
            Keys::Dots | Keys::InPlace => k,
            Keys::Columns => block_columns(k, keys, packed_keys),
            Keys::Rows => {
                layout::block_rows(k, packed_keys, depth);
                packed_keys
            }
        };
        let v = if self.values_in_place {
            v
        } else {
            block_columns(v, width, &mut packed_values[..values_len])
        };
        for first in (0..rows).step_by(self.chunk) {
            let count = self.chunk.min(rows - first);
            let scores = &mut scores[..count * keys];
            let area = Area::line(count);
            let q = &q[first * depth..][..count * depth];
            if self.keys == Keys::Dots {
                dots::dots(self.isa, self.scale, q, k, depth, scores);
            } else {
                let operands = operands(q, packed_k, &mut *scores);
                self.scores.share(&area, operands, crew)?;
            }
            if let Some(bound) = &self.mask {
                bound.add(mask, index, begin + first, scores);
            }
            softmax::rows_in_place(self.isa, scores, keys);
            let y = &mut y[first * width..][..count * width];
            self.values.share(&area, operands(scores, v, y), crew)?;
        }
        Ok(())
    }
}

impl Run for Bound {
    fn scratch_bytes(&self) -> usize {
        self.lens().iter().sum::<usize>() * size_of::<f32>()
    }

    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        scratch: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let at = |index: usize| -> &[f32] { bytemuck::cast_slice(inputs[index]) };
        let (q, k, v) = (at(0), at(1), at(2));
        let mask = if self.mask.is_some() { at(3) } else { &[] };
        let y: &mut [f32] = bytemuck::cast_slice_mut(outputs[0]);
        if y.is_empty() {
            return Ok(());
        }
        let scratch: &mut [f32] = bytemuck::cast_slice_mut(scratch);
        let Sizes {
            matrices,
            rows,
            keys,
            depth,
            width,
        } = self.sizes;
        let step = self.step(crew);
        let matrix =
            |all: &[f32], index: usize, len: usize| index * len..(index * len + len).min(all.len());
        let pieces = y
            .chunks_exact_mut(rows * width)
            .enumerate()
            .flat_map(|(index, y)| {
                let pieces = y.chunks_mut(step * width).enumerate();
                pieces.map(move |(piece, y)| (index, piece * step, y))
            });
        let crew = crew.for_work(self.work().saturating_mul(matrices));
        let (around, within) = crew.around(matrices * rows.div_ceil(step));
        let places = around.places(scratch, self.lens().iter().sum());
        around.share(pieces, places, |(index, begin, y), scratch| {
            let (q, k, v) = (
                &q[matrix(q, index, rows * depth)][begin * depth..],
                &k[matrix(k, index, keys * depth)],
                &v[matrix(v, index, keys * width)],
            );
            self.rows((index, begin), [q, k, v], mask, y, scratch, within)
        })
    }
}

fn operands<'a>(lhs: &'a [f32], weights: &'a [f32], out: &'a mut [f32]) -> Operands<'a> {
    Operands {
        lhs,
        weights,
        bias: None,
        residual: None,
        out: out.into(),
    }
}

/// Puts the columns of rows of `columns` numbers in blocks: `[⌈columns/16⌉][rows][16]`, with zeros beyond the last one.
fn block_columns<'a>(from: &[f32], columns: usize, to: &'a mut [f32]) -> &'a [f32] {
    let rows = from.len() / columns;
    let (vectors, _) = to.as_chunks_mut::<BLOCK>();
    for (row, from) in from.chunks_exact(columns).enumerate() {
        let (blocks, rest) = from.as_chunks::<BLOCK>();
        for (block, from) in blocks.iter().enumerate() {
            vectors[block * rows + row] = *from;
        }
        if !rest.is_empty() {
            let last = &mut vectors[blocks.len() * rows + row];
            last[..rest.len()].copy_from_slice(rest);
            last[rest.len()..].fill(0.0);
        }
    }
    to
}
