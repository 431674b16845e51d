//! Triangles of matrices.

use super::check;
use crate::bind::Types;
use crate::crew::{Crew, Pace};
use crate::run::{BindError, Run, RunError};

/// See [`Kernel::Trilu`](tensorlet_plan::Kernel::Trilu).
struct Trilu {
    upper: bool,
    diagonal: i64,
    rows: usize,
    columns: usize,
    width_bytes: usize,
}

pub(super) fn bind(
    upper: bool,
    diagonal: i64,
    types: Types<'_>,
) -> Result<Box<dyn Run>, BindError> {
    let (x, y) = check::one_to_one(types)?;
    check::dims(y, &x.dims)?;
    let [.., rows, columns] = *x.dims.as_slice() else {
        return Err(check::mismatch("at least two axes", x));
    };
    Ok(Box::new(Trilu {
        upper,
        diagonal,
        rows,
        columns,
        width_bytes: x.datum_type.width_bytes(),
    }))
}

impl Run for Trilu {
    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        _scratch: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let (x, y) = (inputs[0], &mut *outputs[0]);
        if x.is_empty() {
            return Ok(());
        }
        // Of a row, an upper triangle keeps what lies from the diagonal on, a lower one what lies up to it.
        let first = self.diagonal.saturating_add(i64::from(!self.upper));
        let lines = self.columns * self.width_bytes;
        let mut pace = Pace::of(crew);
        for (line, (x, y)) in x
            .chunks_exact(lines)
            .zip(y.chunks_exact_mut(lines))
            .enumerate()
        {
            pace.count(4 + lines / 8)?;
            let row = (line % self.rows) as i64;
            let border = first.saturating_add(row).clamp(0, self.columns as i64);
            let border = border as usize * self.width_bytes;
            let (kept, rest) = match self.upper {
                true => (border..lines, 0..border),
                false => (0..border, border..lines),
            };
            y[kept.clone()].copy_from_slice(&x[kept]);
            y[rest].fill(0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tensorlet_plan::Kernel;
    use tensorlet_tensor::DatumType;

    use crate::arrange::testing::{WIDTHS, check_moved, error, random};

    #[test]
    fn keeps_a_triangle() {
        for datum_type in WIDTHS {
            for dims in [
                &[4, 3][..],
                &[2, 3, 5],
                &[1, 1],
                &[0, 3],
                &[3, 0],
                &[2, 1, 7],
            ] {
                for diagonal in [0, 1, -1, 2, -5, 9, i64::MAX, i64::MIN] {
                    for upper in [false, true] {
                        let x = random(datum_type, dims);
                        let y = x.of.clone();
                        let kernel = Kernel::Trilu { upper, diagonal };
                        let zero = vec![0; datum_type.width_bytes()];
                        check_moved(&kernel, &[x], &y, &zero, |index| {
                            let [.., row, column] = *index else {
                                unreachable!()
                            };
                            let above = column as i128 - row as i128;
                            let kept = if upper {
                                above >= i128::from(diagonal)
                            } else {
                                above <= i128::from(diagonal)
                            };
                            kept.then(|| index.to_vec())
                        });
                    }
                }
            }
        }
        let kernel = Kernel::Trilu {
            upper: true,
            diagonal: 0,
        };
        let x = random(DatumType::F32, &[3]);
        let found = error(&kernel, std::slice::from_ref(&x), &x.of);
        assert!(found.contains("at least two axes"), "{found}");
    }
}
