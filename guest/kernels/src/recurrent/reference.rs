//! Recurrent networks by plain loops, as ONNX writes them.

use tensorlet_plan::kernel::{Recurrent, RecurrentCell};

/// The tensors of a network, with weights as ONNX has them.
#[derive(Clone, Debug, Default)]
pub(super) struct Tensors {
    /// Steps, batch, input, hidden, directions.
    pub(super) sizes: [usize; 5],
    pub(super) x: Vec<f32>,
    pub(super) w: Vec<f32>,
    pub(super) r: Vec<f32>,
    pub(super) bias: Option<Vec<f32>>,
    pub(super) lengths: Option<Vec<i32>>,
    pub(super) h: Option<Vec<f32>>,
    pub(super) c: Option<Vec<f32>>,
    pub(super) peepholes: Option<Vec<f32>>,
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Returns y, the last h and the last c.
pub(super) fn run(recurrent: &Recurrent, tensors: &Tensors) -> [Vec<f32>; 3] {
    let [steps, batch, _, hidden, directions] = tensors.sizes;
    let mut y = vec![0.0; steps * directions * batch * hidden];
    let first = |state: &Option<Vec<f32>>| {
        state
            .clone()
            .unwrap_or_else(|| vec![0.0; directions * batch * hidden])
    };
    let (mut last_h, mut last_c) = (first(&tensors.h), first(&tensors.c));
    for d in 0..directions {
        let reverse = recurrent.reverse || d == 1;
        for b in 0..batch {
            let at = (d * batch + b) * hidden;
            let state = |state: &[f32]| -> Vec<f64> {
                state[at..][..hidden]
                    .iter()
                    .map(|&x| f64::from(x))
                    .collect()
            };
            let (mut h, mut c) = (state(&last_h), state(&last_c));
            let length = tensors
                .lengths
                .as_ref()
                .map_or(steps, |all| all[b] as usize);
            for i in 0..length {
                let step = if reverse { length - 1 - i } else { i };
                cell(recurrent, tensors, (d, b, step), &mut h, &mut c);
                for (j, &h) in h.iter().enumerate() {
                    y[((step * directions + d) * batch + b) * hidden + j] = h as f32;
                }
            }
            for j in 0..hidden {
                (last_h[at + j], last_c[at + j]) = (h[j] as f32, c[j] as f32);
            }
        }
    }
    [y, last_h, last_c]
}

fn cell(
    recurrent: &Recurrent,
    tensors: &Tensors,
    (d, b, step): (usize, usize, usize),
    h: &mut Vec<f64>,
    c: &mut Vec<f64>,
) {
    let [_, batch, input, hidden, _] = tensors.sizes;
    let gates = match recurrent.cell {
        RecurrentCell::Lstm => 4,
        RecurrentCell::Gru { .. } => 3,
        RecurrentCell::Tanh => 1,
    };
    let bias = |i: usize| {
        let bias = tensors.bias.as_ref();
        bias.map_or(0.0, |bias| f64::from(bias[d * 2 * gates * hidden + i]))
    };
    let of_input = |gate: usize, j: usize| -> f64 {
        let row = gate * hidden + j;
        let weights = &tensors.w[(d * gates * hidden + row) * input..][..input];
        let x = &tensors.x[(step * batch + b) * input..][..input];
        let products = weights.iter().zip(x);
        bias(row)
            + products
                .map(|(&w, &x)| f64::from(w) * f64::from(x))
                .sum::<f64>()
    };
    let of_state = |gate: usize, j: usize, h: &[f64]| -> f64 {
        let row = gate * hidden + j;
        let weights = &tensors.r[(d * gates * hidden + row) * hidden..][..hidden];
        let products = weights.iter().zip(h);
        bias(gates * hidden + row) + products.map(|(&w, h)| f64::from(w) * h).sum::<f64>()
    };
    let peephole = |gate: usize, j: usize| {
        let weights = tensors.peepholes.as_ref();
        weights.map_or(0.0, |weights| {
            f64::from(weights[(d * 3 + gate) * hidden + j])
        })
    };
    let all = 0..hidden;
    let sum = |gate: usize, j: usize| of_input(gate, j) + of_state(gate, j, h);
    match recurrent.cell {
        RecurrentCell::Tanh => *h = all.map(|j| sum(0, j).tanh()).collect(),
        RecurrentCell::Lstm => {
            let (mut next_h, mut next_c) = (Vec::new(), Vec::new());
            for j in all {
                let i = sigmoid(sum(0, j) + peephole(0, j) * c[j]);
                let f = sigmoid(sum(2, j) + peephole(2, j) * c[j]);
                let cell = f * c[j] + i * sum(3, j).tanh();
                let o = sigmoid(sum(1, j) + peephole(1, j) * cell);
                next_c.push(cell);
                next_h.push(o * cell.tanh());
            }
            (*h, *c) = (next_h, next_c);
        }
        RecurrentCell::Gru {
            linear_before_reset,
        } => {
            let z: Vec<f64> = all.clone().map(|j| sigmoid(sum(0, j))).collect();
            let r: Vec<f64> = all.clone().map(|j| sigmoid(sum(1, j))).collect();
            let reset: Vec<f64> = r.iter().zip(&*h).map(|(r, h)| r * h).collect();
            let next = |j: usize| {
                let state = if linear_before_reset {
                    r[j] * of_state(2, j, h)
                } else {
                    of_state(2, j, &reset)
                };
                let candidate = (of_input(2, j) + state).tanh();
                (1.0 - z[j]) * candidate + z[j] * h[j]
            };
            *h = all.map(next).collect();
        }
    }
}
