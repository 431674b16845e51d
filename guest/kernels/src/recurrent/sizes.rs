//! The sizes of a recurrent network, and which of its tensors there are.

use tensorlet_plan::Layout;
use tensorlet_plan::kernel::{Recurrent, RecurrentCell};
use tensorlet_tensor::DatumType;

use crate::attributes::Attributes;
use crate::bind::Types;
use crate::epilogue::is_plain;
use crate::run::BindError;
use crate::tensor_type::{BLOCK, TensorType};

/// The sizes of a recurrent network. Those of the memory that it needs fit in `usize`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) steps: usize,
    pub(super) batch: usize,
    pub(super) input: usize,
    pub(super) hidden: usize,
    pub(super) directions: usize,
    /// How many gates a cell has.
    pub(super) gates: usize,
}

impl Sizes {
    /// # Errors
    /// If there is no `x` or the weights have other sizes.
    pub(super) fn new(recurrent: &Recurrent, types: Types<'_>) -> Result<Self, BindError> {
        let gates = match recurrent.cell {
            RecurrentCell::Lstm => 4,
            RecurrentCell::Gru { .. } => 3,
            RecurrentCell::Tanh => 1,
        };
        let [x, w, r, ..] = types.inputs else {
            return Err(mismatch(recurrent, types));
        };
        let &[steps, batch, input] = x.dims.as_slice() else {
            return Err(mismatch(recurrent, types));
        };
        let sizes = Self {
            steps,
            batch,
            input,
            hidden: recurrent.hidden as usize,
            directions: 1 + usize::from(recurrent.bidirectional),
            gates,
        };
        let packed = |columns: usize| {
            let gates = gates.checked_mul(sizes.hidden)?;
            gates
                .checked_next_multiple_of(BLOCK)?
                .checked_mul(sizes.directions)?
                .checked_mul(columns)
        };
        // Rows of all gates for each of a batch are the largest of what is kept besides the weights, some times over.
        let memory = sizes
            .gates
            .checked_mul(sizes.hidden)
            .and_then(|width| width.checked_next_multiple_of(BLOCK))
            .and_then(|width| width.checked_mul(batch.checked_add(super::ROWS)?))
            .and_then(|memory| memory.checked_mul(32));
        let fits = [x, w, r].into_iter().all(is_plain)
            && w.stored_len() == packed(input)
            && r.stored_len() == packed(sizes.hidden)
            && memory.is_some_and(|bytes| isize::try_from(bytes).is_ok());
        if fits {
            Ok(sizes)
        } else {
            Err(mismatch(recurrent, types))
        }
    }

    /// Returns how many numbers a row of all gates has, with those that fill the last block.
    pub(super) fn width(&self) -> usize {
        (self.gates * self.hidden).next_multiple_of(BLOCK)
    }
}

/// Which of the inputs and outputs the optional ones are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Places {
    pub(super) bias: Option<usize>,
    pub(super) lengths: Option<usize>,
    pub(super) h: Option<usize>,
    pub(super) c: Option<usize>,
    pub(super) peepholes: Option<usize>,
    pub(super) y: Option<usize>,
    pub(super) last_h: Option<usize>,
    pub(super) last_c: Option<usize>,
}

impl Places {
    /// # Errors
    /// If the tensors are others than the kernel's attributes tell.
    pub(super) fn new(
        recurrent: &Recurrent,
        types: Types<'_>,
        sizes: &Sizes,
    ) -> Result<Self, BindError> {
        let &Sizes {
            steps,
            batch,
            hidden,
            directions,
            gates,
            ..
        } = sizes;
        let state: &[usize] = &[directions, batch, hidden];
        let mut rest = types.inputs.iter().enumerate().skip(3);
        let mut outputs = types.outputs.iter().enumerate();
        let lengths = TensorType::plain(DatumType::I32, &[batch]);
        let is_lstm = recurrent.cell == RecurrentCell::Lstm;
        let mut fits = true;
        let mut place = |(i, tensor): (usize, &TensorType), dims: &[usize]| {
            fits &= tensor.layout == Layout::Plain && tensor.dims == dims;
            fits &= tensor.datum_type == DatumType::F32 || *tensor == lengths;
            i
        };
        let [bias, has_lengths, h, c, peepholes] = recurrent.inputs;
        let [y, last_h, last_c] = recurrent.outputs;
        let expected = |present: &[bool]| present.iter().filter(|&&present| present).count();
        if types.inputs.len() != 3 + expected(&recurrent.inputs)
            || types.outputs.len() != expected(&recurrent.outputs)
            || ((c || peepholes || last_c) && !is_lstm)
        {
            return Err(mismatch(recurrent, types));
        }
        let mut input = |present: bool, dims: &[usize]| match present {
            true => rest.next().map(|found| place(found, dims)),
            false => None,
        };
        let mut places = Self {
            bias: input(bias, &[directions, 2 * gates * hidden]),
            lengths: input(has_lengths, &[batch]),
            h: input(h, state),
            c: input(c, state),
            peepholes: input(peepholes, &[directions, 3 * hidden]),
            ..Self::default()
        };
        let mut output = |present: bool, dims: &[usize]| match present {
            true => outputs.next().map(|found| place(found, dims)),
            false => None,
        };
        places.y = output(y, &[steps, directions, batch, hidden]);
        places.last_h = output(last_h, state);
        places.last_c = output(last_c, state);
        let is_whole = |i: usize| types.inputs[i].datum_type == DatumType::I32;
        if fits && places.lengths.is_none_or(is_whole) {
            Ok(places)
        } else {
            Err(mismatch(recurrent, types))
        }
    }
}

fn mismatch(recurrent: &Recurrent, types: Types<'_>) -> BindError {
    BindError::new(format!(
        "expected a recurrent network, found {} of {types}",
        Attributes(recurrent)
    ))
}
