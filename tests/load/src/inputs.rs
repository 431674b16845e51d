//! Inputs for calls, made up from what a model says of itself.
//!
//! Floats are in [0, 1), integers 0 or 1: valid for most models, indices included.

use std::collections::BTreeMap;
use std::str::FromStr;

use anyhow::{Context as _, Result, bail, ensure};
use half::{bf16, f16};
use serde::{Deserialize, Serialize};

use crate::arrivals::Random;

/// The stream of random numbers that inputs come from. Threads have those from 0 on.
const STREAM: u64 = u64::MAX;

/// The most elements of an input.
const MAX_ELEMENTS: u64 = 1 << 28;

/// An input as the Open Inference Protocol describes it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Spec {
    pub(crate) name: String,
    pub(crate) datatype: Datatype,
    /// Sizes, outermost first; -1 is a free dim.
    pub(crate) shape: Vec<i64>,
}

/// The types of the protocol whose elements have a fixed width.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Datatype {
    Bool,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Int8,
    Int16,
    Int32,
    Int64,
    Fp16,
    Bf16,
    Fp32,
    Fp64,
}

/// An input with values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) datatype: Datatype,
    pub(crate) shape: Vec<u64>,
    /// Elements, row-major, little-endian.
    pub(crate) data: Vec<u8>,
}

/// Sizes for free dims.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sizes {
    /// The size of axis 0.
    pub(crate) rows: u64,
    /// Sizes of single dims. They go before `rows`.
    pub(crate) dims: Vec<FreeDim>,
}

/// The size of one dim: `NAME/AXIS=SIZE`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct FreeDim {
    input: String,
    axis: usize,
    size: u64,
}

impl FromStr for FreeDim {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        // A name may hold either character.
        let parse = || {
            let (dim, size) = text.rsplit_once('=')?;
            let (input, axis) = dim.rsplit_once('/')?;
            Some(Self {
                input: input.to_owned(),
                axis: axis.parse().ok()?,
                size: size.parse().ok()?,
            })
        };
        parse().context("expected NAME/AXIS=SIZE, such as `image/2=224`")
    }
}

impl Datatype {
    /// Returns how many bytes an element takes.
    pub(crate) fn width(self) -> usize {
        match self {
            Self::Bool | Self::Uint8 | Self::Int8 => 1,
            Self::Uint16 | Self::Int16 | Self::Fp16 | Self::Bf16 => 2,
            Self::Uint32 | Self::Int32 | Self::Fp32 => 4,
            Self::Uint64 | Self::Int64 | Self::Fp64 => 8,
        }
    }

    /// Reads one element as a number. Integers beyond 2⁵³ are rounded.
    ///
    /// # Panics
    /// If there are not [`Datatype::width`] bytes.
    pub(crate) fn number(self, bytes: &[u8]) -> f64 {
        let mut word = [0; 8];
        word[..self.width()].copy_from_slice(bytes);
        let unsigned = u64::from_le_bytes(word);
        let unused_bits = 64 - 8 * self.width() as u32;
        match self {
            Self::Bool | Self::Uint8 | Self::Uint16 | Self::Uint32 | Self::Uint64 => {
                unsigned as f64
            }
            Self::Int8 | Self::Int16 | Self::Int32 | Self::Int64 => {
                (((unsigned << unused_bits) as i64) >> unused_bits) as f64
            }
            Self::Fp16 => f16::from_bits(unsigned as u16).to_f64(),
            Self::Bf16 => bf16::from_bits(unsigned as u16).to_f64(),
            Self::Fp32 => f64::from(f32::from_bits(unsigned as u32)),
            Self::Fp64 => f64::from_bits(unsigned),
        }
    }

    fn write_random(self, random: &mut Random, data: &mut Vec<u8>) {
        // 24 bits, so that it is the same number as f32 and as f64.
        let unit = (random.bits() >> 40) as f32 / (1 << 24) as f32;
        match self {
            Self::Fp16 => data.extend(f16::from_f32(unit).to_le_bytes()),
            Self::Bf16 => data.extend(bf16::from_f32(unit).to_le_bytes()),
            Self::Fp32 => data.extend(unit.to_le_bytes()),
            Self::Fp64 => data.extend(f64::from(unit).to_le_bytes()),
            _ => {
                data.push(u8::from(unit >= 0.5));
                data.resize(data.len() + self.width() - 1, 0);
            }
        }
    }
}

/// Makes `count` sets of inputs, the same ones for the same seed.
///
/// # Errors
/// If a free dim has no size, or a size is given for what is not a free dim.
pub(crate) fn make(
    specs: &[Spec],
    sizes: &Sizes,
    seed: u64,
    count: usize,
) -> Result<Vec<Vec<Input>>> {
    let shapes = shapes(specs, sizes)?;
    let mut random = Random::new(seed, STREAM);
    let sets = (0..count).map(|_| {
        let inputs = specs.iter().zip(&shapes).map(|(spec, shape)| {
            let mut data = Vec::new();
            for _ in 0..shape.iter().product() {
                spec.datatype.write_random(&mut random, &mut data);
            }
            Input {
                name: spec.name.clone(),
                datatype: spec.datatype,
                shape: shape.clone(),
                data,
            }
        });
        inputs.collect()
    });
    Ok(sets.collect())
}

fn shapes(specs: &[Spec], sizes: &Sizes) -> Result<Vec<Vec<u64>>> {
    let mut given: BTreeMap<(&str, usize), u64> = BTreeMap::new();
    for dim in &sizes.dims {
        given.insert((&dim.input, dim.axis), dim.size);
    }
    let mut shapes = Vec::new();
    for Spec { name, shape, .. } in specs {
        let mut resolved = Vec::new();
        for (axis, &size) in shape.iter().enumerate() {
            let given = given.remove(&(name.as_str(), axis));
            resolved.push(match (u64::try_from(size), given) {
                (Ok(size), None) => size,
                (Ok(size), Some(_)) => bail!("{name}/{axis}: expected a free dim, found {size}"),
                (Err(_), Some(size)) => size,
                (Err(_), None) if axis == 0 => sizes.rows,
                (Err(_), None) => bail!("{name}/{axis}: expected its size, --dim {name}/{axis}=…"),
            });
        }
        let elements = resolved
            .iter()
            .try_fold(1u64, |product, &size| product.checked_mul(size));
        ensure!(
            elements.is_some_and(|elements| elements <= MAX_ELEMENTS),
            "{name}: expected at most {MAX_ELEMENTS} elements, found dims {resolved:?}"
        );
        shapes.push(resolved);
    }
    if let Some((name, axis)) = given.into_keys().next() {
        bail!("{name}/{axis}: expected a dim of an input of the model");
    }
    Ok(shapes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, datatype: Datatype, shape: &[i64]) -> Spec {
        Spec {
            name: name.into(),
            datatype,
            shape: shape.to_vec(),
        }
    }

    fn sizes(rows: u64, dims: &[&str]) -> Sizes {
        Sizes {
            rows,
            dims: dims.iter().map(|dim| dim.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn free_dims_get_their_sizes() {
        let specs = [
            spec("image", Datatype::Fp32, &[-1, 3, -1]),
            spec("a/b=c", Datatype::Int64, &[-1]),
        ];
        let sizes = sizes(2, &["image/2=5", "a/b=c/0=7"]);
        assert_eq!(shapes(&specs, &sizes).unwrap(), [vec![2, 3, 5], vec![7]]);
    }

    #[test]
    fn tells_what_is_wrong_with_sizes() {
        let specs = [spec("x", Datatype::Fp32, &[-1, 4, -1])];
        for (dims, expected) in [
            (&[][..], "x/2: expected its size, --dim x/2=…"),
            (&["x/1=3"], "x/1: expected a free dim, found 4"),
            (
                &["x/2=3", "y/0=1"],
                "y/0: expected a dim of an input of the model",
            ),
            (
                &["x/2=999999999999"],
                "x: expected at most 268435456 elements, found dims [1, 4, 999999999999]",
            ),
        ] {
            let error = shapes(&specs, &sizes(1, dims)).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        for wrong in ["x", "x/1", "x=3", "x/y=3", "x/1=-3"] {
            assert!(wrong.parse::<FreeDim>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn values_are_in_range_and_differ() {
        let types = [
            Datatype::Bool,
            Datatype::Uint16,
            Datatype::Int64,
            Datatype::Fp16,
            Datatype::Bf16,
            Datatype::Fp32,
            Datatype::Fp64,
        ];
        for datatype in types {
            let specs = [spec("x", datatype, &[-1])];
            let sets = make(&specs, &sizes(100, &[]), 1, 2).unwrap();
            assert_ne!(sets[0], sets[1]);
            let data = &sets[0][0].data;
            assert_eq!(data.len(), 100 * datatype.width());
            let numbers: Vec<f64> = data
                .chunks(datatype.width())
                .map(|bytes| datatype.number(bytes))
                .collect();
            let is_valid = |number: &f64| (0.0..=1.0).contains(number);
            assert!(numbers.iter().all(is_valid), "{datatype:?}: {numbers:?}");
            assert!(numbers.iter().any(|&number| number > 0.4), "{datatype:?}");
            assert!(numbers.iter().any(|&number| number < 0.4), "{datatype:?}");
            let again = make(&specs, &sizes(100, &[]), 1, 2).unwrap();
            assert_eq!(again, sets, "the seed decides");
        }
    }

    #[test]
    fn reads_negative_numbers() {
        assert_eq!(Datatype::Int8.number(&[0xff]), -1.0);
        assert_eq!(
            Datatype::Int32.number(&(-70_000i32).to_le_bytes()),
            -70_000.0
        );
        assert_eq!(Datatype::Uint8.number(&[0xff]), 255.0);
        assert_eq!(Datatype::Fp16.number(&[0x00, 0xc0]), -2.0);
    }
}
