//! Three convolutions that are computed strip by strip, so that what is between them never exists as a whole.
//!
//! Networks for small machines make many channels of few, look at each by itself, and make few of them again. What is widest is neither input
//! nor output. So a strip of the output, some of its rows, is computed from beginning to end, and then the next one:
//!
//! ```text
//! x ── widen ──► rows that windows see ── look ──► rows ── narrow ──► rows of y
//! ```
//!
//! What the windows of the next strip see as well is kept. What is between lies in scratch memory, and mostly in a cache. Threads compute runs
//! of strips, each of which begins with rows of its own. Each number is computed as without strips.

#![expect(
    unsafe_code,
    reason = "threads write rows of one output, which lie in each other's midst"
)]

#[cfg(test)]
mod tests;

use std::ops::Range;

use tensorlet_plan::kernel::{Activation, Conv, ConvWeights, Epilogue};

use super::dense::{Dense, Sizes};
use super::depthwise::Depthwise;
use super::inputs::Inputs;
use super::{blocked, depthwise};
use crate::bind::Types;
use crate::crew::Crew;
use crate::run::{Run, RunError, Target};
use crate::tensor_type::BLOCK;
use crate::tile::output::Output;
use crate::unary;
use crate::window::Axis;

// In tests, what is small is divided as well.

/// How many bytes there are between the convolutions at a time, at most if a row has not more: what a core has for itself, with room for what is read and
/// written beside them.
const STRIP_BYTES: usize = if cfg!(test) { 16 << 10 } else { 256 << 10 };

/// Where there would be fewer bytes, little is won.
const LEAST_BYTES: usize = if cfg!(test) { 32 << 10 } else { 768 << 10 };

/// There are so many strips at least.
const LEAST_STRIPS: usize = 3;

/// So many bytes of weights at most are read again for each strip.
const WEIGHTS_BYTES: usize = 192 << 10;

/// Strips have so many different sizes at most: the first ones and the last, and those in the middle. They have more if padding is higher than strips.
const MOST_SIZES: usize = 32;

/// There are so many strips at most, of rows of so many pixels at most, as something is kept for each strip, and for each pixel of a row and size of strips.
const MOST_STRIPS: usize = 4096;
const MOST_PIXELS: usize = 8192;

/// How many runs of strips there are for each thread, so that all of them end at about the same time.
const RUNS: usize = 3;

/// Binds three convolutions, each of which reads what the one before makes, as one kernel. `types` are those of each; the inputs of the kernel are those
/// of all three in order, without what is between, and its output is the last one's.
///
/// Returns `None` where that cannot be, or is not worth it. The first is to be a dense one without a residual, the second a depthwise one without a
/// residual, the third a dense one of single pixels, and there is to be one image. If one of them cannot be bound by itself either, binding it says why.
pub fn bind_strips(
    convs: [&Conv; 3],
    types: [Types<'_>; 3],
    target: &Target<'_>,
) -> Option<Box<dyn Run>> {
    let [
        ConvWeights::Blocked | ConvWeights::PlainInput,
        ConvWeights::Depthwise,
        ConvWeights::Blocked,
    ] = convs.map(|conv| conv.weights)
    else {
        return None;
    };
    let whole = Whole {
        widen: blocked::check(convs[0], types[0]).ok()?,
        look: depthwise::check(convs[1], types[1]).ok()?,
        narrow: blocked::check(convs[2], types[2]).ok()?,
        epilogues: convs.map(|conv| conv.epilogue),
    };
    if !whole.fits_together() {
        return None;
    }
    let strips = whole.divide(whole.rows_of_strip()?, target)?;
    Some(Box::new(strips))
}

/// The three convolutions of a whole image.
struct Whole {
    widen: Sizes,
    look: [Axis; 2],
    narrow: Sizes,
    epilogues: [Epilogue; 3],
}

/// Some rows of an axis, and the elements that their windows see.
struct Part {
    rows: Range<usize>,
    seen: Range<usize>,
    /// How many rows of padding they see in front of these.
    pad_before: usize,
}

impl Part {
    /// Returns `None` if windows see nothing but padding.
    fn of(axis: &Axis, rows: Range<usize>) -> Option<Self> {
        let (pad_before, seen) = axis.inside(rows.start, axis.reach(rows.len())?);
        (!seen.is_empty()).then_some(Self {
            rows,
            seen,
            pad_before,
        })
    }

    /// Returns the axis of these rows and elements.
    fn axis(&self, whole: &Axis) -> Axis {
        Axis {
            input: self.seen.len(),
            output: self.rows.len(),
            pad_before: self.pad_before,
            ..*whole
        }
    }
}

impl Whole {
    /// Reports whether each reads what the one before makes of one image, and each row of the output can be made by itself.
    fn fits_together(&self) -> bool {
        let (widen, narrow) = (&self.widen, &self.narrow);
        let [vertical, horizontal] = &self.look;
        let sees_others = |epilogue: &Epilogue| matches!(epilogue.activation, Activation::Unary(op) if unary::sees_others(op));
        let [of_widen, of_look, _] = &self.epilogues;
        [widen.images, widen.groups, narrow.images, narrow.groups] == [1; 4]
            && widen.out_channels == narrow.channels
            && widen.axes.map(|axis| axis.output) == [vertical.input, horizontal.input]
            && narrow.axes.map(|axis| axis.input) == [vertical.output, horizontal.output]
            && narrow.axes.iter().all(Axis::is_in_place)
            && !of_widen.residual
            && !of_look.residual
            && !self.epilogues.iter().any(sees_others)
    }

    /// Returns how many rows of the output a strip has; `None` if strips are not worth it.
    fn rows_of_strip(&self) -> Option<usize> {
        let [vertical, horizontal] = &self.look;
        let floats = |count: usize| count.saturating_mul(size_of::<f32>());
        let weights = [&self.widen, &self.narrow].map(Sizes::weights_len);
        let weights = weights.into_iter().sum::<Option<usize>>()?;
        // There are tensors of so many bytes, which do not overflow, if there are any.
        let line_bytes =
            |pixels: usize| floats(pixels.saturating_mul(self.blocks()).saturating_mul(BLOCK));
        let lines = [horizontal.input, horizontal.output].map(line_bytes);
        let bytes = |rows: usize| {
            let seen = vertical.reach(rows).unwrap_or(usize::MAX);
            let seen = seen.min(vertical.input);
            seen.saturating_mul(lines[0])
                .saturating_add(rows.saturating_mul(lines[1]))
        };
        if vertical.output == 0 || floats(weights) > WEIGHTS_BYTES {
            return None;
        }
        let whole = bytes(vertical.output);
        if whole < LEAST_BYTES || horizontal.output > MOST_PIXELS {
            return None;
        }
        let most = STRIP_BYTES.min(whole / LEAST_STRIPS);
        let fits = |&rows: &usize| bytes(rows) <= most;
        let rows = (1..vertical.output).take_while(fits).last();
        // One row of a large image may take more.
        let rows = rows.or_else(|| (bytes(1) <= whole / LEAST_STRIPS).then_some(1))?;
        let strips = vertical.output.div_ceil(rows);
        (strips <= MOST_STRIPS).then_some(vertical.output.div_ceil(strips))
    }

    /// Returns how many blocks of channels there are between the convolutions.
    fn blocks(&self) -> usize {
        self.narrow.channels.div_ceil(BLOCK)
    }

    /// Divides the output into strips of so many rows; returns `None` if windows see nothing but padding somewhere.
    fn divide(&self, rows: usize, target: &Target<'_>) -> Option<Strips> {
        let [vertical, horizontal] = &self.look;
        let starts = (0..vertical.output).step_by(rows);
        let parts = starts
            .map(|start| Part::of(vertical, start..vertical.output.min(start + rows)))
            .collect::<Option<Vec<Part>>>()?;
        let wide_rows = parts.iter().map(|part| part.seen.len()).max();
        let wide = Image {
            blocks: self.blocks(),
            line: horizontal.input * BLOCK,
            lines: wide_rows.unwrap_or(0),
        };
        let made_len = self.blocks() * rows * horizontal.output * BLOCK;
        let mut strips = Strips {
            strips: Vec::with_capacity(parts.len()),
            widen: Kernels::default(),
            look: Kernels::default(),
            narrow: Kernels::default(),
            epilogues: self.epilogues,
            wide,
            made_len,
            dense_len: 0,
        };
        let mut before: Option<&Part> = None;
        for part in &parts {
            // Windows never see an element in front of those that the ones before saw.
            let kept = before.map(|before| Kept {
                from: part.seen.start - before.seen.start,
                rows: before.seen.end.saturating_sub(part.seen.start),
            });
            let kept_rows = kept.map_or(0, |kept| kept.rows);
            let anew = self.widen(&mut strips, part, 0, target)?;
            let further = self.widen(&mut strips, part, kept_rows, target)?;
            let axes = [part.axis(vertical), *horizontal];
            let look = strips.look.add(axes, || {
                let plane = wide.lines * horizontal.input;
                let [_, epilogue, _] = self.epilogues;
                Some(Depthwise::new(
                    axes,
                    plane,
                    wide.blocks,
                    epilogue,
                    target.isa,
                ))
            })?;
            let [of_narrow, pixels] = self.narrow.axes;
            let sizes = Sizes {
                axes: [
                    Axis {
                        input: part.rows.len(),
                        output: part.rows.len(),
                        ..of_narrow
                    },
                    pixels,
                ],
                planes: [part.rows.len() * pixels.input, self.narrow.planes[1]],
                ..self.narrow
            };
            let narrow = strips
                .narrow
                .add(sizes, || Dense::new(sizes, target).ok()?)?;
            strips.strips.push(Strip {
                anew,
                further,
                kept: kept.unwrap_or_default(),
                look,
                narrow,
                y_at: part.rows.start * pixels.output * BLOCK,
            });
            before = Some(part);
        }
        let dense = strips.widen.kernels().chain(strips.narrow.kernels());
        let dense = dense.map(Dense::scratch_len).max();
        strips.dense_len = dense.unwrap_or(0).next_multiple_of(BLOCK);
        Some(strips)
    }

    /// Returns what makes the rows that a strip sees, but for the first ones; `None` if they see nothing but padding.
    fn widen(
        &self,
        strips: &mut Strips,
        part: &Part,
        kept: usize,
        target: &Target<'_>,
    ) -> Option<Widen> {
        let [vertical, horizontal] = &self.widen.axes;
        let rows = part.seen.start + kept..part.seen.end;
        if rows.is_empty() {
            return Some(Widen::default());
        }
        let part = Part::of(vertical, rows)?;
        let sizes = Sizes {
            axes: [part.axis(vertical), *horizontal],
            planes: [self.widen.planes[0], strips.wide.lines * horizontal.output],
            ..self.widen
        };
        let kernel = strips
            .widen
            .add(sizes, || Dense::new(sizes, target).ok()?)?;
        let lanes = if sizes.plain_input { 1 } else { BLOCK };
        Some(Widen {
            kernel: Some(kernel),
            x_at: part.seen.start * horizontal.input * lanes,
            to: kept * strips.wide.line,
        })
    }
}

/// Kernels of different sizes.
struct Kernels<S, K>(Vec<(S, K)>);

impl<S, K> Default for Kernels<S, K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<S: PartialEq, K> Kernels<S, K> {
    /// Returns the index of the kernel of some sizes, which is made if there is none; `None` if there are too many.
    fn add(&mut self, sizes: S, make: impl FnOnce() -> Option<K>) -> Option<usize> {
        let found = self.0.iter().position(|(other, _)| *other == sizes);
        if found.is_none() {
            if self.0.len() == MOST_SIZES {
                return None;
            }
            self.0.push((sizes, make()?));
        }
        found.or(Some(self.0.len() - 1))
    }

    fn kernels(&self) -> impl Iterator<Item = &K> {
        self.0.iter().map(|(_, kernel)| kernel)
    }

    fn get(&self, index: usize) -> &K {
        &self.0[index].1
    }
}

/// Rows of blocks of channels, in elements.
#[derive(Clone, Copy)]
struct Image {
    blocks: usize,
    line: usize,
    /// Of a block.
    lines: usize,
}

/// Three convolutions, strip by strip.
struct Strips {
    strips: Vec<Strip>,
    widen: Kernels<Sizes, Dense>,
    look: Kernels<[Axis; 2], Depthwise>,
    narrow: Kernels<Sizes, Dense>,
    epilogues: [Epilogue; 3],
    /// What the first convolution makes of a strip.
    wide: Image,
    /// How many elements the second one makes at most.
    made_len: usize,
    /// How many elements of scratch memory the dense ones need.
    dense_len: usize,
}

/// How some rows of the output are made.
struct Strip {
    /// Makes all rows that windows see.
    anew: Widen,
    /// Makes those that the strip before has not made.
    further: Widen,
    kept: Kept,
    look: usize,
    narrow: usize,
    /// Where the rows begin in a block of the output.
    y_at: usize,
}

/// Rows that the strip before has made.
#[derive(Clone, Copy, Default)]
struct Kept {
    /// Where they begin among its own.
    from: usize,
    /// How many there are; they come first.
    rows: usize,
}

/// How rows are made that windows see.
#[derive(Clone, Copy, Default)]
struct Widen {
    /// `None` if there are no rows to be made.
    kernel: Option<usize>,
    /// Where what is read begins in a channel or block of the input.
    x_at: usize,
    /// Where the rows go in a block.
    to: usize,
}

impl Strips {
    /// Returns how many elements of scratch memory a thread needs.
    fn scratch_len(&self) -> usize {
        self.wide.blocks * self.wide.lines * self.wide.line + self.made_len + self.dense_len
    }

    /// Returns the inputs of each convolution, without what the one before makes.
    fn given<'a>(&self, inputs: &[&'a [u8]]) -> [Inputs<'a>; 3] {
        let (x, mut others) = inputs.split_first().expect("a convolution has inputs");
        let [widen, look, narrow] = &self.epilogues;
        [
            Inputs::next(bytemuck::cast_slice(x), &mut others, widen),
            Inputs::next(&[], &mut others, look),
            Inputs::next(&[], &mut others, narrow),
        ]
    }

    /// Computes strips that follow each other, on this thread.
    ///
    /// # Safety
    /// Nobody else reads or writes their rows of the output meanwhile.
    unsafe fn run_strips(
        &self,
        strips: &[Strip],
        [of_widen, of_look, of_narrow]: &[Inputs<'_>; 3],
        y: &Output<'_>,
        scratch: &mut [f32],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let wide = self.wide;
        let (wide_rows, scratch) = scratch.split_at_mut(wide.blocks * wide.lines * wide.line);
        let (made, scratch) = scratch.split_at_mut(self.made_len);
        for (index, strip) in strips.iter().enumerate() {
            let widen = match index {
                0 => strip.anew,
                _ => {
                    wide.keep(wide_rows, strip.kept);
                    strip.further
                }
            };
            if let Some(kernel) = widen.kernel {
                let inputs = Inputs {
                    x: &of_widen.x[widen.x_at..],
                    ..*of_widen
                };
                let dense = self.widen.get(kernel);
                dense.run(inputs, &mut wide_rows[widen.to..], scratch, crew)?;
            }
            let look = self.look.get(strip.look);
            let made = &mut made[..look.y_len()];
            let inputs = Inputs {
                x: wide_rows,
                ..*of_look
            };
            look.run_on(inputs, made, crew)?;
            let inputs = Inputs {
                x: made,
                residual: of_narrow.residual.map(|residual| &residual[strip.y_at..]),
                ..*of_narrow
            };
            let dense = self.narrow.get(strip.narrow);
            // SAFETY: the caller's: the kernel writes the rows of the strip.
            unsafe { dense.run_to(inputs, y.another(strip.y_at), scratch, crew)? };
        }
        Ok(())
    }
}

impl Image {
    /// Moves rows to the beginning of each block.
    fn keep(&self, rows: &mut [f32], kept: Kept) {
        if kept.rows == 0 || kept.from == 0 {
            return;
        }
        let (from, len) = (kept.from * self.line, kept.rows * self.line);
        for block in rows.chunks_exact_mut(self.lines * self.line) {
            block.copy_within(from..from + len, 0);
        }
    }
}

impl Run for Strips {
    fn scratch_bytes(&self) -> usize {
        self.scratch_len() * size_of::<f32>()
    }

    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        scratch: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let given = self.given(inputs);
        let y: &mut [f32] = bytemuck::cast_slice_mut(outputs[0]);
        let y = Output::from(y);
        let runs = match crew.size() {
            1 => 1,
            threads => self.strips.len().min(threads * RUNS),
        };
        let run = |index: usize| {
            let cut = |index: usize| self.strips.len() * index / runs;
            &self.strips[cut(index)..cut(index + 1)]
        };
        let scratch = crew.places(bytemuck::cast_slice_mut(scratch), self.scratch_len());
        crew.share((0..runs).map(run), scratch, |strips, scratch| {
            // SAFETY: each strip is part of one run, and no two have rows in common.
            unsafe { self.run_strips(strips, &given, &y, scratch, crew.alone()) }
        })
    }
}
