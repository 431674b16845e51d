//! Which versions of a model are served, and which of them answers a call.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Which versions of a model are served, as in Triton and TensorFlow Serving.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum VersionPolicy {
    /// So many with the highest numbers. Default: 1.
    Latest(NonZeroUsize),
    /// All that there are.
    All,
    /// Those given, as far as there are such.
    Specific(BTreeSet<u64>),
}

impl Default for VersionPolicy {
    fn default() -> Self {
        Self::Latest(NonZeroUsize::MIN)
    }
}

impl VersionPolicy {
    /// Chooses of the versions that there are.
    pub(crate) fn choose(&self, available: &BTreeSet<u64>) -> BTreeSet<u64> {
        match self {
            Self::Latest(count) => available.iter().rev().take(count.get()).copied().collect(),
            Self::All => available.clone(),
            Self::Specific(given) => given & available,
        }
    }
}

/// Names for versions, and how calls that name none are divided between them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Labels {
    /// The version of each label, such as `stable` and `canary`. Labelled versions are served whatever the policy says.
    pub versions: BTreeMap<String, u64>,
    /// How calls that name neither version nor label are divided between labels, in proportion. Empty: they go to
    /// the highest version.
    pub traffic: BTreeMap<String, u32>,
}

impl Labels {
    /// Checks that calls are only sent to labels that there are, and to one at least.
    pub(crate) fn check(&self) -> Result<(), String> {
        let unknown = self
            .traffic
            .keys()
            .find(|label| !self.versions.contains_key(*label));
        if let Some(label) = unknown {
            return Err(format!(
                "`traffic`: expected names of labels, found `{label}`"
            ));
        }
        if !self.traffic.is_empty() && self.traffic.values().all(|&weight| weight == 0) {
            return Err("`traffic`: expected a weight above 0, found none".into());
        }
        Ok(())
    }
}

/// Divides calls between versions by weight.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// Versions, each with the sum of the weights up to its own.
    upto: Vec<(u64, u64)>,
    calls: AtomicU64,
}

impl Traffic {
    pub(crate) fn new(labels: &Labels) -> Self {
        let weights = labels.traffic.iter().filter_map(|(label, &weight)| {
            let version = labels.versions.get(label)?;
            Some((*version, u64::from(weight)))
        });
        let upto = weights.scan(0, |sum, (version, weight)| {
            *sum += weight;
            Some((version, *sum))
        });
        Self {
            upto: upto.collect(),
            calls: AtomicU64::new(0),
        }
    }

    /// Returns the version of the next call; `None` if calls are not divided.
    ///
    /// Multiples of the golden ratio are spread evenly, so that any stretch of calls is divided as the weights say, give or
    /// take a few, and short stretches do not go to one version alone.
    pub(crate) fn next(&self) -> Option<u64> {
        self.version(|| self.calls.fetch_add(1, Relaxed))
    }

    /// Returns the version that the next call will get, and divides nothing.
    pub(crate) fn peek(&self) -> Option<u64> {
        self.version(|| self.calls.load(Relaxed))
    }

    fn version(&self, call: impl FnOnce() -> u64) -> Option<u64> {
        let &(_, sum) = self.upto.last()?;
        let step = call().wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let place = (u128::from(step) * u128::from(sum)) >> 64;
        let version = self.upto.iter().find(|(_, upto)| place < u128::from(*upto));
        version.map(|&(version, _)| version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(versions: &[u64]) -> BTreeSet<u64> {
        versions.iter().copied().collect()
    }

    fn labels(versions: &[(&str, u64)], traffic: &[(&str, u32)]) -> Labels {
        Labels {
            versions: versions
                .iter()
                .map(|&(label, version)| (label.into(), version))
                .collect(),
            traffic: traffic
                .iter()
                .map(|&(label, weight)| (label.into(), weight))
                .collect(),
        }
    }

    #[test]
    fn chooses_versions() {
        let available = set(&[1, 2, 10]);
        let latest = |count| VersionPolicy::Latest(NonZeroUsize::new(count).unwrap());
        for (policy, expected) in [
            (VersionPolicy::default(), set(&[10])),
            (latest(2), set(&[2, 10])),
            (latest(9), available.clone()),
            (VersionPolicy::All, available.clone()),
            (VersionPolicy::Specific(set(&[1, 3])), set(&[1])),
        ] {
            assert_eq!(policy.choose(&available), expected, "{policy:?}");
        }
        assert_eq!(VersionPolicy::All.choose(&set(&[])), set(&[]));
    }

    #[test]
    fn divides_calls_as_the_weights_say() {
        let labels = labels(
            &[("canary", 2), ("stable", 1)],
            &[("canary", 10), ("stable", 90)],
        );
        let traffic = Traffic::new(&labels);
        let versions: Vec<u64> = (0..1000).map(|_| traffic.next().unwrap()).collect();
        for hundred in versions.chunks(100) {
            let canaries = hundred.iter().filter(|&&version| version == 2).count();
            assert!((8..=12).contains(&canaries), "{canaries} of 100");
        }
        let canaries = versions.iter().filter(|&&version| version == 2).count();
        assert!((98..=102).contains(&canaries), "{canaries} of 1000");
    }

    #[test]
    fn a_label_without_weight_gets_no_calls() {
        let labels = labels(&[("a", 1), ("b", 2)], &[("a", 0), ("b", 1)]);
        let traffic = Traffic::new(&labels);
        assert!((0..100).all(|_| traffic.next() == Some(2)));
        assert_eq!(Traffic::new(&Labels::default()).next(), None);
    }

    #[test]
    fn labels_are_checked() {
        assert_eq!(labels(&[("a", 1)], &[("a", 3)]).check(), Ok(()));
        let unknown = labels(&[("a", 1)], &[("b", 3)]).check();
        assert_eq!(
            unknown,
            Err("`traffic`: expected names of labels, found `b`".into())
        );
        let nothing = labels(&[("a", 1)], &[("a", 0)]).check();
        assert_eq!(
            nothing,
            Err("`traffic`: expected a weight above 0, found none".into())
        );
    }
}
