//! Debian packages: the part of the set-up that needs root.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use xshell::{Shell, cmd};

/// A package, and a file that it installs.
#[derive(Clone, Copy)]
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) file: &'static str,
}

/// Packages that are not there, and what for.
pub(crate) struct Need {
    pub(crate) purpose: &'static str,
    pub(crate) packages: Vec<&'static str>,
    /// Whether to go on where they cannot be installed.
    pub(crate) is_optional: bool,
}

/// Who runs this, and where.
#[derive(Clone, Copy)]
struct System {
    is_debian: bool,
    is_root: bool,
}

/// Names the packages whose files are not there, whoever put them there.
pub(crate) fn missing(packages: &[Package]) -> Vec<&'static str> {
    packages
        .iter()
        .filter(|package| !Path::new(package.file).exists())
        .map(|package| package.name)
        .collect()
}

/// Installs what is missing. Where this process cannot, says what to do, unless all of it is optional.
pub(crate) fn install(sh: &Shell, needs: &[Need]) -> Result<()> {
    if needs.is_empty() {
        return Ok(());
    }
    let system = System::find(sh)?;
    if let Some(advice) = advice(needs, system) {
        if needs.iter().any(|need| !need.is_optional) {
            bail!(advice);
        }
        println!("setup: {advice}");
        return Ok(());
    }
    let packages = packages(needs);
    let names = packages.join(" ");
    println!("setup: installing Debian packages: {names}");
    cmd!(sh, "apt-get update")
        .run()
        .context("expected to update the list of Debian packages")?;
    cmd!(
        sh,
        "apt-get install --yes --no-install-recommends {packages...}"
    )
    .env("DEBIAN_FRONTEND", "noninteractive")
    .run()
    .with_context(|| format!("expected Debian to have these packages: {names}"))
}

impl System {
    fn find(sh: &Shell) -> Result<Self> {
        let release = sh.read_file("/etc/os-release").unwrap_or_default();
        let uid = cmd!(sh, "id -u").quiet().read()?;
        Ok(Self {
            is_debian: is_debian(&release),
            is_root: uid == "0",
        })
    }
}

fn is_debian(os_release: &str) -> bool {
    os_release
        .lines()
        .any(|line| line.trim().trim_matches('"') == "ID=debian")
}

/// What a person has to do, unless this process can do it.
fn advice(needs: &[Need], system: System) -> Option<String> {
    if system.is_debian && system.is_root {
        return None;
    }
    let mut text = "this is missing:\n".to_owned();
    for need in needs {
        let _ = writeln!(
            text,
            "  - {}{}: Debian packages {}",
            need.purpose,
            if need.is_optional { " (optional)" } else { "" },
            need.packages.join(" ")
        );
    }
    if system.is_debian {
        let packages = packages(needs).join(" ");
        let _ = write!(text, "Installing packages needs root. As root, run\n\n");
        let _ = writeln!(text, "    apt-get update");
        let _ = writeln!(
            text,
            "    apt-get install --yes --no-install-recommends {packages}\n"
        );
        text.push_str("then run this command again.");
    } else {
        text.push_str("This is not Debian: install what your system has in their place, then run this command again.");
    }
    Some(text)
}

fn packages(needs: &[Need]) -> Vec<&'static str> {
    let mut packages: Vec<_> = needs
        .iter()
        .flat_map(|need| need.packages.iter().copied())
        .collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(system: System, expected: Expect) {
        let needs = [
            Need {
                purpose: "ONNX Runtime",
                packages: vec!["python3", "python3-venv"],
                is_optional: false,
            },
            Need {
                purpose: "the ONNX tests",
                packages: vec!["python3", "python3-pip"],
                is_optional: false,
            },
            Need {
                purpose: "an emulator",
                packages: vec!["qemu-user"],
                is_optional: true,
            },
        ];
        expected.assert_eq(&advice(&needs, system).unwrap_or_default());
    }

    #[test]
    fn prints_the_commands_without_root() {
        let system = System {
            is_debian: true,
            is_root: false,
        };
        check(
            system,
            expect![[r"
                this is missing:
                  - ONNX Runtime: Debian packages python3 python3-venv
                  - the ONNX tests: Debian packages python3 python3-pip
                  - an emulator (optional): Debian packages qemu-user
                Installing packages needs root. As root, run

                    apt-get update
                    apt-get install --yes --no-install-recommends python3 python3-pip python3-venv qemu-user

                then run this command again."]],
        );
    }

    #[test]
    fn names_what_is_missing_on_other_systems() {
        let system = System {
            is_debian: false,
            is_root: true,
        };
        check(
            system,
            expect![[r"
                this is missing:
                  - ONNX Runtime: Debian packages python3 python3-venv
                  - the ONNX tests: Debian packages python3 python3-pip
                  - an emulator (optional): Debian packages qemu-user
                This is not Debian: install what your system has in their place, then run this command again."]],
        );
    }

    #[test]
    fn what_is_missing_is_told_by_its_file() {
        let package = |name, file| Package { name, file };
        let packages = [
            package(
                "this-package",
                concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
            ),
            package(
                "no-package",
                concat!(env!("CARGO_MANIFEST_DIR"), "/no.toml"),
            ),
        ];
        assert_eq!(missing(&packages), ["no-package"]);
    }

    #[test]
    fn says_nothing_where_it_can_install() {
        check(
            System {
                is_debian: true,
                is_root: true,
            },
            expect![""],
        );
    }

    #[test]
    fn knows_debian() {
        assert!(is_debian(
            "PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\n"
        ));
        assert!(!is_debian("ID=fedora\nID_LIKE=\"debian\"\n"));
    }
}
