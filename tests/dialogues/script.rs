//! A dialogue as a file says it: its lines, read once into steps. The language is described in `tests/dialogues/README.md`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

/// One file.
pub struct Script {
    /// Why the file is for Pillarbox alone, where it is.
    pub only_pillarbox: Option<String>,
    /// Settings that the server has, as `key=value`.
    pub settings: Vec<String>,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// One line of a file that does something.
pub struct Step {
    /// Its number in the file, from 1.
    pub line: usize,
    /// What it does.
    pub action: Action,
}

/// What a line can do.
pub enum Action {
    /// Goes on with the connection of that name; opens it where there is none, to the listener if one is named.
    Connection {
        name: String,
        listener: Option<String>,
    },
    /// The next connections come from this address.
    From(IpAddr),
    /// The verb that begins TLS on this listener, its positive reply, and the handshake.
    Starttls,
    Tls,
    /// From now on the client shows the certificate of that name to a server that asks for one; `None`: none.
    Certificate(Option<String>),
    /// Drops the connection without a word.
    Close,
    /// Turns the server's clock.
    Clock {
        seconds: u64,
    },
    /// Sends octets; several in a row go out in one write.
    Send {
        text: String,
        crlf: bool,
    },
    /// Sends what is there so far, so that the next octets come in a write of their own.
    Flush,
    /// The next line that the server says.
    Line(Expected),
    /// All lines of one SMTP reply of this code.
    Reply {
        code: String,
    },
    /// So many replies of this code.
    Replies {
        code: String,
        count: usize,
    },
    /// All lines up to the lone dot, without their stuffing.
    Lines,
    /// All IMAP responses up to the answer with this tag, which has this status on Pillarbox, or on a peer.
    Until {
        tag: String,
        status: String,
        on: BTreeMap<String, String>,
    },
    /// Each of them was named by a `has`.
    NothingElse,
    /// The greeting, LOGIN and, where a mailbox is named, SELECT.
    Login {
        user: String,
        mailbox: Option<String>,
    },
    /// COMPRESS, its positive answer, and everything deflated from then on.
    Compress,
    /// The server closes the connection.
    Eof,
    /// The server says nothing for a while.
    Silence,
    /// One of the lines read last matches.
    Has(Expected),
    /// None of the lines read last matches.
    Lacks(Expected),
    /// The octets read last end so.
    Ends(String),
    /// Two texts are the same.
    Same(String, String),
    /// Puts a message into an INBOX before the dialogue goes on, by SMTP.
    Given {
        address: String,
        message: String,
    },
    /// Puts messages into a mailbox before the dialogue goes on, by APPEND.
    Appended {
        address: String,
        mailbox: String,
        flags: String,
        messages: Vec<String>,
    },
    /// There is a peer: its name, and its fields as `name=value`.
    Peer(Vec<String>),
    /// An account has an app password: the variable that it goes to, which is its name too, the address, the protocols, and
    /// when it ends.
    AppPassword {
        name: String,
        address: String,
        protocols: String,
        ends_in_s: Option<u64>,
    },
    /// An app password is taken back.
    Revoke {
        name: String,
        address: String,
    },
    /// When an app password was last used, in seconds from the beginning; `None`: never.
    LastUse {
        name: String,
        address: String,
        at_s: Option<u64>,
    },
    /// The queue holds so many recipients in a domain.
    Queue {
        domain: String,
        count: usize,
    },
    /// The newest session with a peer is so: fields as `name=value`.
    Session(Vec<String>),
    /// What a mailbox holds.
    Mailbox {
        address: String,
        holds: Holds,
    },
}

/// What a mailbox is expected to hold.
pub enum Holds {
    /// So many messages.
    Count(usize),
    /// A message with a line that matches.
    Line(Pattern),
    /// No message with a line that matches.
    NoLine(Pattern),
    /// A message that ends with these octets.
    End(String),
}

/// A line: as it is, or as a regular expression that has to match all of it.
#[derive(Clone)]
pub enum Pattern {
    /// As it is.
    Literal(String),
    /// `~…`
    Regex(String),
}

/// What a line should be, and what it is on a peer that answers in another way.
pub struct Expected {
    /// On Pillarbox, and on every peer that `on` does not name.
    pub pattern: Pattern,
    /// `S/postfix: …`; `None` where the peer says nothing at all (`S/postfix: -`).
    pub on: BTreeMap<String, Option<Pattern>>,
}

impl Expected {
    /// What is expected of this peer.
    pub fn of(&self, peer: &str) -> Option<&Pattern> {
        match self.on.get(peer) {
            Some(instead) => instead.as_ref(),
            None => Some(&self.pattern),
        }
    }
}

impl Script {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&text).map_err(|(line, error)| format!("{}:{line}: {error}", path.display()))
    }

    fn parse(text: &str) -> Result<Self, (usize, String)> {
        let first = text.lines().next().unwrap_or_default();
        if !first.starts_with("# ") || !(first.contains("RFC ") || first.contains("Pillarbox")) {
            return Err((1, "the first line says the rule and where it is from: # RFC 5321 §4.1.1.1: …".into()));
        }
        let mut script = Self { only_pillarbox: None, settings: Vec::new(), steps: Vec::new() };
        for (index, line) in text.lines().enumerate() {
            script.read_line(index + 1, line).map_err(|error| (index + 1, error))?;
        }
        Ok(script)
    }

    fn read_line(&mut self, number: usize, line: &str) -> Result<(), String> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if let Some(text) = line.strip_prefix("| ").or_else(|| (line == "|").then_some("")) {
            return self.continue_given(text);
        }
        if let Some((peer, rest)) = line.strip_prefix("S/").and_then(|rest| rest.split_once(':')) {
            return self.stand_in(peer, rest.trim_start());
        }
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let action = match word {
            "only" => {
                let reason = rest.strip_prefix("pillarbox ").ok_or("expected: only pillarbox REASON")?;
                self.only_pillarbox = Some(reason.to_owned());
                return Ok(());
            }
            "setting" => {
                self.settings.push(rest.to_owned());
                return Ok(());
            }
            "from" => Action::From(rest.parse().map_err(|_| "expected: from 192.0.2.1")?),
            "C:" => Action::Send { text: rest.to_owned(), crlf: true },
            "C>" => Action::Send { text: rest.to_owned(), crlf: false },
            "S:" => read_server(rest)?,
            "conn" => {
                let (name, listener) = rest.split_once(' ').unwrap_or((rest, ""));
                let listener = (!listener.is_empty()).then(|| listener.to_owned());
                Action::Connection { name: name.to_owned(), listener }
            }
            "flush" => Action::Flush,
            "nothing" if rest == "else" => Action::NothingElse,
            "login" => {
                let (user, mailbox) = rest.split_once(' ').unwrap_or((rest, ""));
                let mailbox = (!mailbox.is_empty()).then(|| mailbox.to_owned());
                Action::Login { user: user.to_owned(), mailbox }
            }
            "compress" => Action::Compress,
            "starttls" => Action::Starttls,
            "tls" => Action::Tls,
            "certificate" if rest.is_empty() => return Err("expected: certificate NAME, or certificate none".into()),
            "certificate" => Action::Certificate((rest != "none").then(|| rest.to_owned())),
            "close" => Action::Close,
            "clock" => Action::Clock { seconds: read_seconds(rest).ok_or("expected: clock +300s")? },
            "has" => Action::Has(Expected { pattern: Pattern::parse(rest), on: BTreeMap::new() }),
            "lacks" => Action::Lacks(Expected { pattern: Pattern::parse(rest), on: BTreeMap::new() }),
            "ends" => Action::Ends(rest.to_owned()),
            "same" => {
                let (a, b) = rest.split_once(' ').ok_or("expected: same A B")?;
                Action::Same(a.to_owned(), b.to_owned())
            }
            "given" if rest.starts_with("peer ") => Action::Peer(rest.split(' ').skip(1).map(str::to_owned).collect()),
            "given" if rest.starts_with("app-password ") => read_app_password(rest)
                .ok_or("expected: given app-password NAME ADDRESS PROTOCOL,PROTOCOL, perhaps with +60s behind it")?,
            "revoke" => {
                let (name, address) = rest.split_once(' ').ok_or("expected: revoke NAME ADDRESS")?;
                Action::Revoke { name: name.to_owned(), address: address.to_owned() }
            }
            "expect" if rest.starts_with("app-password ") => {
                read_last_use(rest).ok_or("expected: expect app-password NAME ADDRESS unused, or used +60s")?
            }
            "given" => read_given(rest)?,
            "expect" if rest.starts_with("queue ") => {
                read_queue(rest).ok_or("expected: expect queue DOMAIN count N")?
            }
            "expect" if rest.starts_with("session ") => {
                Action::Session(rest.split(' ').skip(1).map(str::to_owned).collect())
            }
            "expect" => read_mailbox(rest)?,
            _ => return Err(format!("no such directive: {word}")),
        };
        self.steps.push(Step { line: number, action });
        Ok(())
    }

    fn continue_given(&mut self, text: &str) -> Result<(), String> {
        match self.steps.last_mut() {
            Some(Step { action: Action::Given { message, .. }, .. }) => {
                message.push_str(text);
                message.push_str("\\r\\n");
                Ok(())
            }
            Some(Step { action: Action::Appended { messages, .. }, .. }) => {
                if messages.is_empty() {
                    messages.push(String::new());
                }
                messages[0].push_str(text);
                messages[0].push_str("\\r\\n");
                Ok(())
            }
            _ => Err("a line of a message stands below its `given`".into()),
        }
    }

    fn stand_in(&mut self, peer: &str, text: &str) -> Result<(), String> {
        let pattern = (text != "-").then(|| Pattern::parse(text));
        match self.steps.last_mut() {
            Some(Step { action: Action::Until { on, .. }, .. }) => {
                let (_, status) = read_until(text).ok_or("expected: <until TAG OK>")?;
                on.insert(peer.to_owned(), status);
                Ok(())
            }
            Some(Step { action: Action::Line(expected) | Action::Has(expected) | Action::Lacks(expected), .. }) => {
                expected.on.insert(peer.to_owned(), pattern);
                Ok(())
            }
            _ => Err("a peer's line stands below the line that it stands in for".into()),
        }
    }
}

impl Pattern {
    /// Reads one.
    pub fn parse(text: &str) -> Self {
        match text.strip_prefix('~') {
            Some(regex) => Self::Regex(regex.to_owned()),
            None => Self::Literal(text.to_owned()),
        }
    }
}

fn read_server(text: &str) -> Result<Action, String> {
    Ok(match text {
        "<eof>" => Action::Eof,
        "<silence>" => Action::Silence,
        "<lines>" => Action::Lines,
        _ if text.starts_with("<until ") => {
            let (tag, status) = read_until(text).ok_or("expected: S: <until TAG OK>, NO or BAD")?;
            Action::Until { tag, status, on: BTreeMap::new() }
        }
        _ if text.starts_with("<repl") => {
            read_replies(text).ok_or("expected: S: <reply 250> or S: <replies 250 x 3>")?
        }
        _ => Action::Line(Expected { pattern: Pattern::parse(text), on: BTreeMap::new() }),
    })
}

fn read_replies(text: &str) -> Option<Action> {
    let is_code = |code: &&str| code.len() == 3 && code.bytes().all(|b| b.is_ascii_digit());
    let inside = text.strip_prefix('<')?.strip_suffix('>')?;
    let (word, rest) = inside.split_once(' ')?;
    let (code, count) = rest.split_once(" x ").unwrap_or((rest, "1"));
    let code = Some(code).filter(is_code)?.to_owned();
    match word {
        "reply" => Some(Action::Reply { code }),
        "replies" => Some(Action::Replies { code, count: count.parse().ok()? }),
        _ => None,
    }
}

fn read_until(text: &str) -> Option<(String, String)> {
    let (tag, status) = text.strip_prefix("<until ")?.strip_suffix('>')?.split_once(' ')?;
    let is_status = ["OK", "NO", "BAD"].iter().any(|known| status.starts_with(known));
    is_status.then(|| (tag.to_owned(), status.to_owned()))
}

/// `ADDRESS` by SMTP; `ADDRESS MAILBOX (FLAGS)` and `ADDRESS MAILBOX count N` by APPEND.
fn read_given(rest: &str) -> Result<Action, String> {
    let Some((address, rest)) = rest.split_once(' ') else {
        return Ok(Action::Given { address: rest.to_owned(), message: String::new() });
    };
    let address = address.to_owned();
    if let Some((mailbox, count)) = rest.split_once(" count ") {
        let count: usize = count.parse().map_err(|_| "expected: given ADDRESS MAILBOX count N")?;
        let message = |n: usize| format!("From: s@elsewhere.test\\r\\nSubject: message {n}\\r\\n\\r\\ntext {n}\\r\\n");
        let messages = (1..=count).map(message).collect();
        return Ok(Action::Appended { address, mailbox: mailbox.to_owned(), flags: String::new(), messages });
    }
    let (mailbox, flags) = rest.split_once(' ').unwrap_or((rest, ""));
    let (mailbox, flags) = (mailbox.to_owned(), flags.to_owned());
    Ok(Action::Appended { address, mailbox, flags, messages: Vec::new() })
}

fn read_app_password(rest: &str) -> Option<Action> {
    let mut words = rest.split(' ').skip(1).map(str::to_owned);
    let (name, address, protocols) = (words.next()?, words.next()?, words.next()?);
    let ends_in_s = match words.next() {
        Some(end) => Some(read_seconds(&end)?),
        None => None,
    };
    Some(Action::AppPassword { name, address, protocols, ends_in_s })
}

fn read_last_use(rest: &str) -> Option<Action> {
    let words: Vec<&str> = rest.split(' ').skip(1).collect();
    let (name, address, at_s) = match words.as_slice() {
        [name, address, "unused"] => (name, address, None),
        [name, address, "used", at] => (name, address, Some(read_seconds(at)?)),
        _ => return None,
    };
    Some(Action::LastUse { name: (*name).to_owned(), address: (*address).to_owned(), at_s })
}

/// `+300s`
fn read_seconds(text: &str) -> Option<u64> {
    text.strip_prefix('+')?.strip_suffix('s')?.parse().ok()
}

fn read_queue(rest: &str) -> Option<Action> {
    let (domain, count) = rest.strip_prefix("queue ")?.split_once(" count ")?;
    Some(Action::Queue { domain: domain.to_owned(), count: count.parse().ok()? })
}

fn read_mailbox(rest: &str) -> Result<Action, String> {
    let usage = "expected: expect mailbox ADDRESS count N, or has, lacks or ends with a text";
    let mut words = rest.splitn(4, ' ');
    let (Some("mailbox"), Some(address), Some(what), Some(text)) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(usage.into());
    };
    let holds = match what {
        "count" => Holds::Count(text.parse().map_err(|_| usage)?),
        "has" => Holds::Line(Pattern::parse(text)),
        "lacks" => Holds::NoLine(Pattern::parse(text)),
        "ends" => Holds::End(text.to_owned()),
        _ => return Err(usage.into()),
    };
    Ok(Action::Mailbox { address: address.to_owned(), holds })
}
