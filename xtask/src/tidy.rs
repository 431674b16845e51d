//! `cargo xtask tidy`: facts about the repository that the compiler does not check.
//!
//! Each rule is a function from what it looks at to a list of problems, in a module of its own. All rules run, and all
//! problems are told. A test of this module runs them on the repository, so that `cargo test` finds them too.

mod deny;
mod dependencies;
mod files;
mod guest_sources;
mod hosts;
mod links;
mod metadata;
mod models;
mod modules;
mod unsafe_code;
mod versions;

use anyhow::{Result, bail};
use xshell::Shell;

use self::files::Files;
use self::metadata::Metadata;

/// Checks everything.
pub(crate) fn run(sh: &Shell) -> Result<()> {
    let problems = problems(sh)?;
    if !problems.is_empty() {
        bail!(
            "tidy found {} problems:\n- {}",
            problems.len(),
            problems.join("\n- ")
        );
    }
    println!("tidy: all in order");
    Ok(())
}

fn problems(sh: &Shell) -> Result<Vec<String>> {
    let files = Files::read(sh)?;
    let metadata = Metadata::read(sh)?;
    let version = metadata.version()?;
    Ok([
        dependencies::check(&metadata.crates()),
        deny::check(&metadata, files.text("deny.toml").unwrap_or_default())?,
        modules::check(&files),
        guest_sources::check(&files),
        unsafe_code::check(&metadata.crates(), &files),
        versions::check(&files, version),
        models::check(sh)?,
        links::check(&files),
        hosts::check(&files),
    ]
    .concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_tidy() {
        let sh = Shell::new().unwrap();
        sh.change_dir(crate::root());
        let problems = problems(&sh).unwrap();
        assert!(
            problems.is_empty(),
            "tidy found problems:\n- {}",
            problems.join("\n- ")
        );
    }
}
