//! Where figures come from.

use anyhow::Result;
use serde::Serialize;
use xshell::{Shell, cmd};

/// Where and of what it was measured.
#[derive(Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) system: String,
    pub(crate) commit: String,
}

impl Machine {
    /// Looks around.
    pub(crate) fn find(sh: &Shell) -> Result<Self> {
        let cpu_info = sh.read_file("/proc/cpuinfo").unwrap_or_default();
        Ok(Self {
            cpu: cpu_model(&cpu_info).unwrap_or("unknown").to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            system: cmd!(sh, "uname -srm").quiet().read()?,
            commit: cmd!(sh, "git describe --always --dirty")
                .quiet()
                .ignore_stderr()
                .read()
                .unwrap_or_default(),
        })
    }

    /// Makes a machine, for the tests of reports.
    #[cfg(test)]
    pub(crate) fn of(cpu: &str, cores: usize) -> Self {
        Self {
            cpu: cpu.to_owned(),
            cores,
            system: String::new(),
            commit: String::new(),
        }
    }
}

fn cpu_model(cpu_info: &str) -> Option<&str> {
    let line = cpu_info
        .lines()
        .find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, model)| model.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_cpu() {
        assert_eq!(
            cpu_model("processor : 0\nmodel name\t: AMD EPYC\n"),
            Some("AMD EPYC")
        );
        assert_eq!(cpu_model(""), None);
    }
}
