//! Tries kernels in tests: binds them for an instruction set and runs them between guarded buffers.

use tensorlet_plan::{Kernel, Layout};
use tensorlet_tensor::DatumType;

use crate::crew::Crew;
use crate::crew::testing::Fresh;
use crate::isa::Isa;
use crate::run::{BindError, Run, Target};
use crate::tensor_type::{BLOCK, TensorType};

/// What memory holds before a kernel writes it: no number that a test expects.
const POISON: u8 = 0xa5;

/// How many bytes of poison follow each buffer.
const GUARD: usize = 256;

/// Numbers that look random and are the same in every run.
pub(crate) struct Samples(u32);

impl Samples {
    pub(crate) fn new(seed: u32) -> Self {
        Self(seed.wrapping_mul(2_654_435_761).wrapping_add(1))
    }

    /// The next number, from 0 to `below - 1`.
    pub(crate) fn index(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((self.0 >> 8) as usize) % below
    }

    /// `len` numbers between -1 and 1.
    pub(crate) fn numbers(&mut self, len: usize) -> Vec<f32> {
        (0..len)
            .map(|_| self.index(1 << 20) as f32 / (1 << 19) as f32 - 1.0)
            .collect()
    }
}

/// A plain f32 tensor's type.
pub(crate) fn plain(dims: &[usize]) -> TensorType {
    TensorType::plain(DatumType::F32, dims)
}

/// Runs a kernel over f32 tensors that have one output. See [`run_bytes`].
pub(crate) fn run_f32(
    kernel: &Kernel,
    isa: Isa,
    inputs: &[(&TensorType, &[f32])],
    output: &TensorType,
) -> Result<Vec<f32>, BindError> {
    let inputs: Vec<(&TensorType, &[u8])> = inputs
        .iter()
        .map(|&(tensor, numbers)| (tensor, bytemuck::cast_slice(numbers)))
        .collect();
    let outputs = run_bytes(kernel, isa, &inputs, std::slice::from_ref(output))?;
    Ok(bytemuck::pod_collect_to_vec(&outputs[0]))
}

/// Binds a kernel and runs it several times, each time over what the time before left behind: alone twice, and then with crews.
///
/// # Panics
/// If it fails, writes beyond a buffer, or two runs differ.
pub(crate) fn run_bytes(
    kernel: &Kernel,
    isa: Isa,
    inputs: &[(&TensorType, &[u8])],
    outputs: &[TensorType],
) -> Result<Vec<Vec<u8>>, BindError> {
    let types: Vec<TensorType> = inputs.iter().map(|&(tensor, _)| tensor.clone()).collect();
    let bound = crate::bind(kernel, &types, outputs, &Target::of(isa))?;
    Ok(run_bound(&*bound, inputs, outputs))
}

/// Runs a kernel that was bound to these types, as [`run_bytes`].
pub(crate) fn run_bound(
    bound: &dyn Run,
    inputs: &[(&TensorType, &[u8])],
    outputs: &[TensorType],
) -> Vec<Vec<u8>> {
    let aligned: Vec<Guarded> = inputs
        .iter()
        .map(|&(tensor, bytes)| {
            assert_eq!(Some(bytes.len()), tensor.stored_bytes(), "{tensor}");
            Guarded::new(bytes)
        })
        .collect();
    let mut results: Vec<Vec<Vec<u8>>> = Vec::new();
    let bytes = bound.scratch_bytes();
    let mut scratch = Guarded::poison(bytes);
    let teams = [Fresh(2), Fresh(3)];
    let alone = (None, Crew::default());
    let [two, three] = teams
        .each_ref()
        .map(|team| (Some(team.0), Crew::new(Some(team), None)));
    for (threads, crew) in [alone, alone, two, three] {
        if let Some(threads) = threads {
            scratch = Guarded::poison(bytes.next_multiple_of(64) * threads);
        }
        let mut out: Vec<Guarded> = outputs
            .iter()
            .map(|output| Guarded::poison(output.stored_bytes().unwrap()))
            .collect();
        let read: Vec<&[u8]> = aligned.iter().map(Guarded::bytes).collect();
        let mut written: Vec<&mut [u8]> = out.iter_mut().map(Guarded::bytes_mut).collect();
        bound
            .run(&read, &mut written, scratch.bytes_mut(), crew)
            .unwrap_or_else(|error| panic!("{error}"));
        out.iter().chain([&scratch]).for_each(Guarded::check);
        results.push(out.iter().map(|out| out.bytes().to_vec()).collect());
    }
    assert_eq!(results[0], results[1], "a second run gave another result");
    for crews in &results[2..] {
        assert!(results[0] == *crews, "a crew gave another result");
    }
    results.swap_remove(0)
}

/// Puts a plain tensor into blocks, with plain loops.
pub(crate) fn block(plain: &[f32], dims: &[usize]) -> Vec<f32> {
    let pixels: usize = dims[2..].iter().product();
    let blocks = dims[1].div_ceil(BLOCK);
    let mut blocked = vec![0.0; dims[0] * blocks * pixels * BLOCK];
    for (i, &number) in plain.iter().enumerate() {
        let (row, channel, pixel) = (i / pixels / dims[1], i / pixels % dims[1], i % pixels);
        let at = ((row * blocks + channel / BLOCK) * pixels + pixel) * BLOCK + channel % BLOCK;
        blocked[at] = number;
    }
    blocked
}

/// The inverse of [`block`].
pub(crate) fn unblock(blocked: &[f32], dims: &[usize]) -> Vec<f32> {
    let pixels: usize = dims[2..].iter().product();
    let blocks = dims[1].div_ceil(BLOCK);
    (0..dims.iter().product())
        .map(|i| {
            let (row, channel, pixel) = (i / pixels / dims[1], i / pixels % dims[1], i % pixels);
            blocked[((row * blocks + channel / BLOCK) * pixels + pixel) * BLOCK + channel % BLOCK]
        })
        .collect()
}

/// A type of the given dims in the given layout.
pub(crate) fn laid_out(layout: Layout, dims: &[usize]) -> TensorType {
    TensorType {
        datum_type: DatumType::F32,
        dims: dims.to_vec(),
        layout,
    }
}

/// Fails unless numbers are as close as `tolerance`, relative to the larger of 1 and the expected one; NaN is NaN.
#[track_caller]
pub(crate) fn assert_close(found: &[f32], expected: &[f32], tolerance: f32, context: &str) {
    assert_eq!(found.len(), expected.len(), "{context}");
    for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let close = found == expected
            || (found.is_nan() && expected.is_nan())
            || (found - expected).abs() <= tolerance * expected.abs().max(1.0);
        assert!(close, "{context}: [{i}] expected {expected}, found {found}");
    }
}

/// A buffer that begins at a multiple of 8 bytes, with poison behind it.
struct Guarded {
    words: Vec<u64>,
    len: usize,
}

impl Guarded {
    fn poison(len: usize) -> Self {
        let words = (len + GUARD).div_ceil(8);
        Self {
            words: vec![u64::from_ne_bytes([POISON; 8]); words],
            len,
        }
    }

    fn new(bytes: &[u8]) -> Self {
        let mut guarded = Self::poison(bytes.len());
        guarded.bytes_mut().copy_from_slice(bytes);
        guarded
    }

    fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.len]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.words)[..self.len]
    }

    #[track_caller]
    fn check(&self) {
        let guard = &bytemuck::cast_slice::<u64, u8>(&self.words)[self.len..];
        assert!(
            guard.iter().all(|&byte| byte == POISON),
            "expected nothing written beyond a buffer"
        );
    }
}
