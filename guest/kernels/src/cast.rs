//! Conversions between datum types.

pub(crate) mod wide;

#[cfg(test)]
mod tests;

use tensorlet_plan::Layout;
use tensorlet_tensor::DatumType;

use self::wide::CHUNK;
use crate::arrange::bytes::copy;
use crate::bind::Types;
use crate::crew::Crew;
use crate::run::{BindError, Run, RunError};

/// Binds a conversion: any datum type to any other, with equal dims, in plain layout.
pub(crate) fn bind(types: Types<'_>) -> Result<Box<dyn Run>, BindError> {
    let ([x], [y]) = (types.inputs, types.outputs) else {
        return Err(BindError::new(format!(
            "expected one input and one output to cast, found {} and {}",
            types.inputs.len(),
            types.outputs.len()
        )));
    };
    let is_copy = x.datum_type == y.datum_type && x.datum_type != DatumType::Bool;
    if x.dims != y.dims || x.layout != y.layout || (x.layout == Layout::Blocked && !is_copy) {
        return Err(BindError::new(format!(
            "expected to cast between plain tensors of equal dims, found {x} and {y}"
        )));
    }
    Ok(Box::new(Cast {
        from: x.datum_type,
        to: y.datum_type,
    }))
}

struct Cast {
    from: DatumType,
    to: DatumType,
}

impl Run for Cast {
    fn run(
        &self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        _scratch: &mut [u8],
        crew: Crew<'_>,
    ) -> Result<(), RunError> {
        let (x, y) = (inputs[0], &mut *outputs[0]);
        let (x_width, y_width) = (self.from.width_bytes(), self.to.width_bytes());
        assert_eq!(x.len() / x_width, y.len() / y_width, "a number for each");
        if self.from == self.to && self.from != DatumType::Bool {
            return copy(x, y, crew);
        }
        crew.divide(y, CHUNK * y_width, CHUNK, |first, y| {
            let x = &x[first * CHUNK * x_width..];
            let mut integers = [0; CHUNK];
            let mut floats = [0.0; CHUNK];
            for (x, y) in x.chunks(CHUNK * x_width).zip(y.chunks_mut(CHUNK * y_width)) {
                let len = x.len() / x_width;
                if self.from.is_float() {
                    wide::read_floats(self.from, x, &mut floats[..len]);
                    wide::write_floats(&floats[..len], self.to, y);
                } else {
                    wide::read_integers(self.from, x, &mut integers[..len]);
                    wide::write_integers(self.from, &integers[..len], self.to, y);
                }
            }
            Ok(())
        })
    }
}
