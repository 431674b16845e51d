//! When calls arrive: a Poisson process, the same in each run with the same seed.
//!
//! Callers that know nothing of each other come at random, with gaps that are distributed exponentially. The sum of
//! several such processes is one again, so threads draw arrivals of their own.

use std::time::Duration;

/// Random numbers: splitmix64, as `models/README.md` describes it.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    /// Begins a sequence. Sequences of different `stream`s of a seed have nothing to do with each other.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut of_streams = Self { state: stream };
        let state = seed ^ of_streams.bits();
        Self { state }
    }

    /// Returns 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = self.state;
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Returns a multiple of 2⁻⁵³ in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Arrivals without end, as times since the beginning.
#[derive(Clone, Debug)]
pub(crate) struct Arrivals {
    random: Random,
    mean_gap_ns: f64,
    /// Exact to a nanosecond for 104 days.
    last_ns: f64,
}

impl Arrivals {
    /// Arrivals at a mean rate of `rate` a second.
    ///
    /// # Panics
    /// If `rate` is not a positive number.
    pub(crate) fn new(rate: f64, random: Random) -> Self {
        assert!(rate > 0.0 && rate.is_finite(), "arrivals need a rate");
        Self {
            random,
            mean_gap_ns: 1e9 / rate,
            last_ns: 0.0,
        }
    }
}

impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        // The logarithm of 1 - unit, which is never 0.
        self.last_ns -= self.mean_gap_ns * (-self.random.unit()).ln_1p();
        Some(Duration::from_nanos(self.last_ns.round() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gaps of 100,000 arrivals at 2,000 a second, in milliseconds.
    fn gaps(random: Random) -> Vec<f64> {
        let arrivals: Vec<_> = Arrivals::new(2000.0, random).take(100_000).collect();
        let gap = |pair: &[Duration]| (pair[1] - pair[0]).as_secs_f64() * 1e3;
        arrivals.windows(2).map(gap).collect()
    }

    fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
        let len = values.len() as f64;
        values.sum::<f64>() / len
    }

    #[test]
    fn draws_the_numbers_of_splitmix64() {
        let mut random = Random { state: 1 };
        assert_eq!(random.bits(), 0x910a_2dec_8902_5cc1);
        assert_eq!(random.bits(), 0xbeeb_8da1_658e_ec67);
    }

    #[test]
    fn gaps_have_mean_and_variance_of_an_exponential_distribution() {
        let gaps = gaps(Random::new(1, 0));
        let gap = mean(gaps.iter().copied());
        assert!((gap - 0.5).abs() < 0.005, "mean is {gap} ms");
        let variance = mean(gaps.iter().map(|one| (one - gap).powi(2)));
        assert!((variance - 0.25).abs() < 0.01, "variance is {variance} ms²");
        let long = gaps.iter().filter(|&&one| one > 1.0).count();
        let share = long as f64 / gaps.len() as f64;
        assert!((share - (-2f64).exp()).abs() < 0.005, "{share} are long");
    }

    #[test]
    fn a_gap_says_nothing_about_the_next() {
        let gaps = gaps(Random::new(1, 0));
        let products = gaps
            .windows(2)
            .map(|pair| (pair[0] - 0.5) * (pair[1] - 0.5));
        let correlation = mean(products) / 0.25;
        assert!(correlation.abs() < 0.02, "correlation is {correlation}");
    }

    #[test]
    fn the_same_seed_gives_the_same_arrivals_and_another_others() {
        let first = |seed, stream| Arrivals::new(10.0, Random::new(seed, stream)).next();
        assert_eq!(first(1, 0), first(1, 0));
        assert_ne!(first(1, 0), first(2, 0));
        assert_ne!(first(1, 0), first(1, 1));
    }
}
