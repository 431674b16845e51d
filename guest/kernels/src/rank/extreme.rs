//! Where the largest or smallest element lies.
//!
//! Elements become keys: integers in the elements' order, reversed where the smallest is looked for, with NaN the largest. Keys
//! are visited in columns, several side by side, each column keeping its best key so far; the last of equal ones is found by
//! visiting them backwards. A row without columns is folded into some first:
//!
//! ```text
//! a b c d e f g h i j   ─►   a b c d
//!                            e f g h      then the best of the columns, and of the remainder i j
//! ```

use tensorlet_tensor::DatumType;

use crate::arrange::check::{self, Split};
use crate::bind::Types;
use crate::crew::{Crew, Pace};
use crate::run::{BindError, Run, RunError};

/// How many columns are visited together: as many as memory likes to be read in one go.
const COLUMNS: usize = 512;

/// How many columns a row is folded into.
const FOLDED: usize = 16;

struct Extreme {
    datum_type: DatumType,
    minimum: bool,
    last: bool,
    x: Split,
}

pub(super) fn bind(
    minimum: bool,
    axis: u32,
    last: bool,
    types: Types<'_>,
) -> Result<Box<dyn Run>, BindError> {
    check::counts(types, 1, 1)?;
    let (x, y) = (&types.inputs[0], &types.outputs[0]);
    check::plain(&[x, y])?;
    let axis = check::axis(axis, x)?;
    let mut dims = x.dims.clone();
    dims[axis] = 1;
    if y.dims.len() < x.dims.len() {
        dims.remove(axis);
    }
    check::dims(y, &dims)?;
    if y.datum_type != DatumType::I64 {
        return Err(check::mismatch("indices as i64", y));
    }
    let split = Split::new(&x.dims, axis);
    if u32::try_from(split.len).is_err() || (split.len == 0 && !y.is_empty()) {
        return Err(check::mismatch(
            "an axis with at least one and fewer than 2^32 elements",
            x,
        ));
    }
    match x.datum_type {
        DatumType::F32 | DatumType::I64 | DatumType::I32 | DatumType::U8 | DatumType::I8 => {}
        _ => return Err(check::mismatch("f32, i64, i32, u8 or i8", x)),
    }
    Ok(Box::new(Extreme {
        datum_type: x.datum_type,
        minimum,
        last,
        x: split,
    }))
}

impl Run for Extreme {
    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        _scratch: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        if outputs[0].is_empty() {
            return Ok(());
        }
        let y: &mut [i64] = bytemuck::cast_slice_mut(outputs[0]);
        let x = Elements {
            bytes: inputs[0],
            datum_type: self.datum_type,
            minimum: self.minimum,
        };
        match self.datum_type {
            DatumType::I64 => self.find::<i64>(x, y, crew),
            _ => self.find::<i32>(x, y, crew),
        }
    }
}

impl Extreme {
    fn find<K: Key>(&self, x: Elements<'_>, y: &mut [i64], crew: Crew<'_>) -> Result<(), RunError> {
        let mut pace = Pace::of(crew);
        let Split { len, inner, .. } = self.x;
        if inner == 1 {
            for (part, y) in y.iter_mut().enumerate() {
                *y = i64::from(self.find_in_row::<K>(x, part * len, &mut pace)?);
            }
            return Ok(());
        }
        let mut best = Best::<K, COLUMNS>::new();
        for (part, y) in y.chunks_exact_mut(inner).enumerate() {
            for (strip, y) in y.chunks_mut(COLUMNS).enumerate() {
                let first = part * len * inner + strip * COLUMNS;
                self.visit(x, first, (len, inner), y.len(), &mut best, &mut pace)?;
                for (y, place) in y.iter_mut().zip(&best.places) {
                    *y = i64::from(*place);
                }
            }
        }
        Ok(())
    }

    fn find_in_row<K: Key>(
        &self,
        x: Elements<'_>,
        first: usize,
        pace: &mut Pace<'_>,
    ) -> Result<u32, RunError> {
        let mut columns = Best::<K, FOLDED>::new();
        let rows = self.x.len / FOLDED;
        self.visit(x, first, (rows, FOLDED), FOLDED, &mut columns, pace)?;
        let behind = rows * FOLDED;
        let rest = &mut columns.visited[..self.x.len - behind];
        K::load(x, first + behind, rest);
        let rest = rest.iter().copied().zip(behind as u32..);
        let folded = columns
            .places
            .iter()
            .zip(0..)
            .map(|(row, column)| row * FOLDED as u32 + column);
        let folded = columns.keys.into_iter().zip(folded).filter(|_| rows > 0);
        let better = |a: (K, u32), b: (K, u32)| {
            let comes_first = (b.1 < a.1) != self.last;
            if b.0 > a.0 || (b.0 == a.0 && comes_first) {
                b
            } else {
                a
            }
        };
        Ok(folded
            .chain(rest)
            .reduce(better)
            .map_or(0, |(_, place)| place))
    }

    /// Finds the best of each column over a number of rows at a distance.
    #[inline(never)]
    fn visit<K: Key, const MOST: usize>(
        &self,
        x: Elements<'_>,
        first: usize,
        (rows, distance): (usize, usize),
        columns: usize,
        best: &mut Best<K, MOST>,
        pace: &mut Pace<'_>,
    ) -> Result<(), RunError> {
        let visited = &mut best.visited[..columns];
        let (keys, places) = (&mut best.keys[..columns], &mut best.places[..columns]);
        for step in 0..rows {
            pace.count(1 + columns / 4)?;
            let row = if self.last { rows - 1 - step } else { step };
            K::load(x, first + row * distance, visited);
            let row = row as u32;
            if step == 0 {
                keys.copy_from_slice(visited);
                places.fill(row);
                continue;
            }
            for ((key, best), place) in visited.iter().zip(&mut *keys).zip(&mut *places) {
                // Masks, because branches would be mispredicted.
                let better = u32::from(*key > *best).wrapping_neg();
                *place ^= (*place ^ row) & better;
                *best = (*best).max(*key);
            }
        }
        Ok(())
    }
}

/// The best key of each column and its row, and room for the keys of the row that is visited.
struct Best<K, const MOST: usize> {
    visited: [K; MOST],
    keys: [K; MOST],
    places: [u32; MOST],
}

impl<K: Key, const MOST: usize> Best<K, MOST> {
    fn new() -> Self {
        Self {
            visited: [K::default(); MOST],
            keys: [K::default(); MOST],
            places: [0; MOST],
        }
    }
}

/// What is looked through.
#[derive(Clone, Copy)]
struct Elements<'a> {
    bytes: &'a [u8],
    datum_type: DatumType,
    minimum: bool,
}

/// An integer that has an element's place in the order.
trait Key: Copy + Default + Ord {
    /// Makes the keys of neighbouring elements.
    fn load(x: Elements<'_>, first: usize, keys: &mut [Self]);
}

impl Key for i64 {
    fn load(x: Elements<'_>, first: usize, keys: &mut [Self]) {
        let x_elements: &[Self] = bytemuck::cast_slice(x.bytes);
        let flip = if x.minimum { !0 } else { 0 };
        for (key, element) in keys.iter_mut().zip(&x_elements[first..]) {
            *key = element ^ flip;
        }
    }
}

impl Key for i32 {
    fn load(x: Elements<'_>, first: usize, keys: &mut [Self]) {
        let flip = if x.minimum { !0 } else { 0 };
        match x.datum_type {
            DatumType::F32 => {
                let x: &[f32] = bytemuck::cast_slice(x.bytes);
                for (key, element) in keys.iter_mut().zip(&x[first..]) {
                    // Adding zero makes the negative zero a positive one.
                    let bits = (element + 0.0).to_bits().cast_signed();
                    let ordered = bits ^ ((bits >> 31) & Self::MAX) ^ flip;
                    *key = if element.is_nan() { Self::MAX } else { ordered };
                }
            }
            DatumType::I32 => {
                let x: &[Self] = bytemuck::cast_slice(x.bytes);
                for (key, element) in keys.iter_mut().zip(&x[first..]) {
                    *key = element ^ flip;
                }
            }
            // Bytes become signed by the change of their first bit, where they are not.
            datum_type => {
                let sign = if datum_type == DatumType::U8 { 0x80 } else { 0 };
                for (key, element) in keys.iter_mut().zip(&x.bytes[first..]) {
                    *key = Self::from((element ^ sign).cast_signed()) ^ flip;
                }
            }
        }
    }
}
