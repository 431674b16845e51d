//! Functions of the compiler, played by functions of Rust.

use std::sync::atomic::{AtomicUsize, Ordering};

use tensorlet_plan::kernel::{Activation, Conv, ConvWeights, Epilogue, MatMul, MatMulRhs};

use super::*;
use crate::bind::Types;
use crate::isa::Isa;
use crate::run::Target;
use crate::tensor_type::TensorType;
use crate::trial::{Samples, assert_close, block, plain};

/// How many tiles were computed by such functions. Tests that count run one after the other.
static TILES: AtomicUsize = AtomicUsize::new(0);
static COUNTING: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// Computes as [`TileRun`] says, for rows that are `LHS` and `OUT` elements apart.
///
/// # Safety
/// See [`TileFunction`].
#[expect(
    unsafe_code,
    reason = "it stands for a function that the compiler writes"
)]
unsafe extern "C" fn emitted<
    const LHS: usize,
    const OUT: usize,
    const ROWS: usize,
    const CHANNELS: usize,
    const RESIDUAL: bool,
    const CLAMP: bool,
>(
    run: *const TileRun,
) {
    // SAFETY: the caller's.
    unsafe {
        let run = &*run;
        TILES.fetch_add(run.tiles, Ordering::Relaxed);
        assert!(run.tiles > 0 && run.segment_count > 0);
        for row in 0..run.tiles * ROWS {
            for c in 0..CHANNELS {
                let at = row * OUT + c;
                let mut sum = *run.bias.add(c);
                let mut weights = run.weights.add(c);
                for segment in std::slice::from_raw_parts(run.segments, run.segment_count) {
                    assert!(segment.len > 0);
                    let lhs = run.lhs.add(row * LHS).byte_add(segment.offset_bytes);
                    for i in 0..segment.len {
                        sum += *lhs.add(i) * *weights;
                        weights = weights.wrapping_add(16);
                    }
                }
                if RESIDUAL {
                    sum += *run.residual.add(at);
                }
                if CLAMP {
                    sum = sum.max(run.low).min(run.high);
                }
                *run.out.add(at) = sum;
            }
        }
    }
}

/// All functions that the compiler is asked for, if rows are so far apart.
fn functions<const LHS: usize, const OUT: usize, const RESIDUAL: bool, const CLAMP: bool>()
-> Vec<EmittedTile> {
    let tile = |rows: u32, channels: u32, function: TileFunction| EmittedTile {
        spec: TileSpec {
            lhs_stride_bytes: 4 * LHS as u32,
            out_stride_bytes: 4 * OUT as u32,
            rows,
            channels,
            residual: RESIDUAL,
            clamp: CLAMP,
        },
        function,
    };
    vec![
        tile(1, 8, emitted::<LHS, OUT, 1, 8, RESIDUAL, CLAMP>),
        tile(2, 8, emitted::<LHS, OUT, 2, 8, RESIDUAL, CLAMP>),
        tile(3, 8, emitted::<LHS, OUT, 3, 8, RESIDUAL, CLAMP>),
        tile(4, 8, emitted::<LHS, OUT, 4, 8, RESIDUAL, CLAMP>),
        tile(5, 8, emitted::<LHS, OUT, 5, 8, RESIDUAL, CLAMP>),
        tile(6, 8, emitted::<LHS, OUT, 6, 8, RESIDUAL, CLAMP>),
        tile(1, 16, emitted::<LHS, OUT, 1, 16, RESIDUAL, CLAMP>),
    ]
}

/// Computes with and without functions of the compiler, by plain loops otherwise. Returns how many tiles they computed.
fn compare(
    kernel: &Kernel,
    inputs: &[(TensorType, Vec<f32>)],
    y: &TensorType,
    tiles: &[EmittedTile],
) -> usize {
    let _guard = COUNTING.lock().unwrap_or_else(|error| error.into_inner());
    let types: Vec<TensorType> = inputs.iter().map(|(tensor, _)| tensor.clone()).collect();
    let read: Vec<&[u8]> = inputs
        .iter()
        .map(|(_, numbers)| bytemuck::cast_slice(numbers))
        .collect();
    let run = |tiles: &[EmittedTile]| {
        let target = Target {
            isa: Isa::SCALAR,
            tiles,
        };
        let bound = crate::bind(kernel, &types, std::slice::from_ref(y), &target).unwrap();
        let mut out = vec![f32::NAN; y.stored_len().unwrap()];
        let mut scratch = vec![0u64; bound.scratch_bytes().div_ceil(8)];
        let scratch = bytemuck::cast_slice_mut(&mut scratch);
        bound
            .run(
                &read,
                &mut [bytemuck::cast_slice_mut(&mut out)],
                scratch,
                crate::Crew::default(),
            )
            .unwrap();
        out
    };
    let expected = run(&[]);
    TILES.store(0, Ordering::Relaxed);
    let found = run(tiles);
    let types = Types {
        inputs: &types,
        outputs: std::slice::from_ref(y),
    };
    assert_close(&found, &expected, 1e-4, &format!("{kernel:?} {types}"));
    TILES.load(Ordering::Relaxed)
}

fn clamped(residual: bool) -> Epilogue {
    Epilogue {
        bias: true,
        residual,
        activation: Activation::Clamp {
            low: -1.0,
            high: 2.0,
        },
    }
}

fn conv(kernel: u32, stride: u32, pad: u32, residual: bool) -> Conv {
    Conv {
        weights: ConvWeights::Blocked,
        group: 1,
        kernel: vec![kernel; 2],
        strides: vec![stride; 2],
        dilations: vec![1; 2],
        pads_before: vec![pad; 2],
        pads_after: vec![pad; 2],
        epilogue: clamped(residual),
    }
}

/// A convolution with its tensors.
fn tried(
    conv: &Conv,
    x: &[usize],
    y: &[usize],
) -> (Kernel, Vec<(TensorType, Vec<f32>)>, TensorType) {
    let mut samples = Samples::new(7);
    let taps = (conv.kernel[0] * conv.kernel[1]) as usize;
    let weights =
        crate::conv::pack_blocked(&samples.numbers(y[1] * x[1] * taps), 1, [y[1], x[1], taps]);
    let bias = block(&samples.numbers(y[1]), &[1, y[1], 1]);
    let numbers = samples.numbers(x.iter().product());
    let mut inputs = vec![
        (TensorType::blocked(x), block(&numbers, x)),
        (plain(&[weights.len()]), weights),
        (plain(&[bias.len()]), bias),
    ];
    if conv.epilogue.residual {
        let numbers = samples.numbers(y.iter().product());
        inputs.push((TensorType::blocked(y), block(&numbers, y)));
    }
    (Kernel::Conv(conv.clone()), inputs, TensorType::blocked(y))
}

fn known(dims: &[usize]) -> Vec<Option<usize>> {
    dims.iter().copied().map(Some).collect()
}

#[test]
fn convolutions_use_the_functions_they_ask_for() {
    for (conv, x, y) in [
        (conv(1, 1, 0, true), [1, 20, 5, 7], [1, 24, 5, 7]),
        (conv(3, 1, 1, true), [1, 20, 9, 11], [1, 40, 9, 11]),
        (conv(3, 1, 1, true), [1, 32, 9, 3], [1, 100, 9, 3]),
    ] {
        let functions = functions::<16, 16, true, true>();
        let (kernel, inputs, y_type) = tried(&conv, &x, &y);
        assert!(compare(&kernel, &inputs, &y_type, &functions) > 0);
        let specs = tile_specs(&kernel, &[&known(&x)], &known(&y));
        assert!(!specs.is_empty());
        let unknown = [None, Some(x[1]), None, None];
        let all = tile_specs(&kernel, &[&unknown], &[None, Some(y[1]), None, None]);
        for spec in specs {
            assert!(
                functions.iter().any(|function| function.spec == spec),
                "{spec:?}"
            );
            assert!(all.contains(&spec), "{spec:?}");
        }
    }
}

#[test]
fn functions_of_other_distances_or_epilogues_are_not_used() {
    let (kernel, inputs, y_type) = tried(&conv(1, 2, 0, true), &[1, 16, 16, 80], &[1, 24, 8, 40]);
    assert_eq!(
        compare(
            &kernel,
            &inputs,
            &y_type,
            &functions::<16, 16, true, true>()
        ),
        0
    );
    assert!(
        compare(
            &kernel,
            &inputs,
            &y_type,
            &functions::<32, 16, true, true>()
        ) > 0
    );
    let (kernel, inputs, y_type) = tried(&conv(1, 1, 0, true), &[1, 16, 8, 8], &[1, 24, 8, 8]);
    assert_eq!(
        compare(
            &kernel,
            &inputs,
            &y_type,
            &functions::<16, 16, false, true>()
        ),
        0
    );
    assert_eq!(
        compare(
            &kernel,
            &inputs,
            &y_type,
            &functions::<16, 16, true, false>()
        ),
        0
    );
    assert_eq!(
        compare(
            &kernel,
            &inputs,
            &y_type,
            &functions::<16, 32, true, true>()
        ),
        0
    );
}

#[test]
fn strided_convolutions_ask_for_rows_that_are_farther_apart() {
    let kernel = Kernel::Conv(conv(1, 2, 0, false));
    let specs = tile_specs(
        &kernel,
        &[&known(&[1, 16, 112, 112])],
        &known(&[1, 24, 56, 56]),
    );
    // Lines of 56 are divided into tiles of 6 and 5.
    let rows: Vec<u32> = specs.iter().map(|spec| spec.rows).collect();
    assert_eq!(rows, [5, 6]);
    assert!(
        specs
            .iter()
            .all(|spec| spec.lhs_stride_bytes == 128 && spec.clamp && !spec.residual)
    );
}

fn matmul(rhs: MatMulRhs, epilogue: Epilogue, scale: f32) -> Kernel {
    Kernel::MatMul(MatMul {
        rhs,
        scale,
        epilogue,
    })
}

#[test]
fn products_use_the_functions_they_ask_for() {
    let mut samples = Samples::new(3);
    for rows in [1, 2, 8, 31] {
        let (a, b, y) = (
            plain(&[rows, 40]),
            samples.numbers(40 * 29),
            plain(&[rows, 29]),
        );
        let packed = crate::matmul::pack_matmul(&b, 40, 29);
        let bias = [samples.numbers(29), vec![0.0; 3]].concat();
        let inputs = vec![
            (a, samples.numbers(rows * 40)),
            (plain(&[2, 40, 16]), packed),
            (plain(&[32]), bias),
        ];
        let functions = functions::<40, 29, false, true>();
        let kernel = matmul(MatMulRhs::Packed, clamped(false), 1.0);
        assert!(compare(&kernel, &inputs, &y, &functions) > 0, "{rows}");
        let dims = [[Some(rows), Some(40)], [None, None]];
        let specs = tile_specs(
            &kernel,
            &[&dims[0], &known(&[2, 40, 16])],
            &known(&[rows, 29]),
        );
        assert!(!specs.is_empty());
        for spec in specs {
            assert!(
                functions.iter().any(|function| function.spec == spec),
                "{spec:?}"
            );
        }
        let scaled = matmul(MatMulRhs::Packed, clamped(false), 2.0);
        assert_eq!(compare(&scaled, &inputs, &y, &functions), 0);
        let mut inputs = inputs;
        inputs[1] = (plain(&[40, 29]), b);
        let scaled = matmul(MatMulRhs::Plain, clamped(false), 2.0);
        assert_eq!(compare(&scaled, &inputs, &y, &functions) > 0, rows > 12);
    }
}

#[test]
fn products_of_unknown_rows_ask_for_the_usual_heights() {
    let kernel = matmul(MatMulRhs::Packed, Epilogue::default(), 1.0);
    let weights = known(&[2, 40, 16]);
    let specs = tile_specs(&kernel, &[&[None, Some(40)], &weights], &[None, Some(32)]);
    let mut tiles: Vec<(u32, u32)> = specs
        .iter()
        .map(|spec| (spec.channels, spec.rows))
        .collect();
    tiles.sort_unstable();
    assert_eq!(tiles, [(8, 4), (8, 5), (8, 6)]);
    let specs = tile_specs(&kernel, &[&[None, None], &weights], &[None, Some(32)]);
    assert!(specs.is_empty());
}

#[test]
fn other_kernels_ask_for_nothing() {
    assert_eq!(tile_specs(&Kernel::Copy, &[&[Some(4)]], &[Some(4)]), []);
}
