//! From a position in the output to elements of the input.

use tensorlet_plan::kernel::ResizeCoordinates;
use tensorlet_plan::kernel::window::NearestRounding;

use crate::run::BindError;

/// What sizes must be below for f32 to hold every position.
const MAX_LEN: usize = 1 << 24;

/// How close to the middle of two elements a position is in the middle: it would be there but for the rounding of f32.
const HALFWAY: f32 = 1e-6;

/// An axis that is resized.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub(super) input: usize,
    pub(super) output: usize,
    scale: f32,
    /// The size of the output before it became a whole number.
    length: f32,
    coordinates: ResizeCoordinates,
}

/// The two elements that an element lies between, and how far it lies from the first towards the second.
pub(super) type Pair = ([u32; 2], f32);

/// The four elements around an element, and how much each counts.
pub(super) type Four = ([u32; 4], [f32; 4]);

impl Axis {
    /// An axis; the scale is the ratio of its sizes if none is given.
    ///
    /// # Errors
    /// If there is nothing to resize, or sizes are too large or do not fit the scale.
    pub(super) fn new(
        input: usize,
        output: usize,
        scale: Option<f32>,
        coordinates: ResizeCoordinates,
    ) -> Result<Self, BindError> {
        let (from, to) = (input as f32, output as f32);
        let length = scale.map_or(to, |scale| scale * from);
        let scale = scale.unwrap_or(to / from);
        // A size is rounded down, or to the nearest number where the model keeps an aspect ratio.
        let fits = (-0.51..=1.01).contains(&(f64::from(length) - f64::from(to)));
        let in_range = input < MAX_LEN && output < MAX_LEN && (input > 0 || output == 0);
        if output > 0 && !(in_range && fits && scale > 0.0) {
            return Err(BindError::new(format!(
                "expected an axis shorter than 2^24, resized by the factor, found {input} to {output}"
            )));
        }
        Ok(Self {
            input,
            output,
            scale,
            length,
            coordinates,
        })
    }

    /// Returns where in the input an element of the output lies.
    fn position(&self, place: usize) -> f32 {
        let place = place as f32;
        let (input, output) = (self.input as f32, self.output as f32);
        let centre = (place + 0.5) / self.scale;
        let half_pixel = centre - 0.5;
        match self.coordinates {
            ResizeCoordinates::HalfPixel => half_pixel,
            ResizeCoordinates::HalfPixelSymmetric => {
                let adjustment = output / (self.scale * input);
                input / 2.0 * (1.0 - adjustment) + centre - 0.5
            }
            ResizeCoordinates::PytorchHalfPixel if self.output > 1 => half_pixel,
            ResizeCoordinates::AlignCorners if self.output > 1 => {
                place * (input - 1.0) / (self.length - 1.0)
            }
            ResizeCoordinates::PytorchHalfPixel | ResizeCoordinates::AlignCorners => 0.0,
            ResizeCoordinates::Asymmetric => place / self.scale,
        }
    }

    fn limited(&self, index: f32) -> u32 {
        index.clamp(0.0, (self.input - 1) as f32) as u32
    }

    /// Returns for each element of the output the nearest one of the input.
    pub(super) fn nearest(&self, rounding: NearestRounding) -> Vec<u32> {
        let round = |position: f32| {
            let first = position.floor();
            let part = position - first;
            let up = match rounding {
                NearestRounding::Floor => false,
                NearestRounding::Ceil => part > 0.0,
                NearestRounding::PreferFloor => part > 0.5 + HALFWAY,
                NearestRounding::PreferCeil => part >= 0.5 - HALFWAY,
            };
            if up { first + 1.0 } else { first }
        };
        let places = 0..self.output;
        places
            .map(|place| self.limited(round(self.position(place))))
            .collect()
    }

    /// Returns for each element of the output the two that it lies between.
    pub(super) fn pairs(&self) -> Vec<Pair> {
        let last = (self.input - 1) as f32;
        let pair = |place| {
            let position = self.position(place).clamp(0.0, last);
            let first = position.floor();
            let part = position - first;
            // What does not count is not looked at, in case it is NaN.
            let second = if part > 0.0 { first + 1.0 } else { first };
            ([self.limited(first), self.limited(second)], part)
        };
        (0..self.output).map(pair).collect()
    }

    /// Returns for each element of the output the four around it.
    ///
    /// # Source
    /// Keys, "Cubic convolution interpolation for digital image processing", 1981, with a free coefficient.
    pub(super) fn fours(&self, coefficient: f32) -> Vec<Four> {
        let a = coefficient;
        // For distances up to 1, and from 1 to 2.
        let near = |x: f32| ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
        let far = |x: f32| ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a;
        let four = |place| {
            let position = self.position(place);
            let first = position.floor();
            let x = position - first;
            let indices = [-1.0, 0.0, 1.0, 2.0].map(|distance| self.limited(first + distance));
            (
                indices,
                [far(x + 1.0), near(x), near(1.0 - x), far(2.0 - x)],
            )
        };
        (0..self.output).map(four).collect()
    }
}
