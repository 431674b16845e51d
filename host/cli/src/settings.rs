//! What every command needs to know of its surroundings: where compiled components are kept, and who computes.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use tensorlet_runtime::{Cpu, CpuOptions, Engine, EngineConfig, LoadError};

use crate::args::{CacheArgs, OffloadArgs};
use crate::exit::Failure;

/// What the command line and the environment say to every command.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Where compiled components are kept; `None`: nowhere.
    pub(crate) cache_dir: Option<PathBuf>,
}

/// What an engine is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    /// Preparing a model, once.
    Prepare,
    /// Predicting, as fast as can be.
    Predict,
    /// Predicting with a timeout.
    PredictInTime,
    /// Predicting for many callers, some of them hostile.
    Serve,
}

impl Settings {
    /// Reads the environment where the command line is silent.
    ///
    /// # Errors
    /// If neither says where the cache is.
    pub(crate) fn resolve(args: &CacheArgs) -> Result<Self, Failure> {
        Self::with_environment(args, |name| {
            std::env::var_os(name).filter(|value| !value.is_empty())
        })
    }

    /// Sets up an engine for a purpose.
    pub(crate) fn engine(
        &self,
        purpose: Purpose,
        offload: &OffloadArgs,
    ) -> Result<Engine, LoadError> {
        let mut options = CpuOptions::default();
        if let Some(threads) = offload.threads {
            options.threads = threads.into();
        }
        Engine::new(&EngineConfig {
            cache_dir: self.cache_dir.clone(),
            accelerator: match offload.no_offload {
                true => None,
                false => Some(Arc::new(Cpu::new(&options))),
            },
            // More at a time than there are cores would only take turns.
            max_running: match purpose {
                Purpose::Serve => {
                    Some(thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
                }
                _ => None,
            },
            interruptible: matches!(purpose, Purpose::PredictInTime | Purpose::Serve),
            quick_compile: purpose == Purpose::Prepare,
            ..EngineConfig::default()
        })
    }

    fn with_environment(
        args: &CacheArgs,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, Failure> {
        if args.no_cache {
            return Ok(Self { cache_dir: None });
        }
        // The XDG specification has relative paths ignored.
        let xdg = || {
            variable("XDG_CACHE_HOME")
                .map(PathBuf::from)
                .filter(|dir| dir.is_absolute())
        };
        let home = || variable("HOME").map(|home| PathBuf::from(home).join(".cache"));
        let cache_dir = args
            .cache_dir
            .clone()
            .or_else(|| variable("TENSORLET_CACHE_DIR").map(PathBuf::from))
            .or_else(|| Some(xdg().or_else(home)?.join("tensorlet")));
        match cache_dir {
            Some(_) => Ok(Self { cache_dir }),
            None => Err(Failure::usage(
                "expected to be told where to keep compiled components, as HOME is not set: give --cache-dir DIR or --no-cache",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(args: &[&str], variables: &[(&str, &str)], expected: Option<&str>) {
        let value_of = |flag| args.iter().skip_while(|arg| **arg != flag).nth(1);
        let args = CacheArgs {
            cache_dir: value_of("--cache-dir").map(PathBuf::from),
            no_cache: args.contains(&"--no-cache"),
        };
        let variable = |name: &str| {
            variables
                .iter()
                .find(|(variable, _)| *variable == name)
                .map(|(_, value)| value.into())
        };
        let settings = Settings::with_environment(&args, variable).unwrap();
        assert_eq!(settings.cache_dir, expected.map(PathBuf::from));
    }

    #[test]
    fn the_command_line_comes_before_the_environment() {
        let all = [
            ("TENSORLET_CACHE_DIR", "/t"),
            ("XDG_CACHE_HOME", "/x"),
            ("HOME", "/h"),
        ];
        check(&["--cache-dir", "d"], &all, Some("d"));
        check(&[], &all, Some("/t"));
        check(&[], &all[1..], Some("/x/tensorlet"));
        check(&[], &all[2..], Some("/h/.cache/tensorlet"));
        check(
            &[],
            &[("XDG_CACHE_HOME", "relative"), ("HOME", "/h")],
            Some("/h/.cache/tensorlet"),
        );
        check(&["--no-cache"], &all, None);
    }

    #[test]
    fn without_a_home_it_asks() {
        let args = CacheArgs {
            cache_dir: None,
            no_cache: false,
        };
        let error = Settings::with_environment(&args, |_| None).unwrap_err();
        assert!(error.to_string().contains("--cache-dir"), "{error}");
    }
}
