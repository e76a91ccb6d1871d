use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::append::append;
use super::context::{Context, Enabled, User};
use super::link::{End, Link};
use super::selected::{Selected, SyncError};
use super::table::{self, Row};
use crate::base::limits;
use crate::imap::wire::{self, Answer, Code, Command, Frame, Framer, Literal, Request, Status, parse, write_answer};
use crate::net::{Connection, Crowded};
use crate::telemetry::metrics;

/// First words by which a client shows that it speaks something else: a page in a browser that was lured here, or a mail
/// program that mistook the port.
const FOREIGN: [&[u8]; 13] = [
    b"GET", b"POST", b"HEAD", b"PUT", b"OPTIONS", b"CONNECT", b"PATCH", b"TRACE", b"DELETE", b"EHLO", b"HELO", b"LHLO",
    b"MAIL",
];

/// Where a session stands. Each state owns what is true in it; a command consumes it and gives the next.
// RFC 9051 §3
pub(super) enum State {
    NotAuthenticated,
    Authenticated(User),
    Selected(User, Box<Selected>),
}

/// What a command leads to.
pub(super) struct Done {
    pub(super) state: State,
    /// `None`: it is written already.
    pub(super) answer: Option<Answer>,
    /// It counts as an error, as every `BAD` does.
    pub(super) is_error: bool,
    /// The session ends with it.
    pub(super) is_last: bool,
}

impl Done {
    pub(super) fn new(state: State, answer: Answer) -> Self {
        Self { state, answer: Some(answer), is_error: false, is_last: false }
    }

    pub(super) fn error(state: State, answer: Answer) -> Self {
        Self { is_error: true, ..Self::new(state, answer) }
    }

    pub(super) fn answered(state: State) -> Self {
        Self { state, answer: None, is_error: false, is_last: false }
    }
}

/// What has come.
enum Arrival {
    Command,
    /// APPEND up to the announcement of its first message.
    Append(Literal),
    /// A command that was passed over to its end.
    Oversize,
}

/// A session: the connection, and what holds whatever its state.
pub(super) struct Session {
    pub(super) link: Link,
    pub(super) context: Arc<Context>,
    pub(super) framer: Framer,
    pub(super) enabled: Enabled,
    pub(super) login_failures: u32,
    errors: u32,
    /// Commands before the login.
    junk: u32,
    /// What a command is answered that is being passed over.
    refusal: Option<Answer>,
}

/// What a client is told that gets no permit.
pub fn refusal(crowded: Crowded) -> &'static [u8] {
    match crowded {
        Crowded::Total => b"* BYE [UNAVAILABLE] too many connections, try again later\r\n",
        Crowded::Address | Crowded::Network => b"* BYE [LIMIT] too many connections from your address\r\n",
    }
}

/// What a client is told that comes while the server is not ready for it. RFC 5530 §3
pub fn refusal_early(why: &str) -> String {
    format!("* BYE [UNAVAILABLE] {why}, try again later\r\n")
}

/// Runs a session from the greeting to the end. On listeners with TLS from the first byte, the handshake is done before.
pub async fn serve(connection: Connection, context: Arc<Context>) {
    let peer = connection.peer();
    let link = Link { connection, idle: context.idle, stop: context.stop.clone(), presence: None };
    let mut session = Session {
        link,
        context,
        framer: Framer::new(),
        enabled: Enabled::default(),
        login_failures: 0,
        errors: 0,
        junk: 0,
        refusal: None,
    };
    match session.run().await {
        Ok(()) => session.link.connection.close().await,
        Err(End::Bye(text)) => {
            tracing::debug!(%peer, text, "imap session ended");
            session.link.connection.write(format!("* BYE {text}\r\n").as_bytes());
            session.link.connection.close().await;
        }
        Err(end) => tracing::debug!(%peer, %end, "imap session ended"),
    }
}

impl Session {
    /// Ends with `Ok` when the last answer is written.
    async fn run(&mut self) -> Result<(), End> {
        let mut state = State::NotAuthenticated;
        let greeting = Answer::ok(format!("{} IMAP ready", self.context.hostname));
        let greeting = greeting.with(Code::Capability(self.capabilities(&state)));
        write_answer(self.link.output(), None, &greeting);
        loop {
            let arrival = self.arrival(&state).await?;
            self.link.check_login()?;
            state = match arrival {
                Arrival::Command => match self.command(state).await? {
                    Some(state) => state,
                    None => return Ok(()),
                },
                Arrival::Append(literal) => match Box::pin(self.append(state, literal)).await? {
                    Some(state) => state,
                    None => return Ok(()),
                },
                Arrival::Oversize => {
                    let answer = self.refusal.take().unwrap_or_else(|| Answer::bad("the command is too long"));
                    // The tag is all that is left.
                    let tag = self.framer.take();
                    self.error(Some(&*tag).filter(|tag| is_tag(tag)), &answer).await?;
                    state
                }
            };
        }
    }

    /// Waits until a command has come that can be dealt with.
    async fn arrival(&mut self, state: &State) -> Result<Arrival, End> {
        let is_known = !matches!(state, State::NotAuthenticated);
        let bytes_max = if is_known { limits::IMAP_COMMAND_BYTES } else { limits::IMAP_COMMAND_BYTES_BEFORE_LOGIN };
        let mut since = Instant::now();
        loop {
            let (frame, used) = self.framer.next(self.link.connection.buffered(), bytes_max);
            self.link.connection.consume(used);
            match frame {
                Frame::Command => return Ok(Arrival::Command),
                Frame::Oversize => return Ok(Arrival::Oversize),
                Frame::Literal(literal) => {
                    if self.literal(literal, bytes_max, is_known) {
                        return Ok(Arrival::Append(literal));
                    }
                }
                Frame::Incomplete => {
                    let had_begun = self.has_begun();
                    let most = self.patience(is_known);
                    self.link.more_input(since, most, is_known).await?;
                    if !had_begun {
                        // The time for a command begins with its first octet, however long the client was silent before.
                        since = Instant::now();
                    }
                }
            }
        }
    }

    /// The time for a whole command: a client that sends it octet by octet gains nothing.
    fn patience(&self, is_known: bool) -> Duration {
        let idle = self.link.idle;
        let idle = if is_known { idle } else { idle.min(Duration::from_secs(limits::IMAP_LOGIN_IDLE_S)) };
        if self.has_begun() { idle.min(Duration::from_secs(limits::IMAP_COMMAND_S)) } else { idle }
    }

    /// Whether a command has come in part.
    fn has_begun(&self) -> bool {
        !self.framer.so_far().is_empty() || !self.link.connection.buffered().is_empty()
    }

    /// Says what becomes of an announced literal; true when it is the message of an APPEND.
    // RFC 9051 §4.3, RFC 7888 §4
    fn literal(&mut self, literal: Literal, bytes_max: usize, is_known: bool) -> bool {
        let so_far = self.framer.so_far();
        let refusal = match wire::append(so_far) {
            Some(Ok(_)) if is_known => return true,
            Some(Ok(_)) => Some(Answer::bad("log in first")),
            Some(Err(error)) => Some(Answer::bad(error.what)),
            // RFC 7888 §5: LITERAL- is announced before the login.
            None if !is_known && !literal.is_synchronising && literal.size_bytes > limits::LITERAL_MINUS_BYTES => {
                Some(Answer::bad("before the login, longer literals have to wait for the +"))
            }
            None if literal.size_bytes > bytes_max.saturating_sub(so_far.len()) as u64 => {
                Some(Answer::bad("the literal is too long"))
            }
            None => None,
        };
        if refusal.is_some() {
            self.refusal = refusal;
            self.framer.skip();
        } else {
            self.framer.collect();
            if literal.is_synchronising {
                self.link.connection.write(b"+ OK\r\n");
            }
        }
        false
    }

    /// Carries out the command that has come. `None`: it was the last.
    async fn command(&mut self, state: State) -> Result<Option<State>, End> {
        let gathered = self.framer.take();
        if let State::NotAuthenticated = state {
            // Nobody who means to log in says so much before.
            self.junk += 1;
            if self.junk > limits::JUNK_COMMANDS {
                return Err(End::Bye("too many commands without a login"));
            }
        }
        let (row, tag, done) = match parse(&gathered) {
            Err(_) if matches!(state, State::NotAuthenticated) && is_foreign(&gathered) => return Err(End::Foreign),
            Err(error) => {
                self.error(error.tag, &Answer::bad(error.what)).await?;
                self.framer.recycle(gathered);
                return Ok(Some(state));
            }
            Ok(Command { tag, request }) => {
                let row = table::row(&request);
                if let Some(refusal) = row.refusal(&state, &self.context) {
                    (row, tag.to_vec(), Done::error(state, refusal))
                } else if let Request::Idle = request {
                    let tag = tag.to_vec();
                    // It may be long: nothing is kept that is not needed.
                    drop(gathered);
                    let (state, answer) = self.idle(state).await?;
                    return self.complete(row, &tag, Done::new(state, answer)).await;
                } else {
                    // In a box of its own, so that a session that waits does not hold the room that the greediest needs.
                    let done = Box::pin(self.execute(state, tag, request)).await?;
                    (row, tag.to_vec(), done)
                }
            }
        };
        self.framer.recycle(gathered);
        self.complete(row, &tag, done).await
    }

    /// APPEND: its handler reads the rest of the command.
    async fn append(&mut self, state: State, literal: Literal) -> Result<Option<State>, End> {
        let tag = tag_of(self.framer.so_far()).unwrap_or_default().to_vec();
        let (State::Authenticated(user) | State::Selected(user, _)) = &state else { return Err(End::Foreign) };
        let answer = append(&mut self.link, &mut self.framer, &self.context, user, self.enabled, literal).await?;
        self.complete(table::APPEND, &tag, Done::new(state, answer)).await
    }

    /// Tells what has changed, and how the command went. `None`: it was the last.
    async fn complete(&mut self, row: Row, tag: &[u8], done: Done) -> Result<Option<State>, End> {
        let Done { mut state, answer, is_error, is_last } = done;
        metrics().imap_command(row.name, status_word(answer.as_ref()));
        if let State::Selected(user, mut selected) = state {
            let (link, store) = (&mut self.link, &self.context.store);
            state = match Box::pin(selected.sync(link, store, self.enabled, row.tells_expunges, &[])).await {
                Ok(()) => State::Selected(user, selected),
                Err(SyncError::End(end)) => return Err(end),
                Err(SyncError::Store(error)) => {
                    tracing::error!(%error, "a mailbox could not be read");
                    State::Selected(user, selected)
                }
                // Who deletes the mailbox that it has open, knows it.
                Err(SyncError::Gone) if row.name == "DELETE" => {
                    self.link.connection.write(b"* OK [CLOSED] the mailbox was deleted\r\n");
                    State::Authenticated(user)
                }
                // It is over anyhow.
                Err(SyncError::Gone) if is_last => State::Authenticated(user),
                // RFC 2180 §3.3. What was committed is answered: a client that does not hear it does it again.
                Err(SyncError::Gone) => {
                    self.link.connection.write(b"* BYE the mailbox was deleted\r\n");
                    if let Some(answer) = &answer {
                        write_answer(self.link.output(), Some(tag), answer);
                    }
                    return Ok(None);
                }
            };
        }
        match answer {
            Some(answer) if is_error || answer.status == Status::Bad => self.error(Some(tag), &answer).await?,
            Some(answer) => write_answer(self.link.output(), Some(tag), &answer),
            None => {}
        }
        self.link.relieve().await?;
        Ok((!is_last).then_some(state))
    }

    /// A command that is none, or not in its place.
    async fn error(&mut self, tag: Option<&[u8]>, answer: &Answer) -> Result<(), End> {
        self.errors += 1;
        if self.errors > limits::ERRORS_SOFT {
            self.wait().await?;
        }
        write_answer(self.link.output(), tag, answer);
        if self.errors >= limits::ERRORS_HARD { Err(End::Bye("too many errors")) } else { Ok(()) }
    }

    /// What was said before goes out at once; what comes next is held back.
    pub(super) async fn wait(&mut self) -> Result<(), End> {
        self.link.flush().await?;
        let delay = tokio::time::sleep(self.context.refusal_delay);
        self.context.stop.run_until_cancelled(delay).await;
        Ok(())
    }
}

/// How a command went, as the figures count it.
fn status_word(answer: Option<&Answer>) -> &'static str {
    match answer.map(|answer| answer.status) {
        // What is answered already went well.
        Some(Status::Ok) | None => "ok",
        Some(Status::No) => "no",
        Some(Status::Bad) => "bad",
    }
}

/// The tag of a command that has begun.
fn tag_of(gathered: &[u8]) -> Option<&[u8]> {
    let end = gathered.iter().position(|octet| *octet == b' ')?;
    gathered.get(..end).filter(|tag| is_tag(tag))
}

// RFC 9051 §9 "tag"
fn is_tag(octets: &[u8]) -> bool {
    let may_be = |octet: &u8| octet.is_ascii_graphic() && !b"(){%*\"\\+".contains(octet);
    !octets.is_empty() && octets.iter().all(may_be)
}

fn is_foreign(gathered: &[u8]) -> bool {
    let first = gathered.split(|octet| *octet == b' ').next().unwrap_or_default();
    FOREIGN.iter().any(|word| word.eq_ignore_ascii_case(first))
}

#[cfg(test)]
mod tests;
