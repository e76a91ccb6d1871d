//! Plays the server of a client dialogue, and holds what came of it against the file.

use std::sync::Arc;
use std::time::Duration;

use pillarbox::base::{SystemClock, Timestamp, TurnedClock};
use pillarbox::net::{Connection, Transcript};
use pillarbox::queue::{Outcome, Stage, Verdict};
use pillarbox::smtp::client::{Ended, Failure, Summary, drive};
use pillarbox::store::{Options, Schema, Store};
use pillarbox::tls::{self, Certificates, Protocol, Roots};
use rustls::ServerConfig;
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use super::courier::{self, Recorder};
use super::script::{Action, Expect, Script};
use crate::script::Pattern;
use crate::text::{self, Variables};
use crate::wire::Wire;

static SCHEMA: Schema = Schema { version: 1, tables: tls::TABLES, checks: &[], migrations: &[] };
/// Octets on their way in each direction.
const PIPE_BYTES: usize = 64 * 1024;
/// How long the client may take to come to its end.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came of a session.
struct Played {
    swapped: Option<Connection>,
    summary: Summary,
    recorder: Recorder,
    transcript: Transcript,
}

/// Plays a script; what went wrong comes with the line of the file and what was said until then.
pub async fn play(script: &Script) -> Result<(), (usize, String)> {
    let at_top = |error: String| (0, error);
    let variables = Variables::new();
    let (server, roots, pin) = certificates().await.map_err(at_top)?;
    let plan = courier::plan(&script.plan, &roots, pin).map_err(at_top)?;
    let mut recorder = Recorder::new(&script.mails, &variables).map_err(at_top)?;
    let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
    let address = script.plan.address.parse().map_err(|_| (0, "no address".to_owned()))?;
    let mut connection = Connection::memory(ours, address, address);
    let transcript = Transcript::new();
    connection.record(transcript.clone());
    let client = tokio::spawn(async move {
        let ended = drive(connection, &plan, &mut recorder).await;
        (ended, recorder)
    });
    let mut play = Play {
        wire: Some(Wire::new(theirs)),
        server,
        unsent: Vec::new(),
        message: Vec::new(),
        variables,
        is_quiet: false,
        said: Vec::new(),
    };
    for (line, action) in &script.steps {
        let told = play.step(action).await;
        told.map_err(|error| (*line, format!("{error}\n{}", play.said.join("\n"))))?;
    }
    play.flush().await;
    let swaps = script.expects.iter().any(|(_, expect)| matches!(expect, Expect::Swap | Expect::SwapInTls));
    if !swaps {
        play.rest().await.map_err(at_top)?;
    }
    let ended = timeout(PATIENCE, client).await.map_err(|_| (0, "the client does not end".to_owned()))?;
    let (ended, recorder) = ended.map_err(|error| (0, error.to_string()))?;
    let (swapped, summary) = match ended {
        Ended::Closed(summary) => (None, summary),
        Ended::Swap(connection, summary) => (Some(connection), summary),
    };
    let result = Played { swapped, summary, recorder, transcript };
    let said = play.said.join("\n");
    result.check(script).map_err(|(line, error)| (line, format!("{error}\n{said}")))
}

/// The server's certificate, roots that trust it, and its SHA-256.
async fn certificates() -> Result<(Arc<ServerConfig>, Roots, [u8; 32]), String> {
    let store = Store::open(Options::memory(Arc::new(TurnedClock::new(Timestamp(0)))), &SCHEMA);
    let store = store.map_err(|error| error.to_string())?;
    let name = "mx.b.test".parse().map_err(|_| "a name")?;
    let certificates = Certificates::open(&store, &name, &SystemClock).await.map_err(|error| error.to_string())?;
    let der = certificates.der().ok_or("no certificate")?;
    let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", text::base64(&der));
    let roots = Roots::public_and(pem.as_bytes()).map_err(|error| error.to_string())?;
    let config = certificates.server_config(Protocol::Smtp).map_err(|error| error.to_string())?;
    Ok((config, roots, Sha256::digest(&der).into()))
}

struct Play {
    /// `None` when the server has closed.
    wire: Option<Wire>,
    server: Arc<ServerConfig>,
    unsent: Vec<u8>,
    /// The message that was read last.
    message: Vec<Vec<u8>>,
    variables: Variables,
    /// Nothing more is read.
    is_quiet: bool,
    said: Vec<String>,
}

impl Play {
    async fn step(&mut self, action: &Action) -> Result<(), String> {
        if !matches!(action, Action::Send { .. }) {
            self.flush().await;
        }
        match action {
            Action::Send { text, crlf } => {
                let mut octets = text::octets(text, &self.variables)?;
                if *crlf {
                    octets.extend_from_slice(b"\r\n");
                }
                self.said.push(format!("  S: {}", text::shown(&octets)));
                self.unsent.extend_from_slice(&octets);
                Ok(())
            }
            Action::Flush => Ok(()),
            Action::Line(pattern) => {
                let line = self.wire()?.line().await.map_err(|error| error.to_string())?;
                let line = line.ok_or("the client closed instead of saying a line")?;
                let line = String::from_utf8_lossy(&line).into_owned();
                self.said.push(format!("  C: {line}"));
                if self.fits(pattern, &line)? { Ok(()) } else { Err("the client said something else".into()) }
            }
            Action::Data => {
                self.message = self.wire()?.lines().await.map_err(|error| error.to_string())?;
                self.said.push(format!("  C: ({} lines)", self.message.len()));
                Ok(())
            }
            Action::Torn => {
                let octets = self.wire()?.drain().await.map_err(|error| error.to_string())?;
                self.is_quiet = true;
                match octets.starts_with(b".\r\n") || octets.windows(5).any(|five| five == b"\r\n.\r\n") {
                    true => Err("the client has sent an end of data".into()),
                    false => Ok(()),
                }
            }
            Action::Silence => match self.wire()?.surprise().await.map_err(|error| error.to_string())? {
                None => Ok(()),
                Some(said) => Err(format!("expected silence, got {}", text::shown(&said))),
            },
            Action::Octets => match self.wire()?.surprise().await.map_err(|error| error.to_string())? {
                Some(said) if !said.is_empty() => Ok(()),
                _ => Err("the client sent nothing".into()),
            },
            Action::Hang => {
                self.is_quiet = true;
                Ok(())
            }
            Action::Eof => {
                let said = self.wire()?.drain().await.map_err(|error| error.to_string())?;
                self.is_quiet = true;
                if said.is_empty() { Ok(()) } else { Err(format!("expected the end, got {}", text::shown(&said))) }
            }
            Action::Close => {
                self.wire = None;
                Ok(())
            }
            Action::Tls => {
                let wire = self.wire.take().ok_or("the server has closed")?;
                let server = Arc::clone(&self.server);
                self.wire = Some(wire.accept(server).await.map_err(|error| error.to_string())?);
                Ok(())
            }
            Action::NoTls => {
                let wire = self.wire.take().ok_or("the server has closed")?;
                match wire.accept(Arc::clone(&self.server)).await {
                    // The client may see the certificate only behind our own last flight.
                    Ok(mut wire) => match wire.line().await {
                        Ok(Some(_)) => Err("the client goes on in TLS".into()),
                        Ok(None) | Err(_) => Ok(()),
                    },
                    Err(_) => Ok(()),
                }
            }
            Action::Has(pattern, wanted) => {
                let mut found = false;
                for line in &self.message {
                    let line = String::from_utf8_lossy(line.strip_suffix(b"\r\n").unwrap_or(line)).into_owned();
                    found |= self.fits(pattern, &line)?;
                }
                if found == *wanted { Ok(()) } else { Err("the lines of the message are others".into()) }
            }
        }
    }

    async fn flush(&mut self) {
        let octets = std::mem::take(&mut self.unsent);
        if let (false, Some(wire)) = (octets.is_empty(), &mut self.wire) {
            wire.send(&octets).await;
        }
    }

    /// Nothing may come that the file does not name.
    async fn rest(&mut self) -> Result<(), String> {
        if self.is_quiet {
            return Ok(());
        }
        let Some(mut wire) = self.wire.take() else { return Ok(()) };
        match wire.drain().await.map_err(|error| error.to_string())? {
            said if said.is_empty() => Ok(()),
            said => Err(format!("the client goes on: {}", text::shown(&said))),
        }
    }

    fn wire(&mut self) -> Result<&mut Wire, String> {
        self.wire.as_mut().ok_or_else(|| "the server has closed".to_owned())
    }

    fn fits(&self, pattern: &Pattern, line: &str) -> Result<bool, String> {
        fits(pattern, line, &self.variables)
    }
}

fn fits(pattern: &Pattern, text: &str, variables: &Variables) -> Result<bool, String> {
    Ok(match pattern {
        Pattern::Literal(literal) => text::octets(literal, variables)? == text.as_bytes(),
        Pattern::Regex(regex) => {
            let regex = format!("^(?:{})$", text::regex(regex, variables)?);
            regex_lite::Regex::new(&regex).map_err(|error| error.to_string())?.is_match(text)
        }
    })
}

impl Played {
    /// Everything that is expected has come, and nothing else.
    fn check(&self, script: &Script) -> Result<(), (usize, String)> {
        for (line, expect) in &script.expects {
            self.check_one(expect).map_err(|error| (*line, error))?;
        }
        let whole = |error: String| Err((0, error));
        let is_named = |name: &String| {
            script.expects.iter().any(|(_, expect)| match expect {
                Expect::Fate { recipient, .. } | Expect::Nothing { recipient } => recipient == name,
                _ => false,
            })
        };
        if let Some((_, name)) = self.recorder.names.iter().find(|(_, name)| !is_named(name)) {
            return whole(format!("the file does not say what becomes of {name}"));
        }
        let breaks = script.expects.iter().any(|(_, expect)| matches!(expect, Expect::Failure { .. }));
        if let (false, Some(failure)) = (breaks, &self.summary.failure) {
            return whole(format!("the session broke: {failure:?}"));
        }
        let answers = script.expects.iter().any(|(_, expect)| matches!(expect, Expect::Answer(_)));
        if let (false, Some(answer)) = (answers, &self.summary.answer) {
            return whole(format!("an answer: {answer:?}"));
        }
        let swaps = script.expects.iter().any(|(_, expect)| matches!(expect, Expect::Swap | Expect::SwapInTls));
        if swaps != self.swapped.is_some() {
            return whole(format!("swapped: {}", self.swapped.is_some()));
        }
        // What holds always: nobody is delivered to whose attempt was not opened, and nobody has two outcomes.
        for (place, outcome) in self.recorder.outcomes.iter().enumerate() {
            if outcome.verdict == Verdict::Delivered && !self.recorder.opened.contains(&outcome.entry) {
                return whole(format!("{} was delivered without an open attempt", outcome.entry));
            }
            if self.recorder.outcomes.iter().skip(place + 1).any(|other| other.entry == outcome.entry) {
                return whole(format!("{} has two outcomes", outcome.entry));
            }
        }
        if self.summary.sent != self.recorder.taken {
            return whole(format!("{} messages are counted, {} were taken", self.summary.sent, self.recorder.taken));
        }
        Ok(())
    }

    fn check_one(&self, expect: &Expect) -> Result<(), String> {
        let variables = Variables::new();
        match expect {
            Expect::Fate { verdict, recipient, stage, words } => {
                let outcome = self.outcome(recipient)?.ok_or_else(|| format!("nothing became of {recipient}"))?;
                let attempt = &outcome.attempt;
                let said = shown(attempt.words.code, attempt.words.enhanced, &attempt.words.text);
                let seen = format!("{:?} {} {said}", outcome.verdict, stage_name(attempt.stage)).to_lowercase();
                let is_right = format!("{:?}", outcome.verdict).to_lowercase() == *verdict
                    && stage_name(attempt.stage) == stage
                    && fits(words, &said, &variables)?;
                if is_right { Ok(()) } else { Err(format!("what became of {recipient}: {seen}")) }
            }
            Expect::Nothing { recipient } => match self.outcome(recipient)? {
                None => Ok(()),
                Some(outcome) => Err(format!("something became of {recipient}: {outcome:?}")),
            },
            Expect::Failure { stage, is_busy, words } => {
                let Some(Failure { stage: seen, words: said, is_busy: busy }) = &self.summary.failure else {
                    return Err("the session did not break".into());
                };
                let said = shown(said.code, said.enhanced, &said.text);
                let is_right = stage_name(*seen) == stage && is_busy == busy && fits(words, &said, &variables)?;
                let seen = format!("{} busy={busy} {said}", stage_name(*seen));
                if is_right { Ok(()) } else { Err(format!("the session broke: {seen}")) }
            }
            Expect::Answer(words) => {
                let (code, text) = self.summary.answer.clone().ok_or("there was no answer")?;
                let said = format!("{code} {text}");
                if fits(words, &said, &variables)? { Ok(()) } else { Err(format!("the answer was {said}")) }
            }
            Expect::Swap | Expect::SwapInTls => {
                let connection = self.swapped.as_ref().ok_or("the connection is not handed over")?;
                let with_tls = matches!(expect, Expect::SwapInTls);
                if connection.tls().is_some() == with_tls { Ok(()) } else { Err(format!("{:?}", connection.tls())) }
            }
            Expect::Tls(words) => {
                let seen = self.recorder.outcomes.iter().find_map(|outcome| outcome.attempt.tls.clone());
                let seen = seen.ok_or("no attempt tells of TLS")?;
                if fits(words, &seen, &variables)? { Ok(()) } else { Err(format!("TLS was {seen}")) }
            }
            Expect::Record(pattern, wanted) => {
                let text = self.transcript.text();
                let mut found = false;
                for line in text.lines() {
                    found |= fits(pattern, line, &variables)?;
                }
                if found == *wanted { Ok(()) } else { Err(format!("the record is\n{text}")) }
            }
        }
    }

    fn outcome(&self, recipient: &str) -> Result<Option<&Outcome>, String> {
        let named = self.recorder.names.iter().find(|(_, name)| name == recipient);
        let (id, _) = named.ok_or_else(|| format!("no message is for {recipient}"))?;
        Ok(self.recorder.outcomes.iter().find(|outcome| outcome.entry == *id))
    }
}

fn shown(code: Option<u16>, enhanced: Option<(u8, u16, u16)>, text: &str) -> String {
    let code = code.map_or("own".to_owned(), |code| code.to_string());
    match enhanced {
        Some((class, subject, detail)) => format!("{code} {class}.{subject}.{detail} {text}"),
        None => format!("{code} {text}"),
    }
}

fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Route => "route",
        Stage::Connect => "connect",
        Stage::Greeting => "greeting",
        Stage::Hello => "hello",
        Stage::Tls => "tls",
        Stage::Login => "login",
        Stage::Sender => "sender",
        Stage::Recipient => "recipient",
        Stage::Data => "data",
        Stage::End => "end",
        Stage::Queue => "queue",
        Stage::Mailbox => "mailbox",
    }
}
