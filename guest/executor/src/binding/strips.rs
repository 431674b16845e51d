//! Three convolutions that are computed strip by strip. The kernels say which these are, and how; here is when it can be done.

use tensorlet_kernels::bind::Types;
use tensorlet_kernels::conv::bind_strips;
use tensorlet_kernels::{Run, Target, TensorType};
use tensorlet_plan::{Kernel, ValueId};

use super::joined::{self, Joined};
use super::places::Places;
use crate::error::PredictError;
use crate::program::Program;
use crate::slices::Operands;

/// Binds a step and the next two together; returns `None` if they are to be computed otherwise.
pub(super) fn bind(
    program: &Program,
    types: &[Option<TensorType>],
    first: usize,
    target: &Target<'_>,
) -> Option<(Box<dyn Run>, Joined)> {
    let [widen, look, narrow] = program.steps.get(first..first + 3)? else {
        return None;
    };
    let (Kernel::Conv(of_widen), Kernel::Conv(of_look), Kernel::Conv(of_narrow)) =
        (&widen.kernel, &look.kernel, &narrow.kernel)
    else {
        return None;
    };
    let wide = joined::between(program, first)?;
    let made = joined::between(program, first + 1)?;
    let steps = first..first + 3;
    if joined::is_cut(program, steps.clone()) {
        return None;
    }
    let known = |ids: &[ValueId]| -> Option<Vec<TensorType>> {
        ids.iter().map(|id| types[id.index()].clone()).collect()
    };
    let all = [widen, look, narrow];
    let known = all.map(|step| Some((known(&step.inputs)?, known(&step.outputs)?)));
    let [Some(a), Some(b), Some(c)] = &known else {
        return None;
    };
    let types = [a, b, c].map(|(inputs, outputs)| Types { inputs, outputs });
    let kernel = bind_strips([of_widen, of_look, of_narrow], types, target)?;
    let between = vec![(wide, 0), (made, 0)];
    Some((kernel, Joined { steps, between }))
}

/// Returns the operands of a step and the two before it, which are bound together.
pub(super) fn operands(
    program: &Program,
    types: &[Option<TensorType>],
    places: &Places,
    last: usize,
    scratch: (usize, usize),
) -> Result<Operands, PredictError> {
    let [widen, look, narrow] = [last - 2, last - 1, last].map(|index| &program.steps[index]);
    // What the step before makes is none.
    let inputs = [&widen.inputs[..], &look.inputs[1..], &narrow.inputs[1..]].concat();
    let values = (inputs.as_slice(), narrow.outputs.as_slice());
    places.operands(program, types, &narrow.name, values, scratch)
}
