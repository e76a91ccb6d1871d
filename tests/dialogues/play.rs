//! Plays a dialogue: sends what the client says, and holds every line of the server's against the file.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use regex_lite::Regex;
use tokio::time::{Instant, sleep};

use crate::certificate;
use crate::maildrop;
use crate::script::{Action, Expected, Holds, Pattern, Script};
use crate::stage::Stage;
use crate::text::{self, Variables};
use crate::wire::Wire;

/// Plays a script; what went wrong comes with the line of the file and what was said until then.
pub async fn play(script: &Script, stage: &Stage, listener: &str) -> Result<(), (usize, String)> {
    let mut play = Play {
        stage,
        listener,
        wires: BTreeMap::new(),
        current: "1".to_owned(),
        from: IpAddr::V4(Ipv4Addr::LOCALHOST),
        certificate: None,
        unsent: Vec::new(),
        block: Vec::new(),
        claimed: Vec::new(),
        variables: stage.variables(),
        transcript: Vec::new(),
    };
    for step in &script.steps {
        play.step(&step.action).await.map_err(|error| {
            let from = play.transcript.len().saturating_sub(40);
            (step.line, format!("{error}\n{}", play.transcript[from..].join("\n")))
        })?;
    }
    Ok(())
}

pub struct Play<'a> {
    stage: &'a Stage,
    listener: &'a str,
    /// Each with the listener that it goes to.
    wires: BTreeMap<String, (String, Wire)>,
    current: String,
    from: IpAddr,
    /// What it shows to a server that asks for a certificate.
    certificate: Option<String>,
    unsent: Vec<u8>,
    /// The lines read last: a reply's texts, the lines of a POP3 answer, or IMAP responses.
    pub block: Vec<Vec<u8>>,
    /// Which of them a `has` was about.
    pub claimed: Vec<bool>,
    variables: Variables,
    transcript: Vec<String>,
}

impl Play<'_> {
    async fn step(&mut self, action: &Action) -> Result<(), String> {
        if !matches!(action, Action::Send { .. }) {
            self.flush().await?;
        }
        match action {
            Action::Connection { name, listener } => {
                self.current.clone_from(name);
                if !self.wires.contains_key(name) {
                    self.open(listener.as_deref().unwrap_or(self.listener)).await?;
                }
                Ok(())
            }
            Action::Send { text, crlf } => {
                let mut octets = text::octets(text, &self.variables)?;
                if *crlf {
                    octets.extend_from_slice(b"\r\n");
                }
                self.transcript.push(format!("  C{}: {}", self.current, text::shown(&octets)));
                self.unsent.extend_from_slice(&octets);
                Ok(())
            }
            Action::Flush => Ok(()),
            Action::Starttls => self.starttls().await,
            Action::Tls => self.handshake().await,
            Action::Certificate(name) => {
                self.certificate.clone_from(name);
                Ok(())
            }
            Action::Close => {
                self.wires.remove(&self.current);
                self.transcript.push(format!("  C{} closes", self.current));
                self.stage.settle(self.wires.len()).await
            }
            Action::Clock { seconds } => self.stage.turn_clock(Duration::from_secs(*seconds)),
            Action::Line(expected) => self.expect_line(expected).await,
            Action::Reply { code } => self.reply(code).await,
            Action::Replies { code, count } => {
                for _ in 0..*count {
                    self.reply(code).await?;
                }
                Ok(())
            }
            Action::From(address) => {
                self.from = *address;
                Ok(())
            }
            Action::Lines => self.lines().await,
            Action::Until { tag, status, on } => self.until(tag, on.get(self.stage.peer()).unwrap_or(status)).await,
            Action::NothingElse => self.nothing_else(),
            Action::Login { user, mailbox } => self.log_in(user, mailbox.as_deref()).await,
            Action::Compress => self.compress().await,
            Action::Eof => self.expect_eof().await,
            Action::Silence => match self.wire().await?.surprise().await.map_err(|e| e.to_string())? {
                None => Ok(()),
                Some(said) => Err(format!("expected silence, got {}", text::shown(&said))),
            },
            Action::Has(expected) => match expected.of(self.stage.peer()) {
                Some(pattern) if !self.block_has(pattern)? => Err("no line of the answer is like that".to_owned()),
                _ => Ok(()),
            },
            Action::Lacks(expected) => match expected.of(self.stage.peer()) {
                Some(pattern) if self.block_has(pattern)? => Err("a line of the answer is like that".to_owned()),
                _ => Ok(()),
            },
            Action::Ends(end) => {
                let end = text::octets(end, &self.variables)?;
                let seen = self.block.concat();
                let from = seen.len().saturating_sub(end.len() + 40);
                (seen.ends_with(&end)).then_some(()).ok_or_else(|| format!("ends with {}", text::shown(&seen[from..])))
            }
            Action::Same(a, b) => {
                let (a, b) = (text::octets(a, &self.variables)?, text::octets(b, &self.variables)?);
                (a == b).then_some(()).ok_or_else(|| format!("{} is not {}", text::shown(&a), text::shown(&b)))
            }
            Action::Given { address, message } => {
                let message = text::octets(message, &self.variables)?;
                maildrop::put(self.stage, address, &message).await
            }
            Action::Appended { address, mailbox, flags, messages } => {
                let octets = messages.iter().map(|message| text::octets(message, &self.variables));
                let messages = octets.collect::<Result<Vec<_>, _>>()?;
                maildrop::append(self.stage, address, mailbox, flags, &messages).await
            }
            Action::Peer(fields) => self.stage.peer_there(fields).await,
            Action::AppPassword { name, address, protocols, ends_in_s } => {
                let secret = self.stage.house()?.app_password(name, address, protocols, *ends_in_s).await?;
                self.variables.insert(name.clone(), secret);
                Ok(())
            }
            Action::Revoke { name, address } => self.stage.house()?.revoke(name, address).await,
            Action::LastUse { name, address, at_s } => {
                let seen = self.stage.house()?.last_use(name, address).await?;
                (seen == *at_s).then_some(()).ok_or_else(|| format!("it was last used at second {seen:?}"))
            }
            Action::Queue { domain, count } => {
                let seen = self.stage.queued(domain)?;
                (seen == *count).then_some(()).ok_or_else(|| format!("{seen} recipients are queued in {domain}"))
            }
            Action::Session(fields) => self.stage.session_is(fields),
            Action::Mailbox { address, holds } => self.expect_mailbox(address, holds).await,
        }
    }

    async fn open(&mut self, listener: &str) -> Result<(), String> {
        let wire = self.stage.connect_from(self.from, listener).await?;
        self.wires.insert(self.current.clone(), (listener.to_owned(), wire));
        Ok(())
    }

    pub async fn wire(&mut self) -> Result<&mut Wire, String> {
        if !self.wires.contains_key(&self.current) {
            self.open(self.listener).await?;
        }
        self.wires.get_mut(&self.current).map(|(_, wire)| wire).ok_or_else(|| "no connection".to_owned())
    }

    async fn flush(&mut self) -> Result<(), String> {
        let octets = std::mem::take(&mut self.unsent);
        if !octets.is_empty() {
            self.wire().await?.send(&octets).await;
        }
        Ok(())
    }

    async fn starttls(&mut self) -> Result<(), String> {
        self.wire().await?;
        let (verb, good) = match self.wires.get(&self.current).map(|(listener, _)| listener.as_str()) {
            Some("pop3") => ("STLS", "+OK "),
            Some("imap") => ("tls STARTTLS", "tls OK "),
            _ => ("STARTTLS", "220 2.0.0 "),
        };
        self.transcript.push(format!("  C{}: {verb}", self.current));
        self.wire().await?.send(format!("{verb}\r\n").as_bytes()).await;
        let line = self.read_line().await?;
        if !line.starts_with(good) {
            return Err(format!("{verb}: expected {good}…, got {line}"));
        }
        self.handshake().await
    }

    async fn handshake(&mut self) -> Result<(), String> {
        self.wire().await?;
        let (listener, wire) = self.wires.remove(&self.current).ok_or("no connection")?;
        let shaken = match &self.certificate {
            None => wire.tls().await,
            Some(name) => wire.tls_showing(certificate::of(name).shown).await,
        };
        let wire = shaken.map_err(|error| format!("the handshake failed: {error}"))?;
        self.transcript.push(format!("  C{} and the server shake hands", self.current));
        self.wires.insert(self.current.clone(), (listener, wire));
        Ok(())
    }

    pub async fn read_line(&mut self) -> Result<String, String> {
        String::from_utf8(self.read_octets().await?).map_err(|error| format!("not UTF-8: {error}"))
    }

    /// The next line; in IMAP with its literals.
    pub async fn read_octets(&mut self) -> Result<Vec<u8>, String> {
        self.wire().await?;
        let is_imap = self.wires.get(&self.current).is_some_and(|(listener, _)| listener.starts_with("imap"));
        let (_, wire) = self.wires.get_mut(&self.current).ok_or("no connection")?;
        let line = if is_imap { wire.response().await } else { wire.line().await };
        let line = line.map_err(|error| error.to_string())?.ok_or("the server closed the connection")?;
        self.transcript.push(format!("  S{}: {}", self.current, text::shown(&line)));
        Ok(line)
    }

    pub fn note(&mut self, what: &str) {
        self.transcript.push(format!("  C{}: {what}", self.current));
    }

    async fn expect_line(&mut self, expected: &Expected) -> Result<(), String> {
        let Some(pattern) = expected.of(self.stage.peer()) else {
            return Ok(());
        };
        let line = self.read_octets().await?;
        match self.matches(pattern, &line)? {
            true => Ok(()),
            false => Err(format!("got: {}", text::shown(&line))),
        }
    }

    async fn expect_eof(&mut self) -> Result<(), String> {
        match self.wire().await?.line().await {
            Ok(None) => {
                self.transcript.push(format!("  S{} closes", self.current));
                self.wires.remove(&self.current);
                self.stage.settle(self.wires.len()).await
            }
            Ok(Some(line)) => Err(format!("expected the end of the connection, got {}", text::shown(&line))),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn reply(&mut self, code: &str) -> Result<(), String> {
        self.block.clear();
        loop {
            let line = self.read_line().await?;
            let (seen, text) = line.split_at_checked(4).unwrap_or((line.as_str(), ""));
            if !seen.starts_with(code) {
                return Err(format!("expected a reply {code}, got {line}"));
            }
            self.block.push(text.as_bytes().to_vec());
            if !seen.ends_with('-') {
                return Ok(());
            }
        }
    }

    async fn lines(&mut self) -> Result<(), String> {
        self.block = self.wire().await?.lines().await.map_err(|error| error.to_string())?;
        let octets: usize = self.block.iter().map(Vec::len).sum();
        self.transcript.push(format!("  S{}: {} lines, {octets} octets", self.current, self.block.len()));
        self.variables.insert("octets".to_owned(), octets.to_string());
        self.variables.insert("lines".to_owned(), self.block.len().to_string());
        Ok(())
    }

    /// Whether a line of the block is so. It is marked: another one that is so goes before one that is marked already.
    fn block_has(&mut self, pattern: &Pattern) -> Result<bool, String> {
        let mut found = None;
        for (place, line) in self.block.clone().into_iter().enumerate() {
            if self.matches(pattern, line.strip_suffix(b"\r\n").unwrap_or(&line))? {
                found = Some(place);
                if !self.claimed.get(place).is_some_and(|claimed| *claimed) {
                    break;
                }
            }
        }
        if let Some(claimed) = found.and_then(|place| self.claimed.get_mut(place)) {
            *claimed = true;
        }
        Ok(found.is_some())
    }

    /// Whether a line is as expected; what the pattern's groups caught becomes variables.
    fn matches(&mut self, pattern: &Pattern, line: &[u8]) -> Result<bool, String> {
        match pattern {
            Pattern::Literal(literal) => Ok(text::octets(literal, &self.variables)? == line),
            Pattern::Regex(source) => {
                let source = text::regex(source, &self.variables)?;
                let regex = Regex::new(&format!("(?s)^(?:{source})$")).map_err(|error| error.to_string())?;
                let line = String::from_utf8_lossy(line);
                let Some(found) = regex.captures(&line) else {
                    return Ok(false);
                };
                for name in regex.capture_names().flatten() {
                    if let Some(caught) = found.name(name) {
                        self.variables.insert(name.to_owned(), caught.as_str().to_owned());
                    }
                }
                Ok(true)
            }
        }
    }

    /// A peer delivers after its 250; Pillarbox has delivered before.
    async fn expect_mailbox(&mut self, address: &str, holds: &Holds) -> Result<(), String> {
        let patience = Instant::now() + self.stage.delivery_time();
        loop {
            let messages = maildrop::messages(self.stage, address).await?;
            match self.mailbox_holds(&messages, holds)? {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() >= patience => return Err(error),
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    }

    fn mailbox_holds(&mut self, messages: &[Vec<u8>], holds: &Holds) -> Result<Result<(), String>, String> {
        let (pattern, wanted) = match holds {
            Holds::Count(count) => {
                let seen = messages.len();
                return Ok((seen == *count).then_some(()).ok_or_else(|| format!("there are {seen} messages")));
            }
            Holds::End(end) => {
                let end = text::octets(end, &self.variables)?;
                let found = messages.iter().any(|message| message.ends_with(&end));
                let tails: Vec<_> = messages.iter().map(|m| text::shown(&m[m.len().saturating_sub(300)..])).collect();
                return Ok(found.then_some(()).ok_or_else(|| format!("no message ends so: {tails:#?}")));
            }
            Holds::Line(pattern) => (pattern, true),
            Holds::NoLine(pattern) => (pattern, false),
        };
        for message in messages {
            let text = String::from_utf8_lossy(message);
            // A field may be folded: its line is also looked at as one.
            let unfolded = text.replace("\r\n\t", " ").replace("\r\n ", " ");
            for line in text.split("\r\n").chain(unfolded.split("\r\n")) {
                if self.matches(pattern, line.as_bytes())? {
                    return Ok(wanted.then_some(()).ok_or_else(|| format!("there is the line {line}")));
                }
            }
        }
        let seen: Vec<_> = messages.iter().map(|m| text::shown(m)).collect();
        Ok((!wanted).then_some(()).ok_or_else(|| format!("no such line in {seen:#?}")))
    }
}
