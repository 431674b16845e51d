//! Recordings made here, and that of `models/`.

use hound::WavWriter;

use super::*;
use crate::model_toml::State;
use crate::testing::{damage, model, model_file, npy, row};
use crate::{Answer, AnswerError};

fn audio_input(chunk: u32, context: u32) -> AudioInput {
    AudioInput {
        input: "x".into(),
        sample_rate: 8000,
        chunk,
        context,
        state: vec![],
    }
}

fn wav<S: hound::Sample + Copy>(channels: u16, bits_per_sample: u16, samples: &[S]) -> Vec<u8> {
    let spec = WavSpec {
        channels,
        sample_rate: 8000,
        bits_per_sample,
        sample_format: if size_of::<S>() == 4 && bits_per_sample == 32 {
            SampleFormat::Float
        } else {
            SampleFormat::Int
        },
    };
    let mut file = Cursor::new(vec![]);
    let mut writer = WavWriter::new(&mut file, spec).unwrap();
    for &sample in samples {
        writer.write_sample(sample).unwrap();
    }
    writer.finalize().unwrap();
    file.into_inner()
}

fn windows(input: &AudioInput, file: &[u8]) -> Vec<Vec<f32>> {
    let recording = input.decode(file).unwrap();
    recording.windows().map(<[f32]>::to_vec).collect()
}

#[test]
fn chunks_overlap_by_the_context_and_the_last_is_padded() {
    let file = wav(1, 32, &[1.0f32, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(
        windows(&audio_input(2, 1), &file),
        [[0.0, 1.0, 2.0], [2.0, 3.0, 4.0], [4.0, 5.0, 0.0]]
    );
    assert_eq!(windows(&audio_input(5, 0), &file).len(), 1);
    assert_eq!(
        windows(&audio_input(2, 3), &file)[1],
        [0.0, 1.0, 2.0, 3.0, 4.0],
        "the context may be longer than a chunk"
    );
}

#[test]
fn every_depth_is_scaled_to_1() {
    let input = audio_input(2, 0);
    assert_eq!(windows(&input, &wav(1, 8, &[-128i8, 64]))[0], [-1.0, 0.5]);
    assert_eq!(
        windows(&input, &wav(1, 16, &[i16::MIN, 16384]))[0],
        [-1.0, 0.5]
    );
    assert_eq!(
        windows(&input, &wav(1, 24, &[-(1i32 << 23), 1 << 22]))[0],
        [-1.0, 0.5]
    );
}

#[test]
fn times_end_with_the_recording() {
    let file = wav(1, 16, &[0i16; 9]);
    let recording = audio_input(8, 2).decode(&file).unwrap();
    let spans: Vec<(f64, f64)> = recording.chunk_spans_s().collect();
    assert_eq!(spans, [(0.0, 0.001), (0.001, 0.001125)]);
    assert_eq!(recording.windows().count(), spans.len());
}

#[test]
fn other_recordings_are_refused() {
    let refused = |input: &AudioInput, file: &[u8]| match input.decode(file) {
        Ok(_) => "nothing wrong".into(),
        Err(error) => error.to_string(),
    };
    let input = audio_input(2, 0);
    let other_rate = AudioInput {
        sample_rate: 16000,
        ..input.clone()
    };
    let cut = &wav(1, 16, &[1i16; 9])[..50];
    let mut adpcm = wav(1, 16, &[1i16; 9]);
    adpcm[20] = 2;
    let mut long = wav(1, 16, &[1i16; 9]);
    long[40..44].copy_from_slice(&(1u32 << 31).to_le_bytes());
    expect_test::expect![[r#"
        file: expected a WAV file, PCM or 32-bit float, found a damaged or cut one
        file: expected a WAV file, PCM or 32-bit float, found another format, or a damaged one
        file: expected a mono recording at 8000 Hz, found one with 2 channels at 8000 Hz
        file: expected a mono recording at 16000 Hz, found a mono one at 8000 Hz
        file: expected a recording of 1 to 2097152 samples, found 0
        file: expected a WAV file, PCM or 32-bit float, found a damaged or cut one
        file: expected a WAV file, PCM or 32-bit float, found a WAV file of another encoding
        file: expected a recording of 1 to 2097152 samples, found 1073741824"#]]
    .assert_eq(
        &[
            refused(&input, b""),
            refused(&input, b"no recording at all"),
            refused(&input, &wav(2, 16, &[1i16; 4])),
            refused(&other_rate, &wav(1, 16, &[1i16; 4])),
            refused(&input, &wav::<i16>(1, 16, &[])),
            refused(&input, cut),
            refused(&input, &adpcm),
            refused(&input, &long),
        ]
        .join("\n"),
    );
}

#[test]
fn damaged_files_give_inputs_or_an_error() {
    let input = audio_input(2, 1);
    for file in [
        wav(1, 8, &[1i8; 5]),
        wav(1, 16, &[1i16; 5]),
        wav(1, 24, &[1i32; 5]),
        wav(1, 32, &[1.0f32; 5]),
        wav(3, 16, &[1i16; 6]),
    ] {
        damage(&file, |file| {
            if let Ok(recording) = input.decode(file) {
                assert!(recording.windows().all(|window| window.len() == 3));
            }
        });
    }
}

#[test]
fn state_goes_from_call_to_call() {
    let mut input = audio_input(2, 0);
    input.state.push(State {
        input: "s".into(),
        output: "t".into(),
        dims: vec![1, 2],
    });
    let first = input.first_state();
    assert_eq!(first, [("s".into(), row(&[0.0, 0.0]))]);
    let outputs = [("y".into(), row(&[1.0])), ("t".into(), row(&[3.0, 4.0]))];
    let next = input.next_state(&outputs).unwrap();
    assert_eq!(next, [("s".into(), row(&[3.0, 4.0]))]);
    let inputs = input.inputs(&[5.0, 6.0], next);
    assert_eq!(inputs[0], ("x".into(), row(&[5.0, 6.0])));
    assert_eq!(inputs[1].0, "s");

    let missing = input.next_state(&outputs[..1]).unwrap_err();
    assert_eq!(
        missing.to_string(),
        "output `t`: expected f32[1, 2], found only `y`"
    );
    let other = input.next_state(&[("t".into(), row(&[3.0]))]).unwrap_err();
    assert_eq!(
        other.to_string(),
        "output `t`: expected f32[1, 2], found f32[1, 1]"
    );
}

#[test]
fn inputs_are_those_of_the_reference() {
    let Some(crate::Preprocess::Audio(audio)) = model("silero-vad").preprocess else {
        panic!("silero-vad listens");
    };
    let recording = audio.decode(&model_file("samples/speech.wav")).unwrap();
    let expected = npy(
        "silero-vad/reference/stream/inputs/input.npy",
        f32::from_le_bytes,
    );
    let steps = expected.len() / 576;
    let found: Vec<f32> = recording.windows().take(steps).flatten().copied().collect();
    assert!(expected == found, "the same samples, bit for bit");
}

#[test]
fn an_answer_is_made_of_one_call_a_chunk() {
    let answerer = model("silero-vad").answerer(None).unwrap();
    let file = model_file("samples/speech.wav");
    let state = |value: f32| Tensor::from_values(vec![2, 1, 128], &[value; 256]).unwrap();
    let mut calls = 0u8;
    let answer = answerer.answer(&file, |inputs| {
        assert_eq!(inputs[1], ("state".into(), state(f32::from(calls))));
        calls += 1;
        if calls == 200 {
            return Err("tired");
        }
        let score = if (3..=4).contains(&calls) { 0.75 } else { 0.25 };
        Ok(vec![
            ("output".into(), row(&[score])),
            ("stateN".into(), state(f32::from(calls))),
        ])
    });
    match answer {
        Ok(Answer::Speech(speech)) => {
            assert_eq!(speech.scores.len(), usize::from(calls));
            assert_eq!(speech.segments.len(), 1);
            let segment = &speech.segments[0];
            assert_eq!((segment.start_s, segment.end_s), (0.064, 0.128));
        }
        Err(AnswerError::Predict(error)) => assert_eq!((error, calls), ("tired", 200)),
        other => panic!("{other:?}"),
    }
}
