//! Tests of the table.

use expect_test::expect;

use super::*;

#[test]
fn every_kind_has_an_answer() {
    let serve = ServeErrorKind::ALL
        .iter()
        .map(|&kind| HttpErrorKind::Serve(kind));
    let kinds = serve.chain(HttpErrorKind::ALL.iter().copied());
    let lines = kinds.map(|kind| {
        let Rescue {
            status,
            label,
            retry,
        } = kind.rescue();
        let kind = format!("{kind:?}");
        format!("{kind:24} {} {label:20} {retry:?}", status.as_u16())
    });
    expect![[r#"
        Serve(ModelNotFound)     404 model_not_found      No
        Serve(VersionNotFound)   404 version_not_found    No
        Serve(NotReady)          503 not_ready            After
        Serve(InvalidInput)      400 invalid_input        No
        Serve(Shed)              429 shed                 After
        Serve(RateLimited)       429 rate_limited         After
        Serve(CircuitOpen)       503 circuit_open         After
        Serve(Draining)          503 draining             Elsewhere
        Serve(DeadlineExceeded)  504 deadline_exceeded    Longer
        Serve(ExecutionTimeout)  500 execution_timeout    No
        Serve(Failed)            500 failed               No
        Serve(MemoryLimit)       500 memory_limit         No
        Serve(Trapped)           500 trapped              No
        Serve(InvalidOutput)     500 invalid_output       No
        Serve(TooManyInstances)  503 too_many_instances   After
        Serve(Host)              500 host                 No
        Malformed                400 malformed            No
        Unsupported              501 unsupported          No
        InvalidFile              400 invalid_file         No
        NoAnswerer               404 no_answer            No
        ContentEncoding          415 content_encoding     No
        TooLarge                 413 too_large            No
        BodyTimeout              408 body_timeout         No
        Overloaded               429 overloaded           After
        NoSuchPath               404 no_such_path         No
        MethodNotAllowed         405 method_not_allowed   No
        NoControl                403 no_control           No
        NothingToControl         404 nothing_to_control   No
        Conflict                 409 conflict             No
        LoadFailed               500 load_failed          No
        Internal                 500 internal             No"#]]
    .assert_eq(&lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn labels_are_unique() {
    let serve = ServeErrorKind::ALL
        .iter()
        .map(|&kind| HttpErrorKind::Serve(kind));
    let kinds = Vec::from_iter(serve.chain(HttpErrorKind::ALL.iter().copied()));
    let labels: std::collections::BTreeSet<_> =
        kinds.iter().map(|kind| kind.rescue().label).collect();
    assert_eq!(labels.len(), kinds.len());
}

#[test]
fn whether_to_try_again_is_as_the_repository_says() {
    for &kind in ServeErrorKind::ALL {
        let retry = HttpErrorKind::Serve(kind).rescue().retry;
        assert_eq!(retry != Retry::No, kind.is_retryable(), "{kind:?}");
    }
}

#[test]
fn retry_after_is_in_whole_seconds() {
    let header = |after: Option<Duration>| {
        let error = HttpError {
            retry_after: after,
            ..HttpError::new(HttpErrorKind::Overloaded, "")
        };
        error.into_response().headers()[RETRY_AFTER].clone()
    };
    assert_eq!(header(None), "1");
    assert_eq!(header(Some(Duration::ZERO)), "1");
    assert_eq!(header(Some(Duration::from_millis(1001))), "2");
    assert_eq!(header(Some(Duration::from_secs(30))), "30");
    let never = HttpError::new(HttpErrorKind::NoSuchPath, "").into_response();
    assert!(!never.headers().contains_key(RETRY_AFTER));
}
