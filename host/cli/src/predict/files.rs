//! Answers for files, by the model's own pre- and post-processing.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use tensorlet_answer::{Answer, Answerer, LABELS_KEY, MODEL_TOML_KEY, ModelToml};
use tensorlet_runtime::{CallOptions, Model};

use crate::args::PredictArgs;
use crate::clock::timed;
use crate::exit::Failure;
use crate::json;
use crate::table::Table;
use crate::units::{ms, ms_text};

/// What the model says about one file. As JSON, an element of the output.
#[derive(Debug, Serialize)]
struct Answered {
    file: String,
    #[serde(flatten)]
    answer: Answer,
    /// How long the calls to the model took together, without reading and preparing the file.
    latency_ms: f64,
}

/// Answers for each file and prints the answers. A file that has none ends it, after the answers so far.
pub(super) fn run(args: &PredictArgs, model: &Model, options: &CallOptions) -> Result<()> {
    let answerer = answerer(model).with_context(|| args.component.display().to_string())?;
    let mut answers = vec![];
    let mut failed = None;
    for file in &args.files {
        match answer(&answerer, model, options, file) {
            Ok(answer) => answers.push(answer),
            Err(error) => {
                failed = Some(error.context(file.display().to_string()));
                break;
            }
        }
    }
    match (&failed, args.json) {
        // A list that ends early would pass for a whole one.
        (Some(_), true) => {}
        (None, true) => json::print(&answers)?,
        (_, false) if answers.is_empty() => {}
        (_, false) => write!(std::io::stdout().lock(), "{}", table(&answers))?,
    }
    failed.map_or(Ok(()), Err)
}

fn answerer(model: &Model) -> Result<Answerer> {
    let metadata = &model.description().metadata;
    let Some(text) = metadata.get(MODEL_TOML_KEY) else {
        let message = "expected a model that takes files, built of a folder with a model.toml, found one that takes tensors; \
                       give them with --input NAME=FILE";
        return Err(Failure::input(message).into());
    };
    let labels = metadata.get(LABELS_KEY).map(String::as_str);
    Ok(ModelToml::parse(text)?.answerer(labels)?)
}

fn answer(
    answerer: &Answerer,
    model: &Model,
    options: &CallOptions,
    file: &Path,
) -> Result<Answered> {
    let bytes = fs::read(file).context("cannot read the file")?;
    let mut latency = Duration::ZERO;
    let answer = answerer.answer(&bytes, |inputs| {
        let (outputs, time) = timed(|| model.predict(&inputs, options));
        latency += time;
        outputs
    })?;
    Ok(Answered {
        file: file.display().to_string(),
        answer,
        latency_ms: ms(latency),
    })
}

fn table(answers: &[Answered]) -> Table {
    let speech = answers
        .iter()
        .any(|answered| matches!(answered.answer, Answer::Speech(_)));
    let mut table = Table::new(&[
        "file",
        if speech { "speech" } else { "label" },
        "score",
        "latency",
    ]);
    for Answered {
        file,
        answer,
        latency_ms,
    } in answers
    {
        let mut rows = rows(answer).into_iter();
        let (what, score) = rows
            .next()
            .unwrap_or_else(|| ("none".into(), String::new()));
        table.row([file.clone(), what, score, ms_text(*latency_ms)]);
        for (what, score) in rows {
            table.row([String::new(), what, score, String::new()]);
        }
    }
    table
}

/// Returns what an answer says, and how sure the model is.
fn rows(answer: &Answer) -> Vec<(String, String)> {
    let score = |score: f32| format!("{score:.4}");
    match answer {
        Answer::Labels(labels) => labels
            .iter()
            .map(|row| match &row.instead_of {
                Some(unsure) => (
                    format!("{} (unsure: {unsure})", row.label),
                    score(row.score),
                ),
                None => (row.label.clone(), score(row.score)),
            })
            .collect(),
        Answer::Speech(speech) => speech
            .segments
            .iter()
            .map(|segment| {
                (
                    format!("{:.2} s to {:.2} s", segment.start_s, segment.end_s),
                    score(segment.peak),
                )
            })
            .collect(),
        _ => vec![],
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use tensorlet_answer::{LabelScore, Segment, Speech};

    use super::*;

    fn label(label: &str, score: f32, instead_of: Option<&str>) -> LabelScore {
        LabelScore {
            label: label.into(),
            score,
            instead_of: instead_of.map(str::to_owned),
        }
    }

    fn answered(file: &str, answer: Answer) -> Answered {
        Answered {
            file: file.into(),
            answer,
            latency_ms: 32.04,
        }
    }

    #[test]
    fn labels_stand_below_each_other() {
        let answers = [
            answered(
                "coffee.png",
                Answer::Labels(vec![
                    label("espresso", 0.91234, None),
                    label("cup", 0.05, None),
                ]),
            ),
            answered(
                "x\x1b[2J",
                Answer::Labels(vec![label("txt", 0.4, Some("markdown"))]),
            ),
        ];
        expect![[r#"
             file         label                    score    latency
            ────────────────────────────────────────────────────────
             coffee.png   espresso                 0.9123   32.0 ms
                          cup                      0.0500
             x\u{1b}[2J   txt (unsure: markdown)   0.4000   32.0 ms
        "#]]
        .assert_eq(&table(&answers).to_string());
    }

    #[test]
    fn speech_has_a_row_a_segment() {
        let speech = |segments| {
            Answer::Speech(Speech {
                segments,
                scores: vec![],
            })
        };
        let answers = [
            answered(
                "a.wav",
                speech(vec![Segment {
                    start_s: 0.32,
                    end_s: 1.984,
                    peak: 0.99,
                }]),
            ),
            answered("b.wav", speech(vec![])),
        ];
        expect![[r#"
             file    speech             score    latency
            ─────────────────────────────────────────────
             a.wav   0.32 s to 1.98 s   0.9900   32.0 ms
             b.wav   none                        32.0 ms
        "#]]
        .assert_eq(&table(&answers).to_string());
    }

    #[test]
    fn json_holds_the_whole_answer() {
        let answers = [answered("a", Answer::Labels(vec![label("b", 0.5, None)]))];
        assert_eq!(
            serde_json::to_string(&answers).unwrap(),
            r#"[{"file":"a","labels":[{"label":"b","score":0.5}],"latency_ms":32.04}]"#
        );
    }
}
