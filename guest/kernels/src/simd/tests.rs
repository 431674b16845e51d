//! Every operation of every instruction set against one lane at a time.

use super::*;
use crate::isa::{Isa, Vectorised};

/// Numbers worth trying: a multiple of 16 of them.
fn samples() -> Vec<f32> {
    let mut samples = vec![
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        1.5,
        2.5,
        -0.5,
        -1.5,
        -2.5,
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MAX,
        f32::MIN,
        f32::MIN_POSITIVE,
        1e-45,
        -1e-45,
        1e-39,
        8_388_607.5,
        -8_388_609.0,
        2_147_483_520.0,
        -2_147_483_648.0,
        1e10,
        -1e10,
    ];
    let mut state = 1u32;
    while samples.len() < 64 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        samples.push((state >> 8) as f32 / (1 << 16) as f32 - 128.0);
    }
    samples
}

/// Every operation, over all pairs of neighbours at a distance.
struct Operations<'a> {
    samples: &'a [f32],
    distance: usize,
}

impl Vectorised for Operations<'_> {
    type Output = Vec<(&'static str, Vec<u32>)>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Self::Output {
        let shifted: Vec<f32> = (0..self.samples.len())
            .map(|i| self.samples[(i + self.distance) % self.samples.len()])
            .collect();
        let mut results: Vec<(&'static str, Vec<u32>)> = Vec::new();
        macro_rules! each {
            ($name:literal, |$a:ident, $b:ident| $result:expr) => {
                let mut out = vec![0f32; self.samples.len()];
                for start in (0..self.samples.len()).step_by(S::LANES) {
                    // SAFETY: lengths are multiples of 16.
                    unsafe {
                        let $a = simd.load(self.samples.as_ptr().add(start));
                        let $b = simd.load(shifted.as_ptr().add(start));
                        let _ = $b;
                        simd.store(out.as_mut_ptr().add(start), $result);
                    }
                }
                results.push(($name, out.iter().map(|x| x.to_bits()).collect()));
            };
        }
        each!("splat", |a, b| simd.add(a, simd.splat(3.25)));
        each!("add", |a, b| simd.add(a, b));
        each!("sub", |a, b| simd.sub(a, b));
        each!("mul", |a, b| simd.mul(a, b));
        each!("div", |a, b| simd.div(a, b));
        each!("max", |a, b| simd.max(a, b));
        each!("min", |a, b| simd.min(a, b));
        each!("abs", |a, b| simd.abs(a));
        each!("neg", |a, b| simd.neg(a));
        each!("sqrt", |a, b| simd.sqrt(a));
        each!("floor", |a, b| simd.floor(a));
        each!("ceil", |a, b| simd.ceil(a));
        each!("round", |a, b| simd.round(a));
        each!("copysign", |a, b| simd.copysign(a, b));
        each!("less", |a, b| simd.select(simd.less(a, b), a, simd.neg(b)));
        each!("less_or_equal", |a, b| simd.select(
            simd.less_or_equal(a, b),
            a,
            simd.neg(b)
        ));
        each!("equal", |a, b| simd.select(
            simd.equal(a, simd.round(a)),
            a,
            b
        ));
        each!("add_i32", |a, b| simd
            .from_bits(simd.add_i32(simd.bits(a), simd.bits(b))));
        each!("sub_i32", |a, b| simd
            .from_bits(simd.sub_i32(simd.bits(a), simd.bits(b))));
        each!("and_i32", |a, b| simd
            .from_bits(simd.and_i32(simd.bits(a), simd.bits(b))));
        each!("or_i32", |a, b| simd
            .from_bits(simd.or_i32(simd.bits(a), simd.bits(b))));
        each!("splat_i32", |a, b| simd
            .from_bits(simd.add_i32(simd.splat_i32(-77), simd.bits(a))));
        each!("shift_left_i32", |a, b| simd
            .from_bits(simd.shift_left_i32::<3>(simd.bits(a))));
        each!("shift_right_i32", |a, b| simd
            .from_bits(simd.shift_right_i32::<23>(simd.bits(a))));
        each!("from_i32", |a, b| simd.from_i32(simd.bits(a)));
        each!("to_i32", |a, b| {
            let small = simd.max(simd.min(a, simd.splat(2e9)), simd.splat(-2e9));
            simd.from_bits(simd.to_i32(small))
        });
        results
    }
}

#[test]
fn operations_match_one_lane_at_a_time() {
    let samples = samples();
    for isa in Isa::available() {
        for distance in [1, 2, 5, 10, 31] {
            let operations = || Operations {
                samples: &samples,
                distance,
            };
            let expected = Isa::SCALAR.run(operations());
            let found = isa.run(operations());
            for ((name, expected), (_, found)) in expected.iter().zip(&found) {
                for (i, (expected, found)) in expected.iter().zip(found).enumerate() {
                    let both_nan =
                        f32::from_bits(*expected).is_nan() && f32::from_bits(*found).is_nan();
                    // Which NaN an operation gives is not fixed; bits of integers are.
                    assert!(
                        expected == found || (both_nan && !name.ends_with("i32")),
                        "{isa:?} {name}: expected {expected:#x}, found {found:#x}, of {} and {}",
                        samples[i],
                        samples[(i + distance) % samples.len()],
                    );
                }
            }
        }
    }
}

struct Product<'a>([&'a [f32]; 3]);

impl Vectorised for Product<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Vec<f32> {
        let [a, b, c] = self.0;
        let mut out = vec![0.0; a.len()];
        for start in (0..a.len()).step_by(S::LANES) {
            // SAFETY: lengths are multiples of 16.
            unsafe {
                let a = simd.load(a.as_ptr().add(start));
                let b = simd.load_splat(b.as_ptr());
                let c = simd.load(c.as_ptr().add(start));
                simd.store(out.as_mut_ptr().add(start), simd.mul_add(a, b, c));
            }
        }
        out
    }
}

#[test]
fn a_product_and_sum_is_rounded_once_or_twice() {
    let a: Vec<f32> = (0..32).map(|i| 1.0 + i as f32 / 3.0).collect();
    let b = [1.1f32];
    let c: Vec<f32> = (0..32).map(|i| i as f32 / 7.0 - 2.0).collect();
    for isa in Isa::available() {
        let found = isa.run(Product([&a, &b, &c]));
        for i in 0..32 {
            let twice = a[i] * b[0] + c[i];
            let once = a[i].mul_add(b[0], c[i]);
            assert!(found[i] == once || found[i] == twice, "{isa:?} {i}");
        }
    }
}

/// Sum and largest of the first numbers, and the numbers copied.
struct First<'a> {
    from: &'a [f32],
    to: &'a mut [f32],
}

impl Vectorised for First<'_> {
    type Output = (f32, f32);

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> (f32, f32) {
        let mut sum = simd.splat(0.0);
        let mut max = simd.splat(f32::NEG_INFINITY);
        let mut start = 0;
        while start < self.from.len() {
            let count = S::LANES.min(self.from.len() - start);
            // SAFETY: `count` numbers are left.
            unsafe {
                let lanes = simd.load_first(self.from.as_ptr().add(start), count);
                sum = simd.add(sum, lanes);
                max = simd.max(lanes, max);
                simd.store_first(self.to.as_mut_ptr().add(start), lanes, count);
            }
            start += count;
        }
        (simd.sum(sum), simd.max_lane(max))
    }
}

#[test]
fn parts_of_vectors_are_read_and_written_exactly() {
    for isa in Isa::available() {
        for len in 0..40 {
            let from: Vec<f32> = (0..len).map(|i| (i * 37 % 41) as f32).collect();
            let mut to = vec![-1.0; len + 20];
            let (sum, max) = isa.run(First {
                from: &from,
                to: &mut to[..len],
            });
            assert_eq!(sum, from.iter().sum::<f32>(), "{isa:?} {len}");
            let largest = from.iter().copied().fold(0.0, f32::max);
            assert!(len == 0 || max == largest, "{isa:?} {len}: {max}");
            assert_eq!(to[..len], from[..], "{isa:?} {len}");
            assert!(to[len..].iter().all(|x| *x == -1.0), "{isa:?} {len}");
        }
    }
}

struct Halves<'a>(&'a [u16]);

impl Vectorised for Halves<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Vec<f32> {
        let mut out = vec![0.0; self.0.len()];
        for start in (0..self.0.len()).step_by(S::LANES) {
            // SAFETY: the length is a multiple of 16.
            unsafe {
                let lanes = simd.load_f16(self.0.as_ptr().add(start));
                simd.store(out.as_mut_ptr().add(start), lanes);
            }
        }
        out
    }
}

#[test]
fn every_number_of_16_bits_is_read_exactly() {
    let all: Vec<u16> = (0..=u16::MAX).collect();
    for isa in Isa::available() {
        for (bits, found) in all.iter().zip(isa.run(Halves(&all))) {
            let expected = half::f16::from_bits(*bits).to_f32();
            assert!(
                expected.to_bits() == found.to_bits() || (expected.is_nan() && found.is_nan()),
                "{isa:?} {bits:#x}: expected {expected}, found {found}"
            );
        }
    }
}
