//! A client dialogue as a file says it. The language is described in `tests/dialogues/README.md`.

use std::path::Path;
use std::time::Duration;

use crate::script::Pattern;

/// One file.
#[derive(Default)]
pub struct Script {
    /// What the client is to do.
    pub plan: Plan,
    /// The messages that wait, in order.
    pub mails: Vec<Mail>,
    /// What happens, in order.
    pub steps: Vec<(usize, Action)>,
    /// What must come of it.
    pub expects: Vec<(usize, Expect)>,
}

/// What the client is to do.
pub struct Plan {
    pub tls: String,
    pub login: Option<(String, String)>,
    /// As at a peer.
    pub is_peer: bool,
    /// As at a peer that knows us by our certificate.
    pub is_certified: bool,
    pub then: String,
    pub messages: usize,
    pub patience: Duration,
    /// Where the server seems to be.
    pub address: String,
}

/// A message that waits.
pub struct Mail {
    pub sender: String,
    pub recipients: Vec<String>,
    /// Of each recipient: its parameters, as RCPT writes them.
    pub asked: Vec<String>,
    /// The parameters of MAIL.
    pub with: String,
    pub eight_bit: bool,
    pub smtputf8: bool,
    /// The text, with escapes and variables.
    pub text: String,
    /// Why its attempt may not be opened.
    pub refused: Option<String>,
}

/// What a line can do.
pub enum Action {
    /// The server sends octets; several in a row go out in one write.
    Send { text: String, crlf: bool },
    /// Sends what is there so far.
    Flush,
    /// The next line that the client says.
    Line(Pattern),
    /// The client sends a message, up to the lone dot.
    Data,
    /// The client sends a message, and no end of data before it closes.
    Torn,
    /// The client says nothing for a while.
    Silence,
    /// The client sends something, whatever it is.
    Octets,
    /// The server reads no more, and keeps the connection until the client gives up.
    Hang,
    /// The client closes.
    Eof,
    /// The server closes.
    Close,
    /// The server's side of a handshake.
    Tls,
    /// A handshake that the client gives up.
    NoTls,
    /// One of the lines of the message read last matches, or none does.
    Has(Pattern, bool),
}

/// What must come of it.
pub enum Expect {
    /// What became of a recipient: verdict, stage and words.
    Fate { verdict: String, recipient: String, stage: String, words: Pattern },
    /// Nothing became of a recipient.
    Nothing { recipient: String },
    /// The session broke.
    Failure { stage: String, is_busy: bool, words: Pattern },
    /// What was answered to TURN, ATRN or ETRN.
    Answer(Pattern),
    /// The connection is handed over.
    Swap,
    /// The connection is handed over, with TLS.
    SwapInTls,
    /// What is known of the certificate.
    Tls(Pattern),
    /// A line of the session's record matches, or none does.
    Record(Pattern, bool),
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            tls: "never".into(),
            login: None,
            is_peer: false,
            is_certified: false,
            then: "quit".into(),
            messages: 10,
            patience: Duration::from_secs(20),
            address: "192.0.2.25:25".into(),
        }
    }
}

impl Script {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let at = |(line, error): (usize, String)| format!("{}:{line}: {error}", path.display());
        Self::parse(&text).map_err(at)
    }

    fn parse(text: &str) -> Result<Self, (usize, String)> {
        let first = text.lines().next().unwrap_or_default();
        if !first.starts_with("# ") || !(first.contains("RFC ") || first.contains("Pillarbox")) {
            return Err((1, "the first line says the rule and where it is from: # RFC 5321 §4.2.1: …".into()));
        }
        let mut script = Self::default();
        for (index, line) in text.lines().enumerate() {
            script.read_line(index + 1, line).map_err(|error| (index + 1, error))?;
        }
        if script.expects.is_empty() {
            return Err((1, "nothing is expected of it".into()));
        }
        Ok(script)
    }

    fn read_line(&mut self, number: usize, line: &str) -> Result<(), String> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if let Some(text) = line.strip_prefix("| ").or_else(|| (line == "|").then_some("")) {
            let mail = self.mails.last_mut().ok_or("a line of a message stands below its `mail`")?;
            mail.text.push_str(text);
            mail.text.push_str("\\r\\n");
            return Ok(());
        }
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let action = match word {
            "plan" => return self.plan.read(rest),
            "mail" => {
                self.mails.push(Mail::read(rest)?);
                return Ok(());
            }
            "refuse" => {
                self.mails.last_mut().ok_or("refuse stands below its `mail`")?.refused = Some(rest.to_owned());
                return Ok(());
            }
            "expect" => {
                self.expects.push((number, Expect::read(rest)?));
                return Ok(());
            }
            "S:" => Action::Send { text: rest.to_owned(), crlf: true },
            "S>" => Action::Send { text: rest.to_owned(), crlf: false },
            "flush" => Action::Flush,
            "C:" => match rest {
                "<data>" => Action::Data,
                "<torn>" => Action::Torn,
                "<silence>" => Action::Silence,
                "<octets>" => Action::Octets,
                "<eof>" => Action::Eof,
                line => Action::Line(Pattern::parse(line)),
            },
            "hang" => Action::Hang,
            "close" => Action::Close,
            "tls" => Action::Tls,
            "notls" => Action::NoTls,
            "has" => Action::Has(Pattern::parse(rest), true),
            "lacks" => Action::Has(Pattern::parse(rest), false),
            _ => return Err(format!("no such directive: {word}")),
        };
        self.steps.push((number, action));
        Ok(())
    }
}

impl Plan {
    fn read(&mut self, text: &str) -> Result<(), String> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        match word {
            "tls" => self.tls = rest.to_owned(),
            "then" => self.then = rest.to_owned(),
            "address" => self.address = rest.to_owned(),
            "login" | "peer" => {
                let (user, secret) = rest.split_once(' ').ok_or("expected: plan login USER SECRET")?;
                self.is_peer = word == "peer";
                self.login = Some((user.to_owned(), secret.to_owned()));
            }
            "certificate" => self.is_certified = true,
            "messages" => self.messages = rest.parse().map_err(|_| "expected: plan messages 2")?,
            "patience" => {
                let ms =
                    rest.strip_suffix("ms").and_then(|ms| ms.parse().ok()).ok_or("expected: plan patience 200ms")?;
                self.patience = Duration::from_millis(ms);
            }
            _ => return Err(format!("no such part of a plan: {word}")),
        }
        Ok(())
    }
}

impl Mail {
    fn read(text: &str) -> Result<Self, String> {
        let usage = "expected: mail SENDER -> RECIPIENT[?NOTIFY=…]… [8bit] [utf8] [with PARAMETERS]";
        let (sender, rest) = text.split_once(" -> ").ok_or(usage)?;
        let mut mail = Self {
            sender: sender.to_owned(),
            recipients: Vec::new(),
            asked: Vec::new(),
            with: String::new(),
            eight_bit: false,
            smtputf8: false,
            text: String::new(),
            refused: None,
        };
        let (rest, with) = rest.split_once(" with ").unwrap_or((rest, ""));
        mail.with = with.to_owned();
        for word in rest.split(' ') {
            match word {
                "8bit" => mail.eight_bit = true,
                "utf8" => mail.smtputf8 = true,
                recipient => {
                    let (recipient, asked) = recipient.split_once('?').unwrap_or((recipient, ""));
                    mail.recipients.push(recipient.to_owned());
                    mail.asked.push(asked.replace('?', " "));
                }
            }
        }
        Ok(mail)
    }
}

impl Expect {
    fn read(text: &str) -> Result<Self, String> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let usage = "expected: expect delivered|deferred|failed RECIPIENT STAGE WORDS, none RECIPIENT, failure STAGE [busy] \
                     WORDS, answer WORDS, tls WORDS, record WORDS, unrecorded WORDS, swap, swap tls";
        Ok(match word {
            "delivered" | "deferred" | "failed" => {
                let mut words = rest.splitn(3, ' ');
                let (Some(recipient), Some(stage), Some(said)) = (words.next(), words.next(), words.next()) else {
                    return Err(usage.into());
                };
                let (recipient, stage) = (recipient.to_owned(), stage.to_owned());
                Self::Fate { verdict: word.to_owned(), recipient, stage, words: Pattern::parse(said) }
            }
            "none" => Self::Nothing { recipient: rest.to_owned() },
            "failure" => {
                let (stage, rest) = rest.split_once(' ').ok_or(usage)?;
                let (is_busy, rest) = rest.strip_prefix("busy ").map_or((false, rest), |rest| (true, rest));
                Self::Failure { stage: stage.to_owned(), is_busy, words: Pattern::parse(rest) }
            }
            "answer" => Self::Answer(Pattern::parse(rest)),
            "tls" => Self::Tls(Pattern::parse(rest)),
            "record" => Self::Record(Pattern::parse(rest), true),
            "unrecorded" => Self::Record(Pattern::parse(rest), false),
            "swap" if rest == "tls" => Self::SwapInTls,
            "swap" if rest.is_empty() => Self::Swap,
            _ => return Err(usage.into()),
        })
    }
}
