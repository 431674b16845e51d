//! What a call through a component costs, in microseconds: beside the native executor, and with a fresh instance.

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use xshell::{Shell, cmd};

use super::contender::NATIVE_BENCH;
use super::statistics::median;
use super::{CACHE_DIR, component, model_file};
use crate::models::Case;
use crate::table::{Table, kb};

/// What one process measured, in turns that are a fraction of a second.
#[derive(Deserialize, Serialize)]
pub(crate) struct Crossing {
    /// Bytes of all inputs and outputs.
    tensor_bytes: u64,
    turns: Vec<Turn>,
}

/// Calls of one turn.
#[derive(Deserialize, Serialize)]
struct Turn {
    /// Copying inputs and outputs once.
    copy: Times,
    executor: Times,
    offloaded: Times,
    fresh: Times,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
struct Times {
    min_us: f64,
    median_us: f64,
}

/// How one kind of calls differs from another.
struct Difference {
    /// The median, over all turns, of the difference between the medians of a turn.
    of_medians_us: f64,
    /// The median, over all processes, of the difference between the least times of a process.
    of_least_us: f64,
}

type Choice = fn(&Turn) -> Times;

/// Measures a case in a process of its own.
pub(crate) fn measure(sh: &Shell, case: &Case) -> Result<Crossing> {
    let model = model_file(case.model);
    let component = component(case.model);
    let inputs = case.inputs.iter().chain(case.bound);
    let output = cmd!(
        sh,
        "{NATIVE_BENCH} crossing {model} {component} {CACHE_DIR} {inputs...}"
    )
    .quiet()
    .read()?;
    serde_json::from_str(&output)
        .with_context(|| format!("expected turns as JSON, found `{output}`"))
}

/// Writes differences, a case a row.
pub(crate) fn table<'a>(cases: impl Iterator<Item = (String, &'a [Crossing])>) -> Table {
    let mut table = Table::new(&[
        "model, input",
        "inputs, outputs",
        "copied once",
        "crossing",
        "by least times",
        "fresh instance",
        "by least times",
    ]);
    let us = |us: f64| format!("{us:.1} µs");
    for (label, runs) in cases {
        let crossing = Difference::between(runs, |turn| turn.offloaded, |turn| turn.executor);
        let fresh = Difference::between(runs, |turn| turn.fresh, |turn| turn.offloaded);
        let turns = runs.iter().flat_map(|run| &run.turns);
        table.row(vec![
            label,
            kb(runs.first().map_or(f64::NAN, |run| run.tensor_bytes as f64)),
            us(median(turns.map(|turn| turn.copy.median_us).collect())),
            us(crossing.of_medians_us),
            us(crossing.of_least_us),
            us(fresh.of_medians_us),
            us(fresh.of_least_us),
        ]);
    }
    table
}

impl Difference {
    fn between(runs: &[Crossing], longer: Choice, shorter: Choice) -> Self {
        let turns = runs.iter().flat_map(|run| &run.turns);
        let medians = turns.map(|turn| longer(turn).median_us - shorter(turn).median_us);
        let least = |run: &Crossing, choice: Choice| {
            let times = run.turns.iter().map(|turn| choice(turn).min_us);
            times.fold(f64::INFINITY, f64::min)
        };
        let leasts = runs
            .iter()
            .map(|run| least(run, longer) - least(run, shorter));
        Self {
            of_medians_us: median(medians.collect()),
            of_least_us: median(leasts.collect()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use expect_test::expect;

    use super::*;

    /// Two turns; whatever else the machine does makes the second one slower.
    pub(in crate::bench) fn crossing(executor_us: f64) -> Crossing {
        let times = |us: f64| Times {
            min_us: us,
            median_us: us * 1.1,
        };
        let turn = |slower_us: f64| Turn {
            copy: times(10.0),
            executor: times(executor_us + slower_us),
            offloaded: times(executor_us + slower_us + 20.0),
            fresh: times(executor_us + slower_us + 50.0),
        };
        Crossing {
            tensor_bytes: 602_112,
            turns: vec![turn(0.0), turn(1000.0)],
        }
    }

    #[test]
    fn tells_differences_in_pairs() {
        let runs = [crossing(4000.0), crossing(5000.0)];
        let table = table(std::iter::once(("a model".into(), &runs[..])));
        expect![[r#"
            model, input  inputs, outputs  copied once  crossing  by least times  fresh instance  by least times
            ────────────  ───────────────  ───────────  ────────  ──────────────  ──────────────  ──────────────
            a model                602 kB      11.0 µs   22.0 µs         20.0 µs         33.0 µs         30.0 µs
        "#]].assert_eq(&table.to_string());
    }
}
