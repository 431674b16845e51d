//! Answerers, good ones and hostile ones.

use std::path::Path;
use std::time::Duration;

use tensorlet_answer::Answer;
use tensorlet_runtime::{
    AnswerError, Answerer, Engine, EngineConfig, Limits, LoadErrorKind, LoadOptions,
    PredictErrorKind,
};

use crate::puppet::{self, encode};

const WORLD: &str = "import tensorlet:model/predict@0.1.0; export tensorlet:model/answer@0.1.0;";

/// Puts components into one, as `tensorlet build` does.
fn compose(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut composed = b"\0asm\x0d\0\x01\0".to_vec();
    for part in parts {
        const COMPONENT_SECTION: u8 = 4;
        composed.push(COMPONENT_SECTION);
        let mut len = part.len();
        while len >= 0x80 {
            composed.push(len as u8 | 0x80);
            len >>= 7;
        }
        composed.push(len as u8);
        composed.extend_from_slice(part);
    }
    composed
}

fn load(parts: &[Vec<u8>]) -> Result<Option<Answerer>, tensorlet_runtime::LoadError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.wasm");
    std::fs::write(&path, compose(parts)).unwrap();
    let limits = Limits {
        memory_bytes: 16 << 20,
        ..Limits::default()
    };
    let engine = Engine::new(&EngineConfig::default()).unwrap();
    engine.load_answerer(&path, &limits)
}

#[test]
fn what_was_compiled_before_is_taken_from_the_cache() {
    let dir = tempfile::tempdir().unwrap();
    let config = EngineConfig {
        cache_dir: Some(dir.path().join("cache")),
        ..EngineConfig::default()
    };
    let engine = Engine::new(&config).unwrap();
    let kept = || {
        let entries = std::fs::read_dir(dir.path().join("cache")).unwrap();
        let entries = entries.map(|entry| entry.unwrap());
        let lens = entries.map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                entry.metadata().unwrap().len(),
            )
        });
        let mut lens: Vec<_> = lens
            .filter(|(name, _)| name.ends_with("-answerer.cwasm"))
            .collect();
        lens.sort();
        lens
    };
    let path = dir.path().join("model.wasm");
    let load = |component: Vec<u8>| {
        std::fs::write(&path, component).unwrap();
        engine.load_answerer(&path, &Limits::default()).unwrap()
    };

    let component = compose(&[encode(include_str!("answerer.wat"), WORLD)]);
    assert!(load(component.clone()).is_some());
    let [(_, len)] = kept()[..] else {
        panic!("expected one answerer, found {:?}", kept());
    };
    assert!(len > 0);
    for _ in 0..2 {
        let answerer = load(component.clone()).unwrap();
        answerer.answer(b"n", None, |_| Ok(vec![])).unwrap();
    }
    assert_eq!(kept().len(), 1);

    // That there is none is kept as well.
    for _ in 0..2 {
        assert!(load(compose(&[])).is_none());
        let lens: Vec<u64> = kept().iter().map(|&(_, len)| len).collect();
        assert_eq!(lens.iter().filter(|&&len| len == 13).count(), 1, "{lens:?}");
    }
    assert_eq!(kept().len(), 2);

    // What was cut off is neither of them.
    for (name, _) in kept() {
        std::fs::write(dir.path().join("cache").join(name), b"").unwrap();
    }
    assert!(load(component).is_some());
    assert!(load(compose(&[])).is_none());
    assert!(kept().iter().all(|&(_, len)| len > 0));
}

#[test]
fn a_kept_model_that_was_cut_off_is_compiled_again() {
    let dir = tempfile::tempdir().unwrap();
    let config = EngineConfig {
        cache_dir: Some(dir.path().join("cache")),
        ..EngineConfig::default()
    };
    let engine = Engine::new(&config).unwrap();
    let path = dir.path().join("model.wasm");
    std::fs::write(&path, puppet::component()).unwrap();
    for cut_off in [b"".as_slice(), b"no such part\n"] {
        engine.load(&path, LoadOptions::default()).unwrap();
        for entry in std::fs::read_dir(dir.path().join("cache")).unwrap() {
            let kept = entry.unwrap().path();
            if kept
                .extension()
                .is_some_and(|extension| extension == "cwasm")
            {
                std::fs::write(kept, cut_off).unwrap();
            }
        }
        engine.load(&path, LoadOptions::default()).unwrap();
    }
}

fn answerer() -> Answerer {
    let component = encode(include_str!("answerer.wat"), WORLD);
    load(&[component]).unwrap().unwrap()
}

/// Returns the kind of error with which a call ends that does what the file says.
#[track_caller]
fn ends_with(file: &[u8], timeout: Duration) -> PredictErrorKind {
    let answered = answerer().answer(file, Some(timeout), |_| Ok(vec![]));
    match answered.unwrap_err() {
        AnswerError::Call(error) => error.kind(),
        other => panic!("expected the call to end, found {other:?}"),
    }
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn answers_again_and_again() {
    let answerer = answerer();
    for _ in 0..3 {
        let answer = answerer.answer(b"n", None, |_| Ok(vec![])).unwrap();
        assert_eq!(answer, Answer::Labels(vec![]));
    }
}

#[test]
fn predict_is_the_callers() {
    let answerer = answerer();
    let (sender, calls) = std::sync::mpsc::channel();
    let answer = answerer.answer(b"p", None, move |inputs| {
        sender.send(inputs.len()).unwrap();
        Ok(vec![])
    });
    assert_eq!(answer.unwrap(), Answer::Labels(vec![]));
    assert_eq!(calls.iter().collect::<Vec<_>>(), [0], "one call");

    let failed = answerer.answer(b"p", None, |_| Err("13 is unlucky".into()));
    let error = failed.unwrap_err();
    assert!(
        matches!(&error, AnswerError::Failed(reason) if reason == "13 is unlucky"),
        "{error:?}"
    );
}

#[test]
fn a_file_that_is_not_taken_is_told() {
    let error = answerer().answer(b"i", None, |_| Ok(vec![])).unwrap_err();
    assert_eq!(error.to_string(), "file: expected a word, found a");
}

#[test]
fn what_loops_is_interrupted() {
    let kind = ends_with(b"l", Duration::from_millis(20));
    assert_eq!(kind, PredictErrorKind::DeadlineExceeded);
}

#[test]
fn what_grows_is_limited() {
    assert_eq!(ends_with(b"g", LONG), PredictErrorKind::MemoryLimit);
}

#[test]
fn what_traps_ends_its_call_alone() {
    assert_eq!(ends_with(b"t", LONG), PredictErrorKind::Trapped);
    let answerer = answerer();
    answerer.answer(b"t", None, |_| Ok(vec![])).unwrap_err();
    answerer.answer(b"n", None, |_| Ok(vec![])).unwrap();
}

#[test]
fn what_says_that_it_does_not_know_how_has_lied() {
    assert_eq!(ends_with(b"u", LONG), PredictErrorKind::InvalidOutput);
}

#[test]
fn a_component_without_one_takes_no_files() {
    assert!(load(&[]).unwrap().is_none());
    let missing = Engine::new(&EngineConfig::default()).unwrap();
    let error = missing.load_answerer(Path::new("/nowhere/model.wasm"), &Limits::default());
    assert_eq!(error.unwrap_err().kind(), LoadErrorKind::Io);
}

#[test]
fn what_imports_more_than_predict_is_refused() {
    let module = include_str!("answerer.wat").replace(
        "(memory (export",
        "(import \"tensorlet:model/offload@0.1.0\" \"find\" (func (param i32) (result i32))) (memory (export",
    );
    let world = format!("{WORLD} import tensorlet:model/offload@0.1.0;");
    let error = load(&[encode(&module, &world)]).unwrap_err();
    assert_eq!(error.kind(), LoadErrorKind::NotAModel, "{error}");
}
