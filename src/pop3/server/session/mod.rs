use std::borrow::Cow;

use super::maildrop::{Listing, Maildrop};
use crate::base::{Uid, limits};
use crate::pop3::wire::{Code, Command, CommandError, Reply, parse};
use crate::sasl::{Credentials, Exchange, Mechanism, SaslError, Step};

/// What is known of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Channel {
    /// TLS protects it.
    pub(super) is_tls: bool,
    /// The client is on this machine.
    pub(super) is_loopback: bool,
    /// There is a certificate for STLS.
    pub(super) can_start_tls: bool,
}

/// A session, decided without I/O. A step consumes it.
pub(super) struct Session {
    channel: Channel,
    state: State,
    /// Commands that were none, or not in their place.
    errors: u32,
    /// Commands before login.
    junk: u32,
    login_failures: u32,
}

/// AUTHORIZATION is the first three; UPDATE is what the driver does with [`Effect::Remove`].
// RFC 1939 §3
enum State {
    Authorization,
    /// USER has named somebody.
    Named(String),
    /// An AUTH exchange waits for a line.
    Exchanging(Exchange),
    Transaction(Maildrop),
    /// The driver verifies a login, or the session is over.
    Closed,
}

/// What comes in.
pub(super) enum Input<'a> {
    /// A line, without its CRLF.
    Line(&'a [u8]),
    /// A line was too long.
    Oversize,
    /// The answer to [`Effect::Authenticate`].
    LoggedIn(Result<Maildrop, LoginRefusal>),
    /// The answer to [`Effect::Look`].
    Looked { number: u32, is_there: bool },
}

/// Why there is no maildrop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoginRefusal {
    /// Name or password are wrong, or the account may not use POP3.
    Credentials,
    /// Another POP3 session has the maildrop.
    InUse,
    /// Too many logins at a time.
    Busy,
    /// A fault of ours.
    Broken,
}

/// What the driver is to do.
pub(super) enum Effect {
    /// Reply.
    Reply(Reply),
    /// Reply after the delay for those who guess.
    Slow(Reply),
    /// Reply, and write a listing of the maildrop behind it.
    List(Reply, Listing),
    /// Send a message, or its header and some lines.
    Send { number: u32, uid: Uid, size_bytes: u64, lines: Option<u32> },
    /// Look whether the message is still there, and come back with the answer.
    Look { number: u32, uid: Uid },
    /// Verify the credentials, take the maildrop, and come back with it.
    Authenticate(Credentials),
    /// When nothing is buffered: reply, run the handshake, and go on with [`Session::tls_started`]. Else close without
    /// a reply.
    StartTls(Reply),
    /// Remove the messages in one transaction, say whether it went well, and close.
    Remove(Vec<Uid>),
    /// Reply and close.
    Close(Reply),
    /// The same after the delay.
    CloseSlow(Reply),
    /// Close without a word.
    Drop,
}

type Outcome = (State, Effect);

impl Session {
    pub(super) fn new(channel: Channel) -> Self {
        Self { channel, state: State::Authorization, errors: 0, junk: 0, login_failures: 0 }
    }

    /// The longest line that may come now, with its CRLF.
    pub(super) fn line_bytes_max(&self) -> usize {
        match self.state {
            // RFC 5034 §4: the limit of RFC 2449 is for commands, not for responses.
            State::Exchanging(_) => limits::SASL_RESPONSE_BYTES + 2,
            _ => limits::POP3_LINE_BYTES,
        }
    }

    /// What the session works on, once somebody has logged in.
    pub(super) fn maildrop(&self) -> Option<&Maildrop> {
        match &self.state {
            State::Transaction(maildrop) => Some(maildrop),
            _ => None,
        }
    }

    /// TLS is active: what was said in the clear is forgotten.
    // RFC 2595 §4
    pub(super) fn tls_started(self) -> Self {
        Self { channel: Channel { is_tls: true, ..self.channel }, state: State::Authorization, ..self }
    }

    pub(super) fn step(mut self, input: Input<'_>) -> (Self, Effect) {
        let state = std::mem::replace(&mut self.state, State::Closed);
        let (state, effect) = match (input, state) {
            (Input::Line(line), State::Exchanging(exchange)) => self.exchanged(exchange.answer(line)),
            (Input::Line(line), state) => match parse(line) {
                Ok(command) => self.command(state, command),
                Err(CommandError::Foreign) => (State::Closed, Effect::Drop),
                Err(error) => self.refuse(state, Reply::error(error.to_string())),
            },
            (Input::Oversize, State::Exchanging(_)) => {
                self.refuse(State::Authorization, Reply::error("the line is too long"))
            }
            (Input::Oversize, state) => self.refuse(state, Reply::error("the line is too long")),
            (Input::LoggedIn(Ok(maildrop)), _) => {
                let reply = summary(&maildrop);
                (State::Transaction(maildrop), Effect::Reply(reply))
            }
            (Input::LoggedIn(Err(refusal)), _) => self.login_refused(refusal),
            (Input::Looked { number, is_there }, State::Transaction(maildrop)) => delete(maildrop, number, is_there),
            (Input::Looked { .. }, _) => (State::Closed, Effect::Drop),
        };
        self.state = state;
        (self, effect)
    }

    fn command(&mut self, state: State, command: Command<'_>) -> Outcome {
        match state {
            State::Transaction(maildrop) => self.transaction(maildrop, command),
            State::Named(name) => self.authorization(Some(name), command),
            State::Authorization | State::Exchanging(_) => self.authorization(None, command),
            State::Closed => (State::Closed, Effect::Drop),
        }
    }

    /// Before login. `name` is what USER has said.
    fn authorization(&mut self, name: Option<String>, command: Command<'_>) -> Outcome {
        // Nobody who means to log in says so much before.
        self.junk += 1;
        if self.junk > limits::JUNK_COMMANDS {
            return (State::Closed, Effect::Close(Reply::error("too many commands without a login")));
        }
        match command {
            Command::User(_) | Command::Pass(_) | Command::Auth(Some(_)) if !self.takes_passwords() => {
                self.refuse(State::Authorization, Reply::error("use STLS first: passwords are not taken in the clear"))
            }
            // RFC 1939 §7 lets a server refuse here who has no maildrop; it would tell strangers who has one.
            Command::User(name) => (State::Named(name.to_owned()), Effect::Reply(Reply::ok("now the password"))),
            Command::Pass(password) => match name {
                Some(login) => (State::Closed, Effect::Authenticate(Credentials { login, password })),
                None => self.refuse(State::Authorization, Reply::error("USER comes first")),
            },
            Command::Auth(Some(arguments)) => match Mechanism::of_password(arguments.mechanism) {
                Some(mechanism) => self.exchanged(Exchange::start(mechanism, arguments.initial, None)),
                None => self.refuse(State::Authorization, Reply::error("this mechanism is not available")),
            },
            Command::Auth(None) => {
                let lines = self.mechanisms().map(Cow::Borrowed).collect();
                (State::Authorization, Effect::Reply(Reply::ok("mechanisms").with_lines(lines)))
            }
            Command::Stls => match self.channel {
                Channel { is_tls: true, .. } => {
                    self.refuse(State::Authorization, Reply::error("TLS is active already"))
                }
                Channel { can_start_tls: false, .. } => {
                    self.refuse(State::Authorization, Reply::error("TLS is not available"))
                }
                Channel { .. } => (State::Authorization, Effect::StartTls(Reply::ok("begin TLS"))),
            },
            Command::Capa => {
                let state = name.map_or(State::Authorization, State::Named);
                (state, Effect::Reply(self.capabilities(false)))
            }
            Command::Quit => (State::Closed, Effect::Close(Reply::ok("bye"))),
            _ => self.refuse(name.map_or(State::Authorization, State::Named), Reply::error("log in first")),
        }
    }

    // RFC 5034 §4
    fn exchanged(&mut self, step: Result<Step, SaslError>) -> Outcome {
        match step {
            Ok(Step::Challenge(exchange, challenge)) => {
                (State::Exchanging(exchange), Effect::Reply(Reply::challenge(challenge)))
            }
            Ok(Step::Done(claim)) => match claim.into_password() {
                Ok(credentials) => (State::Closed, Effect::Authenticate(credentials)),
                Err(error) => self.exchanged(Err(error)),
            },
            Err(error) => self.refuse(State::Authorization, Reply::error(error.to_string())),
        }
    }

    fn login_refused(&mut self, refusal: LoginRefusal) -> Outcome {
        let reply = match refusal {
            LoginRefusal::Credentials => {
                self.login_failures += 1;
                // RFC 3206 §4
                let reply = Reply::coded(Code::Auth, "authentication failed");
                return if self.login_failures < limits::LOGIN_FAILURES {
                    (State::Authorization, Effect::Slow(reply))
                } else {
                    (State::Closed, Effect::CloseSlow(reply))
                };
            }
            // RFC 2449 §8.1.2
            LoginRefusal::InUse => Reply::coded(Code::InUse, "another session has this maildrop, try again later"),
            // RFC 3206 §3
            LoginRefusal::Busy => Reply::coded(Code::SysTemp, "too many logins at a time, try again later"),
            LoginRefusal::Broken => Reply::coded(Code::SysTemp, "an internal error, try again later"),
        };
        (State::Authorization, Effect::Reply(reply))
    }

    // RFC 1939 §5, §7
    fn transaction(&mut self, mut maildrop: Maildrop, command: Command<'_>) -> Outcome {
        let effect = match command {
            Command::Stat => {
                let (count, octets) = maildrop.totals();
                Effect::Reply(Reply::ok(format!("{count} {octets}")))
            }
            Command::List(number) => list(&maildrop, Listing::Sizes, number),
            Command::Uidl(number) => list(&maildrop, Listing::Uidls, number),
            Command::Retr(number) => send(&maildrop, number, None),
            Command::Top(number, lines) => send(&maildrop, number, Some(lines)),
            Command::Dele(number) => match maildrop.entry(number) {
                Some(entry) => Effect::Look { number, uid: entry.uid },
                None => Effect::Reply(no_such_message()),
            },
            Command::Noop => Effect::Reply(Reply::ok("")),
            Command::Rset => {
                maildrop.reset();
                Effect::Reply(summary(&maildrop))
            }
            Command::Capa => Effect::Reply(self.capabilities(true)),
            // RFC 1939 §6: nothing but QUIT removes anything.
            Command::Quit => match maildrop.deleted_uids() {
                none if none.is_empty() => return (State::Closed, Effect::Close(Reply::ok("bye"))),
                uids => Effect::Remove(uids),
            },
            Command::User(_) | Command::Pass(_) | Command::Auth(_) | Command::Stls => {
                return self.refuse(State::Transaction(maildrop), Reply::error("you are logged in already"));
            }
        };
        (State::Transaction(maildrop), effect)
    }

    /// A command that is none, or not in its place.
    fn refuse(&mut self, state: State, reply: Reply) -> Outcome {
        self.errors += 1;
        if self.errors >= limits::ERRORS_HARD {
            (State::Closed, Effect::CloseSlow(Reply::error("too many errors")))
        } else if self.errors > limits::ERRORS_SOFT {
            (state, Effect::Slow(reply))
        } else {
            (state, Effect::Reply(reply))
        }
    }

    fn takes_passwords(&self) -> bool {
        self.channel.is_tls || self.channel.is_loopback
    }

    fn mechanisms(&self) -> impl Iterator<Item = &'static str> {
        let takes_passwords = self.takes_passwords();
        Mechanism::PASSWORDS.into_iter().filter(move |_| takes_passwords).map(Mechanism::name)
    }

    // RFC 2449 §5
    fn capabilities(&self, is_logged_in: bool) -> Reply {
        let mut lines: Vec<Cow<'static, str>> =
            ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER"].map(Cow::Borrowed).into();
        if self.takes_passwords() {
            lines.push("USER".into());
            lines.push(format!("SASL {}", self.mechanisms().collect::<Vec<_>>().join(" ")).into());
        }
        if !is_logged_in && !self.channel.is_tls && self.channel.can_start_tls {
            lines.push("STLS".into());
        }
        if is_logged_in {
            lines.push("IMPLEMENTATION Pillarbox".into());
        }
        Reply::ok("capabilities").with_lines(lines)
    }
}

fn list(maildrop: &Maildrop, listing: Listing, number: Option<u32>) -> Effect {
    match number {
        None => Effect::List(summary(maildrop), listing),
        Some(number) => Effect::Reply(maildrop.line(listing, number).map_or_else(no_such_message, Reply::ok)),
    }
}

fn send(maildrop: &Maildrop, number: u32, lines: Option<u32>) -> Effect {
    match maildrop.entry(number) {
        Some(entry) => Effect::Send { number, uid: entry.uid, size_bytes: entry.size_bytes, lines },
        None => Effect::Reply(no_such_message()),
    }
}

fn delete(mut maildrop: Maildrop, number: u32, is_there: bool) -> Outcome {
    let reply = if !is_there {
        expunged(number)
    } else if maildrop.delete(number) {
        Reply::ok(format!("message {number} will be deleted at QUIT"))
    } else {
        no_such_message()
    };
    (State::Transaction(maildrop), Effect::Reply(reply))
}

fn summary(maildrop: &Maildrop) -> Reply {
    let (count, octets) = maildrop.totals();
    Reply::ok(format!("{count} messages ({octets} octets)"))
}

/// Another session has removed it since the login; its number stays.
pub(super) fn expunged(number: u32) -> Reply {
    Reply::error(format!("message {number} expunged"))
}

fn no_such_message() -> Reply {
    Reply::error("no such message")
}

#[cfg(test)]
mod tests;
