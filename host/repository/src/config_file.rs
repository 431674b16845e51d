//! Reads `config.toml`, the file beside the versions of a model that says how it is served.
//!
//! Names are those of Triton's `config.pbtxt` where the meaning is the same. All of it may be left out:
//!
//! ```toml
//! max_batch_size = 32                  # rows; 0 as 1: calls are not joined
//! load = "on-demand"                   # or "eager"
//! unload_after_seconds = 600
//!
//! [instance_group]
//! count = 2
//! reuse = "until-idle"                 # or "fresh", or how many calls an instance answers
//!
//! [dynamic_batching]
//! preferred_batch_size = [8, 16]
//! max_queue_delay_microseconds = 100   # left out: calls are never held back
//! pad_to = [8, 16, 32]
//! join = "when-faster"                 # or "always"
//! priority_levels = 2
//! default_priority_level = 2
//!
//! [dynamic_batching.default_queue_policy]
//! max_queue_size = 128                 # calls
//! overload = "shed"                    # or "queue"
//! default_timeout_microseconds = 500000
//!
//! [limits]
//! memory_mib = 512
//! output_mib = 64
//! execution_timeout_seconds = 2.5
//! calls_per_second = 1000
//! burst = 100
//! share = 1
//!
//! [circuit_breaker]
//! failures = 16
//! cool_down_seconds = 5
//!
//! [version_policy]
//! latest = 2                           # or all = true, or specific = [1, 3]
//!
//! [labels]
//! stable = 3
//! canary = 4
//!
//! [traffic]
//! stable = 90
//! canary = 10
//!
//! [model_warmup]
//! calls = 1
//! rows = 8
//! dims = { W = 192 }
//! must_succeed = true
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use serde::Deserialize;
use tensorlet_batch::{Join, Overload, QueueDelay};
use tensorlet_runtime::Reuse;

use crate::config::{LoadWhen, ModelConfig};
use crate::policy::VersionPolicy;
use crate::rate::RateLimit;

/// The longest time that can be said.
const MAX_SECONDS: f64 = 1e9;

/// The file, as it is typed.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawConfig {
    max_batch_size: Option<u32>,
    load: Option<RawLoad>,
    unload_after_seconds: Option<f64>,
    instance_group: RawInstances,
    dynamic_batching: RawBatching,
    limits: RawLimits,
    circuit_breaker: RawBreaker,
    version_policy: Option<RawPolicy>,
    labels: Option<BTreeMap<String, u64>>,
    traffic: Option<BTreeMap<String, u32>>,
    model_warmup: RawWarmUp,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawLoad {
    Eager,
    OnDemand,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawInstances {
    count: Option<NonZeroUsize>,
    reuse: Option<RawReuse>,
}

#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "expected \"fresh\", \"until-idle\" or a number of calls above 0"
)]
enum RawReuse {
    Times(NonZeroU32),
    Named(RawNamedReuse),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawNamedReuse {
    Fresh,
    UntilIdle,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawBatching {
    preferred_batch_size: Option<Vec<u32>>,
    max_queue_delay_microseconds: Option<u64>,
    pad_to: Option<Vec<u32>>,
    join: Option<RawJoin>,
    priority_levels: Option<u32>,
    default_priority_level: Option<u32>,
    default_queue_policy: RawQueue,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawJoin {
    WhenFaster,
    Always,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawOverload {
    Shed,
    Queue,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawQueue {
    max_queue_size: Option<NonZeroUsize>,
    overload: Option<RawOverload>,
    default_timeout_microseconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawLimits {
    memory_mib: Option<u32>,
    output_mib: Option<u32>,
    execution_timeout_seconds: Option<f64>,
    calls_per_second: Option<f64>,
    burst: Option<NonZeroU32>,
    share: Option<NonZeroU32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawBreaker {
    failures: Option<u32>,
    cool_down_seconds: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawPolicy {
    latest: Option<NonZeroUsize>,
    all: Option<bool>,
    specific: Option<BTreeSet<u64>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawWarmUp {
    calls: Option<u32>,
    rows: Option<NonZeroU32>,
    dims: Option<BTreeMap<String, u32>>,
    must_succeed: Option<bool>,
}

/// Reads the text of a `config.toml`; what it leaves out is as in `defaults`.
///
/// # Errors
/// What was expected and what was found, if it is no TOML, has unknown names, or values that cannot be.
pub fn parse(text: &str, defaults: &ModelConfig) -> Result<ModelConfig, String> {
    let raw: RawConfig = toml::from_str(text).map_err(|error| error.to_string())?;
    let mut config = defaults.clone();
    if let Some(rows) = raw.max_batch_size {
        config.batch.max_batch_size = NonZeroU32::new(rows).unwrap_or(NonZeroU32::MIN);
    }
    match raw.load {
        Some(RawLoad::Eager) => config.load = LoadWhen::Eager,
        Some(RawLoad::OnDemand) => config.load = LoadWhen::OnDemand,
        None => {}
    }
    if let Some(text) = raw.unload_after_seconds {
        config.unload_after = Some(seconds("unload_after_seconds", text)?);
    }
    raw.instance_group.apply(&mut config);
    raw.dynamic_batching.apply(&mut config);
    raw.limits.apply(&mut config)?;
    raw.circuit_breaker.apply(&mut config)?;
    if let Some(policy) = raw.version_policy {
        config.version_policy = policy.check()?;
    }
    if let Some(versions) = raw.labels {
        config.labels.versions = versions;
    }
    if let Some(traffic) = raw.traffic {
        config.labels.traffic = traffic;
    }
    raw.model_warmup.apply(&mut config);
    config.labels.check()?;
    config.batch.check().map_err(|error| error.to_string())?;
    Ok(config)
}

impl RawInstances {
    fn apply(self, config: &mut ModelConfig) {
        set(&mut config.instances, self.count);
        let reuse = self.reuse.map(|reuse| match reuse {
            RawReuse::Times(times) => Reuse::Times(times.get()),
            RawReuse::Named(RawNamedReuse::Fresh) => Reuse::Fresh,
            RawReuse::Named(RawNamedReuse::UntilIdle) => Reuse::Unlimited,
        });
        set(&mut config.reuse, reuse);
    }
}

impl RawBatching {
    fn apply(self, config: &mut ModelConfig) {
        let batch = &mut config.batch;
        set(&mut batch.preferred_batch_size, self.preferred_batch_size);
        set(&mut batch.pad_to, self.pad_to);
        set(&mut batch.priority_levels, self.priority_levels);
        set(
            &mut batch.default_priority_level,
            self.default_priority_level,
        );
        let delay = self.max_queue_delay_microseconds.map(Duration::from_micros);
        set(&mut batch.max_queue_delay, delay.map(QueueDelay::AtMost));
        let join = self.join.map(|join| match join {
            RawJoin::WhenFaster => Join::WhenFaster,
            RawJoin::Always => Join::Always,
        });
        set(&mut batch.join, join);
        let queue = self.default_queue_policy;
        let overload = queue.overload.map(|overload| match overload {
            RawOverload::Shed => Overload::Shed,
            RawOverload::Queue => Overload::Queue,
        });
        set(&mut batch.overload, overload);
        set(&mut batch.max_queue_size, queue.max_queue_size);
        // As in Triton, 0 is no timeout.
        if let Some(micros) = queue.default_timeout_microseconds {
            config.default_timeout = (micros > 0).then_some(Duration::from_micros(micros));
        }
    }
}

impl RawLimits {
    fn apply(self, config: &mut ModelConfig) -> Result<(), String> {
        let limits = &mut config.limits;
        set(
            &mut limits.memory_bytes,
            self.memory_mib.map(|mib| u64::from(mib) << 20),
        );
        set(
            &mut limits.output_bytes,
            self.output_mib.map(|mib| (mib as usize) << 20),
        );
        if let Some(time) = self.execution_timeout_seconds {
            config.execution_timeout = seconds("execution_timeout_seconds", time)?;
        }
        set(&mut config.share, self.share);
        match (self.calls_per_second, self.burst) {
            (Some(rate), burst) if rate > 0.0 && rate <= MAX_SECONDS => {
                // A tenth of a second's calls may come at once, if nobody says otherwise.
                let burst = burst.map_or((rate / 10.0).ceil() as u32, NonZeroU32::get);
                config.rate = Some(RateLimit {
                    calls_per_second: rate,
                    burst: burst.max(1),
                });
                Ok(())
            }
            (Some(rate), _) => Err(format!(
                "`calls_per_second`: expected a number above 0 and at most {MAX_SECONDS}, found {rate}"
            )),
            (None, Some(_)) => {
                Err("`burst`: expected `calls_per_second` beside it, found none".into())
            }
            (None, None) => Ok(()),
        }
    }
}

impl RawBreaker {
    fn apply(self, config: &mut ModelConfig) -> Result<(), String> {
        set(&mut config.breaker.failures, self.failures);
        if let Some(time) = self.cool_down_seconds {
            config.breaker.cool_down = seconds("cool_down_seconds", time)?;
        }
        Ok(())
    }
}

impl RawPolicy {
    fn check(self) -> Result<VersionPolicy, String> {
        match (self.latest, self.all, self.specific) {
            (Some(count), None, None) => Ok(VersionPolicy::Latest(count)),
            (None, Some(true), None) => Ok(VersionPolicy::All),
            (None, None, Some(versions)) => Ok(VersionPolicy::Specific(versions)),
            _ => Err("`version_policy`: expected one of `latest = N`, `all = true` and `specific = [N, …]`".into()),
        }
    }
}

impl RawWarmUp {
    fn apply(self, config: &mut ModelConfig) {
        set(&mut config.warm_up.calls, self.calls);
        set(&mut config.warm_up.rows, self.rows);
        set(&mut config.warm_up.dims, self.dims);
        set(&mut config.warm_up.must_succeed, self.must_succeed);
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

fn seconds(field: &str, value: f64) -> Result<Duration, String> {
    if (0.0..=MAX_SECONDS).contains(&value) {
        return Ok(Duration::from_secs_f64(value));
    }
    Err(format!(
        "`{field}`: expected seconds from 0 to {MAX_SECONDS}, found {value}"
    ))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use tensorlet_batch::BatchConfig;
    use tensorlet_runtime::Limits;

    use super::*;
    use crate::breaker::BreakerConfig;
    use crate::config::WarmUp;
    use crate::policy::Labels;

    /// Returns the example of the documentation.
    fn example() -> String {
        let lines = include_str!("config_file.rs").lines();
        let lines = lines.skip_while(|line| *line != "//! ```toml").skip(1);
        let lines = lines.take_while(|line| *line != "//! ```");
        let lines: Vec<&str> = lines.map(|line| line.trim_start_matches("//!")).collect();
        lines.join("\n")
    }

    #[test]
    fn the_example_says_what_it_says() {
        let defaults = ModelConfig::default();
        let expected = ModelConfig {
            batch: BatchConfig {
                max_batch_size: NonZeroU32::new(32).unwrap(),
                preferred_batch_size: vec![8, 16],
                max_queue_delay: QueueDelay::AtMost(Duration::from_micros(100)),
                max_queue_size: NonZeroUsize::new(128).unwrap(),
                priority_levels: 2,
                default_priority_level: 2,
                pad_to: vec![8, 16, 32],
                ..defaults.batch.clone()
            },
            instances: NonZeroUsize::new(2).unwrap(),
            reuse: Reuse::Unlimited,
            limits: Limits {
                memory_bytes: 512 << 20,
                output_bytes: 64 << 20,
                ..defaults.limits.clone()
            },
            execution_timeout: Duration::from_millis(2500),
            default_timeout: Some(Duration::from_millis(500)),
            rate: Some(RateLimit {
                calls_per_second: 1000.0,
                burst: 100,
            }),
            breaker: BreakerConfig {
                failures: 16,
                cool_down: Duration::from_secs(5),
            },
            share: NonZeroU32::MIN,
            version_policy: VersionPolicy::Latest(NonZeroUsize::new(2).unwrap()),
            labels: Labels {
                versions: BTreeMap::from([("canary".into(), 4), ("stable".into(), 3)]),
                traffic: BTreeMap::from([("canary".into(), 10), ("stable".into(), 90)]),
            },
            warm_up: WarmUp {
                calls: 1,
                rows: NonZeroU32::new(8).unwrap(),
                dims: BTreeMap::from([("W".into(), 192)]),
                must_succeed: true,
            },
            load: LoadWhen::OnDemand,
            unload_after: Some(Duration::from_secs(600)),
        };
        assert_eq!(parse(&example(), &defaults), Ok(expected));
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        let defaults = ModelConfig {
            execution_timeout: Duration::from_secs(7),
            ..ModelConfig::default()
        };
        assert_eq!(parse("", &defaults), Ok(defaults));
    }

    #[test]
    fn says_what_was_expected() {
        let mut errors = String::new();
        for text in [
            "max_batch = 3",
            "max_batch_size = -1",
            "max_batch_size = 4\n[dynamic_batching]\npreferred_batch_size = [8]",
            "[instance_group]\ncount = 0",
            "[instance_group]\nreuse = \"often\"",
            "[instance_group]\nreuse = 0",
            "[limits]\nburst = 3",
            "[limits]\ncalls_per_second = 0",
            "[limits]\nexecution_timeout_seconds = -1.0",
            "[version_policy]\nlatest = 1\nall = true",
            "[version_policy]\nall = false",
            "[traffic]\nstable = 1",
            "load = \"later\"",
            "max_batch_size",
        ] {
            let error = parse(text, &ModelConfig::default()).unwrap_err();
            errors += &format!(
                "{}\n  {}\n",
                text.replace('\n', " ⏎ "),
                error.trim_end().replace('\n', "\n  ")
            );
        }
        expect![[r#"
            max_batch = 3
              TOML parse error at line 1, column 1
                |
              1 | max_batch = 3
                | ^^^^^^^^^
              unknown field `max_batch`, expected one of `max_batch_size`, `load`, `unload_after_seconds`, `instance_group`, `dynamic_batching`, `limits`, `circuit_breaker`, `version_policy`, `labels`, `traffic`, `model_warmup`
            max_batch_size = -1
              TOML parse error at line 1, column 18
                |
              1 | max_batch_size = -1
                |                  ^^
              invalid value: integer `-1`, expected u32
            max_batch_size = 4 ⏎ [dynamic_batching] ⏎ preferred_batch_size = [8]
              `preferred_batch_size`: expected ascending sizes from 1 to 4, found [8]
            [instance_group] ⏎ count = 0
              TOML parse error at line 2, column 9
                |
              2 | count = 0
                |         ^
              invalid value: integer `0`, expected a nonzero usize
            [instance_group] ⏎ reuse = "often"
              TOML parse error at line 2, column 9
                |
              2 | reuse = "often"
                |         ^^^^^^^
              expected "fresh", "until-idle" or a number of calls above 0
            [instance_group] ⏎ reuse = 0
              TOML parse error at line 2, column 9
                |
              2 | reuse = 0
                |         ^
              expected "fresh", "until-idle" or a number of calls above 0
            [limits] ⏎ burst = 3
              `burst`: expected `calls_per_second` beside it, found none
            [limits] ⏎ calls_per_second = 0
              `calls_per_second`: expected a number above 0 and at most 1000000000, found 0
            [limits] ⏎ execution_timeout_seconds = -1.0
              `execution_timeout_seconds`: expected seconds from 0 to 1000000000, found -1
            [version_policy] ⏎ latest = 1 ⏎ all = true
              `version_policy`: expected one of `latest = N`, `all = true` and `specific = [N, …]`
            [version_policy] ⏎ all = false
              `version_policy`: expected one of `latest = N`, `all = true` and `specific = [N, …]`
            [traffic] ⏎ stable = 1
              `traffic`: expected names of labels, found `stable`
            load = "later"
              TOML parse error at line 1, column 8
                |
              1 | load = "later"
                |        ^^^^^^^
              unknown variant `later`, expected `eager` or `on-demand`
            max_batch_size
              TOML parse error at line 1, column 15
                |
              1 | max_batch_size
                |               ^
              key with no value, expected `=`
        "#]].assert_eq(&errors);
    }
}
