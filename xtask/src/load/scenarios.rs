//! What is measured under load.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;

use super::Bench;
use super::folder::{self, Folder};
use super::generator::{Pattern, Run};
use super::toy::Behaviour;

/// All of them.
pub(crate) const ALL: &[Scenario] = &[
    Scenario::Batching,
    Scenario::Overload,
    Scenario::Swaps,
    Scenario::Neighbours,
    Scenario::Soak,
];

/// Callers that keep a host busy.
const CALLERS: u32 = 128;

/// What models are served with: more rows than they may need, as they are joined where it pays.
const JOINED: &str = "max_batch_size = 64\n";

/// The same, with calls that are not joined.
const NOT_JOINED: &str = "max_batch_size = 1\n";

/// What hostile models are served with.
const HOSTILE: &str = "[model_warmup]\ncalls = 0\n[limits]\nmemory_mib = 256\nexecution_timeout_seconds = 1\n[circuit_breaker]\nfailures = 0\n";

/// Versions that are swapped under load.
const SWAPS: u32 = 100;

/// One of the questions.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Scenario {
    Batching,
    Overload,
    Swaps,
    Neighbours,
    Soak,
}

impl Scenario {
    /// Measures it for the models that it is asked for.
    pub(crate) fn measure(self, bench: &mut Bench<'_>) -> Result<()> {
        let models = bench.models.clone();
        // Where it matters little which model it is, one is enough.
        let models = match self {
            Self::Batching | Self::Overload => &models[..],
            Self::Swaps | Self::Neighbours | Self::Soak => &models[..1],
        };
        models.iter().try_for_each(|model| match self {
            Self::Batching => batching(bench, model),
            Self::Overload => overload(bench, model),
            Self::Swaps => swaps(bench, model),
            Self::Neighbours => neighbours(bench, model),
            Self::Soak => soak(bench, model),
        })
    }
}

fn batching(bench: &mut Bench<'_>, model: &str) -> Result<()> {
    let component = folder::component(bench.sh, model)?;
    let joined = Folder::new("joined")?;
    joined.add(model, &component, JOINED)?;
    let apart = Folder::new("apart")?;
    apart.add(model, &component, NOT_JOINED)?;

    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        with.push(saturation(bench, &joined, model)?);
        without.push(saturation(bench, &apart, model)?);
    }
    let (with, without) = (median(with), median(without));
    let asked = if model == "mlp" { "≥ 3" } else { "≥ 1" };
    let measured = format!("{:.2} ({with:.0} / {without:.0} calls/s)", with / without);
    bench.figure(
        "batching",
        model,
        "saturation, joined ÷ not",
        asked,
        measured,
    );

    let half = Pattern::Open(without / 2.0);
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        with.push(steady(bench, &joined, model, half)?);
        without.push(steady(bench, &apart, model, half)?);
    }
    let (with, without) = (median(with), median(without));
    let measured = format!("{:.2} ({with:.2} / {without:.2} ms)", with / without);
    bench.figure(
        "batching",
        model,
        "p99 at half load, joined ÷ not",
        "≤ 1.2",
        measured,
    );
    Ok(())
}

fn overload(bench: &mut Bench<'_>, model: &str) -> Result<()> {
    let folder = Folder::new("overload")?;
    folder.add(model, &folder::component(bench.sh, model)?, JOINED)?;
    let best = saturation(bench, &folder, model)?;
    let outcome = bench.generate(&Run::new(
        folder.path(),
        model,
        Pattern::Open(best * 2.0),
        bench.seconds,
    ))?;
    let goodput = outcome.goodput()?;
    let measured = format!("{:.3} ({goodput:.0} / {best:.0} calls/s)", goodput / best);
    bench.figure(
        "overload",
        model,
        "goodput at 2 × saturation ÷ best",
        "≥ 0.95",
        measured,
    );
    let measured = format!(
        "{:.2} ms, {} refused",
        outcome.refusals_p99(),
        outcome.refused()
    );
    bench.figure("overload", model, "p99 of refusals", "< 5 ms", measured);
    let p99 = outcome.p99()?;
    let measured = match outcome.execution() {
        Some(execution) => format!("{:.2} ({p99:.2} / {execution:.2} ms)", p99 / execution),
        None => format!("{p99:.2} ms"),
    };
    bench.figure(
        "overload",
        model,
        "p99 of answers ÷ an execution",
        "≤ 4",
        measured,
    );
    memory(bench, "overload", model, outcome.resident()?, "flat");
    Ok(())
}

fn swaps(bench: &mut Bench<'_>, model: &str) -> Result<()> {
    let component = folder::component(bench.sh, model)?;
    let folder = Folder::new("swaps")?;
    folder.add(model, &component, JOINED)?;
    let half = saturation(bench, &folder, model)? / 2.0;
    // Long enough for a hundred swaps that are seen one by one, and for the last one to be over.
    let seconds = bench.seconds.max(30.0);
    let gap = Duration::from_secs_f64((seconds - 3.0) / f64::from(SWAPS));
    let (mut with, mut without, mut failed) = (Vec::new(), Vec::new(), 0);
    let mut resident = (0.0, 0.0);
    let mut version = 1;
    for _ in 0..bench.rounds {
        let run = Run::new(folder.path(), model, Pattern::Open(half), seconds);
        without.push(bench.generate(&run)?.p99()?);
        for new in version + 1..=version + SWAPS {
            folder.stage_version(model, new, &component)?;
        }
        let outcome = bench.generate_while(&run, || {
            // After the warm-up.
            thread::sleep(Duration::from_secs(4));
            for _ in 0..SWAPS {
                thread::sleep(gap);
                folder.add_staged_version(model, version + 1)?;
                // The old one goes when the new one has long been seen.
                if version > 2 {
                    folder.remove_version(model, version - 2)?;
                }
                version += 1;
            }
            Ok(())
        })?;
        with.push(outcome.p99()?);
        failed += outcome.failed() + outcome.refused();
        resident = outcome.resident()?;
    }
    bench.figure(
        "swaps",
        model,
        "calls without outputs",
        "0",
        failed.to_string(),
    );
    let (with, without) = (median(with), median(without));
    let measured = format!("{:.2} ({with:.2} / {without:.2} ms)", with / without);
    bench.figure(
        "swaps",
        model,
        "p99 with swaps ÷ without",
        "≤ 1.5",
        measured,
    );
    memory(bench, "swaps", model, resident, "≤ 1.1");
    Ok(())
}

/// Models beside a good one.
struct Company<'a> {
    what: &'static str,
    beside: &'a [(&'a str, f64)],
    /// Whether they take all of the processor that they can get; one that traps at once takes none.
    leaves_one_core: bool,
}

fn neighbours(bench: &mut Bench<'_>, model: &str) -> Result<()> {
    let folder = Folder::new("neighbours")?;
    folder.add(model, &folder::component(bench.sh, model)?, JOINED)?;
    let hostile = [
        ("looping", Behaviour::Loop),
        ("growing", Behaviour::Grow),
        ("trapping", Behaviour::Trap),
    ];
    for (name, behaviour) in hostile {
        folder.add(name, &folder::hostile(name, behaviour)?, HOSTILE)?;
    }
    // Its share beside three others is a quarter; it asks for half of that.
    let rate = saturation(bench, &folder, model)? / 8.0;
    let all = hostile.map(|(name, _)| (name, 100.0));
    let company = |what, beside, leaves_one_core| Company {
        what,
        beside,
        leaves_one_core,
    };
    let companies = [
        company("beside a looping one ÷ alone on one core", &all[..1], true),
        company("beside a growing one ÷ alone on one core", &all[1..2], true),
        company("beside a trapping one ÷ alone", &all[2..], false),
        company("beside all three ÷ alone on one core", &all[..], true),
    ];
    let mut alone = [Vec::new(), Vec::new()];
    let mut beside = vec![Vec::new(); companies.len()];
    for _ in 0..bench.rounds {
        let mut p99 = |company, is_on_one_core| {
            let outcome = bench.generate(&Run {
                folder: folder.path(),
                model,
                pattern: Pattern::Open(rate),
                seconds: bench.seconds,
                beside: company,
                is_on_one_core,
            })?;
            outcome.p99()
        };
        for (is_on_one_core, p99s) in [false, true].into_iter().zip(&mut alone) {
            p99s.push(p99(&[], is_on_one_core)?);
        }
        for (company, p99s) in companies.iter().zip(&mut beside) {
            p99s.push(p99(company.beside, false)?);
        }
    }
    let alone = alone.map(median);
    for (company, p99s) in companies.iter().zip(beside) {
        let (p99, alone) = (median(p99s), alone[usize::from(company.leaves_one_core)]);
        let measured = format!("{:.2} ({p99:.2} / {alone:.2} ms)", p99 / alone);
        bench.figure(
            "neighbours",
            model,
            &format!("p99 {}", company.what),
            "≤ 1.25",
            measured,
        );
    }
    Ok(())
}

fn soak(bench: &mut Bench<'_>, model: &str) -> Result<()> {
    let folder = Folder::new("soak")?;
    folder.add(model, &folder::component(bench.sh, model)?, JOINED)?;
    let rate = saturation(bench, &folder, model)? * 0.8;
    let outcome = bench.generate(&Run::new(
        folder.path(),
        model,
        Pattern::Open(rate),
        bench.seconds * 60.0,
    ))?;
    let measured = format!(
        "{} of {:.0} s at {rate:.0} calls/s",
        outcome.failed() + outcome.refused(),
        bench.seconds * 60.0
    );
    bench.figure("soak", model, "calls without outputs", "", measured);
    bench.figure(
        "soak",
        model,
        "p99",
        "",
        format!("{:.2} ms", outcome.p99()?),
    );
    memory(bench, "soak", model, outcome.resident()?, "0.95 to 1.05");
    Ok(())
}

fn memory(
    bench: &mut Bench<'_>,
    scenario: &'static str,
    model: &str,
    resident: (f64, f64),
    asked: &str,
) {
    let (begin, end) = resident;
    let measured = format!(
        "{:.2} ({:.0} / {:.0} MB)",
        end / begin,
        end / 1e6,
        begin / 1e6
    );
    bench.figure(
        scenario,
        model,
        "resident memory at the end ÷ after warm-up",
        asked,
        measured,
    );
}

/// Returns how many calls a second a host answers at most.
fn saturation(bench: &mut Bench<'_>, folder: &Folder, model: &str) -> Result<f64> {
    let outcome = bench.generate(&Run::new(
        folder.path(),
        model,
        Pattern::Closed(CALLERS),
        bench.seconds / 2.0,
    ))?;
    outcome.goodput()
}

/// Returns the 99th percentile of latency.
fn steady(bench: &mut Bench<'_>, folder: &Folder, model: &str, pattern: Pattern) -> Result<f64> {
    let outcome = bench.generate(&Run::new(folder.path(), model, pattern, bench.seconds))?;
    outcome.p99()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
