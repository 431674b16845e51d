//! `cargo xtask bench --density`: what instances of one model take while they are idle, beside sessions of ONNX Runtime.
//!
//! Each figure is of a process that makes instances one after the other, has each predict twice, and reads what the system tells of its
//! memory when there are as many as in [`INSTANCES`].

use std::fmt;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use xshell::{Shell, cmd};

use super::contender::{NATIVE_BENCH, python};
use super::machine::Machine;
use super::{CACHE_DIR, component, model_file};
use crate::models::Case;
use crate::table::{Table, kb, mb};

/// How many instances there are.
const INSTANCES: &str = "1,10,50,200";

/// How many sessions there are. Each takes more than 30 times what an instance does.
const SESSIONS: &str = "1,10,50";

/// All that was measured.
#[derive(Serialize)]
pub(crate) struct Density {
    pub(crate) date: String,
    pub(crate) machine: Machine,
    model: &'static str,
    input: &'static str,
    holders: Vec<Holder>,
}

/// One process, with instances or sessions.
#[derive(Serialize)]
struct Holder {
    label: &'static str,
    samples: Vec<Sample>,
}

/// The memory of a process. In `rss_bytes`, `file_bytes` and `shared_bytes` a page counts as often as it is mapped.
#[derive(Clone, Copy, Deserialize, Serialize)]
struct Sample {
    instances: u32,
    rss_bytes: u64,
    anonymous_bytes: u64,
    file_bytes: u64,
    shared_bytes: u64,
    pss_bytes: u64,
    page_table_bytes: u64,
}

impl Density {
    /// Measures a model that has been compiled.
    pub(crate) fn measure(sh: &Shell, case: &Case, date: String) -> Result<Self> {
        let holders = vec![
            Holder {
                label: "offloaded",
                samples: instances(sh, case, &[])?,
            },
            Holder {
                label: "in guest",
                samples: instances(sh, case, &["--no-offload"])?,
            },
            Holder {
                label: "ORT sessions",
                samples: sessions(sh, case)?,
            },
        ];
        Ok(Self {
            date,
            machine: Machine::find(sh)?,
            model: case.model,
            input: case.input,
            holders,
        })
    }
}

fn instances(sh: &Shell, case: &Case, options: &[&str]) -> Result<Vec<Sample>> {
    let component = component(case.model);
    let inputs = case.inputs;
    let read = |counts: &str| {
        cmd!(
            sh,
            "{NATIVE_BENCH} density {component} {CACHE_DIR} --counts {counts} {options...} {inputs...}"
        )
        .quiet()
        .read()
    };
    // Fills the cache of compiled code; compiling leaves memory behind that is not counted.
    read("1")?;
    samples(&read(INSTANCES)?)
}

fn sessions(sh: &Shell, case: &Case) -> Result<Vec<Sample>> {
    let model = model_file(case.model);
    let inputs = case.inputs.iter().chain(case.bound).copied();
    let arguments = [&*model, SESSIONS].into_iter().chain(inputs);
    samples(&python(sh, "ort_density.py", arguments)?)
}

fn samples(output: &str) -> Result<Vec<Sample>> {
    serde_json::from_str(output)
        .with_context(|| format!("expected samples as JSON, found `{output}`"))
}

impl fmt::Display for Density {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { cpu, cores, .. } = &self.machine;
        writeln!(
            f,
            "{cpu}, {cores} cores; {}, {}, idle after two calls each\n",
            self.model, self.input
        )?;
        let mut table = Table::new(&[
            "",
            "instances",
            "resident",
            "anonymous",
            "from files",
            "pages once",
            "page tables",
            "each: resident",
            "pages once",
            "page tables",
        ]);
        for Holder { label, samples } in &self.holders {
            for (index, sample) in samples.iter().enumerate() {
                let each = |figure: fn(&Sample) -> u64| kb(each(&samples[0], sample, figure));
                table.row(vec![
                    if index == 0 { label } else { "" }.to_owned(),
                    sample.instances.to_string(),
                    mb(sample.rss_bytes),
                    mb(sample.anonymous_bytes),
                    mb(sample.file_bytes + sample.shared_bytes),
                    mb(sample.pss_bytes),
                    mb(sample.page_table_bytes),
                    each(|sample| sample.rss_bytes),
                    each(|sample| sample.pss_bytes),
                    each(|sample| sample.page_table_bytes),
                ]);
            }
        }
        writeln!(f, "{table}")?;
        writeln!(
            f,
            "each: (of n instances − of the first) ÷ (n − 1). resident counts a page of a file as often as it is mapped,"
        )?;
        writeln!(
            f,
            "pages once divides it among its mappings; page tables are in neither."
        )
    }
}

/// Returns what each instance adds to the first ones; NaN if there are no more.
fn each(first: &Sample, sample: &Sample, figure: fn(&Sample) -> u64) -> f64 {
    let more = f64::from(sample.instances) - f64::from(first.instances);
    (figure(sample) as f64 - figure(first) as f64) / more
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::models::CASES;

    fn sample(instances: u32) -> Sample {
        let each = u64::from(instances);
        Sample {
            instances,
            rss_bytes: 40_000_000 + 800_000 * each,
            anonymous_bytes: 10_000_000 + 600_000 * each,
            file_bytes: 30_000_000 + 100_000 * each,
            shared_bytes: 100_000 * each,
            pss_bytes: 39_000_000 + 700_000 * each,
            page_table_bytes: 200_000 + 20_000 * each,
        }
    }

    #[test]
    fn tells_what_each_adds() {
        let density = Density {
            date: String::new(),
            machine: Machine::of("A CPU", 2),
            model: CASES[0].model,
            input: CASES[0].input,
            holders: vec![
                Holder {
                    label: "offloaded",
                    samples: vec![sample(1), sample(200)],
                },
                Holder {
                    label: "ORT sessions",
                    samples: vec![sample(1)],
                },
            ],
        };
        expect![[r#"
            A CPU, 2 cores; efficientnet-lite0, 1×3×224×224, idle after two calls each

                          instances  resident  anonymous  from files  pages once  page tables  each: resident  pages once  page tables
            ────────────  ─────────  ────────  ─────────  ──────────  ──────────  ───────────  ──────────────  ──────────  ───────────
            offloaded             1   40.8 MB    10.6 MB     30.2 MB     39.7 MB       0.2 MB               –           –            –
                                200  200.0 MB   130.0 MB     70.0 MB    179.0 MB       4.2 MB          800 kB      700 kB        20 kB
            ORT sessions          1   40.8 MB    10.6 MB     30.2 MB     39.7 MB       0.2 MB               –           –            –

            each: (of n instances − of the first) ÷ (n − 1). resident counts a page of a file as often as it is mapped,
            pages once divides it among its mappings; page tables are in neither.
        "#]].assert_eq(&density.to_string());
    }

    #[test]
    fn reads_what_processes_print() {
        let sample = r#"{"instances":1,"rss_bytes":7,"anonymous_bytes":2,"file_bytes":3,"shared_bytes":2,"pss_bytes":6,"page_table_bytes":1}"#;
        let samples = samples(&format!("[{sample}]")).unwrap();
        assert_eq!((samples[0].instances, samples[0].pss_bytes), (1, 6));
        assert!(super::samples("Killed").is_err());
    }
}
