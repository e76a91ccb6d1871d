use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::context::Context;
use super::lease::Lease;
use super::maildrop::{Listing, Maildrop};
use super::session::{Channel, Effect, Input, LoginRefusal, Session, expunged};
use crate::base::{MailboxId, SystemFlags, Uid, limits};
use crate::directory::{LoginError, Presence, Protocol};
use crate::mailbox::{self, ChangeFlags, Expunge, FlagMode, NoteFetched};
use crate::net::{Connection, ConnectionError, Crowded};
use crate::pop3::wire::{Code, DotStuffer, Frame, Framer, Reply, Top};
use crate::sasl::Credentials;
use crate::store::StoreError;
use crate::telemetry::{metrics, pop3_verb};
use crate::trace::{Event, Kind, Refusal, Subject};

/// Octets of replies that are gathered before they are sent.
const OUTPUT_BYTES: usize = 64 * 1024;

/// How often a waiting session looks whether others need its place.
const PATIENCE_CHECK: Duration = Duration::from_secs(5);

/// How long a client is silent before what it has read is marked as seen: while it fetches one message behind the other,
/// they are marked together, and none of them waits for it.
const SEEN_PAUSE: Duration = Duration::from_millis(200);

/// Messages that are marked together at most.
const SEEN_MAX: usize = 1000;

/// What a client is told that gets no permit.
pub fn refusal(crowded: Crowded) -> &'static [u8] {
    match crowded {
        Crowded::Total => b"-ERR [SYS/TEMP] too many connections, try again later\r\n",
        Crowded::Address | Crowded::Network => b"-ERR [SYS/TEMP] too many connections from your address\r\n",
    }
}

/// What a client is told that comes while the server is not ready for it. RFC 3206 §4
pub fn refusal_early(why: &str) -> String {
    format!("-ERR [SYS/TEMP] {why}, try again later\r\n")
}

/// Runs a session from the greeting to the end. On listeners with TLS from the first byte, the handshake is done before.
pub async fn serve(connection: Connection, context: Arc<Context>) {
    let peer = connection.peer();
    let mut driver =
        Driver { connection, context, framer: Framer::new(), login: None, seen: None, fetched: HashSet::new() };
    let ended = driver.run().await;
    // Before the answer to QUIT goes out: who looks then, finds it so.
    driver.mark_seen().await;
    match ended {
        // The maildrop is free once QUIT is answered: the client may come back at once.
        Ok(()) => {
            driver.login = None;
            driver.connection.close().await;
        }
        Err(end) => tracing::debug!(%peer, %end, "pop3 session ended"),
    }
}

/// Why a session ends without a word.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error("the client has closed the connection")]
    Eof,
    #[error("another protocol was spoken")]
    Foreign,
    #[error("bytes came in the clear behind STLS")]
    BytesBehindStls,
    #[error("a message could not be read to its end: {0}")]
    Message(StoreError),
}

/// Who has logged in, and the hold on the maildrop.
struct Login {
    name: String,
    _lease: Lease,
    presence: Presence,
}

struct Driver {
    connection: Connection,
    context: Arc<Context>,
    framer: Framer,
    login: Option<Login>,
    /// Messages of the mailbox that were sent whole, and are not yet noted.
    seen: Option<(MailboxId, Vec<Uid>)>,
    /// Those that are.
    fetched: HashSet<Uid>,
}

impl Driver {
    /// Ends with `Ok` when the last reply is written and the connection is to be closed in an orderly way.
    async fn run(&mut self) -> Result<(), End> {
        let mut session = Session::new(Channel {
            is_tls: self.connection.tls().is_some(),
            is_loopback: self.connection.is_loopback(),
            can_start_tls: self.context.tls.is_some(),
        });
        self.reply(&Reply::ok(format!("{} POP3 ready", self.context.hostname)));
        // The time for a whole line: a client that sends it octet by octet gains nothing.
        let mut since = Instant::now();
        loop {
            let (frame, used) = self.framer.next(self.connection.buffered(), session.line_bytes_max());
            let input = match frame {
                Frame::Line(line) => {
                    metrics().pop3_command(pop3_verb(line));
                    Input::Line(line)
                }
                Frame::Oversize => Input::Oversize,
                Frame::Incomplete => {
                    self.connection.consume(used);
                    if !self.more_input(since).await? {
                        return Ok(());
                    }
                    continue;
                }
            };
            if self.login.as_ref().is_some_and(|login| login.presence.has_ended()) {
                self.reply_stopped();
                return Ok(());
            }
            let (stepped, effect) = session.step(input);
            self.connection.consume(used);
            match self.perform(stepped, effect).await? {
                Some(next) => session = next,
                None => return Ok(()),
            }
            since = Instant::now();
        }
    }

    /// Sends what is written and waits for input; false when the server stops. The client has been silent `since`.
    async fn more_input(&mut self, since: Instant) -> Result<bool, End> {
        self.flush().await?;
        let stop = self.login.as_ref().map_or(&self.context.stop, |login| login.presence.stop()).clone();
        loop {
            let idle = self.context.idle;
            let patience = if self.login.is_some() { idle } else { self.connection.patience(idle) };
            let left = patience.saturating_sub(since.elapsed());
            let pause = if self.seen.is_some() { SEEN_PAUSE } else { PATIENCE_CHECK };
            match stop.run_until_cancelled(self.connection.fill(left.min(pause))).await {
                None => {
                    self.reply_stopped();
                    return Ok(false);
                }
                Some(Err(ConnectionError::TimedOut)) if left > pause => self.mark_seen().await,
                Some(Ok(0)) => return Err(End::Eof),
                Some(count) => return Ok(count? > 0),
            }
        }
    }

    /// Nothing that was marked is deleted.
    fn reply_stopped(&mut self) {
        let text = match &self.login {
            Some(login) if !login.presence.is_stopping() => "your login has ended: log in again",
            _ => "the server stops, try again later",
        };
        self.reply(&Reply::coded(Code::SysTemp, text));
    }

    /// Does what the session asks for. `None`: it is over.
    async fn perform(&mut self, mut session: Session, mut effect: Effect) -> Result<Option<Session>, End> {
        loop {
            match effect {
                Effect::Reply(reply) => self.reply(&reply),
                Effect::Slow(reply) => {
                    self.wait().await?;
                    self.reply(&reply);
                }
                Effect::List(reply, listing) => {
                    self.reply(&reply);
                    self.list(session.maildrop(), listing).await?;
                }
                Effect::Send { number, uid, size_bytes, lines } => {
                    self.send(session.maildrop(), number, uid, size_bytes, lines).await?;
                }
                Effect::Look { number, uid } => {
                    let is_there = self.is_there(session.maildrop(), uid);
                    (session, effect) = session.step(Input::Looked { number, is_there });
                    continue;
                }
                Effect::Authenticate(credentials) => {
                    self.flush().await?;
                    let answer = self.log_in(credentials).await;
                    (session, effect) = session.step(Input::LoggedIn(answer));
                    continue;
                }
                Effect::StartTls(reply) => {
                    self.start_tls(&reply).await?;
                    session = session.tls_started();
                }
                Effect::Remove(uids) => {
                    let reply = self.remove(session.maildrop(), uids).await;
                    self.reply(&reply);
                    return Ok(None);
                }
                Effect::Close(reply) => {
                    self.reply(&reply);
                    return Ok(None);
                }
                Effect::CloseSlow(reply) => {
                    self.wait().await?;
                    self.reply(&reply);
                    return Ok(None);
                }
                Effect::Drop => return Err(End::Foreign),
            }
            if self.connection.output().len() >= OUTPUT_BYTES {
                self.flush().await?;
            }
            return Ok(Some(session));
        }
    }

    fn reply(&mut self, reply: &Reply) {
        reply.write_to(self.connection.output());
    }

    async fn flush(&mut self) -> Result<(), End> {
        Ok(self.connection.flush(self.context.idle).await?)
    }

    /// What was said before goes out at once; what comes next is held back.
    async fn wait(&mut self) -> Result<(), End> {
        self.flush().await?;
        let (stop, delay) = (self.context.stop.clone(), self.context.refusal_delay);
        stop.run_until_cancelled(tokio::time::sleep(delay)).await;
        Ok(())
    }

    async fn list(&mut self, maildrop: Option<&Maildrop>, listing: Listing) -> Result<(), End> {
        for line in maildrop.into_iter().flat_map(|maildrop| maildrop.lines(listing)) {
            let output = self.connection.output();
            output.extend_from_slice(line.as_bytes());
            output.extend_from_slice(b"\r\n");
            if output.len() >= OUTPUT_BYTES {
                self.flush().await?;
            }
        }
        self.connection.write(b".\r\n");
        Ok(())
    }

    /// Sends a message piece by piece: however large it is, one piece is in memory.
    async fn send(
        &mut self,
        maildrop: Option<&Maildrop>,
        number: u32,
        uid: Uid,
        size_bytes: u64,
        lines: Option<u32>,
    ) -> Result<(), End> {
        let found = maildrop.map(|maildrop| mailbox::content(&self.context.store, maildrop.mailbox(), uid));
        let mut content = match found {
            Some(Ok(Some(content))) => content,
            Some(Ok(None)) | None => {
                self.reply(&expunged(number));
                return Ok(());
            }
            Some(Err(error)) => {
                tracing::error!(%error, "a message could not be read");
                self.reply(&Reply::coded(Code::SysTemp, "the message can't be read at the moment"));
                return Ok(());
            }
        };
        self.reply(&match lines {
            None => Reply::ok(format!("{size_bytes} octets")),
            Some(_) => Reply::ok("the header and some lines follow"),
        });
        let mut top = lines.map(Top::new);
        let mut stuffer = DotStuffer::new();
        // From here on the reply is +OK: a fault can only be shown by an end without the dot.
        while let Some(piece) = content.next().await.map_err(End::Message)? {
            let part = top.as_mut().map_or(&piece[..], |top| top.take(&piece));
            stuffer.push(part, self.connection.output());
            if top.as_ref().is_some_and(Top::is_done) {
                break;
            }
            if self.connection.output().len() >= OUTPUT_BYTES {
                self.flush().await?;
            }
        }
        stuffer.finish(self.connection.output());
        if let (None, Some(maildrop)) = (lines, maildrop)
            && self.fetched.insert(uid)
        {
            let (_, seen) = self.seen.get_or_insert_with(|| (maildrop.mailbox(), Vec::new()));
            seen.push(uid);
            if seen.len() >= SEEN_MAX {
                self.mark_seen().await;
            }
        }
        Ok(())
    }

    /// Tells the trace of what was sent.
    fn note_fetched(&self) {
        let (Some((mailbox, uids)), Some(login)) = (&self.seen, &self.login) else { return };
        if !uids.is_empty() {
            self.context.store.ride(NoteFetched {
                mailbox: *mailbox,
                uids: mailbox::runs(uids.clone()),
                by: format!("pop3 {}", login.name),
                peer_ip: self.connection.peer().ip(),
                at: self.context.clock.now(),
            });
        }
    }

    /// Tells the trace of what was sent, and marks it as seen: other programs shall not show it as new.
    async fn mark_seen(&mut self) {
        self.note_fetched();
        let Some((mailbox, uids)) = self.seen.take() else { return };
        if !self.context.retr_sets_seen || uids.is_empty() {
            return;
        }
        let change = ChangeFlags {
            mailbox,
            uids: mailbox::runs(uids),
            mode: FlagMode::Add,
            flags: SystemFlags::SEEN,
            keywords: Vec::new(),
            unchanged_since: None,
        };
        if let Err(error) = self.context.store.write(change).await {
            tracing::warn!(%error, "what was read could not be marked as seen");
        }
    }

    /// Whether the message is still there; what can't be found out is taken for yes, and seen at QUIT.
    fn is_there(&self, maildrop: Option<&Maildrop>, uid: Uid) -> bool {
        let Some(maildrop) = maildrop else { return false };
        let view = self.context.store.view();
        view.and_then(|view| mailbox::has(&view, maildrop.mailbox(), uid)).unwrap_or(true)
    }

    async fn log_in(&mut self, credentials: Credentials) -> Result<Maildrop, LoginRefusal> {
        let Credentials { login, password } = credentials;
        let from = Some(self.connection.peer().ip());
        let verified = self.context.authenticator.authenticate(&login, &password, Protocol::Pop3, from).await;
        metrics().login(Protocol::Pop3.as_str(), LoginError::outcome(&verified));
        if matches!(verified, Err(LoginError::Refused)) {
            self.note_refused(&login);
        }
        let identity = verified.map_err(|error| match error {
            LoginError::Refused => LoginRefusal::Credentials,
            LoginError::Busy => LoginRefusal::Busy,
            LoginError::Broken(_) => broken(&error),
        })?;
        let account = identity.account;
        let lease = self.context.leases.take(account).ok_or(LoginRefusal::InUse)?;
        let listed = self.context.store.read(move |view| {
            let Some(inbox) = mailbox::inbox(view, account)? else { return Ok(None) };
            Ok(Some(Maildrop::new(inbox, mailbox::listing(view, inbox)?)))
        });
        let maildrop = match listed.await {
            Ok(Some(maildrop)) => maildrop,
            Ok(None) => return Err(broken(&"the account has no INBOX")),
            Err(error) => return Err(broken(&error)),
        };
        self.connection.authenticated();
        let presence = self.context.authenticator.enter(&identity, &self.context.stop);
        self.login = Some(Login { name: identity.login.to_string(), _lease: lease, presence });
        Ok(maildrop)
    }

    /// Tells the trace of a login that was refused.
    fn note_refused(&self, login: &str) {
        let now = self.context.clock.now();
        let event = Event {
            peer_ip: Some(self.connection.peer().ip()),
            tls: self.connection.tls().map(crate::tls::Facts::summary),
            account: Some(login.chars().take(limits::TRACED_LOGIN_CHARS).collect()),
            ..Event::new(now, Kind::LoginFailed, "pop3")
        };
        let subject = Subject::Refused(self.context.ids.refused(now));
        self.context.store.ride(Refusal::of_stranger(subject, event));
    }

    // RFC 2595 §4
    async fn start_tls(&mut self, reply: &Reply) -> Result<(), End> {
        // Whatever came behind STLS came in the clear; answered inside TLS, it would pass for protected.
        if !self.connection.buffered().is_empty() {
            return Err(End::BytesBehindStls);
        }
        let Some(tls) = self.context.tls.clone() else { return Err(End::Foreign) };
        self.reply(reply);
        self.flush().await?;
        Ok(self.connection.start_tls(tls, Duration::from_secs(limits::TLS_HANDSHAKE_S)).await?)
    }

    // RFC 1939 §6
    async fn remove(&mut self, maildrop: Option<&Maildrop>, uids: Vec<Uid>) -> Reply {
        // What goes has been fetched before, and need not be marked.
        self.note_fetched();
        if let Some((_, seen)) = &mut self.seen {
            let going: HashSet<Uid> = uids.iter().copied().collect();
            seen.retain(|uid| !going.contains(uid));
        }
        let (Some(maildrop), Some(login)) = (maildrop, &self.login) else {
            return Reply::coded(Code::SysTemp, "nothing was deleted");
        };
        let count = uids.len();
        let expunge = Expunge {
            mailbox: maildrop.mailbox(),
            uids: mailbox::runs(uids),
            only_deleted: false,
            by: format!("pop3 {}", login.name),
            peer_ip: Some(self.connection.peer().ip()),
            at: self.context.clock.now(),
        };
        match mailbox::expunge(&self.context.store, expunge).await {
            (_, None) => Reply::ok(format!("{count} messages deleted, bye")),
            (expunged, Some(error)) => {
                tracing::error!(%error, deleted = expunged.messages, of = count, "deleting at QUIT failed");
                match expunged.messages {
                    0 => Reply::coded(Code::SysTemp, "nothing was deleted"),
                    _ => Reply::coded(Code::SysTemp, "some deleted messages not removed"),
                }
            }
        }
    }
}

fn broken(cause: &impl std::fmt::Display) -> LoginRefusal {
    tracing::error!(%cause, "a pop3 login failed for a fault of ours");
    LoginRefusal::Broken
}

#[cfg(test)]
mod tests;
