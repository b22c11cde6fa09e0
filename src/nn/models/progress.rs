//! Progress of long work: a bar on a terminal, plain lines elsewhere.

use std::{
    io::{IsTerminal, Write, stderr},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Where progress is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// As bars on a terminal.
    Bars,
    /// As lines on standard error.
    Lines,
    /// Nowhere.
    Silent,
}

impl Progress {
    /// What standard error can show.
    pub fn stderr() -> Self {
        if stderr().is_terminal() { Self::Bars } else { Self::Lines }
    }

    /// Tells that something was found or done.
    pub fn say(self, line: &str) {
        if self != Self::Silent {
            // Progress that can't be written is no reason to stop.
            let _ = writeln!(stderr(), "{line}");
        }
    }

    /// Begins a step over `total` bytes (0: unknown); the bar goes when the step is dropped.
    pub(super) fn step(self, what: &str, total: u64) -> Step {
        if self == Self::Lines {
            self.say(what);
        }
        let target =
            if self == Self::Bars { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let template =
            if total > 0 { "{msg} [{bar:24}] {bytes}/{total_bytes} {eta}" } else { "{spinner} {msg}" };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(total), target).with_style(style.progress_chars("=> "));
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        Step(bar)
    }
}

/// A step under way.
pub(super) struct Step(ProgressBar);

impl Step {
    /// How many bytes are done.
    pub(super) fn at(&self, bytes: u64) {
        self.0.set_position(bytes);
    }

    /// Counts what is read from `reader`.
    pub(super) fn wrap<R: std::io::Read>(&self, reader: R) -> impl std::io::Read {
        self.0.wrap_read(reader)
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
