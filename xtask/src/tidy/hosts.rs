//! No file names the host of a package registry: which one is used is the machine's business.

use super::files::Files;

/// Hosts in pieces, so that this file does not name them either.
const HOSTS: &[&[&str]] = &[
    &["index.crates", "io"],
    &["static.crates", "io"],
    &["pypi", "org"],
    &["pythonhosted", "org"],
    &["npmjs", "org"],
    &["npmjs", "com"],
    &["deb.debian", "org"],
    &["security.debian", "org"],
    &["static.rust-lang", "org"],
];

/// Returns the lines that name a registry's host.
pub(super) fn check(files: &Files) -> Vec<String> {
    let hosts: Vec<String> = HOSTS.iter().map(|pieces| pieces.join(".")).collect();
    let mut problems = Vec::new();
    for (path, text) in files.texts() {
        for (index, line) in text.lines().enumerate() {
            if let Some(host) = hosts.iter().find(|host| line.contains(*host)) {
                problems.push(format!(
                    "{path}:{}: must not name {host}, the host of a registry",
                    index + 1
                ));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_hosts_of_registries() {
        let host = HOSTS[2].join(".");
        let lock = format!("one\nresolved = \"https://{host}/simple\"\n");
        let files = Files::of(&[
            ("a.lock", &lock),
            ("README.md", "https://github.com and PyPI\n"),
        ]);
        assert_eq!(
            check(&files),
            [format!(
                "a.lock:2: must not name {host}, the host of a registry"
            )]
        );
    }
}
