//! Tests of what is taken from the command line and what from `model.toml`.

use clap::Parser;
use tensorlet_tensor::TensorSpec;

use super::*;
use crate::args::{Args, Command};
use crate::exit::{self, Exit};

const ONNX: &[u8] = b"not really";

/// A folder with a model.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(rest_of_toml: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let sha256: String = Sha256::digest(ONNX)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let head = format!(
            "name = \"m\"\nversion = \"3\"\nsource = \"ours\"\nlicence = \"MIT\"\nsha256 = \"{sha256}\"\n"
        );
        folder.write("model.toml", (head + rest_of_toml).as_bytes());
        folder.write("model.onnx", ONNX);
        folder
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.0.path().join(name), bytes).unwrap();
    }

    fn resolve(&self, args: &[&str]) -> Result<Source> {
        resolve(self.0.path(), args)
    }

    #[track_caller]
    fn refused(&self, exit: Exit) -> String {
        let error = self.resolve(&[]).unwrap_err();
        assert_eq!(exit::of(&error), exit, "{error:#}");
        format!("{error:#}").replace(self.0.path().to_str().unwrap(), "DIR")
    }
}

fn resolve(model: &Path, args: &[&str]) -> Result<Source> {
    let all = [&["tensorlet", "build", model.to_str().unwrap()], args].concat();
    let Command::Build(args) = Args::parse_from(all).command else {
        panic!("expected the subcommand that was typed")
    };
    Source::resolve(&args)
}

#[test]
fn a_folder_says_everything() {
    let folder =
        Folder::new("description = \"It is.\"\ninputs = [\"x:f32[N,4]\"]\n[bind]\nsr = 16000\n");
    let Source { onnx, options, .. } = folder.resolve(&[]).unwrap();
    assert_eq!(onnx, folder.0.path().join("model.onnx"));
    assert_eq!(
        (options.name.as_str(), options.version.as_str()),
        ("m", "3")
    );
    assert_eq!(options.inputs, ["x:f32[N,4]".parse().unwrap()]);
    assert_eq!(
        options.bind,
        BTreeMap::from([("sr".into(), Literal::Int(16000))])
    );
    let keys: Vec<_> = options.metadata.keys().map(String::as_str).collect();
    assert_eq!(keys, ["description", "licence", "model.toml", "source"]);
}

#[test]
fn the_command_line_comes_first() {
    let folder =
        Folder::new("inputs = [\"x:f32[N,4]\", \"y:f32[N]\"]\n[bind]\nsr = 16000\nz = 1\n");
    let args = [
        "--name",
        "n",
        "--version",
        "4",
        "--input",
        "x:f32[1,4]",
        "--input",
        "z:i64[]",
        "--bind",
        "sr=8000",
        "--bind",
        "y=[1.5]",
    ];
    let options = folder.resolve(&args).unwrap().options;
    assert_eq!(
        (options.name.as_str(), options.version.as_str()),
        ("n", "4")
    );
    let inputs: Vec<String> = options.inputs.iter().map(TensorSpec::to_string).collect();
    assert_eq!(inputs, ["x: f32[1, 4]", "z: i64[]"]);
    let bind: Vec<String> = options
        .bind
        .iter()
        .map(|(name, literal)| format!("{name}={literal}"))
        .collect();
    assert_eq!(bind, ["sr=8000", "y=[1.5]"]);
    assert!(
        folder.resolve(&["--bind", "q=1", "--bind", "q=2"]).is_err(),
        "the same input twice"
    );
}

#[test]
fn a_file_is_named_after_itself_or_its_folder() {
    let folder = Folder::new("");
    let name = |path: &Path| resolve(path, &[]).unwrap().options.name;
    assert_eq!(name(Path::new("/nowhere/my model.v2.onnx")), "my_model.v2");
    let folder_name = folder.0.path().file_name().unwrap().to_str().unwrap();
    assert_eq!(
        name(&folder.0.path().join("model.onnx")),
        output_file::name(folder_name)
    );
    assert_eq!(name(Path::new("/nowhere/model.onnx")), "model");
    assert_eq!(
        resolve(Path::new("/nowhere/model.onnx"), &[])
            .unwrap()
            .options
            .version,
        "1"
    );
}

#[test]
fn a_folder_that_is_not_in_order_is_refused() {
    let folder = Folder::new("");
    folder.write("model.onnx", b"changed");
    let error = folder.refused(Exit::Model);
    assert!(
        error.starts_with("DIR/model.onnx: expected sha256 ") && error.contains(", found "),
        "{error}"
    );

    let folder = Folder::new("colour = 1\n");
    let error = folder.refused(Exit::Model);
    assert!(
        error.contains("model.toml line 6, field `colour`: expected "),
        "{error}"
    );

    let folder = Folder::new("");
    fs::remove_file(folder.0.path().join("model.toml")).unwrap();
    let error = folder.refused(Exit::Model);
    assert_eq!(
        error,
        "DIR: expected a folder with a model.toml, or an ONNX file; found no model.toml"
    );

    folder.write("model.toml", b"\xff");
    let error = folder.refused(Exit::Model);
    assert_eq!(
        error,
        "DIR/model.toml: expected text in UTF-8, found other bytes"
    );
}

#[test]
fn constants_keep_their_kind() {
    let folder =
        Folder::new("[bind]\na = [[1, 2], [3, 4]]\nb = true\nc = [1.5, 2.0]\nd = []\ne = -7\n");
    let bind = folder.resolve(&[]).unwrap().options.bind;
    let texts: Vec<String> = bind.values().map(Literal::to_string).collect();
    assert_eq!(texts, ["[[1, 2], [3, 4]]", "true", "[1.5, 2]", "[]", "-7"]);
    assert_eq!(
        bind["c"],
        Literal::List(vec![Literal::Float(1.5), Literal::Float(2.0)])
    );
}
