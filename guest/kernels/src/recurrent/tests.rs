//! Tests of recurrent networks: kernels against plain loops, at odd sizes.

use tensorlet_plan::Kernel;
use tensorlet_tensor::DatumType;

use super::reference::Tensors;
use super::*;
use crate::tensor_type::TensorType;
use crate::trial::{Samples, assert_close, plain, run_bytes};

const CELLS: [RecurrentCell; 4] = [
    RecurrentCell::Lstm,
    RecurrentCell::Gru {
        linear_before_reset: false,
    },
    RecurrentCell::Gru {
        linear_before_reset: true,
    },
    RecurrentCell::Tanh,
];

fn gates(cell: RecurrentCell) -> usize {
    match cell {
        RecurrentCell::Lstm => 4,
        RecurrentCell::Gru { .. } => 3,
        RecurrentCell::Tanh => 1,
    }
}

/// A network with all inputs and outputs that its cell has.
fn network(cell: RecurrentCell, hidden: usize, bidirectional: bool) -> Recurrent {
    let is_lstm = cell == RecurrentCell::Lstm;
    Recurrent {
        cell,
        hidden: hidden as u32,
        reverse: false,
        bidirectional,
        inputs: [true, true, true, is_lstm, is_lstm],
        outputs: [true, true, is_lstm],
    }
}

/// Tensors for a network over these steps, batch and inputs.
fn tensors(recurrent: &Recurrent, [steps, batch, input]: [usize; 3]) -> Tensors {
    let hidden = recurrent.hidden as usize;
    let directions = 1 + usize::from(recurrent.bidirectional);
    let rows = directions * gates(recurrent.cell) * hidden;
    let mut samples = Samples::new((steps * 100 + batch * 10 + hidden) as u32);
    let lengths = (0..batch)
        .map(|_| samples.index(steps + 1) as i32)
        .collect();
    let [bias, has_lengths, h, c, peepholes] = recurrent.inputs;
    let mut some = |present: bool, len: usize| present.then(|| samples.numbers(len));
    let state = directions * batch * hidden;
    Tensors {
        sizes: [steps, batch, input, hidden, directions],
        bias: some(bias, 2 * rows),
        lengths: has_lengths.then_some(lengths),
        h: some(h, state),
        c: some(c, state),
        peepholes: some(peepholes, directions * 3 * hidden),
        x: samples.numbers(steps * batch * input),
        w: samples.numbers(rows * input),
        r: samples.numbers(rows * hidden),
    }
}

/// The types of a network's inputs and outputs.
fn types(recurrent: &Recurrent, tensors: &Tensors) -> (Vec<TensorType>, Vec<TensorType>) {
    let [steps, batch, input, hidden, directions] = tensors.sizes;
    let rows = (gates(recurrent.cell) * hidden).next_multiple_of(16);
    let state = plain(&[directions, batch, hidden]);
    let optional = [
        plain(&[directions, 2 * gates(recurrent.cell) * hidden]),
        TensorType::plain(DatumType::I32, &[batch]),
        state.clone(),
        state.clone(),
        plain(&[directions, 3 * hidden]),
    ];
    let mut inputs = vec![
        plain(&[steps, batch, input]),
        plain(&[directions, rows / 16, input, 16]),
        plain(&[directions, rows / 16, hidden, 16]),
    ];
    let present = |(present, tensor): (bool, TensorType)| present.then_some(tensor);
    inputs.extend(
        recurrent
            .inputs
            .into_iter()
            .zip(optional)
            .filter_map(present),
    );
    let outputs = [
        plain(&[steps, directions, batch, hidden]),
        state.clone(),
        state,
    ];
    let outputs = recurrent.outputs.into_iter().zip(outputs);
    (inputs, outputs.filter_map(present).collect())
}

fn run(recurrent: &Recurrent, tensors: &Tensors, isa: Isa) -> Vec<Vec<f32>> {
    let [_, _, input, hidden, _] = tensors.sizes;
    let rows = gates(recurrent.cell) * hidden;
    let packed = (
        pack_gates(&tensors.w, rows, input),
        pack_gates(&tensors.r, rows, hidden),
    );
    let mut data: Vec<&[u8]> = [&tensors.x, &packed.0, &packed.1]
        .map(|numbers| bytemuck::cast_slice(numbers))
        .to_vec();
    let numbers = |numbers: &'_ Option<Vec<f32>>| numbers.clone().map(bytemuck::cast_vec);
    let optional: [Option<Vec<u32>>; 5] = [
        numbers(&tensors.bias),
        tensors.lengths.clone().map(bytemuck::cast_vec),
        numbers(&tensors.h),
        numbers(&tensors.c),
        numbers(&tensors.peepholes),
    ];
    data.extend(
        optional
            .iter()
            .flatten()
            .map(|words| bytemuck::cast_slice::<u32, u8>(words)),
    );
    let (input_types, output_types) = types(recurrent, tensors);
    let inputs: Vec<(&TensorType, &[u8])> = input_types.iter().zip(data).collect();
    let kernel = Kernel::Recurrent(recurrent.clone());
    let outputs = run_bytes(&kernel, isa, &inputs, &output_types).unwrap();
    outputs
        .iter()
        .map(|bytes| bytemuck::pod_collect_to_vec(bytes))
        .collect()
}

fn check(recurrent: &Recurrent, sizes: [usize; 3]) {
    let tensors = tensors(recurrent, sizes);
    let expected = reference::run(recurrent, &tensors);
    let expected = expected
        .iter()
        .zip(recurrent.outputs)
        .filter(|(_, present)| *present);
    for isa in Isa::available() {
        let found = run(recurrent, &tensors, isa);
        for (found, (expected, _)) in found.iter().zip(expected.clone()) {
            let context = format!("{} {recurrent:?} {sizes:?}", isa.name());
            assert_close(found, expected, 1e-4, &context);
        }
    }
}

#[test]
fn all_cells_agree_with_the_reference_at_odd_sizes() {
    for cell in CELLS {
        for hidden in [1, 3, 8, 15, 16, 17, 24, 33] {
            for sizes in [[1, 1, 1], [3, 2, 5], [5, 3, 17]] {
                check(&network(cell, hidden, false), sizes);
                check(&network(cell, hidden, true), sizes);
            }
        }
    }
}

#[test]
fn a_direction_may_run_from_the_end() {
    for cell in CELLS {
        let recurrent = Recurrent {
            reverse: true,
            ..network(cell, 10, false)
        };
        check(&recurrent, [7, 3, 4]);
    }
}

#[test]
fn long_sequences_are_computed_in_chunks() {
    for cell in CELLS {
        for bidirectional in [false, true] {
            check(&network(cell, 9, bidirectional), [150, 1, 3]);
            check(&network(cell, 9, bidirectional), [45, 3, 3]);
            check(&network(cell, 5, bidirectional), [3, 70, 3]);
        }
    }
}

#[test]
fn optional_inputs_and_outputs_may_be_absent() {
    for cell in CELLS {
        let all = network(cell, 6, true);
        for i in 0..5 {
            let mut recurrent = all.clone();
            recurrent.inputs[i] = false;
            check(&recurrent, [4, 2, 3]);
        }
        let none = Recurrent {
            inputs: [false; 5],
            ..all.clone()
        };
        check(&none, [4, 2, 3]);
        for i in 0..3 {
            let mut recurrent = all.clone();
            recurrent.outputs[i] = false;
            check(&recurrent, [4, 2, 3]);
        }
    }
}

#[test]
fn without_steps_the_state_stays() {
    for cell in CELLS {
        check(&network(cell, 6, true), [0, 2, 3]);
        check(&network(cell, 6, true), [2, 0, 3]);
    }
}

#[test]
fn refuses_a_length_beyond_the_steps() {
    let recurrent = network(RecurrentCell::Tanh, 2, false);
    let (inputs, outputs) = types(&recurrent, &tensors(&recurrent, [3, 1, 1]));
    let target = Target::detect();
    let bound = crate::bind(&Kernel::Recurrent(recurrent), &inputs, &outputs, &target).unwrap();
    let words: Vec<Vec<u64>> = inputs
        .iter()
        .map(|tensor| vec![0; tensor.stored_bytes().unwrap().div_ceil(8)])
        .collect();
    for length in [-1i32, 4] {
        let mut words = words.clone();
        bytemuck::cast_slice_mut::<u64, i32>(&mut words[4])[0] = length;
        let read: Vec<&[u8]> = words
            .iter()
            .zip(&inputs)
            .map(|(words, tensor)| &bytemuck::cast_slice(words)[..tensor.stored_bytes().unwrap()])
            .collect();
        let mut y = vec![0f32; 6];
        let mut h = vec![0f32; 2];
        let mut out = [
            bytemuck::cast_slice_mut(&mut y),
            bytemuck::cast_slice_mut(&mut h),
        ];
        let mut scratch = vec![0f32; bound.scratch_bytes() / 4];
        let error = bound.run(
            &read,
            &mut out,
            bytemuck::cast_slice_mut(&mut scratch),
            crate::Crew::default(),
        );
        let error = error.unwrap_err().to_string();
        assert!(
            error.ends_with(&format!("from 0 to 3, found {length}")),
            "{error}"
        );
    }
}

#[test]
fn gates_are_packed_in_blocks() {
    // Two directions of 17 gates over 2 numbers.
    let weights: Vec<f32> = (0..68).map(|i| i as f32).collect();
    let packed = pack_gates(&weights, 17, 2);
    assert_eq!(packed.len(), 2 * 2 * 2 * 16);
    assert_eq!(packed[..2], [0.0, 2.0]);
    assert_eq!(packed[16..18], [1.0, 3.0]);
    assert_eq!(packed[32..34], [32.0, 0.0]);
    assert_eq!(packed[48..50], [33.0, 0.0]);
    assert_eq!(packed[64], 34.0);
    assert!(pack_gates(&[], 0, 3).is_empty());
}

#[test]
fn refuses_what_contradicts_itself() {
    let good = network(RecurrentCell::Lstm, 5, true);
    let (inputs, outputs) = types(&good, &tensors(&good, [3, 2, 4]));
    let refused = |recurrent: &Recurrent, inputs: &[TensorType], outputs: &[TensorType]| {
        let kernel = Kernel::Recurrent(recurrent.clone());
        crate::bind(&kernel, inputs, outputs, &Target::detect()).is_err()
    };
    assert!(!refused(&good, &inputs, &outputs));
    for i in 0..inputs.len() {
        let mut other = inputs.clone();
        other.remove(i);
        assert!(refused(&good, &other, &outputs), "input {i} left out");
        other = inputs.clone();
        *other[i].dims.last_mut().unwrap() += 1;
        assert!(refused(&good, &other, &outputs), "input {i} too large");
        other = inputs.clone();
        other[i].datum_type = DatumType::U32;
        assert!(refused(&good, &other, &outputs), "input {i} of u32");
    }
    for i in 0..outputs.len() {
        let mut other = outputs.clone();
        other.remove(i);
        assert!(refused(&good, &inputs, &other), "output {i} left out");
        other = outputs.clone();
        other[i].dims[1] += 1;
        assert!(refused(&good, &inputs, &other), "output {i} too large");
    }
    let gru = RecurrentCell::Gru {
        linear_before_reset: false,
    };
    let other = Recurrent {
        cell: gru,
        ..good.clone()
    };
    let (gru_inputs, gru_outputs) = types(&other, &tensors(&other, [3, 2, 4]));
    assert!(
        refused(&other, &gru_inputs, &gru_outputs),
        "a GRU without c"
    );
    let lengths = inputs[4].clone();
    assert_eq!(lengths.datum_type, DatumType::I32);
    let mut other = inputs.clone();
    other[4] = plain(&[2]);
    assert!(refused(&good, &other, &outputs), "lengths of f32");
    let huge = Recurrent {
        hidden: u32::MAX,
        ..good
    };
    assert!(refused(&huge, &inputs, &outputs));
}
