//! Runs all node tests, prints the score, and fails on any surprise.
//!
//! Environment: `TENSORLET_UPDATE_IGNORED=1` writes the list of ignored tests anew.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;

use anyhow::{Context, Result};
use tensorlet_conformance::run::{Computed, Free, Hosts, Passed, Predictors, run};
use tensorlet_conformance::{case, ignored};
use tensorlet_runtime::{Cpu, Engine, EngineConfig, Predictor};

fn main() -> ExitCode {
    match conformance() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn conformance() -> Result<bool> {
    // Panics of tract are caught and reported as failures of their test.
    std::panic::set_hook(Box::new(|_| ()));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let list = root.join("tests/conformance/ignored.txt");
    let folders = case::folders(&root.join("target/onnx-1.19.1/onnx/backend/test/data/node"))
        .context("the ONNX node tests are fetched by `cargo xtask test`")?;
    let read = |name: &str| {
        fs::read(root.join("target/guest").join(name))
            .context("the predictors are built by `cargo xtask guest`")
    };
    let results = run_all(&read("lean.wasm")?, &read("predictor.wasm")?, &folders)?;
    if std::env::var_os("TENSORLET_UPDATE_IGNORED").is_some() {
        let failed = results
            .iter()
            .filter_map(|(name, result)| Some((name.clone(), result.as_ref().err()?.clone())));
        fs::write(&list, ignored::format(&failed.collect()))?;
    }
    let text =
        fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    report(&results, &ignored::parse(&text)?)
}

type Results = BTreeMap<String, Result<Passed, String>>;

fn run_all(lean: &[u8], with_tract: &[u8], folders: &[PathBuf]) -> Result<Results> {
    let cache_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache");
    let host = |accelerator| -> Result<Predictors> {
        let engine = Engine::new(&EngineConfig {
            cache_dir: Some(cache_dir.clone()),
            accelerator,
            quick_compile: true,
            ..EngineConfig::default()
        })?;
        Ok(Predictors {
            lean: Predictor::new(&engine, lean)?,
            with_tract: Predictor::new(&engine, with_tract)?,
        })
    };
    let hosts = Hosts {
        guest: host(None)?,
        offloading: host(Some(Arc::new(Cpu::default())))?,
    };
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Results::new()));
    let work = || {
        while let Some(folder) = folders.get(next.fetch_add(1, Relaxed)) {
            let caught =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&hosts, folder)));
            let result = match caught {
                Ok(result) => result.map_err(|error| format!("{error:#}")),
                Err(_) => Err("the test itself panicked".into()),
            };
            let mut results = results
                .lock()
                .expect("no worker panics while it holds the results");
            results.insert(case::name_of(folder), result);
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, |cores| cores.get()) {
            scope.spawn(work);
        }
    });
    Ok(results.into_inner()?)
}

fn report(results: &Results, ignored: &BTreeMap<&str, &str>) -> Result<bool> {
    let mut surprises = 0;
    for (name, result) in results {
        match (result, ignored.get(name.as_str())) {
            (Err(error), None) => {
                surprises += 1;
                eprintln!("FAILED {name}: {error}");
            }
            (Ok(_), Some(reason)) => {
                surprises += 1;
                eprintln!("FAILED {name}: passes, but is listed as ignored ({reason})");
            }
            _ => {}
        }
    }
    for name in ignored.keys().filter(|name| !results.contains_key(**name)) {
        surprises += 1;
        eprintln!("FAILED {name}: is listed as ignored, but there is no such test");
    }
    let with = |free| {
        results
            .values()
            .filter(|result| result.as_ref().is_ok_and(|passed| passed.free == free))
            .count()
    };
    let by = |computed| {
        results
            .values()
            .filter(|result| {
                result
                    .as_ref()
                    .is_ok_and(|passed| passed.computed == computed)
            })
            .count()
    };
    let passed = results.values().filter(|result| result.is_ok()).count();
    eprintln!(
        "ONNX node tests: {passed} of {} pass ({} with all inputs free, {} with the first, {} with none)",
        results.len(),
        with(Free::All),
        with(Free::First),
        with(Free::None),
    );
    eprintln!(
        "ONNX node tests: {} pass lean, {} with a tract step",
        by(Computed::Lean),
        by(Computed::WithTract),
    );
    eprintln!(
        "conformance: {passed} passed, {surprises} failed, {} skipped",
        ignored.len()
    );
    Ok(surprises == 0)
}
