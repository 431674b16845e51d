//! Tests of conversions between layouts: kernels against plain loops, at odd sizes.

use tensorlet_plan::Kernel;

use crate::isa::Isa;
use crate::tensor_type::TensorType;
use crate::trial::{Samples, block, plain, run_f32};

const DIMS: [&[usize]; 14] = [
    &[1, 1, 1],
    &[1, 16, 1, 1],
    &[3, 37, 1],
    &[1, 3, 5, 7],
    &[2, 16, 4, 4],
    &[2, 17, 3, 3],
    &[1, 5, 64],
    &[1, 31, 65],
    &[2, 33, 131],
    &[1, 20, 2, 3, 5],
    &[0, 3, 4],
    &[2, 0, 4],
    &[2, 3, 0],
    &[1, 48, 2],
];

#[test]
fn blocks_hold_the_channels_and_then_zeros() {
    for dims in DIMS {
        let x = Samples::new(1).numbers(dims.iter().product());
        let y = run_f32(
            &Kernel::ToBlocked,
            Isa::detect(),
            &[(&plain(dims), &x)],
            &TensorType::blocked(dims),
        );
        assert_eq!(y.unwrap(), block(&x, dims), "{dims:?}");
    }
}

#[test]
fn what_was_blocked_comes_back() {
    for dims in DIMS {
        let x = Samples::new(2).numbers(dims.iter().product());
        // Lanes that are no channels hold what they like.
        let mut blocked = block(&vec![0.0; x.len()], dims);
        blocked.fill(f32::NAN);
        for (to, from) in blocked.iter_mut().zip(block(&x, dims)) {
            *to = if from == 0.0 { f32::NAN } else { from };
        }
        let y = run_f32(
            &Kernel::FromBlocked,
            Isa::detect(),
            &[(&TensorType::blocked(dims), &blocked)],
            &plain(dims),
        );
        assert_eq!(y.unwrap(), x, "{dims:?}");
    }
}

#[test]
fn refuses_types_that_contradict_each_other() {
    let blocked = TensorType::blocked(&[1, 3, 4]);
    let refused = |kernel: &Kernel, inputs: &[TensorType], outputs: &[TensorType]| {
        let error = crate::bind(kernel, inputs, outputs, &crate::Target::detect())
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        assert!(
            error.starts_with("expected a plain and a blocked f32 tensor"),
            "{error}"
        );
    };
    let same = plain(&[1, 3, 4]);
    refused(&Kernel::ToBlocked, &[], std::slice::from_ref(&blocked));
    refused(
        &Kernel::ToBlocked,
        std::slice::from_ref(&blocked),
        std::slice::from_ref(&same),
    );
    refused(
        &Kernel::FromBlocked,
        std::slice::from_ref(&same),
        std::slice::from_ref(&blocked),
    );
    refused(
        &Kernel::ToBlocked,
        &[plain(&[1, 4, 3])],
        std::slice::from_ref(&blocked),
    );
    let whole = TensorType::plain(tensorlet_tensor::DatumType::I32, &[1, 3, 4]);
    refused(&Kernel::ToBlocked, &[whole], &[blocked]);
}
