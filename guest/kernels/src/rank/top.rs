//! The largest or smallest elements, in order.
//!
//! The best elements so far are kept in a heap with the worst of them on top, so that most elements are compared once and
//! left; sorting takes the heap apart. It lies in scratch memory and has one entry for each element of the result.

use bytemuck::Pod;
use tensorlet_plan::kernel::TopK;
use tensorlet_tensor::DatumType;

use crate::arrange::check::{self, Split};
use crate::arrange::number::copy_element;
use crate::bind::Types;
use crate::crew::{Crew, Pace};
use crate::run::{BindError, Nothing, Run, RunError};

/// An element's key and the complement of its index. Of two, the larger one comes first: that with the larger key, or of equal
/// ones that with the smaller index.
type Entry = [u64; 2];

struct Top {
    datum_type: DatumType,
    largest: bool,
    x: Split,
    /// How many elements are taken.
    count: usize,
}

pub(super) fn bind(top: TopK, types: Types<'_>) -> Result<Box<dyn Run>, BindError> {
    check::counts(types, 1, 2)?;
    let (x, values, indices) = (&types.inputs[0], &types.outputs[0], &types.outputs[1]);
    check::plain(&[x, values, indices])?;
    check::same_datum_type(x, values)?;
    let axis = check::axis(top.axis, x)?;
    let count = values.dims.get(axis).copied().unwrap_or(0);
    let mut dims = x.dims.clone();
    dims[axis] = count;
    check::dims(values, &dims)?;
    check::dims(indices, &dims)?;
    if count > x.dims[axis] {
        return Err(BindError::new(format!(
            "expected at most all elements along axis {axis} of {x}, found {count}"
        )));
    }
    if indices.datum_type != DatumType::I64 {
        return Err(check::mismatch("indices as i64", indices));
    }
    match x.datum_type {
        DatumType::F32
        | DatumType::F64
        | DatumType::I64
        | DatumType::I32
        | DatumType::U8
        | DatumType::I8 => {}
        _ => return Err(check::mismatch("f32, f64, i64, i32, u8 or i8", x)),
    }
    if values.is_empty() {
        return Ok(Box::new(Nothing));
    }
    if count.checked_mul(size_of::<Entry>()).is_none() {
        return Err(check::mismatch("results that fit in memory", values));
    }
    Ok(Box::new(Top {
        datum_type: x.datum_type,
        largest: top.largest,
        x: Split::new(&x.dims, axis),
        count,
    }))
}

impl Run for Top {
    fn scratch_bytes(&self) -> usize {
        self.count * size_of::<Entry>()
    }

    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        scratch: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let [values, indices] = outputs else {
            panic!("expected two outputs, found {}", outputs.len());
        };
        let heap: &mut [Entry] = bytemuck::cast_slice_mut(&mut scratch[..self.scratch_bytes()]);
        let indices: &mut [i64] = bytemuck::cast_slice_mut(indices);
        let x = inputs[0];
        let Split { outer, inner, .. } = self.x;
        let mut pace = Pace::of(crew);
        for line in 0..outer * inner {
            let (part, column) = (line / inner, line % inner);
            let first = part * self.x.len * inner + column;
            match self.datum_type {
                DatumType::F32 => self.select::<f32>(x, first, heap, &mut pace),
                DatumType::F64 => self.select::<f64>(x, first, heap, &mut pace),
                DatumType::I64 => self.select::<i64>(x, first, heap, &mut pace),
                DatumType::I32 => self.select::<i32>(x, first, heap, &mut pace),
                DatumType::I8 => self.select::<i8>(x, first, heap, &mut pace),
                _ => self.select::<u8>(x, first, heap, &mut pace),
            }?;
            sort(heap, &mut pace)?;
            let out = part * self.count * inner + column;
            for (place, entry) in heap.iter().enumerate() {
                let (place, index) = (out + place * inner, !entry[1]);
                indices[place] = index.cast_signed();
                let from = first + index as usize * inner;
                copy_element(self.datum_type.width_bytes(), x, from, values, place);
            }
        }
        Ok(())
    }
}

impl Top {
    /// Makes the heap of the best elements of a line.
    fn select<T: Element>(
        &self,
        x: &[u8],
        first: usize,
        heap: &mut [Entry],
        pace: &mut Pace<'_>,
    ) -> Result<(), RunError> {
        let x: &[T] = bytemuck::cast_slice(x);
        let elements = &x[first..];
        match self.x.inner {
            1 => self.select_from(elements[..self.x.len].iter(), heap, pace),
            inner => self.select_from(elements.iter().step_by(inner).take(self.x.len), heap, pace),
        }
    }

    fn select_from<'a, T: Element>(
        &self,
        mut elements: impl Iterator<Item = &'a T>,
        heap: &mut [Entry],
        pace: &mut Pace<'_>,
    ) -> Result<(), RunError> {
        let flip = if self.largest { 0 } else { u64::MAX };
        let mut index = 0u64;
        for (entry, element) in heap.iter_mut().zip(&mut elements) {
            *entry = [element.key() ^ flip, !index];
            index += 1;
        }
        for root in (0..heap.len() / 2).rev() {
            pace.count(8)?;
            sift(heap, root);
        }
        let mut worst = heap[0][0];
        for element in elements {
            let key = element.key() ^ flip;
            // An equal key comes later, so it is worse.
            if key > worst {
                heap[0] = [key, !index];
                sift(heap, 0);
                worst = heap[0][0];
                pace.count(16)?;
            }
            pace.count(1)?;
            index += 1;
        }
        Ok(())
    }
}

/// Moves an entry down until none below it is smaller.
fn sift(heap: &mut [Entry], mut root: usize) {
    loop {
        let mut child = 2 * root + 1;
        if child >= heap.len() {
            return;
        }
        if child + 1 < heap.len() && heap[child + 1] < heap[child] {
            child += 1;
        }
        if heap[root] <= heap[child] {
            return;
        }
        heap.swap(root, child);
        root = child;
    }
}

/// Puts the entries of a heap in order, the largest first.
fn sort(heap: &mut [Entry], pace: &mut Pace<'_>) -> Result<(), RunError> {
    for end in (1..heap.len()).rev() {
        pace.count(16)?;
        heap.swap(0, end);
        sift(&mut heap[..end], 0);
    }
    Ok(())
}

/// An element that is compared.
trait Element: Pod {
    /// Returns a number that has the place of this one in their order.
    fn key(self) -> u64;
}

macro_rules! floats {
    ($($float:ty: $bits:ty),+) => {$(
        impl Element for $float {
            fn key(self) -> u64 {
                // Adding zero makes the negative zero a positive one.
                let bits = (self + 0.0).to_bits();
                let sign = 1 << (<$bits>::BITS - 1);
                let key = if bits & sign == 0 { bits | sign } else { !bits };
                let key = if self.is_nan() { <$bits>::MAX } else { key };
                u64::from(key)
            }
        }
    )+};
}

floats!(f32: u32, f64: u64);

impl Element for i64 {
    fn key(self) -> u64 {
        (self ^ Self::MIN).cast_unsigned()
    }
}

impl Element for i32 {
    fn key(self) -> u64 {
        i64::from(self).key()
    }
}

impl Element for i8 {
    fn key(self) -> u64 {
        i64::from(self).key()
    }
}

impl Element for u8 {
    fn key(self) -> u64 {
        u64::from(self)
    }
}
