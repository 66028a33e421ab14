//! A bar on the terminal that grows.

use std::time::Duration;

use impetus_proto::fetch::FetchProgress;
use indicatif::{ProgressBar, ProgressStyle};

/// How it looks while something comes.
const COMING: &str =
    "{bar:30} {percent:>3} %  {binary_bytes} of {binary_total_bytes}  {binary_bytes_per_sec}  {eta}";
/// How it looks while nothing does.
const WAITING: &str = "{bar:30} {percent:>3} %  {binary_bytes} of {binary_total_bytes}  {msg}";

/// How often it is drawn while nothing is heard.
const TICK: Duration = Duration::from_millis(500);

/// Drawn on standard error when that is a terminal, and else not at all.
#[derive(Debug)]
pub(in crate::ctl) struct Bar {
    bar: Option<ProgressBar>,
}

impl Bar {
    pub(in crate::ctl) fn new() -> Self {
        Self { bar: None }
    }

    /// Of so many bytes, of which so many are here already.
    pub(in crate::ctl) fn begin(&mut self, total_bytes: u64, present_bytes: u64) {
        let bar = ProgressBar::new(total_bytes).with_style(style(COMING));
        // Bytes that were here say nothing of how fast others come.
        bar.set_position(present_bytes);
        bar.reset_eta();
        bar.enable_steady_tick(TICK);
        self.bar = Some(bar);
    }

    pub(in crate::ctl) fn at(&self, progress: &FetchProgress) {
        let Some(bar) = &self.bar else { return };
        bar.set_position(progress.bytes);
        let waiting = if progress.verifying { "checking its content" } else { progress.waiting.as_str() };
        bar.set_style(style(if waiting.is_empty() { COMING } else { WAITING }));
        bar.set_message(waiting.to_owned());
    }

    pub(in crate::ctl) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_styles_can_be_read() {
        for template in [COMING, WAITING] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
