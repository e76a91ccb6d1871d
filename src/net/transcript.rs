use std::sync::{Arc, Mutex, PoisonError};

use crate::base::limits;

/// What was said over a connection, for the record of a session with a peer: lines as they went over the wire, without
/// secrets and without the data of messages, cut at [`limits::TRANSCRIPT_BYTES`].
///
/// Clones write into the same record.
#[derive(Debug, Clone, Default)]
pub struct Transcript(Arc<Mutex<Record>>);

#[derive(Default)]
struct Record {
    text: String,
    is_cut: bool,
    listener: Option<Listener>,
}

/// Who hears each line as it is said.
type Listener = Box<dyn Fn(Mark, &str) + Send>;

/// Whose line it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// We said it.
    Said,
    /// The other side said it.
    Heard,
    /// Something happened.
    Note,
}

impl Mark {
    fn text(self) -> &'static str {
        match self {
            Self::Said => "> ",
            Self::Heard => "< ",
            Self::Note => "* ",
        }
    }
}

impl Transcript {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// We said this line.
    pub fn said(&self, line: &str) {
        self.line(Mark::Said, line);
    }

    /// The other side said this line. What stands behind the mechanism of an AUTH command is masked.
    pub fn heard(&self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let mut words = text.splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some(verb), Some(mechanism), Some(_)) if verb.eq_ignore_ascii_case("AUTH") => {
                self.line(Mark::Heard, &format!("{verb} {mechanism} ***"));
            }
            _ => self.line(Mark::Heard, &text),
        }
    }

    /// The other side said a line of which nothing may be kept: an answer in an AUTH exchange.
    pub fn heard_secret(&self) {
        self.line(Mark::Heard, "***");
    }

    /// We sent a message.
    pub fn said_data(&self, bytes: u64) {
        self.line(Mark::Said, &format!("({bytes} octets)"));
    }

    /// The other side sent a message.
    pub fn heard_data(&self, bytes: u64) {
        self.line(Mark::Heard, &format!("({bytes} octets)"));
    }

    /// Something happened: TLS began, the roles were swapped, time ran out.
    pub fn note(&self, what: &str) {
        self.line(Mark::Note, what);
    }

    /// All of it: a line each, `> ` before what we said, `< ` before what we heard, `* ` before what happened.
    pub fn text(&self) -> String {
        self.record().text.clone()
    }

    /// From now on `listener` hears every line that is kept, at first those that were said before. It must be quick.
    pub fn listen(&self, listener: impl Fn(Mark, &str) + Send + 'static) {
        let mut record = self.record();
        for line in record.text.lines() {
            let known = [Mark::Said, Mark::Heard, Mark::Note].into_iter();
            if let Some((mark, line)) = known.filter_map(|mark| Some((mark, line.strip_prefix(mark.text())?))).next() {
                listener(mark, line);
            }
        }
        record.listener = Some(Box::new(listener));
    }

    fn line(&self, mark: Mark, line: &str) {
        let mut record = self.record();
        if record.is_cut {
            return;
        }
        let line: String = line.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        if record.text.len() + mark.text().len() + line.len() >= limits::TRANSCRIPT_BYTES - CUT.len() {
            record.text.push_str(CUT);
            record.is_cut = true;
            return;
        }
        record.text.push_str(mark.text());
        record.text.push_str(&line);
        record.text.push('\n');
        if let Some(listener) = &record.listener {
            listener(mark, &line);
        }
    }

    fn record(&self) -> std::sync::MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record").field("bytes", &self.text.len()).finish_non_exhaustive()
    }
}

/// The last line of a record that was cut.
const CUT: &str = "* (and so on)\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_kept_without_secrets_and_data() {
        let transcript = Transcript::new();
        let other = transcript.clone();
        other.said("220 mx.test\u{7} ESMTP");
        transcript.heard(b"auth PLAIN AGEAYg==");
        transcript.heard(b"AUTH LOGIN");
        transcript.heard_secret();
        transcript.heard(b"MAIL FROM:<a@x.test>\xff");
        transcript.heard_data(1234);
        transcript.said_data(5);
        transcript.note("TLS begins");
        assert_eq!(
            transcript.text(),
            "> 220 mx.test? ESMTP\n< auth PLAIN ***\n< AUTH LOGIN\n< ***\n< MAIL FROM:<a@x.test>\u{fffd}\n< (1234 octets)\n> (5 octets)\n* TLS begins\n"
        );
    }

    #[test]
    fn a_talkative_session_is_cut() {
        let transcript = Transcript::new();
        for _ in 0..10_000 {
            transcript.heard("é".repeat(50).as_bytes());
        }
        transcript.said("x");
        let text = transcript.text();
        assert!(text.len() <= limits::TRANSCRIPT_BYTES && text.ends_with(CUT) && text.matches(CUT).count() == 1);
    }

    #[test]
    fn a_listener_hears_what_was_said_and_what_is_said() {
        let transcript = Transcript::new();
        transcript.said("EHLO a.test");
        transcript.note("> not said");
        let (tell, heard) = std::sync::mpsc::channel();
        transcript.listen(move |mark, line| tell.send((mark, line.to_owned())).unwrap());
        transcript.heard(b"250 \x1bok");
        let heard: Vec<_> = heard.try_iter().collect();
        let expected = [(Mark::Said, "EHLO a.test"), (Mark::Note, "> not said"), (Mark::Heard, "250 ?ok")];
        assert_eq!(heard, expected.map(|(mark, line)| (mark, line.to_owned())));
    }
}
