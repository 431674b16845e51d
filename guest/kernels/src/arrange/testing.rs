//! What tests of movement share: tensors in aligned memory, and oracles that go element by element.

use bytemuck::{Pod, Zeroable};
use tensorlet_plan::Kernel;
use tensorlet_tensor::{DatumType, Element};

use crate::bind;
use crate::run::Target;
use crate::tensor_type::TensorType;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// A tensor whose bytes begin at a multiple of 64.
#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) of: TensorType,
    lines: Vec<Line>,
}

impl Tensor {
    pub(crate) fn filled(of: &TensorType, byte: u8) -> Self {
        let bytes = of.stored_bytes().unwrap();
        Self {
            of: of.clone(),
            lines: vec![Line([byte; 64]); bytes.div_ceil(64)],
        }
    }

    pub(crate) fn from_bytes(of: &TensorType, bytes: &[u8]) -> Self {
        let mut tensor = Self::filled(of, 0);
        tensor.bytes_mut().copy_from_slice(bytes);
        tensor
    }

    /// A row-major tensor of these elements.
    pub(crate) fn new<T: Element>(dims: &[usize], elements: &[T]) -> Self {
        Self::from_bytes(
            &TensorType::plain(T::DATUM_TYPE, dims),
            bytemuck::cast_slice(elements),
        )
    }

    /// Any bytes, always the same.
    pub(crate) fn random(of: &TensorType) -> Self {
        let mut random = Random(of.stored_bytes().unwrap() as u64);
        let mut tensor = Self::filled(of, 0);
        tensor.bytes_mut().fill_with(|| random.next() as u8);
        tensor
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        let len = self.of.stored_bytes().unwrap();
        &bytemuck::cast_slice(&self.lines)[..len]
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        let len = self.of.stored_bytes().unwrap();
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..len]
    }

    pub(crate) fn elements<T: Element>(&self) -> &[T] {
        assert_eq!(self.of.datum_type, T::DATUM_TYPE);
        bytemuck::cast_slice(self.bytes())
    }

    /// The bytes of the element at an index.
    pub(crate) fn at(&self, index: &[usize]) -> &[u8] {
        let width = self.of.datum_type.width_bytes();
        &self.bytes()[flat(&self.of.dims, index) * width..][..width]
    }
}

/// One datum type for each width.
pub(crate) const WIDTHS: [DatumType; 4] = [
    DatumType::Bool,
    DatumType::F16,
    DatumType::F32,
    DatumType::I64,
];

/// A row-major type.
pub(crate) fn plain(datum_type: DatumType, dims: &[usize]) -> TensorType {
    TensorType::plain(datum_type, dims)
}

/// A row-major type of f32.
pub(crate) fn f32s(dims: &[usize]) -> TensorType {
    plain(DatumType::F32, dims)
}

/// A row-major tensor of any bytes.
pub(crate) fn random(datum_type: DatumType, dims: &[usize]) -> Tensor {
    Tensor::random(&plain(datum_type, dims))
}

/// Small dims, rarely a zero among them.
pub(crate) fn random_dims(random: &mut Random, rank: usize, most: usize) -> Vec<usize> {
    (0..rank)
        .map(|_| random.below(most) + usize::from(random.below(12) > 0))
        .collect()
}

/// A small generator of numbers (xorshift64*), the same in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// A number below a limit.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// A number from -1 to 1.
    pub(crate) fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// Runs a kernel; its outputs and scratch hold garbage before.
pub(crate) fn run_for(
    kernel: &Kernel,
    inputs: &[Tensor],
    outputs: &[TensorType],
    target: &Target<'_>,
) -> Result<Vec<Tensor>, String> {
    let types: Vec<TensorType> = inputs.iter().map(|input| input.of.clone()).collect();
    let bound = bind(kernel, &types, outputs, target).map_err(|error| error.to_string())?;
    let scratch_type = TensorType::plain(DatumType::U8, &[bound.scratch_bytes()]);
    let mut scratch = Tensor::filled(&scratch_type, 0xa5);
    let mut results: Vec<Tensor> = outputs.iter().map(|of| Tensor::filled(of, 0x5a)).collect();
    let slices: Vec<&[u8]> = inputs.iter().map(Tensor::bytes).collect();
    let mut mutable: Vec<&mut [u8]> = results.iter_mut().map(Tensor::bytes_mut).collect();
    bound
        .run(
            &slices,
            &mut mutable,
            scratch.bytes_mut(),
            crate::Crew::default(),
        )
        .map_err(|error| error.to_string())?;
    Ok(results)
}

/// Runs a kernel with one output.
pub(crate) fn run(kernel: &Kernel, inputs: &[Tensor], y: &TensorType) -> Result<Tensor, String> {
    let mut outputs = run_for(kernel, inputs, std::slice::from_ref(y), &Target::detect())?;
    Ok(outputs.remove(0))
}

/// Returns why a kernel is refused, or fails.
pub(crate) fn error(kernel: &Kernel, inputs: &[Tensor], y: &TensorType) -> String {
    match run(kernel, inputs, y) {
        Ok(_) => panic!("expected {kernel:?} to fail"),
        Err(error) => error,
    }
}

/// Checks that each element of the output is the one of `x` that `source` tells by its index, or else `fill`.
pub(crate) fn check_moved(
    kernel: &Kernel,
    inputs: &[Tensor],
    y: &TensorType,
    fill: &[u8],
    source: impl Fn(&[usize]) -> Option<Vec<usize>>,
) {
    let found = match run(kernel, inputs, y) {
        Ok(found) => found,
        Err(error) => panic!("{kernel:?}: {error}"),
    };
    for index in indices(&y.dims) {
        let expected = source(&index);
        let expected = expected.as_ref().map_or(fill, |index| inputs[0].at(index));
        assert_eq!(
            found.at(&index),
            expected,
            "{kernel:?} of {} to {y} at {index:?}",
            inputs[0].of
        );
    }
}

/// All indices of a tensor, in order.
pub(crate) fn indices(dims: &[usize]) -> impl Iterator<Item = Vec<usize>> {
    let dims = dims.to_vec();
    (0..dims.iter().product()).map(move |place| unflat(&dims, place))
}

/// The place of an element in a row-major tensor.
pub(crate) fn flat(dims: &[usize], index: &[usize]) -> usize {
    assert_eq!(dims.len(), index.len());
    dims.iter().zip(index).fold(0, |place, (dim, index)| {
        assert!(index < dim, "{index} of {dim}");
        place * dim + index
    })
}

/// The index of an element in a row-major tensor.
pub(crate) fn unflat(dims: &[usize], mut place: usize) -> Vec<usize> {
    let mut index = vec![0; dims.len()];
    for (index, dim) in index.iter_mut().zip(dims).rev() {
        *index = place % dim;
        place /= dim;
    }
    index
}
