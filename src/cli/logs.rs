use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, registry, reload};

use super::args::LogFormat;
use crate::telemetry::{self, LogKeeper};

/// Sends the log to stderr, and keeps its newest lines. Called once.
pub fn start(format: LogFormat) {
    let (filter, handle) = reload::Layer::new(telemetry::usual_filter());
    telemetry::on_filter(move |filter| handle.reload(filter).map_err(|error| error.to_string()));
    let is_human = match format {
        LogFormat::Auto => io::stderr().is_terminal(),
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    let written = if is_human {
        fmt::layer().with_ansi(false).with_target(false).with_writer(Escaped).boxed()
    } else {
        fmt::layer().json().flatten_event(true).with_writer(io::stderr).boxed()
    };
    registry().with(filter).with(written).with(LogKeeper::new()).init();
}

/// Writes events to stderr so that nothing that a client said can break a line or move a cursor.
struct Escaped;

impl<'a> MakeWriter<'a> for Escaped {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}

impl Write for Escaped {
    /// Called with a whole event, its line end last.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        io::stderr().lock().write_all(escape(&String::from_utf8_lossy(event)).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn escape(event: &str) -> String {
    let line = event.strip_suffix('\n').unwrap_or(event);
    let mut safe = String::with_capacity(event.len());
    for c in line.chars() {
        // Marks that turn the direction of writing can make a line read as something else.
        if c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            let _ = write!(safe, "\\u{{{:x}}}", u32::from(c));
        } else {
            safe.push(c);
        }
    }
    safe.push('\n');
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_stays_one_line() {
        for (event, expected) in [
            ("plain\n", "plain\n"),
            ("a\r\nb\n", "a\\u{d}\\u{a}b\n"),
            ("\u{1b}[2J", "\\u{1b}[2J\n"),
            ("é\u{9b}\u{202e}x\u{0}\n", "é\\u{9b}\\u{202e}x\\u{0}\n"),
        ] {
            assert_eq!(escape(event), expected);
        }
    }
}
