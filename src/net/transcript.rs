use std::sync::{Arc, Mutex, PoisonError};

use crate::base::limits;

/// What was said over a connection: lines as they went over the wire, without secrets and without the data of messages.
/// Of a session with a peer all of it is kept, cut at [`limits::TRANSCRIPT_BYTES`]; of any other how it began and what
/// was said of the message that it is about, for the trace.
///
/// Clones write into the same record.
#[derive(Debug, Clone, Default)]
pub struct Transcript(Arc<Mutex<Record>>);

#[derive(Debug, Default)]
struct Record {
    /// All of it, where that is kept.
    whole: Option<Whole>,
    part: Part,
}

#[derive(Default)]
struct Whole {
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

/// How the session began, and what was said since its present message began.
#[derive(Debug, Default)]
struct Part {
    text: String,
    /// Where the message begins; `None` before the first.
    message: Option<usize>,
}

impl Transcript {
    /// An empty one, which keeps all of it.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Record { whole: Some(Whole::default()), part: Part::default() })))
    }

    /// An empty one, which keeps what is about one message.
    pub fn of_messages() -> Self {
        Self::default()
    }

    /// The next message begins: what was said of the one before is forgotten, how the session began is not.
    pub fn begin_message(&self) {
        let part = &mut self.record().part;
        match part.message {
            Some(begin) => part.text.truncate(begin),
            None => {
                part.cut_to(limits::TRACED_TRANSCRIPT_BYTES / 4);
                part.message = Some(part.text.len());
            }
        }
    }

    /// What is about the present message: a line each, as in [`Transcript::text`].
    pub fn message(&self) -> String {
        self.record().part.text.clone()
    }

    /// We said this line.
    pub fn said(&self, line: &str) {
        self.line(Mark::Said, line);
    }

    /// The other side said this line, in which there is no secret any more.
    pub fn heard(&self, line: &str) {
        self.line(Mark::Heard, line);
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

    /// All of it, where all is kept: a line each, `> ` before what we said, `< ` before what we heard, `* ` before what
    /// happened.
    pub fn text(&self) -> String {
        self.record().whole.as_ref().map(|whole| whole.text.clone()).unwrap_or_default()
    }

    /// From now on `listener` hears every line that is kept, where all are, at first those that were said before. It must be quick.
    pub fn listen(&self, listener: impl Fn(Mark, &str) + Send + 'static) {
        let mut record = self.record();
        let Some(whole) = &mut record.whole else { return };
        for line in whole.text.lines() {
            let known = [Mark::Said, Mark::Heard, Mark::Note].into_iter();
            if let Some((mark, line)) = known.filter_map(|mark| Some((mark, line.strip_prefix(mark.text())?))).next() {
                listener(mark, line);
            }
        }
        whole.listener = Some(Box::new(listener));
    }

    fn line(&self, mark: Mark, line: &str) {
        let mut record = self.record();
        let line: String = line.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        record.part.push(mark.text(), &line);
        let Some(whole) = record.whole.as_mut().filter(|whole| !whole.is_cut) else { return };
        if whole.text.len() + mark.text().len() + line.len() >= limits::TRANSCRIPT_BYTES - CUT.len() {
            whole.text.push_str(CUT);
            whole.is_cut = true;
            return;
        }
        push(&mut whole.text, mark.text(), &line);
        if let Some(listener) = &whole.listener {
            listener(mark, &line);
        }
    }

    fn record(&self) -> std::sync::MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Whole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Whole").field("bytes", &self.text.len()).finish_non_exhaustive()
    }
}

impl Part {
    fn push(&mut self, mark: &str, line: &str) {
        let end = line.floor_char_boundary(limits::TRACED_TRANSCRIPT_BYTES / 8);
        push(&mut self.text, mark, &line[..end]);
        if self.text.len() > limits::TRACED_TRANSCRIPT_BYTES {
            self.cut_to(limits::TRACED_TRANSCRIPT_BYTES / 2);
        }
    }

    /// Leaves lines in the middle out: how it began and how it ended says most.
    fn cut_to(&mut self, bytes: usize) {
        if self.text.len() <= bytes {
            return;
        }
        let head = self.text.floor_char_boundary(bytes / 2);
        let head = self.text[..head].rfind('\n').map_or(0, |end| end + 1);
        let tail = self.text.ceil_char_boundary(self.text.len() - bytes / 2);
        let tail = self.text[tail..].find('\n').map_or(self.text.len(), |end| tail + end + 1);
        self.text.replace_range(head..tail, LEFT_OUT);
        // A cut through the beginning of the session: it is as long as it is now.
        self.message = self.message.map(|begin| begin.min(head + LEFT_OUT.len()));
    }
}

fn push(text: &mut String, mark: &str, line: &str) {
    text.push_str(mark);
    text.push_str(line);
    text.push('\n');
}

/// The last line of a record that was cut.
const CUT: &str = "* (and so on)\n";
/// Stands for lines in the middle.
const LEFT_OUT: &str = "* (some lines are left out)\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_kept_without_secrets_and_data() {
        let transcript = Transcript::new();
        let other = transcript.clone();
        other.said("220 mx.test\u{7} ESMTP");
        transcript.heard("AUTH LOGIN");
        transcript.heard_secret();
        transcript.heard("MAIL FROM:<a@x.test>\u{fffd}");
        transcript.heard_data(1234);
        transcript.said_data(5);
        transcript.note("TLS begins");
        assert_eq!(
            transcript.text(),
            "> 220 mx.test? ESMTP\n< AUTH LOGIN\n< ***\n< MAIL FROM:<a@x.test>\u{fffd}\n< (1234 octets)\n> (5 octets)\n* TLS begins\n"
        );
    }

    #[test]
    fn a_talkative_session_is_cut() {
        let transcript = Transcript::new();
        for _ in 0..10_000 {
            transcript.heard(&"é".repeat(50));
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
        transcript.heard("250 \x1bok");
        let heard: Vec<_> = heard.try_iter().collect();
        let expected = [(Mark::Said, "EHLO a.test"), (Mark::Note, "> not said"), (Mark::Heard, "250 ?ok")];
        assert_eq!(heard, expected.map(|(mark, line)| (mark, line.to_owned())));
    }

    #[test]
    fn a_message_is_told_of_with_the_beginning_of_its_session() {
        let transcript = Transcript::of_messages();
        transcript.said("220 mx.test");
        transcript.heard("EHLO x");
        for message in ["MAIL 1", "MAIL 2"] {
            transcript.begin_message();
            transcript.heard(message);
            assert_eq!(transcript.message(), format!("> 220 mx.test\n< EHLO x\n< {message}\n"));
        }
        for number in 0..10_000 {
            transcript.heard(&format!("RCPT {number}"));
        }
        let text = transcript.message();
        assert!(text.len() <= limits::TRACED_TRANSCRIPT_BYTES, "{}", text.len());
        assert!(text.starts_with("> 220 mx.test\n< EHLO x\n< MAIL 2\n< RCPT 0\n") && text.ends_with("< RCPT 9999\n"));
        assert!(text.contains(LEFT_OUT) && text.lines().all(|line| line.starts_with(['>', '<', '*'])), "{text}");
        transcript.begin_message();
        assert_eq!(transcript.message(), "> 220 mx.test\n< EHLO x\n");
        assert_eq!(transcript.text(), "");
        // However long a line, and however long the beginning.
        let endless = Transcript::of_messages();
        (0..100).for_each(|_| endless.heard(&"é".repeat(5000)));
        endless.begin_message();
        (0..100).for_each(|_| endless.heard(&"é".repeat(5000)));
        assert!(endless.message().len() <= limits::TRACED_TRANSCRIPT_BYTES);
    }
}
