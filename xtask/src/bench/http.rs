//! `cargo xtask bench --http`: components that handle HTTP requests, on hosts that know nothing of Tensorlet.
//!
//! Such hosts make an instance for each request, or use one for several. What that and HTTP cost is seen beside the same component called
//! directly. Hosts take turns, round by round, each in a fresh process; callers wait for their answer before they call again.

mod call;
mod host;
mod report;

use anyhow::{Context as _, Result};
use serde::Serialize;
use xshell::{Shell, cmd};

use self::call::Call;
use self::host::{Host, Kind};
pub(super) use self::report::Report;
use super::machine::Machine;
use super::{DIR, choose, date, keep};
use crate::build::CLI;
use crate::models::{self, CASES, Case};
use crate::setup;
use crate::{build, load, stock};

/// What is measured by default.
const MODELS: [&str; 2] = ["magika", "efficientnet-lite0"];

/// How long each host is called in a round, by one caller and by as many as there are cores, in seconds.
const SECONDS: u32 = 3;

/// How often a host is started anew to see what its first requests take.
const STARTS: u32 = 5;

/// What was measured of one model.
#[derive(Serialize)]
pub(super) struct Measured {
    label: String,
    /// The model called directly, computed by itself, in ms.
    predict_ms: Vec<f64>,
    hosts: Vec<OnHost>,
    starts: Vec<Start>,
}

/// What was measured on one host, a figure a round.
#[derive(Serialize)]
struct OnHost {
    kind: Kind,
    one_caller: Vec<Figures>,
    all_cores: Vec<Figures>,
}

/// What callers saw.
#[derive(Clone, Copy, Serialize)]
struct Figures {
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
}

/// What a host took for its first requests, from a component that was compiled before.
#[derive(Clone, Copy, Serialize)]
struct Start {
    /// From the start of the process until it listens.
    listens_ms: f64,
    first_ms: f64,
    second_ms: f64,
}

/// Measures models, all of [`MODELS`] if none is named.
pub(super) fn measure(sh: &Shell, models: &[String], rounds: u32) -> Result<()> {
    let models = match models {
        [] => MODELS.map(str::to_owned).to_vec(),
        models => models.to_vec(),
    };
    let chosen = choose(CASES, &models)?;
    // A model's main case comes first.
    let main = |model: &String| chosen.iter().find(|case| case.model == model).copied();
    let cases: Vec<&Case> = models.iter().filter_map(main).collect();

    build::run(sh)?;
    setup::run(sh, stock::PIECES)?;
    stock::build(sh)?;
    load::build_generator(sh)?;
    let machine = Machine::find(sh)?;
    let cases = cases
        .into_iter()
        .map(|case| measure_case(sh, case, rounds, machine.cores));
    let report = Report {
        date: date(sh)?,
        rounds,
        cases: cases.collect::<Result<_>>()?,
        machine,
    };
    let raw = keep(sh, &format!("{}-http-raw", report.date), &report)?;
    println!("\n{report}\nraw figures: {raw}");
    Ok(())
}

fn measure_case(sh: &Shell, case: &Case, rounds: u32, cores: usize) -> Result<Measured> {
    let model = case.model;
    let (library, handler) = (
        format!("{DIR}/{model}.wasm"),
        format!("{DIR}/{model}-http.wasm"),
    );
    models::compile(sh, model, DIR)?;
    cmd!(sh, "{CLI} build --http models/{model} -o {handler}").run()?;
    let compiled = format!("{DIR}/{model}-http.cwasm");
    let stock = stock::STOCK_HTTP;
    cmd!(sh, "{stock} compile {handler} -o {compiled}").run()?;

    let mut measured = Measured {
        label: format!("{model}, {}", case.input),
        predict_ms: vec![],
        hosts: Kind::available(sh).into_iter().map(OnHost::new).collect(),
        starts: vec![],
    };
    for round in 1..=rounds {
        println!("bench: {model} over HTTP, round {round} of {rounds}");
        let options = ["--no-offload"];
        let direct = models::measure_with(sh, &library, case.inputs, case.iterations, &options)?;
        measured.predict_ms.push(direct.median_ms);
        for on_host in &mut measured.hosts {
            let host = Host::start(on_host.kind, &handler)?;
            on_host.one_caller.push(host.load(sh, model, 1, SECONDS)?);
            on_host
                .all_cores
                .push(host.load(sh, model, cores, SECONDS)?);
        }
    }
    let input = case.inputs.first().context("a case has inputs")?;
    let call = Call::new(model, input)?;
    for _ in 0..STARTS {
        measured.starts.push(host::start(&compiled, &call)?);
    }
    Ok(measured)
}

impl OnHost {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            one_caller: vec![],
            all_cores: vec![],
        }
    }
}
