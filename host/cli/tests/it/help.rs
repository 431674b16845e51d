//! The help, as files beside this one: `UPDATE_EXPECT=1 cargo test` writes them anew.

use expect_test::expect_file;

use crate::program::run;

#[test]
fn help_is_as_documented() {
    expect_file!["help/tensorlet.txt"].assert_eq(run(["--help"]).stdout());
    expect_file!["help/build.txt"].assert_eq(run(["build", "--help"]).stdout());
    expect_file!["help/deploy.txt"].assert_eq(run(["deploy", "--help"]).stdout());
    expect_file!["help/deploy-spin.txt"].assert_eq(run(["deploy", "spin", "--help"]).stdout());
    expect_file!["help/inspect.txt"].assert_eq(run(["inspect", "--help"]).stdout());
    expect_file!["help/predict.txt"].assert_eq(run(["predict", "--help"]).stdout());
    expect_file!["help/bench.txt"].assert_eq(run(["bench", "--help"]).stdout());
    expect_file!["help/serve.txt"].assert_eq(run(["serve", "--help"]).stdout());
}

#[test]
fn a_wrong_command_line_is_told_from_other_failures() {
    assert!(run(["build"]).error(2).contains("<MODEL>"));
    assert!(
        run(["compile"])
            .error(2)
            .contains("unrecognized subcommand")
    );
    assert!(
        run(["predict", "x.wasm", "--timeout", "soon"])
            .error(2)
            .contains("expected seconds")
    );
    let version = run(["--version"]);
    assert_eq!(
        version.stdout(),
        concat!("tensorlet ", env!("CARGO_PKG_VERSION"), "\n")
    );
}
