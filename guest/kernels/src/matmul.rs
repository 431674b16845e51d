//! Products of matrices.
//!
//! `tiles` computes most of them. Where there are few columns, or few rows and the right-hand side lies transposed, `dot`
//! multiplies whole vectors of a row's elements instead.

mod division;
mod dot;
mod pack;
mod tiles;

#[cfg(test)]
mod tests;

use tensorlet_plan::kernel::{Activation, Epilogue, MatMul, MatMulRhs};
use tensorlet_tensor::DatumType;

use crate::attributes::Attributes;
use crate::bind::Types;
use crate::crew::Crew;
use crate::epilogue::{self, is_plain};
use crate::isa::Isa;
use crate::run::{BindError, Run, RunError, Target};
use crate::tensor_type::{BLOCK, TensorType};
use crate::tile::Wanted;
use crate::unary;
use dot::Dot;
use pack::Rhs;
use tiles::Tiles;

pub use pack::pack_matmul;

/// For as few rows, or columns, whole vectors of one row's elements are multiplied.
const FEW: usize = 4;

/// Binds a product of matrices.
pub(crate) fn bind(
    matmul: &MatMul,
    types: Types<'_>,
    target: &Target<'_>,
) -> Result<Box<dyn Run>, BindError> {
    let mismatch = || {
        BindError::new(format!(
            "expected a product of matrices, found {} of {types}",
            Attributes(matmul)
        ))
    };
    let ([a, b, rest @ ..], [y]) = (types.inputs, types.outputs) else {
        return Err(mismatch());
    };
    let sizes = Sizes::of(matmul, a, b, y).ok_or_else(mismatch)?;
    epilogue::check(&matmul.epilogue, rest, sizes.columns, y)?;
    let method = if y.is_empty() {
        Method::Nothing
    } else {
        Method::of(matmul, &sizes, target)?
    };
    Ok(Box::new(Bound {
        isa: target.isa,
        sizes,
        method,
        epilogue: matmul.epilogue,
    }))
}

/// Adds the functions that a product is faster with, given the dims of both operands and the output as far as they are known. Returns
/// `None` if there is nothing to know, or sizes do not fit.
pub(crate) fn want_tiles(
    matmul: &MatMul,
    [a, b, y]: [&[Option<usize>]; 3],
    wanted: &mut Wanted,
) -> Option<()> {
    let plain = |dims: &[Option<usize>]| {
        let dims = dims.iter().copied().collect::<Option<Vec<usize>>>()?;
        Some(TensorType::plain(DatumType::F32, &dims))
    };
    if let (Some(a), Some(b), Some(y)) = (plain(a), plain(b), plain(y)) {
        let sizes = Sizes::of(matmul, &a, &b, &y)?;
        if y.is_empty() || sizes.is_few() {
            return Some(());
        }
        return Tiles::want(matmul, &sizes, true, wanted).ok();
    }
    let sizes = Sizes {
        // Any number that is not few.
        rows: 1000,
        len: (*a.last()?)?,
        columns: (*y.last()?)?,
        rhs: match matmul.rhs {
            MatMulRhs::Packed => Rhs::Packed,
            MatMulRhs::Plain => Rhs::Plain,
            MatMulRhs::Transposed => Rhs::Transposed,
        },
        leading: Vec::new(),
    };
    if sizes.is_few() {
        return Some(());
    }
    Tiles::want(matmul, &sizes, false, wanted).ok()
}

/// The sizes of a product.
#[derive(Clone, Debug)]
struct Sizes {
    /// How many rows the left-hand sides have that share a right-hand side.
    rows: usize,
    /// How many elements a row has.
    len: usize,
    /// How many columns there are.
    columns: usize,
    /// Where the right-hand sides are.
    rhs: Rhs,
    /// For each leading dim, outermost first, its size and the distance of the right-hand sides along it, in matrices.
    leading: Vec<(usize, usize)>,
}

impl Sizes {
    /// Returns the sizes; `None` if they contradict each other.
    fn of(matmul: &MatMul, a: &TensorType, b: &TensorType, y: &TensorType) -> Option<Self> {
        let ([leading @ .., rows, len], [y_leading @ .., y_rows, columns]) =
            (a.dims.as_slice(), y.dims.as_slice())
        else {
            return None;
        };
        let all_rows = || {
            leading
                .iter()
                .try_fold(*rows, |rows, &dim| rows.checked_mul(dim))
        };
        let mut sizes = Self {
            rows: *rows,
            len: *len,
            columns: *columns,
            rhs: Rhs::Plain,
            leading: Vec::new(),
        };
        if leading != y_leading || rows != y_rows || !is_plain(a) || !is_plain(y) {
            return None;
        }
        if matmul.rhs == MatMulRhs::Packed {
            let packed_len = columns.checked_next_multiple_of(BLOCK)?.checked_mul(*len)?;
            sizes.rows = all_rows()?;
            sizes.rhs = match b.datum_type {
                DatumType::F16 => Rhs::PackedHalf,
                _ if is_plain(b) => Rhs::Packed,
                _ => return None,
            };
            return (b.stored_len() == Some(packed_len)).then_some(sizes);
        }
        let [b_leading @ .., b_rows, b_columns] = b.dims.as_slice() else {
            return None;
        };
        let mut b_dims = [*b_rows, *b_columns];
        if matmul.rhs == MatMulRhs::Transposed {
            b_dims.reverse();
            sizes.rhs = Rhs::Transposed;
        }
        if b_dims != [*len, *columns] || !is_plain(b) || b_leading.len() > leading.len() {
            return None;
        }
        let mut distance = 1;
        let missing = leading.len() - b_leading.len();
        for (i, &dim) in leading.iter().enumerate().rev() {
            let b_dim = if i < missing {
                1
            } else {
                b_leading[i - missing]
            };
            if b_dim != 1 && b_dim != dim {
                return None;
            }
            sizes
                .leading
                .push((dim, if b_dim == 1 { 0 } else { distance }));
            distance = distance.checked_mul(b_dim)?;
        }
        sizes.leading.reverse();
        if sizes.leading.iter().all(|(_, distance)| *distance == 0) {
            sizes.rows = all_rows()?;
            sizes.leading.clear();
        }
        Some(sizes)
    }

    /// Reports whether the right-hand side has one column after the other.
    fn is_transposed(&self) -> bool {
        self.rhs == Rhs::Transposed || (self.rhs == Rhs::Plain && self.columns == 1)
    }

    /// Reports whether there are so few rows or columns that tiles are too large.
    fn is_few(&self) -> bool {
        let few_rows = self.rows <= FEW && self.is_transposed();
        self.len > 0 && (self.columns <= FEW || few_rows)
    }

    /// Returns how many left-hand sides there are.
    fn matrices(&self) -> usize {
        self.leading.iter().map(|(dim, _)| dim).product()
    }

    /// Returns which right-hand side a left-hand side is multiplied with.
    fn rhs_of(&self, mut matrix: usize) -> usize {
        let mut rhs = 0;
        for (dim, distance) in self.leading.iter().rev() {
            rhs += matrix % dim * distance;
            matrix /= dim;
        }
        rhs
    }
}

/// How a product is computed.
enum Method {
    /// There are no results.
    Nothing,
    /// Row by row, with a right-hand side that has one column after the other, or is first put so.
    Dot { dot: Dot, transposed: bool },
    /// By tiles.
    Tiles(Tiles),
}

impl Method {
    fn of(matmul: &MatMul, sizes: &Sizes, target: &Target<'_>) -> Result<Self, BindError> {
        if sizes.is_few() {
            let dot = Dot {
                len: sizes.len,
                columns: sizes.columns,
                scale: matmul.scale,
                activation: matmul.epilogue.activation,
            };
            let transposed = sizes.is_transposed();
            return Ok(Self::Dot { dot, transposed });
        }
        Tiles::new(matmul, sizes, target).map(Self::Tiles)
    }
}

/// A bound product.
struct Bound {
    isa: Isa,
    sizes: Sizes,
    method: Method,
    epilogue: Epilogue,
}

/// What one left-hand side is multiplied with, and what is added.
#[derive(Clone, Copy, Debug)]
struct Inputs<'a> {
    a: &'a [f32],
    /// Numbers of 16 or 32 bits.
    b: &'a [u8],
    bias: Option<&'a [f32]>,
    residual: Option<&'a [f32]>,
}

impl Run for Bound {
    fn scratch_bytes(&self) -> usize {
        let len = match &self.method {
            Method::Nothing
            | Method::Dot {
                transposed: true, ..
            } => 0,
            Method::Dot { .. } => self.sizes.len * self.sizes.columns,
            Method::Tiles(tiles) => tiles.scratch_len(&self.sizes),
        };
        len * size_of::<f32>()
    }

    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        scratch: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let sizes = &self.sizes;
        let floats = |i: usize| -> &[f32] { bytemuck::cast_slice(inputs[i]) };
        let (a, b) = (floats(0), inputs[1]);
        let bias = self.epilogue.bias.then(|| floats(2));
        let residual = self.epilogue.residual.then(|| floats(inputs.len() - 1));
        let y: &mut [f32] = bytemuck::cast_slice_mut(outputs[0]);
        let scratch: &mut [f32] = bytemuck::cast_slice_mut(scratch);
        let inputs = Inputs {
            a,
            b,
            bias,
            residual,
        };
        match &self.method {
            Method::Nothing => Ok(()),
            Method::Tiles(tiles) => tiles.run(sizes, inputs, y, scratch, crew),
            Method::Dot { dot, transposed } => {
                let y_len = sizes.rows * sizes.columns;
                for (matrix, y) in y.chunks_exact_mut(y_len).enumerate() {
                    let inputs = inputs.of(sizes, matrix);
                    if *transposed {
                        let b = bytemuck::cast_slice(inputs.b);
                        dot.share(self.isa, inputs, b, y, crew)?;
                    } else {
                        crew.check()?;
                        let columns = &mut scratch[..sizes.len * sizes.columns];
                        pack::unpack(sizes, inputs.b, columns);
                        dot.share(self.isa, inputs, columns, y, crew)?;
                    }
                    if let Activation::Unary(op) = self.epilogue.activation {
                        unary::share_in_place(op, self.isa, y, crew)?;
                    }
                }
                Ok(())
            }
        }
    }
}

impl<'a> Inputs<'a> {
    /// Returns those of one left-hand side, of all.
    fn of(&self, sizes: &Sizes, matrix: usize) -> Inputs<'a> {
        let (a_len, y_len) = (sizes.rows * sizes.len, sizes.rows * sizes.columns);
        let b_bytes = sizes.len * sizes.columns * size_of::<f32>();
        Inputs {
            a: &self.a[matrix * a_len..][..a_len],
            b: &self.b[sizes.rhs_of(matrix) * b_bytes..],
            bias: self.bias,
            residual: self.residual.map(|all| &all[matrix * y_len..][..y_len]),
        }
    }
}
