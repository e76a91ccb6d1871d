use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::output;

/// How often a bar moves by itself.
const TICK: Duration = Duration::from_millis(120);

/// How far a job has come, as a bar on stderr; nothing where that is no terminal.
pub struct Progress(Option<ProgressBar>);

impl Progress {
    /// Begins to show.
    pub fn begin() -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            bar.enable_steady_tick(TICK);
            bar
        });
        Self(bar)
    }

    /// Shows the job as it is now.
    pub fn show(&self, job: &Value) {
        let Some(bar) = &self.0 else { return };
        let (done, total, unit) = figures(job);
        if let Some(total) = total.filter(|_| bar.length().is_none()) {
            bar.set_length(total);
            if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg} {eta}") {
                bar.set_style(style);
            }
        }
        bar.set_position(done);
        bar.set_message(unit);
    }

    /// Says a line, above the bar.
    pub fn say(&self, text: &str) {
        let text = output::line(text);
        match &self.0 {
            Some(bar) => bar.println(text),
            None => eprintln!("{text}"),
        }
    }

    /// Takes the bar away.
    pub fn end(self) {
        if let Some(bar) = self.0 {
            bar.finish_and_clear();
        }
    }
}

/// Done, of how many where that is known, and what is counted.
fn figures(job: &Value) -> (u64, Option<u64>, String) {
    let progress = &job["progress"];
    let word = progress["unit"].as_str().or(job["state"].as_str()).unwrap_or_default();
    let total = progress["total"].as_u64().filter(|total| *total > 0);
    (progress["done"].as_u64().unwrap_or_default(), total, output::line(word))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_says_how_far_it_is() {
        let check = |job: Value, expected: (u64, Option<u64>, &str)| {
            let (done, total, word) = figures(&job);
            assert_eq!((done, total, word.as_str()), expected, "{job}");
        };
        check(json!({"progress": {"done": 3, "total": 7, "unit": "recipients"}}), (3, Some(7), "recipients"));
        check(json!({"progress": {"done": 3, "total": null, "unit": "octets"}}), (3, None, "octets"));
        check(json!({"progress": null, "state": "queued"}), (0, None, "queued"));
    }
}
