//! Arithmetic of f32, by vectors.

#![expect(unsafe_code, reason = "rows are read and written at pointers")]

use tensorlet_plan::kernel::BinaryOp;

use super::broadcast::{Axis, Nest};
use crate::crew::Crew;
use crate::isa::{Isa, Vectorised};
use crate::run::{Run, RunError};
use crate::simd::{Scalar, Simd};

/// How much work 16 results are: memory keeps them waiting.
const WORK: usize = 4;

/// How many numbers short rows are put side by side to.
const REPEATED: usize = 256;

/// An operation on f32 that is bound to dims.
pub(super) struct Float {
    op: BinaryOp,
    /// Whether the operands change places, so that one that stands still comes second.
    swapped: bool,
    isa: Isa,
    nest: Nest,
}

impl Float {
    /// Returns the kernel, if the operation is one that vectors compute.
    pub(super) fn new(op: BinaryOp, isa: Isa, nest: Nest) -> Result<Self, Nest> {
        let commutes = match op {
            BinaryOp::Add | BinaryOp::Mul | BinaryOp::Max | BinaryOp::Min => true,
            BinaryOp::Sub | BinaryOp::Div | BinaryOp::PRelu => false,
            _ => return Err(nest),
        };
        let stands_or_repeats =
            |axis: Axis, operand: usize| axis.size > 1 && axis.strides[operand] == 0;
        let swapped = commutes
            && (stands_or_repeats(nest.row, 0)
                || (stands_or_repeats(nest.rows, 0) && nest.row.strides[1] == 1));
        Ok(Self {
            op,
            swapped,
            isa,
            nest,
        })
    }

    /// Reports whether short rows of the second operand repeat along one piece of the first.
    fn repeats(&self, first: usize, second: usize) -> bool {
        let Nest { rows, row, .. } = self.nest;
        let size = rows.size.saturating_mul(row.size);
        row.size < REPEATED / 4
            && size >= 4 * REPEATED
            && (row.strides[first], rows.strides[first]) == (1, row.size)
            && (row.strides[second], rows.strides[second]) == (1, 0)
    }
}

impl Run for Float {
    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        _scratch: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let (first, second) = if self.swapped { (1, 0) } else { (0, 1) };
        let a: &[f32] = bytemuck::cast_slice(inputs[first]);
        let b: &[f32] = bytemuck::cast_slice(inputs[second]);
        let y: &mut [f32] = bytemuck::cast_slice_mut(outputs[0]);
        let repeats = self.repeats(first, second);
        self.nest.share((y, 1), WORK, crew, |rows, y| {
            let (a, b) = (&a[rows.operands[first]..], &b[rows.operands[second]..]);
            if repeats {
                self.run_repeated(a, b, y);
                return Ok(());
            }
            let walk = |numbers, operand: usize| {
                let Nest {
                    rows: axis, row, ..
                } = &self.nest;
                let strides = (axis.strides[operand], row.strides[operand]);
                Walk::new(numbers, (rows.count, rows.len), strides)
            };
            self.isa.run(Rows {
                op: self.op,
                a: walk(a, first),
                b: walk(b, second),
                y,
                len: rows.len,
            });
            Ok(())
        })
    }
}

impl Float {
    /// Computes whole rows with a second operand whose rows are so short that some of them are put side by side first.
    fn run_repeated(&self, a: &[f32], b: &[f32], y: &mut [f32]) {
        let row = self.nest.row.size;
        let mut repeated = [0.0; REPEATED];
        let len = REPEATED - REPEATED % row;
        for repeated in repeated.chunks_exact_mut(row) {
            repeated.copy_from_slice(&b[..row]);
        }
        let size = y.len();
        let whole = size - size % len;
        for (begin, end, len) in [(0, whole, len), (whole, size, size - whole)] {
            let rows = (end - begin).checked_div(len).unwrap_or(0);
            self.isa.run(Rows {
                op: self.op,
                a: Walk::new(&a[begin..end], (rows, len), (len, 1)),
                b: Walk::new(&repeated, (rows, len), (0, 1)),
                y: &mut y[begin..end],
                len,
            });
        }
    }
}

/// How an operand is walked through.
#[derive(Clone, Copy)]
struct Walk<'a> {
    numbers: &'a [f32],
    /// How far apart rows begin.
    stride: usize,
    /// Whether it stands still within a row.
    still: bool,
}

impl<'a> Walk<'a> {
    /// # Panics
    /// If there are fewer numbers than are walked through.
    fn new(
        numbers: &'a [f32],
        (rows, len): (usize, usize),
        (stride, step): (usize, usize),
    ) -> Self {
        if rows > 0 && len > 0 {
            let last = (rows - 1) * stride + (len - 1) * step;
            assert!(
                last < numbers.len(),
                "operands as long as they are walked through"
            );
        }
        Self {
            numbers,
            stride,
            // A single element is a row that is walked along, whatever it is a row of.
            still: step == 0 && len > 1,
        }
    }
}

/// Some rows, one after the other.
struct Rows<'a> {
    op: BinaryOp,
    a: Walk<'a>,
    b: Walk<'a>,
    /// All rows of the output.
    y: &'a mut [f32],
    /// The length of a row.
    len: usize,
}

impl Vectorised for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        if self.len < S::LANES {
            return self.one_by_one();
        }
        match self.op {
            BinaryOp::Add => self.commuting(simd, Add),
            BinaryOp::Mul => self.commuting(simd, Mul),
            BinaryOp::Max => self.commuting(simd, Max),
            BinaryOp::Min => self.commuting(simd, Min),
            BinaryOp::Sub => self.ordered(simd, Sub),
            BinaryOp::Div => self.ordered(simd, Div),
            BinaryOp::PRelu => self.ordered(simd, PRelu),
            op => panic!("{op:?} is not computed by vectors"),
        }
    }
}

impl Rows<'_> {
    /// Computes rows that are shorter than a vector.
    #[inline(never)]
    fn one_by_one(self) {
        let Self { op, a, b, y, len } = self;
        for (row, y) in y.chunks_exact_mut(len.max(1)).enumerate() {
            for (i, y) in y.iter_mut().enumerate() {
                let at = |operand: Walk<'_>| {
                    let step = if operand.still { 0 } else { i };
                    operand.numbers[row * operand.stride + step]
                };
                *y = one(op, at(a), at(b));
            }
        }
    }

    #[inline(always)]
    fn commuting<S: Simd>(self, simd: S, operation: impl Operation) {
        match self.b.still {
            false => self.walk::<S, false, false>(simd, operation),
            true => self.walk::<S, false, true>(simd, operation),
        }
    }

    #[inline(always)]
    fn ordered<S: Simd>(self, simd: S, operation: impl Operation) {
        match self.a.still {
            false => self.commuting(simd, operation),
            true => self.walk::<S, true, false>(simd, operation),
        }
    }

    /// Walks through all rows of a vector or more, with operands that stand still within a row or do not.
    #[inline(always)]
    fn walk<S: Simd, const A_STILL: bool, const B_STILL: bool>(
        self,
        simd: S,
        operation: impl Operation,
    ) {
        let Self { a, b, y, len, .. } = self;
        assert!(len >= S::LANES, "rows of a vector or more");
        let (a_from, b_from, y_to) = (a.numbers.as_ptr(), b.numbers.as_ptr(), y.as_mut_ptr());
        for row in 0..y.len() / len {
            // SAFETY: `Walk::new` checked that this many rows of this length lie within the operands, and the output holds so
            // many. An operand that stands still has one number a row, the others as many as the row.
            unsafe {
                let a = a_from.add(row * a.stride);
                let b = b_from.add(row * b.stride);
                let y = y_to.add(row * len);
                let mut i = 0;
                // The last vector begins where it ends with the row, and computes some results again.
                while i < len {
                    let at = i.min(len - S::LANES);
                    let a = read::<S, A_STILL>(simd, a, at);
                    let b = read::<S, B_STILL>(simd, b, at);
                    simd.store(y.add(at), operation.apply(simd, a, b));
                    i += S::LANES;
                }
            }
        }
    }
}

/// # Safety
/// One number can be read if the operand stands still, else a vector at `i`.
#[inline(always)]
unsafe fn read<S: Simd, const STILL: bool>(simd: S, row: *const f32, i: usize) -> S::F32 {
    // SAFETY: the caller's.
    unsafe {
        if STILL {
            simd.load_splat(row)
        } else {
            simd.load(row.add(i))
        }
    }
}

/// Computes one result.
fn one(op: BinaryOp, a: f32, b: f32) -> f32 {
    match op {
        BinaryOp::Add => Add.apply(Scalar, a, b),
        BinaryOp::Mul => Mul.apply(Scalar, a, b),
        BinaryOp::Max => Max.apply(Scalar, a, b),
        BinaryOp::Min => Min.apply(Scalar, a, b),
        BinaryOp::Sub => Sub.apply(Scalar, a, b),
        BinaryOp::Div => Div.apply(Scalar, a, b),
        BinaryOp::PRelu => PRelu.apply(Scalar, a, b),
        op => panic!("{op:?} is not computed by vectors"),
    }
}

/// A function of two vectors.
trait Operation: Copy {
    fn apply<S: Simd>(self, simd: S, a: S::F32, b: S::F32) -> S::F32;
}

macro_rules! operations {
    ($($name:ident = |$simd:ident, $a:ident, $b:ident| $result:expr;)*) => {
        $(
            #[derive(Clone, Copy)]
            struct $name;

            impl Operation for $name {
                #[inline(always)]
                fn apply<S: Simd>(self, $simd: S, $a: S::F32, $b: S::F32) -> S::F32 {
                    $result
                }
            }
        )*
    };
}

operations! {
    Add = |simd, a, b| simd.add(a, b);
    Sub = |simd, a, b| simd.sub(a, b);
    Mul = |simd, a, b| simd.mul(a, b);
    Div = |simd, a, b| simd.div(a, b);
    // Of two numbers of which one is NaN, `max` and `min` return the second.
    Max = |simd, a, b| simd.select(simd.equal(a, a), simd.max(a, b), a);
    Min = |simd, a, b| simd.select(simd.equal(a, a), simd.min(a, b), a);
    PRelu = |simd, a, b| simd.select(simd.less(simd.splat(0.0), a), a, simd.mul(a, b));
}
