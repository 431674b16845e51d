//! Conversions between layouts.
//!
//! A block of channels is a matrix of 16 rows (channels) by as many columns as there are pixels; blocking transposes it.
//!
//! ```text
//! plain    [N][C][spatial…]            one row a channel
//! blocked  [N][⌈C/16⌉][spatial…][16]   one vector of 16 a pixel
//! ```

mod transpose;

#[cfg(test)]
mod tests;

use tensorlet_plan::{Kernel, Layout};

use crate::bind::Types;
use crate::crew::Crew;
use crate::epilogue::is_plain;
use crate::run::{BindError, Run, RunError};
use crate::tensor_type::BLOCK;
use transpose::transpose;

/// How many pixels are converted at a time: 4 KiB in blocks.
const TILE: usize = 64;

/// What stands for the channels that the last block lacks.
const ZEROS: [f32; TILE] = [0.0; TILE];

/// Binds [`Kernel::ToBlocked`] or [`Kernel::FromBlocked`].
pub(crate) fn bind(kernel: &Kernel, types: Types<'_>) -> Result<Box<dyn Run>, BindError> {
    let to_blocked = matches!(kernel, Kernel::ToBlocked);
    let [x] = types.inputs else {
        return Err(mismatch(types));
    };
    let [y] = types.outputs else {
        return Err(mismatch(types));
    };
    let (plain, blocked) = if to_blocked { (x, y) } else { (y, x) };
    let fits = is_plain(plain) && blocked.layout == Layout::Blocked && plain.dims == blocked.dims;
    let ([rows, channels, spatial @ ..], true) = (x.dims.as_slice(), fits) else {
        return Err(mismatch(types));
    };
    // A tensor without rows or channels may have any number of pixels.
    let pixels = spatial
        .iter()
        .try_fold(1usize, |pixels, &dim| pixels.checked_mul(dim))
        .filter(|_| !x.is_empty())
        .unwrap_or(0);
    Ok(Box::new(Relayout {
        to_blocked,
        rows: *rows,
        channels: *channels,
        pixels,
    }))
}

fn mismatch(types: Types<'_>) -> BindError {
    BindError::new(format!(
        "expected a plain and a blocked f32 tensor of the same dims, found {types}"
    ))
}

/// A change of layout.
struct Relayout {
    to_blocked: bool,
    rows: usize,
    channels: usize,
    pixels: usize,
}

impl Run for Relayout {
    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        _scratch: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let x: &[f32] = bytemuck::cast_slice(inputs[0]);
        let y: &mut [f32] = bytemuck::cast_slice_mut(outputs[0]);
        if self.pixels == 0 {
            return Ok(());
        }
        let plain_row = self.channels * self.pixels;
        let blocked_row = self.channels.next_multiple_of(BLOCK) * self.pixels;
        let block = BLOCK * self.pixels;
        for row in 0..self.rows {
            if self.to_blocked {
                let channels = &x[row * plain_row..][..plain_row];
                let blocks = &mut y[row * blocked_row..][..blocked_row];
                crew.divide(blocks, block, block / 8, |first, blocks| {
                    let channels = &channels[first * block..];
                    let channels = &channels[..channels.len().min(blocks.len())];
                    block_rows(channels, blocks, self.pixels);
                    Ok(())
                })?;
            } else {
                let blocks = &x[row * blocked_row..][..blocked_row];
                let channels = &mut y[row * plain_row..][..plain_row];
                crew.divide(channels, block, block / 8, |first, channels| {
                    row_from_blocked(&blocks[first * block..], channels, self.pixels);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }
}

/// Puts rows (channels) of `pixels` numbers into blocks: `[⌈rows/16⌉][pixels][16]`, with zeros beyond the last row. `pixels` is at
/// least 1.
///
/// # Panics
/// If there is less room.
pub(crate) fn block_rows(channels: &[f32], blocks: &mut [f32], pixels: usize) {
    if pixels == 1 {
        let (copied, padding) = blocks.split_at_mut(channels.len());
        copied.copy_from_slice(channels);
        padding.fill(0.0);
        return;
    }
    let blocks = blocks.chunks_exact_mut(BLOCK * pixels);
    for (block, channels) in blocks.zip(channels.chunks(BLOCK * pixels)) {
        for (tile, out) in block.chunks_mut(BLOCK * TILE).enumerate() {
            let (begin, len) = (tile * TILE, out.len() / BLOCK);
            for lane in (0..BLOCK).step_by(4) {
                let row = |i: usize| match channels.get((lane + i) * pixels..) {
                    Some(rest) if !rest.is_empty() => &rest[begin..][..len],
                    _ => &ZEROS[..len],
                };
                lanes_to_blocked([row(0), row(1), row(2), row(3)], out, lane);
            }
        }
    }
}

/// Puts four channels into four lanes of each pixel.
fn lanes_to_blocked(channels: [&[f32]; 4], out: &mut [f32], lane: usize) {
    let [(a, a1), (b, b1), (c, c1), (d, d1)] = channels.map(|channel| channel.as_chunks::<4>());
    let (quads, rest) = out.as_chunks_mut::<{ 4 * BLOCK }>();
    for ((((pixels, a), b), c), d) in quads.iter_mut().zip(a).zip(b).zip(c).zip(d) {
        let transposed = transpose([*a, *b, *c, *d]);
        for (pixel, lanes) in pixels.as_chunks_mut::<BLOCK>().0.iter_mut().zip(transposed) {
            pixel[lane..][..4].copy_from_slice(&lanes);
        }
    }
    for (i, pixel) in rest.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate() {
        pixel[lane..][..4].copy_from_slice(&[a1[i], b1[i], c1[i], d1[i]]);
    }
}

/// Takes the channels of one row out of blocks. `pixels` is at least 1.
fn row_from_blocked(blocks: &[f32], channels: &mut [f32], pixels: usize) {
    if pixels == 1 {
        channels.copy_from_slice(&blocks[..channels.len()]);
        return;
    }
    let blocks = blocks.chunks_exact(BLOCK * pixels);
    for (block, channels) in blocks.zip(channels.chunks_mut(BLOCK * pixels)) {
        for (tile, pixel_tile) in block.chunks(BLOCK * TILE).enumerate() {
            let (begin, len) = (tile * TILE, pixel_tile.len() / BLOCK);
            for (group, channels) in channels.chunks_mut(4 * pixels).enumerate() {
                // Lanes that are no channels are written here instead.
                let mut nowhere = [[0.0; TILE]; 3];
                let spare = nowhere.iter_mut().map(|row| &mut row[..len]);
                let mut rows = channels
                    .chunks_exact_mut(pixels)
                    .map(|row| &mut row[begin..][..len])
                    .chain(spare);
                let four = std::array::from_fn(|_| rows.next().unwrap_or_default());
                lanes_from_blocked(pixel_tile, 4 * group, four);
            }
        }
    }
}

/// Takes four lanes of each pixel as four channels.
fn lanes_from_blocked(pixels: &[f32], lane: usize, channels: [&mut [f32]; 4]) {
    let [(a, a1), (b, b1), (c, c1), (d, d1)] = channels.map(|channel| channel.as_chunks_mut::<4>());
    let (quads, rest) = pixels.as_chunks::<{ 4 * BLOCK }>();
    for ((((pixels, a), b), c), d) in quads.iter().zip(a).zip(b).zip(c).zip(d) {
        let mut lanes = [[0.0; 4]; 4];
        for (lanes, pixel) in lanes.iter_mut().zip(pixels.as_chunks::<BLOCK>().0) {
            lanes.copy_from_slice(&pixel[lane..][..4]);
        }
        [*a, *b, *c, *d] = transpose(lanes);
    }
    for (i, pixel) in rest.as_chunks::<BLOCK>().0.iter().enumerate() {
        (a1[i], b1[i]) = (pixel[lane], pixel[lane + 1]);
        (c1[i], d1[i]) = (pixel[lane + 2], pixel[lane + 3]);
    }
}
