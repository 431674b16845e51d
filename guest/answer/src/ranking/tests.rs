//! Ranks rows of scores.

use std::collections::BTreeMap;

use expect_test::expect;
use tensorlet_tensor::DatumType;

use super::*;
use crate::model_toml::Confidence;
use crate::testing::row;

fn top_k() -> TopK {
    TopK {
        output: "y".into(),
        labels: "labels.txt".into(),
        k: 3,
        softmax: false,
        confidence: None,
        rename: BTreeMap::new(),
    }
}

fn ranking(top_k: &TopK) -> Ranking {
    Ranking::new(top_k, Some("a\nb\nc\nd\n")).unwrap()
}

fn rank(top_k: &TopK, scores: &[f32], is_text: bool) -> String {
    let outputs = [("y".into(), row(scores))];
    let rows = ranking(top_k).rank(&outputs, || is_text).unwrap();
    let texts: Vec<String> = rows
        .iter()
        .map(|row| match &row.instead_of {
            Some(label) => format!("{} ({label}) {}", row.label, row.score),
            None => format!("{} {}", row.label, row.score),
        })
        .collect();
    texts.join(", ")
}

#[test]
fn the_best_come_first() {
    let text = |scores: &[f32]| rank(&top_k(), scores, false);
    assert_eq!(text(&[0.1, 0.4, 0.2, 0.3]), "b 0.4, d 0.3, c 0.2");
    assert_eq!(text(&[0.5, 0.5, 0.0, 0.5]), "a 0.5, b 0.5, d 0.5");
    assert_eq!(
        text(&[f32::NAN, -1.0, f32::NEG_INFINITY, f32::NAN]),
        "b -1, c -inf, a NaN"
    );
    assert_eq!(text(&[f32::NAN; 4]), "a NaN, b NaN, c NaN");
    let many = TopK { k: 1000, ..top_k() };
    assert_eq!(
        rank(&many, &[4.0, 3.0, 2.0, 1.0], false),
        "a 4, b 3, c 2, d 1"
    );
}

#[test]
fn softmax_makes_shares_of_large_values() {
    let softmax = TopK {
        softmax: true,
        ..top_k()
    };
    assert_eq!(
        rank(
            &softmax,
            &[1000.0, 1000.0, f32::NEG_INFINITY, -1000.0],
            false
        ),
        "a 0.5, b 0.5, c 0"
    );
    assert_eq!(
        rank(&softmax, &[f32::INFINITY; 4], false),
        "a NaN, b NaN, c NaN"
    );
}

fn unsure() -> TopK {
    TopK {
        confidence: Some(Confidence {
            default_threshold: Some(0.5),
            thresholds: BTreeMap::from([("b".into(), 0.9)]),
            fallback_text: "txt".into(),
            fallback_bytes: "unknown".into(),
        }),
        rename: BTreeMap::from([
            ("c".into(), "sea".into()),
            ("unknown".into(), "no idea".into()),
        ]),
        ..top_k()
    }
}

#[test]
fn a_label_below_its_threshold_gives_way() {
    let best = |scores: &[f32], is_text| {
        let rows = rank(&unsure(), scores, is_text);
        rows.split(", ").next().unwrap().to_owned()
    };
    assert_eq!(
        best(&[0.5, 0.0, 0.0, 0.0], true),
        "a 0.5",
        "at the threshold"
    );
    assert_eq!(best(&[0.4, 0.0, 0.0, 0.0], true), "txt (a) 0.4");
    assert_eq!(best(&[0.0, 0.8, 0.0, 0.0], true), "txt (b) 0.8", "its own");
    assert_eq!(best(&[0.0, 0.9, 0.0, 0.0], true), "b 0.9");
    assert_eq!(
        best(&[0.0, 0.8, 0.0, 0.0], false),
        "no idea (b) 0.8",
        "renamed"
    );
    assert_eq!(best(&[f32::NAN; 4], true), "txt (a) NaN");

    let mut lenient = unsure();
    let confidence = lenient.confidence.as_mut().unwrap();
    confidence.default_threshold = None;
    assert_eq!(
        rank(&lenient, &[0.1, 0.0, 0.0, 0.0], true),
        "a 0.1, b 0, sea 0"
    );
}

#[test]
fn every_row_is_renamed() {
    assert_eq!(
        rank(&unsure(), &[0.6, 0.1, 0.3, 0.0], false),
        "a 0.6, sea 0.3, b 0.1"
    );
}

#[test]
fn other_outputs_are_refused() {
    let refused = |outputs: &[NamedTensor]| {
        let error = ranking(&top_k()).rank(outputs, || false).unwrap_err();
        error.to_string()
    };
    let zeros = |datum_type, dims: &[u32]| Tensor::zeros(datum_type, dims.to_vec()).unwrap();
    expect![[r#"
        output `y`: expected f32[1, 4], found no outputs
        output `y`: expected f32[1, 4], found only `x`, `z`
        output `y`: expected f32[1, 4], found f32[1, 5]
        output `y`: expected f32[1, 4], found f32[4]
        output `y`: expected f32[1, 4], found f32[2, 4]
        output `y`: expected f32[1, 4], found f32[1, 0]
        output `y`: expected f32[1, 4], found i32[1, 4]"#]]
    .assert_eq(
        &[
            refused(&[]),
            refused(&[("x".into(), row(&[1.0])), ("z".into(), row(&[1.0]))]),
            refused(&[("y".into(), row(&[1.0; 5]))]),
            refused(&[("y".into(), zeros(DatumType::F32, &[4]))]),
            refused(&[("y".into(), zeros(DatumType::F32, &[2, 4]))]),
            refused(&[("y".into(), zeros(DatumType::F32, &[1, 0]))]),
            refused(&[("y".into(), zeros(DatumType::I32, &[1, 4]))]),
        ]
        .join("\n"),
    );
}

#[test]
fn labels_are_lines() {
    let labels = read_labels("a b\r\n c \na b\n\n").unwrap();
    assert_eq!(labels, ["a b", "c", "a b"], "the same label twice is fine");
}

#[test]
fn labels_that_do_not_fit_are_refused() {
    let refused = |top_k: &TopK, labels| Ranking::new(top_k, labels).unwrap_err().to_string();
    let mut threshold = unsure();
    let thresholds = &mut threshold.confidence.as_mut().unwrap().thresholds;
    thresholds.insert("e".into(), 0.5);
    let mut rename = unsure();
    rename.rename.insert("f".into(), "g".into());
    expect![[r#"
        labels: expected the text of `labels.txt`, found nothing
        labels line 1: expected a label, found nothing
        labels line 2: expected a label, found nothing
        labels line 1: expected at most 1024 bytes, found 1025
        labels line 1048577: expected at most 1048576 labels, found one more
        model.toml, field `postprocess.thresholds`: expected one of the labels, found `e`
        model.toml, field `postprocess.rename`: expected one of the labels, found `f`"#]]
    .assert_eq(
        &[
            refused(&top_k(), None),
            refused(&top_k(), Some("\n")),
            refused(&top_k(), Some("a\n\nb")),
            refused(&top_k(), Some(&"a".repeat(1025))),
            refused(&top_k(), Some(&"a\n".repeat(MAX_LABELS + 1))),
            refused(&threshold, Some("a\nb\nc\nd")),
            refused(&rename, Some("a\nb\nc\nd")),
        ]
        .join("\n"),
    );
}
