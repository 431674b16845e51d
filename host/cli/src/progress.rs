//! What the program is doing, for those who wait.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A line on standard error that names the current stage. If that is no terminal, nothing.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Starts before the first of `stages`.
    pub(crate) fn new(stages: u64) -> Self {
        // Draws on standard error, and only if that is a terminal.
        let bar = ProgressBar::new(stages);
        let style = ProgressStyle::with_template("{spinner} [{pos}/{len}] {msg} ({elapsed})");
        bar.set_style(style.expect("the template is valid"));
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    /// Enters the next stage.
    pub(crate) fn stage(&self, name: &'static str) {
        self.0.inc(1);
        self.0.set_message(name);
    }
}

/// Clears the line.
impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
