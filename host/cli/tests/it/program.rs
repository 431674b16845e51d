//! The program under test, and what it is run on.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::Value;

/// Returns a path from the root of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

/// Returns the path of a fixture.
pub(crate) fn fixture(name: &str) -> PathBuf {
    repository("tests/fixtures").join(name)
}

/// Returns an empty folder that is removed in the end.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// How the program ended, and what it said.
pub(crate) struct Run {
    command: String,
    output: Output,
}

/// Returns the command, with the cache of the tests.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tensorlet"));
    command.env(
        "TENSORLET_CACHE_DIR",
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"),
    );
    command
}

/// Runs the program.
pub(crate) fn run<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Run {
    let mut command = command();
    run_command(command.args(args))
}

/// Runs a command.
pub(crate) fn run_command(command: &mut Command) -> Run {
    let shown = format!("{command:?}");
    Run {
        command: shown,
        output: command.output().unwrap(),
    }
}

impl Run {
    /// Returns standard output of a run that must have succeeded, and must have said nothing else.
    #[track_caller]
    pub(crate) fn stdout(&self) -> &str {
        self.check(0);
        assert_eq!(
            self.stderr(),
            "",
            "{} must be silent on standard error",
            self.command
        );
        str::from_utf8(&self.output.stdout).unwrap()
    }

    /// Returns standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.stdout())
            .unwrap_or_else(|error| panic!("{}: {error}", self.command))
    }

    /// Returns the error of a run that must have failed with this status, and printed nothing.
    #[track_caller]
    pub(crate) fn error(&self, exit: i32) -> String {
        self.check(exit);
        let stdout = String::from_utf8_lossy(&self.output.stdout);
        assert_eq!(stdout, "", "{} must print nothing", self.command);
        let root = repository("").canonicalize().unwrap();
        self.stderr()
            .replace(&format!("{}/host/cli/../../", root.display()), "")
            .trim_end()
            .to_owned()
    }

    fn stderr(&self) -> &str {
        str::from_utf8(&self.output.stderr).unwrap()
    }

    #[track_caller]
    fn check(&self, exit: i32) {
        assert_eq!(
            self.output.status.code(),
            Some(exit),
            "{}\n{}",
            self.command,
            self.stderr()
        );
    }
}

/// Builds the component of a fixture or folder once; returns its path.
///
/// `model` is a path from the root of the repository.
pub(crate) fn component(model: &str) -> PathBuf {
    component_with(model, &[])
}

/// As [`component`], with options of `tensorlet build`.
pub(crate) fn component_with(model: &str, options: &[&str]) -> PathBuf {
    static COMPONENTS: Mutex<BTreeMap<String, Arc<OnceLock<PathBuf>>>> =
        Mutex::new(BTreeMap::new());

    let key = [&[model], options].concat().join(" ");
    let slot = Arc::clone(COMPONENTS.lock().unwrap().entry(key.clone()).or_default());
    slot.get_or_init(|| {
        let name: String = key
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cli-{name}.wasm"));
        let model = repository(model);
        // One at a time: two would compile the same predictor, and memory is not without end.
        static BUILDING: Mutex<()> = Mutex::new(());
        let guard = BUILDING
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let build = [
            "build".as_ref(),
            model.as_os_str(),
            "-o".as_ref(),
            path.as_os_str(),
        ];
        run(build.into_iter().chain(options.iter().map(OsStr::new))).stdout();
        drop(guard);
        path
    })
    .clone()
}
