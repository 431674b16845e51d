//! Reductions of integers, in i64.

use tensorlet_plan::kernel::ReduceOp;
use tensorlet_tensor::DatumType;

use super::shape::Shape;
use crate::cast::wide::{self, CHUNK};
use crate::crew::{Crew, Pace};
use crate::run::{Run, RunError};

/// A reduction of integers or truth values.
pub(super) struct Integers {
    pub(super) op: ReduceOp,
    pub(super) datum_type: DatumType,
    pub(super) shape: Shape,
}

impl Integers {
    /// Reports whether there is such a reduction. Numbers of u64 have no order as i64.
    pub(super) fn is_there(op: ReduceOp, datum_type: DatumType) -> bool {
        let is_ordering = matches!(op, ReduceOp::Max | ReduceOp::Min);
        match datum_type {
            DatumType::Bool => is_ordering,
            DatumType::U64 => matches!(op, ReduceOp::Sum | ReduceOp::Product),
            datum_type if datum_type.is_float() => false,
            _ => is_ordering || matches!(op, ReduceOp::Sum | ReduceOp::Product),
        }
    }

    /// Returns what a reduction of nothing is.
    fn start(&self) -> i64 {
        let bits = 8 * self.datum_type.width_bytes() as u32;
        let (lowest, highest) = match self.datum_type {
            DatumType::Bool => (0, 1),
            DatumType::U8 | DatumType::U16 | DatumType::U32 => (0, (1 << bits) - 1),
            _ => (i64::MIN >> (64 - bits), i64::MAX >> (64 - bits)),
        };
        match self.op {
            ReduceOp::Max => lowest,
            ReduceOp::Min => highest,
            ReduceOp::Product => 1,
            _ => 0,
        }
    }

    fn join(&self) -> fn(i64, i64) -> i64 {
        match self.op {
            ReduceOp::Max => i64::max,
            ReduceOp::Min => i64::min,
            ReduceOp::Product => i64::wrapping_mul,
            _ => i64::wrapping_add,
        }
    }

    /// Reduces a run that begins at an element.
    fn run_of(&self, x: &[u8], begin: usize, result: i64) -> i64 {
        let (width, run, join) = (self.datum_type.width_bytes(), self.shape.run, self.join());
        let mut chunk = [0; CHUNK];
        // Numbers that are not side by side are read one at a time.
        let step = if run.stride == 1 { CHUNK } else { 1 };
        let mut result = result;
        for i in (0..run.size).step_by(step) {
            let chunk = &mut chunk[..step.min(run.size - i)];
            let x = &x[(begin + i * run.stride) * width..][..chunk.len() * width];
            wide::read_integers(self.datum_type, x, chunk);
            result = chunk.iter().fold(result, |result, x| join(result, *x));
        }
        result
    }
}

impl Run for Integers {
    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        _scratch: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let (x, y) = (inputs[0], &mut *outputs[0]);
        let (width, inner) = (self.datum_type.width_bytes(), self.shape.inner);
        let mut pace = Pace::of(crew);
        for group in 0..self.shape.kept_count() {
            let begin = self.shape.kept(group);
            for i in 0..inner {
                let runs = 0..self.shape.reduced_count();
                let mut result = self.start();
                for run in runs {
                    pace.count(4 + self.shape.run.size)?;
                    result = self.run_of(x, begin + i + self.shape.reduced(run), result);
                }
                let y = &mut y[(group * inner + i) * width..][..width];
                wide::write_integers(DatumType::I64, &[result], self.datum_type, y);
            }
        }
        Ok(())
    }
}
