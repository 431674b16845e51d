//! Areas of plane shapes.

use std::f64::consts::PI;
use std::fmt;

/// A shape whose area is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// A circle, by its radius.
    Circle(f64),
    /// A rectangle, by its two sides.
    Rectangle(f64, f64),
}

impl Shape {
    /// Returns the area in square units.
    pub fn area(self) -> f64 {
        match self {
            Shape::Circle(radius) => PI * radius * radius,
            Shape::Rectangle(width, height) => width * height,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Circle(radius) => write!(f, "circle of radius {radius}"),
            Shape::Rectangle(width, height) => write!(f, "{width} by {height} rectangle"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn area_of_a_rectangle() {
        assert_eq!(Shape::Rectangle(2.0, 3.0).area(), 6.0);
    }
}
