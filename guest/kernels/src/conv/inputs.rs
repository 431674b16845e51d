//! What a convolution is computed of.

use tensorlet_plan::kernel::Epilogue;

/// The inputs of a convolution.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inputs<'a> {
    pub(super) x: &'a [f32],
    pub(super) weights: &'a [f32],
    pub(super) bias: Option<&'a [f32]>,
    pub(super) residual: Option<&'a [f32]>,
}

impl<'a> Inputs<'a> {
    /// Returns those of a kernel, which are in this order.
    ///
    /// # Panics
    /// If there are fewer.
    pub(super) fn of(inputs: &[&'a [u8]], epilogue: &Epilogue) -> Self {
        let (x, mut others) = inputs.split_first().expect("a convolution has inputs");
        Self::next(bytemuck::cast_slice(x), &mut others, epilogue)
    }

    /// Takes all but `x` from the front of a kernel's inputs.
    ///
    /// # Panics
    /// If there are fewer.
    pub(super) fn next(x: &'a [f32], inputs: &mut &[&'a [u8]], epilogue: &Epilogue) -> Self {
        let mut next = || {
            let input = inputs.split_off_first().expect("there are all inputs");
            bytemuck::cast_slice(input)
        };
        Self {
            x,
            weights: next(),
            bias: epilogue.bias.then(&mut next),
            residual: epilogue.residual.then(&mut next),
        }
    }
}
