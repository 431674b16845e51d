//! Whole answers, with the references' outputs in the place of a model.

use serde_json::{Value, json};

use super::*;
use crate::testing::{model, model_file, npy, row};

fn answerer(name: &str) -> Answerer {
    let model = model(name);
    let labels = model
        .labels_path()
        .map(|path| String::from_utf8(model_file(&format!("{name}/{path}"))).unwrap());
    model.answerer(labels.as_deref()).unwrap()
}

/// Checks the answers of a reference: `rows` files, of which the last may have no name.
fn check_reference(name: &str, case: &str, output: &str) {
    let answerer = answerer(name);
    let folder = format!("{name}/reference/{case}");
    let expected: Value =
        serde_json::from_slice(&model_file(&format!("{folder}/answer.json"))).unwrap();
    let file_name = output.replace('/', "_");
    let scores = npy(
        &format!("{folder}/outputs/{file_name}.npy"),
        f32::from_le_bytes,
    );
    let samples = expected["samples"].as_array().unwrap();
    let len = scores.len() / samples.len();
    for (index, sample) in samples.iter().enumerate() {
        let Some(sample) = sample.as_str() else {
            continue;
        };
        let file = model_file(&format!("samples/{sample}"));
        let answer = answerer.answer(&file, |_| {
            let scores = &scores[index * len..][..len];
            Ok::<_, AnswerError<()>>(vec![(output.into(), row(scores))])
        });
        let answer = serde_json::to_value(answer.unwrap()).unwrap();
        let best = &answer["labels"][0];
        assert_eq!(best["label"], expected["labels"][index], "{name} {sample}");
        let scores = [&best["score"], &expected["scores"][index]];
        let [found, expected] = scores.map(|score| score.as_f64().unwrap());
        assert!((found - expected).abs() < 1e-4, "{name} {sample}: {answer}");
    }
}

#[test]
fn answers_are_those_of_the_references() {
    check_reference("efficientnet-lite0", "coffee", "probabilities");
    check_reference("efficientnet-lite0", "rocket", "probabilities");
    check_reference("ppocr-cls", "line-0", "save_infer_model/scale_0.tmp_1");
    check_reference("ppocr-cls", "line-180", "save_infer_model/scale_0.tmp_1");
    check_reference("magika", "batch-1", "target_label");
    check_reference("magika", "batch-3", "target_label");
    check_reference("magika", "batch-8", "target_label");
}

#[test]
fn bytes_are_those_of_the_references() {
    let answerer = answerer("magika");
    let expected = npy(
        "magika/reference/batch-3/inputs/bytes.npy",
        i32::from_le_bytes,
    );
    for (sample, expected) in ["settings.toml", "guide.md", "coffee.png"]
        .iter()
        .zip(expected.chunks(2048))
    {
        let inputs = answerer
            .inputs(&model_file(&format!("samples/{sample}")))
            .unwrap();
        assert_eq!(inputs[0].1.type_text(), "i32[1, 2048]");
        assert!(
            inputs[0].1.to_values().as_deref() == Some(expected),
            "{sample}"
        );
    }
}

#[test]
fn an_unsure_answer_is_that_of_the_bytes() {
    let answer = |file: &[u8]| {
        let answer = answerer("magika").answer(file, |_| {
            Ok::<_, AnswerError<()>>(vec![("target_label".into(), row(&[0.0; 214]))])
        });
        serde_json::to_value(answer.unwrap()).unwrap()["labels"][0].take()
    };
    let row = |label| json!({"label": label, "score": 0.0, "instead_of": "3gp"});
    assert_eq!(answer("größer".as_bytes()), row("txt"));
    assert_eq!(answer(b"\xff\xfe"), row("unknown"));
}

#[test]
fn inputs_of_a_recording_are_those_of_its_first_call() {
    let inputs = answerer("silero-vad")
        .inputs(&model_file("samples/speech.wav"))
        .unwrap();
    let types: Vec<String> = inputs
        .iter()
        .map(|(name, tensor)| format!("{name}: {}", tensor.type_text()))
        .collect();
    assert_eq!(types, ["input: f32[1, 576]", "state: f32[2, 1, 128]"]);
}

#[test]
fn errors_say_who_is_at_fault() {
    let answerer = answerer("efficientnet-lite0");
    let picture = model_file("samples/coffee.png");
    let error = |file: &[u8], outputs: Result<Vec<NamedTensor>, NoAnswerer>| {
        let error = answerer.answer(file, |_| outputs.clone()).unwrap_err();
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        (error.to_string(), cause)
    };
    assert_eq!(
        error(&picture, Ok(vec![])),
        (
            "output `probabilities`: expected f32[1, 1000], found no outputs".into(),
            None
        )
    );
    let (text, cause) = error(&picture, Err(NoAnswerer::NoPipeline));
    assert_eq!(text, "the inputs made of the file gave no outputs");
    assert_eq!(cause, Some(NoAnswerer::NoPipeline.to_string()));
    let (text, cause) = error(b"", Ok(vec![]));
    assert!(text.starts_with("file: expected a PNG") && cause.is_some());
}

#[test]
fn speech_is_told_as_json() {
    let answer = Answer::Speech(crate::Speech {
        segments: vec![crate::Segment {
            start_s: 0.5,
            end_s: 1.0,
            peak: 0.75,
        }],
        scores: vec![0.25, 0.75],
    });
    let expected = json!({"speech": {
        "segments": [{"start_s": 0.5, "end_s": 1.0, "peak": 0.75}],
        "scores": [0.25, 0.75],
    }});
    assert_eq!(serde_json::to_value(answer).unwrap(), expected);
}

#[test]
fn a_model_without_postprocess_has_no_answerer() {
    let mut model = model("magika");
    model.postprocess = None;
    let error = model.answerer(None).unwrap_err();
    assert_eq!(error, NoAnswerer::NoPipeline);
}
