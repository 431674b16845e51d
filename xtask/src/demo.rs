//! `cargo xtask demo`: from ONNX files to answers, on real input.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use xshell::{Shell, cmd};

use crate::build;
use crate::build::CLI;
use crate::models::{self, CASES};
use crate::table::{Table, mb, ms};

const DIR: &str = "target/demo";

/// What each model is shown with.
const SHOWS: &[Show] = &[
    Show {
        model: "magika",
        what: "the types of some files of this repository",
        files: &[
            "Cargo.toml",
            "README.md",
            "xtask/src/main.rs",
            "models/references.py",
            "models/samples/coffee.png",
            "models/samples/speech.wav",
            "models/magika/model.toml",
            ".ci/run",
        ],
    },
    Show {
        model: "efficientnet-lite0",
        what: "what is on two pictures",
        files: &["models/samples/coffee.png", "models/samples/rocket.jpg"],
    },
    Show {
        model: "ppocr-cls",
        what: "whether two lines of text are upright or turned by 180 degrees",
        files: &["models/samples/line-0.png", "models/samples/line-180.png"],
    },
    Show {
        model: "silero-vad",
        what: "where somebody speaks, in seconds",
        files: &["models/samples/speech.wav"],
    },
];

struct Show {
    model: &'static str,
    what: &'static str,
    files: &'static [&'static str],
}

/// A compiled model.
struct Compiled {
    model: String,
    component: String,
    took: Duration,
}

/// Builds the CLI, compiles every model, predicts, and tells sizes and times.
pub(crate) fn run(sh: &Shell) -> Result<()> {
    build::run(sh)?;

    println!("\n== Each model becomes one component ==");
    let mut compiled = Vec::new();
    for model in models::names(sh)? {
        let (component, took) = models::compile(sh, &model, DIR)?;
        compiled.push(Compiled {
            model,
            component,
            took,
        });
    }

    for show in SHOWS {
        println!("\n== {}: {} ==", show.model, show.what);
        let files = show.files.iter().filter(|file| sh.path_exists(file));
        let component = format!("{DIR}/{}.wasm", show.model);
        cmd!(sh, "{CLI} predict {component} {files...}").run()?;
    }

    println!("\n== How large, and how long it takes ==");
    print!("{}", figures(sh, &compiled)?);
    println!(
        "\nload: from the cache of compiled code, which `tensorlet predict` above filled. first, steady: one call, of"
    );
    println!("one row; steady is the median. Try: {CLI} predict {DIR}/magika.wasm FILE…");
    Ok(())
}

fn figures(sh: &Shell, compiled: &[Compiled]) -> Result<Table> {
    let mut table = Table::new(&[
        "model",
        "ONNX",
        "component",
        "build",
        "load",
        "instantiate",
        "first",
        "steady",
    ]);
    for Compiled {
        model,
        component,
        took,
    } in compiled
    {
        let case = CASES.iter().find(|case| case.model == model);
        let inputs = case.map_or(&[][..], |case| case.inputs);
        let figures = models::measure(sh, component, inputs, 20)?;
        table.row(vec![
            model.clone(),
            size(sh, &format!("models/{model}/model.onnx"))?,
            size(sh, component)?,
            format!("{:.1} s", took.as_secs_f64()),
            ms(figures.load_ms),
            figures.instantiate_ms.map_or_else(|| "-".to_owned(), ms),
            ms(figures.first_ms),
            ms(figures.median_ms),
        ]);
    }
    Ok(table)
}

fn size(sh: &Shell, path: &str) -> Result<String> {
    let metadata = fs::metadata(sh.current_dir().join(path))
        .with_context(|| format!("expected a file {path}"))?;
    Ok(mb(metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_files_that_exist() {
        // These are to come, and the demo passes over them until then.
        let to_come = ["README.md"];
        for show in SHOWS {
            for file in show.files.iter().filter(|file| !to_come.contains(file)) {
                assert!(
                    crate::root().join(file).exists(),
                    "{file} of {} must exist",
                    show.model
                );
            }
        }
    }
}
