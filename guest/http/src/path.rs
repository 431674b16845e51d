//! What is at which path.
//!
//! | path | |
//! |---|---|
//! | `GET v2` | the server and its extensions |
//! | `GET v2/health/live`, `GET v2/health/ready` | that it runs, and takes calls |
//! | `GET v2/models/MODEL`, `GET v2/models/MODEL/ready` | what the model takes and gives, that it takes calls |
//! | `POST v2/models/MODEL/infer` | a call |
//! | `POST v2/models/MODEL/answer` | a file, to be answered; no part of the protocol |
//!
//! After `v2/models/MODEL` may come `/versions/VERSION`. Before `v2` may come anything: hosts mount components at routes of their own.

use std::borrow::Cow;
use std::fmt;

/// What is at a path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Route<'a> {
    /// The server.
    Server,
    /// That it runs.
    Live,
    /// That it takes calls.
    Ready,
    /// Something of a model.
    Model(Target<'a>, Action),
}

/// A model and one of its versions, as a path names them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target<'a> {
    /// The model.
    pub model: Cow<'a, str>,
    /// The version, unless any will do.
    pub version: Option<Cow<'a, str>>,
}

/// What is wanted of a model.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// What it takes and gives.
    Metadata,
    /// That it takes calls.
    Ready,
    /// A call.
    Infer,
    /// The answer to a file.
    Answer,
}

impl<'a> Route<'a> {
    /// Finds what is at a path, with a query or without.
    pub fn find(path: &'a str) -> Option<Self> {
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        // What is before may be called `v2` as well.
        path.match_indices("/v2")
            .find_map(|(at, _)| Self::below(&path[at + "/v2".len()..]))
    }

    /// Finds what is at a path behind `/v2`.
    fn below(path: &'a str) -> Option<Self> {
        match path {
            "" => return Some(Self::Server),
            "/health/live" => return Some(Self::Live),
            "/health/ready" => return Some(Self::Ready),
            _ => {}
        }
        let mut segments = path.strip_prefix("/models/")?.split('/');
        let model = decode(segments.next().filter(|model| !model.is_empty())?)?;
        let mut version = None;
        let mut next = segments.next();
        if next == Some("versions") {
            version = Some(decode(
                segments.next().filter(|version| !version.is_empty())?,
            )?);
            next = segments.next();
        }
        let action = match next {
            None => Action::Metadata,
            Some("ready") => Action::Ready,
            Some("infer") => Action::Infer,
            Some("answer") => Action::Answer,
            Some(_) => return None,
        };
        let is_end = segments.next().is_none();
        is_end.then_some(Self::Model(Target { model, version }, action))
    }

    /// Reports whether something is sent there, by `POST`; everything else is fetched by `GET` or `HEAD`.
    pub fn takes_body(&self) -> bool {
        matches!(self, Self::Model(_, Action::Infer | Action::Answer))
    }
}

impl Target<'_> {
    /// Reports whether the model of this name and version is meant. Versions that are numbers may begin with zeros.
    pub fn is(&self, model: &str, version: &str) -> bool {
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let is_version = |wanted: &str| match is_number(wanted) && is_number(version) {
            true => wanted.trim_start_matches('0') == version.trim_start_matches('0'),
            false => wanted == version,
        };
        self.model == model && self.version.as_deref().is_none_or(is_version)
    }
}

/// As in Triton's messages: `'MODEL'`, or `'MODEL' version VERSION`.
impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.model)?;
        match &self.version {
            None => Ok(()),
            Some(version) => write!(f, " version {version}"),
        }
    }
}

/// Decodes a segment of a path, which may have bytes written as `%2F`; `None` if what comes out is no text.
fn decode(segment: &str) -> Option<Cow<'_, str>> {
    if !segment.contains('%') {
        return Some(segment.into());
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let digits = behind.get(..2).filter(|_| first == b'%');
        match digits.and_then(hexadecimal) {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            None => {
                bytes.push(first);
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// Reads two digits.
fn hexadecimal(digits: &[u8]) -> Option<u8> {
    digits.iter().try_fold(0, |byte, &digit| {
        let digit = char::from(digit).to_digit(16)?;
        u8::try_from(u32::from(byte) << 4 | digit).ok()
    })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn finds_what_is_there() {
        let paths = [
            "/v2",
            "/v2?verbose",
            "/v2/health/live",
            "/v2/health/ready?x=/v2",
            "/v2/models/m",
            "/v2/models/m/ready",
            "/v2/models/m/infer",
            "/v2/models/m/answer",
            "/v2/models/m/versions/1",
            "/v2/models/m/versions/1/ready",
            "/v2/models/m/versions/1/infer",
            "/v2/models/a%2Fb%20%c3%A9/versions/%31/infer",
            "/v2/models/100%/ready",
            "/route/of/a/host/v2/models/m",
            "/v2/of/a/host/v2/models/m",
            "/v2models/v2/health/live",
            "/v2/models/v2/infer",
            "/v2/models/ready/ready",
        ];
        let found = paths.map(|path| match Route::find(path) {
            Some(Route::Model(target, action)) => format!("{path}: {action:?} {target}"),
            Some(other) => format!("{path}: {other:?}"),
            None => format!("{path}: nothing"),
        });
        expect![[r"
            /v2: Server
            /v2?verbose: Server
            /v2/health/live: Live
            /v2/health/ready?x=/v2: Ready
            /v2/models/m: Metadata 'm'
            /v2/models/m/ready: Ready 'm'
            /v2/models/m/infer: Infer 'm'
            /v2/models/m/answer: Answer 'm'
            /v2/models/m/versions/1: Metadata 'm' version 1
            /v2/models/m/versions/1/ready: Ready 'm' version 1
            /v2/models/m/versions/1/infer: Infer 'm' version 1
            /v2/models/a%2Fb%20%c3%A9/versions/%31/infer: Infer 'a/b é' version 1
            /v2/models/100%/ready: Ready '100%'
            /route/of/a/host/v2/models/m: Metadata 'm'
            /v2/of/a/host/v2/models/m: Metadata 'm'
            /v2models/v2/health/live: Live
            /v2/models/v2/infer: Infer 'v2'
            /v2/models/ready/ready: Ready 'ready'"]]
        .assert_eq(&found.join("\n"));
    }

    #[test]
    fn finds_nothing_else() {
        for path in [
            "",
            "/",
            "v2",
            "/v1",
            "/v2/",
            "/v22",
            "/v2/health",
            "/v2/health/live/",
            "/v2/models",
            "/v2/models/",
            "/v2/models//infer",
            "/v2/models/m/",
            "/v2/models/m/versions",
            "/v2/models/m/versions/",
            "/v2/models/m/versions//infer",
            "/v2/models/m/labels/stable",
            "/v2/models/m/infer/",
            "/v2/models/m/infer/x",
            "/v2/models/m/versions/1/x",
            "/v2/models/%ff/infer",
            "/v2/repository/index",
            "/?/v2",
        ] {
            assert_eq!(Route::find(path), None, "{path}");
        }
    }

    #[test]
    fn a_target_is_a_name_and_perhaps_a_version() {
        let is = |path, version| match Route::find(path) {
            Some(Route::Model(target, _)) => target.is("m", version),
            other => panic!("expected something of a model at {path}, found {other:?}"),
        };
        assert!(is("/v2/models/m", "3"));
        assert!(is("/v2/models/m/versions/3", "3"));
        assert!(is("/v2/models/m/versions/003", "3"));
        assert!(is("/v2/models/m/versions/1.0-rc", "1.0-rc"));
        assert!(!is("/v2/models/m/versions/2", "3"));
        assert!(!is("/v2/models/m/versions/30", "3"));
        assert!(!is("/v2/models/m/versions/01.0", "1.0"));
        assert!(!is("/v2/models/M", "3"));
    }
}
