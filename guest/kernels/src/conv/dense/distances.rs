//! Where the elements of rows lie.

use super::Sizes;
use crate::tensor_type::BLOCK;
use crate::tile::product::{Area, PART, Shape};
use crate::tile::{Machine, Segment, split};
use crate::window::Axis;

/// Where rows are read from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Source {
    /// The input: no window reaches into the padding.
    Input,
    /// Scratch memory, with the lines that a chunk sees and zeros around them.
    Padded,
    /// Scratch memory, with a picture of the outputs of a chunk for each tap of the window, where lines are so short that
    /// tiles would be low.
    Gathered,
}

/// How many bytes of the left-hand side are computed with at a time: as many as stay in a cache of the second level, together with
/// the weights of some columns.
const CHUNK_BYTES: usize = 192 << 10;

/// How far apart in memory things are that belong to a convolution, in elements.
///
/// The outputs of a chunk are counted in units: outputs if an image has one line of them, else lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Distances {
    /// Where rows are read from.
    pub(crate) source: Source,
    /// Whether units are outputs.
    pub(crate) one_line: bool,
    /// How many images there are, as far as distances differ.
    pub(crate) images: usize,
    /// How many units an image has.
    pub(crate) units: usize,
    /// Between rows.
    pub(crate) row: usize,
    /// Between the units of a chunk; in scratch memory they all belong to one chunk.
    pub(crate) unit: usize,
    /// Between taps of the window, vertically and horizontally.
    taps: [usize; 2],
    /// Between blocks of channels.
    pub(crate) block: usize,
    /// Between groups of the input.
    pub(crate) group: usize,
    /// Between rows of the output.
    pub(crate) out_row: usize,
    /// How many units are computed at a time.
    pub(crate) chunk: usize,
    /// Between units of the output.
    pub(crate) out_unit: usize,
    /// Between blocks of the output.
    pub(crate) out_block: usize,
    /// How many elements of a pixel lie side by side.
    pub(crate) lanes: usize,
    /// How many pixels a line of scratch memory has.
    pub(crate) width: usize,
    /// How many elements of scratch memory there are.
    pub(crate) scratch_len: usize,
}

impl Source {
    fn of(sizes: &Sizes, machine: &Machine) -> Self {
        let [vertical, horizontal] = &sizes.axes;
        let is_inside = |axis: &Axis| axis.interior() == (0..axis.output);
        if gathering_pays(sizes, machine) {
            Self::Gathered
        } else if is_inside(vertical) && is_inside(horizontal) {
            Self::Input
        } else {
            Self::Padded
        }
    }
}

/// Reports whether lines are so short that it takes less time to put them together.
fn gathering_pays(sizes: &Sizes, machine: &Machine) -> bool {
    /// Longer lines are divided well enough.
    const SHORT_LINE: usize = 32;
    /// What it takes to copy a pixel.
    const PIXEL: f32 = 10.0;
    /// What must be won, since these are estimates.
    const LESS: f32 = 0.9;
    let [vertical, horizontal] = &sizes.axes;
    if sizes.plain_input || vertical.output == 1 || horizontal.output > SHORT_LINE {
        return false;
    }
    let Some(len) = sizes.row_len() else {
        return false;
    };
    let halves = sizes.out_channels.div_ceil(BLOCK / 2);
    let lines = split::estimate(machine, horizontal.output, len, halves) * vertical.output as f32;
    let Some(rows) = vertical.output.checked_mul(horizontal.output) else {
        return false;
    };
    let pixels = rows as f32 * len as f32 / BLOCK as f32;
    split::estimate(machine, rows, len, halves) + pixels * PIXEL < LESS * lines
}

/// Returns a product, unless it overflows.
fn product<const N: usize>(factors: [usize; N]) -> Option<usize> {
    factors
        .into_iter()
        .try_fold(1usize, |product, factor| product.checked_mul(factor))
}

impl Distances {
    /// Returns where the elements of rows lie; `None` if a distance overflows.
    pub(crate) fn of(sizes: &Sizes, machine: &Machine) -> Option<Self> {
        let [vertical, horizontal] = &sizes.axes;
        let source = Source::of(sizes, machine);
        let one_line = vertical.output == 1;
        let out_blocks = sizes.out_blocks();
        let lanes = if sizes.plain_input { 1 } else { BLOCK };
        let blocks = sizes.channels.div_ceil(lanes);
        let [x_plane, y_plane] = sizes.planes;
        let image = product([lanes, x_plane])?;
        let mut distances = Self {
            source,
            one_line,
            images: sizes.images,
            units: if one_line {
                horizontal.output
            } else {
                vertical.output
            },
            chunk: 0,
            row: product([horizontal.stride, lanes])?,
            unit: 0,
            taps: [0, product([horizontal.dilation, lanes])?],
            block: image,
            group: product([blocks, image])?,
            out_row: BLOCK,
            out_unit: if one_line {
                BLOCK
            } else {
                product([horizontal.output, BLOCK])?
            },
            out_block: product([y_plane, BLOCK])?,
            lanes,
            width: horizontal.input,
            scratch_len: 0,
        };
        if source == Source::Input
            && sizes.images > 1
            && sizes.groups == 1
            && image == lanes
            && !sizes.plain_input
        {
            // Images of one pixel are the pixels of one image, only farther apart.
            distances.images = 1;
            distances.units = sizes.images;
            distances.row = blocks * BLOCK;
            distances.block = BLOCK;
            distances.out_row = out_blocks * BLOCK;
            distances.out_unit = distances.out_row;
            distances.out_block = BLOCK;
        }
        distances.divide(sizes)?;
        distances.place(sizes, blocks)?;
        Some(distances)
    }

    /// Decides how many units are computed at a time.
    fn divide(&mut self, sizes: &Sizes) -> Option<()> {
        let [vertical, horizontal] = &sizes.axes;
        let seen = match self.source {
            // Long rows are computed in parts.
            Source::Gathered => [sizes.row_len()?.min(PART), horizontal.output],
            _ if self.one_line => [
                product([sizes.channels, vertical.kernel])?,
                horizontal.stride.min(horizontal.kernel),
            ],
            _ => [
                product([sizes.channels, vertical.stride])?,
                horizontal.input,
            ],
        };
        let in_cache = CHUNK_BYTES / size_of::<f32>() / product(seen)?.max(1);
        self.chunk = self.units.div_ceil(self.units.div_ceil(in_cache.max(1)));
        Some(())
    }

    /// Decides where the elements of rows lie.
    fn place(&mut self, sizes: &Sizes, blocks: usize) -> Option<()> {
        let [vertical, horizontal] = &sizes.axes;
        if self.source == Source::Gathered {
            self.row = self.lanes;
            self.block = product([self.chunk, horizontal.output, self.lanes])?;
            let tap = product([self.block, blocks])?;
            self.taps = [product([tap, horizontal.kernel])?, tap];
            self.scratch_len = product([self.taps[0], vertical.kernel])?;
            return Some(());
        }
        if self.source == Source::Padded {
            let (lines, outputs) = if self.one_line {
                (1, self.chunk)
            } else {
                (self.chunk, horizontal.output)
            };
            self.width = horizontal.reach(outputs)?;
            self.block = product([vertical.reach(lines)?, self.width, self.lanes])?;
            self.scratch_len = product([self.block, blocks])?;
        }
        let line = product([self.width, self.lanes])?;
        self.taps[0] = product([vertical.dilation, line])?;
        self.unit = if self.one_line {
            self.row
        } else {
            product([vertical.stride, line])?
        };
        Some(())
    }

    /// Returns what a product computes for so many units.
    pub(crate) fn area(&self, sizes: &Sizes, units: usize) -> Area {
        let outputs = sizes.axes[1].output;
        if self.one_line {
            Area::line(units)
        } else if self.source == Source::Gathered {
            Area::line(units * outputs)
        } else {
            Area {
                lines: units,
                rows: outputs,
                lhs_line: self.unit,
                out_line: self.out_unit,
            }
        }
    }

    /// Returns the product that computes one group of channels.
    pub(crate) fn shape(&self, sizes: &Sizes) -> Option<Shape> {
        Some(Shape {
            segments: self.segments(sizes)?,
            lhs_stride: self.row,
            weights_step: BLOCK,
            weights_block: sizes.row_len()?.checked_mul(BLOCK)?,
            columns: sizes.out_channels,
            out_stride: self.out_row,
            out_block: self.out_block,
            whole_blocks: true,
            scale: 1.0,
            residual: sizes.residual,
            activation: sizes.activation,
        })
    }

    /// Returns how far a tap of the window lies from the first one.
    pub(crate) fn tap(&self, ky: usize, kx: usize) -> usize {
        ky * self.taps[0] + kx * self.taps[1]
    }

    /// Returns where the elements of a row lie, in the order of the weights; neighbours are joined. `None` if that overflows.
    pub(crate) fn segments(&self, sizes: &Sizes) -> Option<Vec<Segment>> {
        let [vertical, horizontal] = &sizes.axes;
        let blocks = sizes.channels.div_ceil(self.lanes);
        let mut segments: Vec<Segment> = Vec::new();
        if blocks == 0 {
            // There may be any number of taps, as they have no weights.
            return Some(segments);
        }
        let mut push = |ky: usize, kx: usize, block: usize| {
            let offset = product([ky, self.taps[0]])?
                .checked_add(product([kx, self.taps[1]])?)?
                .checked_add(product([block, self.block])?)?;
            let offset_bytes = product([offset, size_of::<f32>()])?;
            let len = self.lanes.min(sizes.channels - block * self.lanes);
            match segments.last_mut() {
                Some(last) if last.offset_bytes + last.len * size_of::<f32>() == offset_bytes => {
                    last.len += len;
                }
                _ => segments.push(Segment { offset_bytes, len }),
            }
            Some(())
        };
        let taps =
            || (0..vertical.kernel).flat_map(|ky| (0..horizontal.kernel).map(move |kx| (ky, kx)));
        if sizes.plain_input {
            for block in 0..blocks {
                taps().try_for_each(|(ky, kx)| push(ky, kx, block))?;
            }
        } else {
            for (ky, kx) in taps() {
                (0..blocks).try_for_each(|block| push(ky, kx, block))?;
            }
        }
        Some(segments)
    }
}
