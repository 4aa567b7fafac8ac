//! The progress of a task: a bar on a terminal, lines elsewhere.

use std::{cell::RefCell, io::IsTerminal as _, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};

use crate::local::console;

/// Shows it.
#[derive(Debug)]
pub struct Progress {
    task: String,
    bar: Option<ProgressBar>,
    last: RefCell<String>,
}

impl Progress {
    /// Of the task.
    pub fn new(task: &str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(
                "{spinner:.cyan} {prefix} [{bar:40.cyan/blue}] {pos:>3} % {msg} {elapsed}",
            );
            let bar = ProgressBar::new(100);
            bar.set_style(style.expect("a template of ours").progress_chars("=> "));
            bar.set_prefix(task.to_owned());
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self { task: task.to_owned(), bar, last: RefCell::default() }
    }

    /// What the status says now; a task that waits has no percentage.
    pub fn show(&self, state: &str, percentage: Option<f64>) {
        let percentage = percentage.unwrap_or(if state == "completed" { 100.0 } else { 0.0 }).clamp(0.0, 100.0);
        if let Some(bar) = &self.bar {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100")]
            bar.set_position(percentage as u64);
            bar.set_message(state.to_owned());
            return;
        }
        let line = format!("{} {state} {percentage:.0} %", self.task);
        if *self.last.borrow() != line {
            console::say(&line);
            self.last.replace(line);
        }
    }

    /// The end.
    pub fn done(&self) {
        if let Some(bar) = &self.bar {
            bar.finish();
        }
    }
}
