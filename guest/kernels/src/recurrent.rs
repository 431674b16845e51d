//! Recurrent networks: LSTM, GRU and the simple one.
//!
//! What the gates make of the inputs is one product for some steps at a time; each step then adds what they make of the state, and
//! applies the `cells`.
//!
//! ```text
//! gates[step] = x[step] × W + state × R + biases
//! ```

mod cells;
#[cfg(test)]
mod reference;
mod sizes;
#[cfg(test)]
mod tests;

use tensorlet_plan::kernel::{Recurrent, RecurrentCell};

use crate::bind::Types;
use crate::crew::Crew;
use crate::isa::Isa;
use crate::run::{BindError, Nothing, Run, RunError, Target};
use crate::tensor_type::BLOCK;
use crate::tile::Segment;
use crate::tile::product::{Area, Operands, Product, Shape};
use cells::Rows;
use sizes::{Places, Sizes};

/// How many rows (steps times batch) the product with the inputs takes at a time: enough to read the weights rarely, few
/// enough for caches.
const ROWS: usize = 64;

/// Packs weights `[D][G·H][K]`, as ONNX has them, as `[D][⌈G·H/16⌉][K][16]` with zeros beyond the last gate.
///
/// # Panics
/// If there are not `rows × columns` weights for each direction, where `rows` is `G·H` and `columns` is `K`.
pub fn pack_gates(weights: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let len = rows * columns;
    assert!(
        weights.len().is_multiple_of(len.max(1)) && (len > 0 || weights.is_empty()),
        "expected {rows} × {columns} weights for each direction, found {}",
        weights.len()
    );
    let mut packed = Vec::with_capacity(weights.len().next_multiple_of(BLOCK));
    for direction in weights.chunks_exact(len.max(1)) {
        for block in direction.chunks(BLOCK * columns) {
            for column in 0..columns {
                let gates = block.chunks_exact(columns).map(|gate| gate[column]);
                packed.extend(gates.chain(std::iter::repeat(0.0)).take(BLOCK));
            }
        }
    }
    packed
}

/// Binds a recurrent network.
pub(crate) fn bind(
    recurrent: &Recurrent,
    types: Types<'_>,
    target: &Target<'_>,
) -> Result<Box<dyn Run>, BindError> {
    let sizes = Sizes::new(recurrent, types)?;
    let places = Places::new(recurrent, types, &sizes)?;
    if sizes.batch == 0 || sizes.hidden == 0 {
        return Ok(Box::new(Nothing));
    }
    if sizes.input == 0 {
        return Err(BindError::new(format!(
            "expected inputs of at least one number, found {types}"
        )));
    }
    let Sizes { batch, hidden, .. } = sizes;
    let gates = sizes.gates * hidden;
    let chunk = (ROWS / batch).clamp(1, sizes.steps.max(1));
    let product = |len: usize, columns: usize, rows: usize| {
        let segment = Segment {
            offset_bytes: 0,
            len,
        };
        let shape = Shape {
            segments: vec![segment],
            lhs_stride: len,
            weights_step: BLOCK,
            weights_block: len * BLOCK,
            columns,
            out_stride: columns.next_multiple_of(BLOCK),
            out_block: BLOCK,
            whole_blocks: true,
            scale: 1.0,
            residual: false,
            activation: tensorlet_plan::kernel::Activation::None,
        };
        Product::new(shape, rows, target)
    };
    // Before the reset gate is known, only the gates in front of the last one can be computed.
    let is_reset_first = recurrent.cell
        == RecurrentCell::Gru {
            linear_before_reset: false,
        };
    let reset_begin = 2 * hidden / BLOCK * BLOCK;
    Ok(Box::new(Network {
        isa: target.isa,
        cell: recurrent.cell,
        reverse: recurrent.reverse,
        chunk,
        input_product: product(sizes.input, gates, chunk * batch)?,
        state_product: if is_reset_first {
            product(hidden, 2 * hidden, batch)?
        } else {
            product(hidden, gates, batch)?
        },
        reset_product: match is_reset_first {
            true => Some((product(hidden, gates - reset_begin, batch)?, reset_begin)),
            false => None,
        },
        places,
        sizes,
    }))
}

/// A recurrent network.
struct Network {
    isa: Isa,
    cell: RecurrentCell,
    sizes: Sizes,
    places: Places,
    /// Whether the first direction runs from the end.
    reverse: bool,
    /// How many steps the product with the inputs takes at a time.
    chunk: usize,
    input_product: Product,
    state_product: Product,
    /// The product with what the reset gate leaves of the state, and its first column.
    reset_product: Option<(Product, usize)>,
}

/// What a direction is computed of.
struct Direction<'a> {
    x: &'a [f32],
    input_weights: &'a [f32],
    state_weights: &'a [f32],
    /// The bias inside of what the reset gate is multiplied with.
    reset_bias: Option<&'a [f32]>,
    lengths: Option<&'a [i32]>,
    peepholes: Option<&'a [f32]>,
}

/// Memory for one direction.
struct Memory<'a> {
    /// The sum of both biases.
    bias: &'a mut [f32],
    /// What gates make of the inputs, for each row of a chunk.
    inputs: &'a mut [f32],
    /// What gates make of the state.
    states: &'a mut [f32],
    /// What the reset gate leaves of the state, and what the last gate makes of that.
    reset: &'a mut [f32],
    candidates: &'a mut [f32],
    /// The state.
    h: &'a mut [f32],
    /// The state of LSTM cells.
    c: &'a mut [f32],
}

impl Network {
    /// How many numbers each part of [`Memory`] has.
    fn memory_lens(&self) -> [usize; 7] {
        let Sizes { batch, hidden, .. } = self.sizes;
        let width = self.sizes.width();
        let state = batch * hidden;
        let (reset, candidates) = match &self.reset_product {
            Some((_, begin)) => (state, batch * (width - begin)),
            None => (0, 0),
        };
        let c = if self.cell == RecurrentCell::Lstm {
            state
        } else {
            0
        };
        let inputs = self.chunk * batch * width;
        [width, inputs, batch * width, reset, candidates, state, c]
    }

    /// Computes a direction. `emit` is given each step's state once it is known.
    fn run_direction(
        &self,
        direction: &Direction<'_>,
        reverse: bool,
        memory: &mut Memory<'_>,
        crew: Crew<'_>,
        mut emit: impl FnMut(usize, &[f32]),
    ) -> Result<(), RunError> {
        let Sizes {
            steps,
            batch,
            input,
            ..
        } = self.sizes;
        let chunks = steps.div_ceil(self.chunk);
        for i in 0..chunks {
            let i = if reverse { chunks - 1 - i } else { i };
            let (begin, end) = (i * self.chunk, ((i + 1) * self.chunk).min(steps));
            let rows = (end - begin) * batch;
            self.input_product.share(
                &Area::line(rows),
                Operands {
                    lhs: &direction.x[begin * batch * input..][..rows * input],
                    weights: direction.input_weights,
                    bias: Some(memory.bias),
                    residual: None,
                    out: (&mut *memory.inputs).into(),
                },
                crew,
            )?;
            for i in 0..end - begin {
                let step = if reverse { end - 1 - i } else { begin + i };
                self.run_step(direction, step, (step - begin) * batch, memory, crew)?;
                emit(step, memory.h);
            }
        }
        Ok(())
    }

    /// Computes a step. `row` is where its rows begin in the chunk.
    fn run_step(
        &self,
        direction: &Direction<'_>,
        step: usize,
        row: usize,
        memory: &mut Memory<'_>,
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let Sizes { batch, hidden, .. } = self.sizes;
        let width = self.sizes.width();
        let product = |product: &Product, lhs: &[f32], weights: &[f32], out: &mut [f32]| {
            let operands = Operands {
                lhs,
                weights,
                bias: None,
                residual: None,
                out: out.into(),
            };
            product.share(&Area::line(batch), operands, crew)
        };
        let weights = direction.state_weights;
        product(&self.state_product, memory.h, weights, memory.states)?;
        let rows = Rows {
            hidden,
            batch,
            width,
            inputs: &memory.inputs[row * width..][..batch * width],
            lengths: direction.lengths,
            step,
        };
        let isa = self.isa;
        match (self.cell, &self.reset_product) {
            (RecurrentCell::Tanh, _) => cells::tanh(isa, &rows, memory.states, memory.h),
            (RecurrentCell::Lstm, _) => {
                let peepholes = direction.peepholes;
                cells::lstm(isa, &rows, memory.states, peepholes, memory.h, memory.c);
            }
            (RecurrentCell::Gru { .. }, Some((reset_product, begin))) => {
                // The state's product is as wide as two gates.
                let states_width = (2 * hidden).next_multiple_of(BLOCK);
                let states = (&mut *memory.states, states_width);
                cells::reset_state(isa, &rows, states, memory.h, memory.reset);
                let weights = &weights[begin * hidden..];
                product(reset_product, memory.reset, weights, memory.candidates)?;
                let candidates = (&*memory.candidates, width - begin, 2 * hidden - begin);
                let updates = (&*memory.states, states_width);
                cells::update(isa, &rows, updates, candidates, memory.h);
            }
            (RecurrentCell::Gru { .. }, None) => {
                let states = &mut *memory.states;
                cells::reset_product(isa, &rows, states, direction.reset_bias);
                let (updates, candidates) = ((&*states, width), (&*states, width, 2 * hidden));
                cells::update(isa, &rows, updates, candidates, memory.h);
            }
        }
        Ok(())
    }

    /// Adds both biases, but for that which the reset gate is multiplied with. Returns that one.
    fn add_biases<'a>(&self, biases: Option<&'a [f32]>, sum: &mut [f32]) -> Option<&'a [f32]> {
        sum.fill(0.0);
        let biases = biases?;
        let gates = self.sizes.gates * self.sizes.hidden;
        let is_reset_last =
            self.reset_product.is_none() && matches!(self.cell, RecurrentCell::Gru { .. });
        let (input, state) = biases.split_at(gates);
        sum[..gates].copy_from_slice(input);
        let added = if is_reset_last {
            2 * self.sizes.hidden
        } else {
            gates
        };
        for (sum, bias) in sum.iter_mut().zip(&state[..added]) {
            *sum += bias;
        }
        is_reset_last.then(|| &state[added..])
    }
}

impl Run for Network {
    fn scratch_bytes(&self) -> usize {
        let lens = self.memory_lens().map(|len| len.next_multiple_of(BLOCK));
        lens.iter().sum::<usize>() * size_of::<f32>()
    }

    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        scratch: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let Sizes {
            steps,
            batch,
            hidden,
            directions,
            ..
        } = self.sizes;
        let places = &self.places;
        let floats = |i: usize| -> &[f32] { bytemuck::cast_slice(inputs[i]) };
        let lengths = places.lengths.map(|i| bytemuck::cast_slice(inputs[i]));
        check_lengths(lengths, steps)?;
        let mut rest: &mut [f32] = bytemuck::cast_slice_mut(scratch);
        let [bias, input, states, reset, candidates, h, c] = self.memory_lens().map(|len| {
            let (part, after) = std::mem::take(&mut rest).split_at_mut(len.next_multiple_of(BLOCK));
            rest = after;
            &mut part[..len]
        });
        let mut memory = Memory {
            bias,
            inputs: input,
            states,
            reset,
            candidates,
            h,
            c,
        };
        let state = batch * hidden;
        for d in 0..directions {
            // Each optional input has an equal part for each direction.
            let part = |i: usize| {
                let all = floats(i);
                &all[all.len() / directions * d..][..all.len() / directions]
            };
            let biases = places.bias.map(part);
            let direction = Direction {
                x: floats(0),
                input_weights: part(1),
                state_weights: part(2),
                reset_bias: self.add_biases(biases, memory.bias),
                lengths,
                peepholes: places.peepholes.map(part),
            };
            fill(memory.h, places.h.map(part));
            fill(memory.c, places.c.map(part));
            let reverse = self.reverse || d == 1;
            let mut y = places.y.map(|i| bytemuck::cast_slice_mut(&mut *outputs[i]));
            self.run_direction(&direction, reverse, &mut memory, crew, |step, h: &[f32]| {
                if let Some(y) = &mut y {
                    let y: &mut [f32] = &mut y[(step * directions + d) * state..][..state];
                    y.copy_from_slice(h);
                    for (b, y) in y.chunks_exact_mut(hidden).enumerate() {
                        if lengths.is_some_and(|lengths| step >= lengths[b] as usize) {
                            y.fill(0.0);
                        }
                    }
                }
            })?;
            for (place, last) in [(places.last_h, &memory.h), (places.last_c, &memory.c)] {
                if let Some(i) = place {
                    let out: &mut [f32] = bytemuck::cast_slice_mut(outputs[i]);
                    out[d * state..][..state].copy_from_slice(last);
                }
            }
        }
        Ok(())
    }
}

/// Begins with a given state, or with zeros.
fn fill(state: &mut [f32], first: Option<&[f32]>) {
    match first {
        Some(first) => state.copy_from_slice(first),
        None => state.fill(0.0),
    }
}

fn check_lengths(lengths: Option<&[i32]>, steps: usize) -> Result<(), RunError> {
    let is_bad = |&&length: &&i32| !usize::try_from(length).is_ok_and(|length| length <= steps);
    match lengths.unwrap_or_default().iter().find(is_bad) {
        Some(found) => Err(RunError::new(format!(
            "expected lengths of sequences from 0 to {steps}, found {found}"
        ))),
        None => Ok(()),
    }
}
