//! Writes files so that they are whole or not there, and names them safely.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};

/// The longest name that is made of another, in bytes. File systems take 255, and an extension is to come.
const MAX_NAME_BYTES: usize = 200;

/// Writes a file under another name and gives it its own when it is complete.
///
/// # Errors
/// If the folder cannot be written to.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let write = || {
        // As any new file: what the user's mask leaves of this.
        let permissions = Permissions::from_mode(0o666);
        let mut file = tempfile::Builder::new()
            .permissions(permissions)
            .tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.persist(path).map_err(|error| error.error)
    };
    write().with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

/// Returns the name with `_` in place of what is not among `A-Za-z0-9._-`, and never one of only dots.
pub(crate) fn name(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let mut name: String = text
        .chars()
        .map(|c| if fits(c) { c } else { '_' })
        .collect();
    name.truncate(MAX_NAME_BYTES);
    if name.chars().all(|c| c == '.') {
        name = "_".repeat(name.len().max(1));
    }
    name
}

/// Returns a name for each text, in order. A name that is taken, whatever the case of its letters, gets a number.
pub(crate) fn names<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for text in texts {
        let name = name(text);
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        let is_free = |name: &String| !names.iter().any(|taken| taken.eq_ignore_ascii_case(name));
        let free = std::iter::once(name.clone()).chain(numbered).find(is_free);
        names.push(free.expect("there are more numbers than names"));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_leaves_its_folder() {
        let cases = [
            (
                "save_infer_model/scale_0.tmp_1",
                "save_infer_model_scale_0.tmp_1",
            ),
            ("../out put", ".._out_put"),
            ("/etc/passwd", "_etc_passwd"),
            ("..", "__"),
            (".", "_"),
            ("", "_"),
            ("naïve\0", "na_ve_"),
        ];
        for (text, expected) in cases {
            assert_eq!(name(text), expected, "of {text:?}");
        }
        assert_eq!(name(&"x".repeat(1000)).len(), MAX_NAME_BYTES);
    }

    #[test]
    fn names_that_become_equal_are_numbered() {
        assert_eq!(
            names(["a/b", "a:b", "A_B", "a_b-2", "c"]),
            ["a_b", "a_b-2", "A_B-3", "a_b-2-2", "c"]
        );
    }

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.wasm");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            1,
            "nothing else is left behind"
        );
        let error = write(&dir.path().join("missing/out.wasm"), b"").unwrap_err();
        assert!(
            format!("{error:#}").contains("missing/out.wasm: "),
            "{error:#}"
        );
    }
}
