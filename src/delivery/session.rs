use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::Context;
use super::board::{Board, Broken};
use super::courier::{ACTOR, QueueCourier};
use super::dane::Dane;
use super::demand::Demand;
use super::lanes::Bundle;
use super::locate::locate;
use super::pace::Entered;
use super::seat::Seat;
use super::servers::{Server, Unroutable};
use super::tls_results::Shown;
use super::way::{To, Way};
use crate::base::{DomainName, Enhanced, Timestamp, limits};
use crate::net::{Connection, ConnectionError};
use crate::queue::{self, Attempt, Login, Stage, TlsUse, Verdict, Words};
use crate::smtp::client::{self, Ended, Failure, Plan, Summary, Then, Tls};

/// How long nothing is tried after the store did not take an attempt.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// Works one destination off: finds its servers, dials the first that answers, and sends what is ready until there is no
/// more, or the connection has had enough.
pub(super) async fn run(context: Arc<Context>, seat: Seat, way: Way, first: Bundle) {
    let courier = QueueCourier::new(Arc::clone(&context), Arc::clone(&seat.board), seat.key.clone(), &way, first);
    let began_ms = context.clock.monotonic_ms();
    let began = context.now();
    let (board, key) = (Arc::clone(&seat.board), seat.key.clone());
    let (demand, dialogue) = (Demand::Nothing, String::new());
    let mut session = Session { seat, board, key, context, way, demand, courier, began, began_ms, dialogue };
    session.run().await;
    session.courier.finish().await;
    if session.courier.desk.not_opened {
        tokio::time::sleep(STORE_PAUSE).await;
    }
}

struct Session {
    context: Arc<Context>,
    board: Arc<Board>,
    key: String,
    way: Way,
    /// What is asked of TLS.
    demand: Demand,
    courier: QueueCourier,
    /// By the schedule.
    began: Timestamp,
    /// By the clock that nobody sets.
    began_ms: u64,
    /// What was said with the servers that have not taken anything.
    dialogue: String,
    /// Given up last.
    seat: Seat,
}

/// What became of dialling one server.
enum Tried {
    /// There was a session, in which mail got its answers.
    Spoken,
    /// The next server may do.
    Failed(Attempt),
    /// It is ourselves.
    Looped(Attempt),
}

impl Session {
    async fn run(&mut self) {
        if self.login().is_some_and(|login| login.secret.is_empty()) {
            // RFC 3463 §3.4: system incorrectly configured
            let what = "the route's secret was dropped with the key that it was sealed with: set it anew";
            let attempt = self.attempt(None, Stage::Login, Words::own(Enhanced(4, 3, 5), what));
            return self.unreachable(attempt).await;
        }
        let (context, way) = (&self.context, &self.way);
        let looks = async { tokio::join!(locate(context, way), Demand::of(context, way)) };
        let (servers, demand) = self.seat.wait(looks).await;
        self.demand = demand;
        let servers = match servers {
            Ok(servers) => servers,
            Err(unroutable) => return self.unroutable(unroutable).await,
        };
        let first = servers.first().map(|server| server.name.clone());
        let servers = match self.demand.admitted(servers) {
            Ok(servers) => servers,
            Err(words) => {
                self.context.note_unnamed(&self.way, &self.demand, first.as_deref());
                return self.refused(self.attempt(None, Stage::Tls, words)).await;
            }
        };
        let servers = match self.not_suspended(servers) {
            Ok(servers) => servers,
            Err(attempt) => return self.unreachable(*attempt).await,
        };
        match self.board.enter(&mut self.seat, site(&self.way, &self.demand, &servers), self.context.now()) {
            Entered::Yes => {}
            // What it was begun for is given back, and waits for one of those to end.
            Entered::Full => return,
            Entered::Broken(attempt) => {
                let attempt = Attempt { at: self.context.clock.now(), duration_ms: 0, ..*attempt };
                return self.unreachable(attempt).await;
            }
        }
        let mut failed: Option<Attempt> = None;
        let mut is_hopeless = true;
        for server in self.in_order(servers) {
            // Between two servers, as between two messages.
            if self.context.stop.is_cancelled() {
                return;
            }
            match self.speak(&server).await {
                Tried::Spoken => return,
                // A server's own words say more than that another one does not answer.
                Tried::Failed(attempt) => {
                    is_hopeless &= is_final(&attempt);
                    if failed.as_ref().is_none_or(|failed| failed.words.code.is_none()) {
                        failed = Some(attempt);
                    }
                }
                // RFC 5321 §5.1: those behind us would send it back. Who is before us may answer another time.
                Tried::Looped(attempt) => match failed {
                    None => return self.looped(attempt).await,
                    Some(_) => break,
                },
            }
        }
        match failed {
            Some(attempt) if is_hopeless => self.refused(attempt).await,
            Some(attempt) => self.unreachable(attempt).await,
            None => {}
        }
    }

    /// The servers that no rule suspends; where it is all of them, why nobody is dialled.
    fn not_suspended(&self, servers: Vec<Server>) -> Result<Vec<Server>, Box<Attempt>> {
        let (mut left, mut reason) = (Vec::with_capacity(servers.len()), None);
        let found = self.context.store.view().and_then(|view| {
            let rules = queue::Rules::at(&view, self.context.now())?;
            for server in servers {
                match rules.of_server(&view, &server.name)? {
                    Some(rule) => reason = Some(rule.reason()),
                    None => left.push(server),
                }
            }
            Ok(())
        });
        if let Err(error) = found {
            tracing::error!(%error, "the rules of the queue can't be read");
            let words = Words::own(Enhanced(4, 3, 0), "the rules of the queue can't be read: see the log");
            return Err(Box::new(self.attempt(None, Stage::Queue, words)));
        }
        match reason {
            Some(reason) if left.is_empty() => {
                // RFC 3463 §3.3: system not accepting network messages; no attempt, since nobody is asked.
                let words = Words::own(Enhanced(4, 3, 2), format!("an operator has suspended its servers: {reason}"));
                Err(Box::new(self.attempt(None, Stage::Queue, words)))
            }
            _ => Ok(left),
        }
    }

    /// What was said so far, with all servers.
    fn said(&self) -> Arc<str> {
        self.dialogue.as_str().into()
    }

    /// Servers that want to be left alone for a while go last.
    fn in_order(&self, mut servers: Vec<Server>) -> Vec<Server> {
        let now = self.context.now();
        servers.sort_by_key(|server| self.board.rests(server.address, now));
        servers
    }

    async fn unroutable(&mut self, unroutable: Unroutable) {
        let attempt = self.attempt(None, Stage::Route, unroutable.words);
        if unroutable.is_permanent {
            self.board.answered(&self.key, 0);
            let dialogue = self.said();
            self.courier.give_up_all(Verdict::Failed, &attempt, &dialogue).await;
        } else {
            self.unreachable(attempt).await;
        }
    }

    /// No server may have the mail: for good, or for now.
    async fn refused(&mut self, attempt: Attempt) {
        if is_final(&attempt) {
            self.board.answered(&self.key, 0);
            let dialogue = self.said();
            self.courier.give_up_all(Verdict::Failed, &attempt, &dialogue).await;
        } else {
            self.unreachable(attempt).await;
        }
    }

    /// A slip in a route is for the administrator to mend; a domain whose mail the DNS sends to us gets none.
    async fn looped(&mut self, attempt: Attempt) {
        if matches!(self.way.to, To::Mx(_)) {
            self.board.answered(&self.key, 0);
            let dialogue = self.said();
            self.courier.give_up_all(Verdict::Failed, &attempt, &dialogue).await;
        } else {
            self.unreachable(attempt).await;
        }
    }

    /// What the session was begun for has had its attempt; the rest of the destination's mail is postponed.
    async fn unreachable(&mut self, attempt: Attempt) {
        let now = self.context.now();
        let dialogue = self.said();
        self.courier.give_up(Verdict::Deferred, &attempt, &dialogue).await;
        // So that what is postponed is not due before this one is in the file.
        self.courier.desk.finish().await;
        let context = &self.context;
        let failure = Broken { attempt, began: self.began, urges: self.seat.urges, now, jitter: context.jitter() };
        self.board.failed(&self.key, self.seat.site.as_deref(), failure, &context.outbound.policy);
    }

    /// Dials a server, a second time in the clear where TLS is not asked for and its handshake fails.
    async fn speak(&mut self, server: &Server) -> Tried {
        let tls = match self.tls(server) {
            Ok(tls) => tls,
            Err(error) => {
                let words = Words::own(Enhanced(4, 3, 0), format!("TLS can't be used: {error}"));
                return Tried::Failed(self.attempt(Some(server), Stage::Tls, words));
            }
        };
        let is_opportunistic = matches!(tls, Tls::Opportunistic(_));
        match self.dial(server, tls).await {
            Tried::Failed(attempt) if is_opportunistic && attempt.stage == Stage::Tls => {
                tracing::info!(server = server.name, address = %server.address, cause = attempt.words.text, "no TLS");
                self.dial(server, Tls::Never).await
            }
            tried => tried,
        }
    }

    async fn dial(&mut self, server: &Server, tls: Tls) -> Tried {
        // One that does not answer costs no more until something is known; the next attempt waits for as long as is set.
        let within = match self.board.is_first(&self.key) {
            true => self.context.connect.min(Duration::from_millis(limits::FIRST_CONNECT_MS)),
            false => self.context.connect,
        };
        let mut connection = match self.seat.wait(Connection::dial(server.address, within)).await {
            Ok(connection) => connection,
            Err(error) => return self.not_connected(server, Stage::Connect, &error),
        };
        let is_plain = !matches!(tls, Tls::Implicit(_));
        if is_plain {
            let greeting = self.context.patience.greeting;
            match self.seat.wait(greets_as(&mut connection, &self.context.outbound.hostname, greeting)).await {
                Ok(false) => {}
                Ok(true) => {
                    let words = Words::own(Enhanced(5, 4, 6), "the server greets us with our own name: a mail loop");
                    return Tried::Looped(self.attempt(Some(server), Stage::Greeting, words));
                }
                Err(error) => return self.not_connected(server, Stage::Greeting, &error),
            }
        }
        self.seat.speak().await;
        let plan = self.plan(server, tls);
        self.courier.desk.server = format!("{} [{}]:{}", server.name, server.address.ip(), server.address.port());
        let settled = self.courier.desk.settled;
        let local = connection.local().ip();
        let summary = match client::drive(connection, &plan, &mut self.courier).await {
            Ended::Closed(summary) | Ended::Swap(_, summary) => summary,
        };
        let shown = Shown { server, local, tls: &plan.tls, summary: &summary };
        self.context.note_tls(&self.way, &self.demand, &shown);
        self.judge(server, summary, self.courier.desk.settled > settled)
    }

    /// What a session's end says of the server and of the destination.
    fn judge(&mut self, server: &Server, summary: Summary, has_settled: bool) -> Tried {
        let Some(failure) = summary.failure else { return Tried::Spoken };
        tracing::debug!(server = server.name, address = %server.address, stage = %failure.stage, "a session broke");
        if failure.is_busy {
            self.rest(server, None);
            // RFC 5321 §3.8: 421 is of this server, and says nothing of the others.
            if failure.words.code != Some(421) {
                self.board.slowed(&self.key);
            }
        }
        if has_settled || self.courier.desk.not_opened {
            return Tried::Spoken;
        }
        self.courier.rewind();
        let Failure { stage, words, .. } = failure;
        let words = if stage == Stage::Tls { self.demand.explain(server, words) } else { words };
        let address = server.address;
        let begin = format!("* {} [{}]:{}\n", server.name, address.ip(), address.port());
        self.dialogue.extend([begin.as_str(), &summary.dialogue]);
        Tried::Failed(self.attempt(Some(server), stage, words))
    }

    fn not_connected(&mut self, server: &Server, stage: Stage, error: &ConnectionError) -> Tried {
        if self.rest(server, Some(self.seat.urges)) {
            self.board.slowed(&self.key);
        }
        // RFC 3463 §3.5: no answer from host; bad connection
        let (enhanced, what) = match stage {
            Stage::Connect => (Enhanced(4, 4, 1), "connecting"),
            _ => (Enhanced(4, 4, 2), "waiting for the greeting"),
        };
        let address = server.address;
        let words =
            Words::own(enhanced, format!("{what} to {} [{}]:{}: {error}", server.name, address.ip(), address.port()));
        self.dialogue.extend(["* ", &words.text, "\n"]);
        Tried::Failed(self.attempt(Some(server), stage, words))
    }

    /// That address is tried last for a while, where nobody has wanted it to be tried since those urges.
    fn rest(&self, server: &Server, urges: Option<u64>) -> bool {
        let now = self.context.now();
        let pause_ms = self.context.outbound.policy.next(now, 1, 1000).ms_since(now).min(limits::RESTING_MS);
        self.board.rest(server.address, now.plus_ms(pause_ms), now, urges)
    }

    fn tls(&self, server: &Server) -> Result<Tls, rustls::Error> {
        let roots = &self.context.roots;
        let is_verified = self.demand.is_verified();
        match &server.signed.dane {
            Some(Dane::Published(published)) => return Ok(Tls::Required(roots.published(Arc::clone(published))?)),
            Some(Dane::Unusable(_)) if !is_verified => return Ok(Tls::Required(roots.opportunistic()?)),
            Some(Dane::Unusable(_)) | None => {}
        }
        Ok(match &self.way.to {
            To::Peer { pinned: Some(sha256), .. } => Tls::Required(roots.pinned(*sha256)?),
            To::Relay { tls: TlsUse::Implicit, .. } => Tls::Implicit(roots.verified()?),
            To::Relay { tls: TlsUse::Verified, .. } => Tls::Required(roots.verified()?),
            To::Mx(_) | To::Peer { .. } | To::Relay { .. } if is_verified => Tls::Required(roots.verified()?),
            To::Relay { tls: TlsUse::Required, .. } => Tls::Required(roots.opportunistic()?),
            To::Mx(_) | To::Peer { pinned: None, .. } | To::Relay { tls: TlsUse::Opportunistic, .. } => {
                Tls::Opportunistic(roots.opportunistic()?)
            }
        })
    }

    fn login(&self) -> Option<Login> {
        match &self.way.to {
            To::Relay { login, .. } => login.clone(),
            To::Mx(_) | To::Peer { .. } => None,
        }
    }

    fn plan(&self, server: &Server, tls: Tls) -> Plan {
        Plan {
            hostname: self.context.outbound.hostname.clone(),
            actor: ACTOR.to_owned(),
            server: server.name.clone(),
            tls,
            policy: self.demand.name(server.signed.dane.as_ref()),
            require_tls: self.demand.requires_tls(),
            login: self.login().map(|login| client::Login::at_relay(&login, &*self.context.random)),
            then: Then::Quit,
            messages_max: self.context.messages_per_connection_max,
            patience: self.context.patience,
            clock: Arc::clone(&self.context.clock),
            began_ms: self.began_ms,
        }
    }

    fn attempt(&self, server: Option<&Server>, stage: Stage, words: Words) -> Attempt {
        Attempt {
            at: self.context.clock.now(),
            actor: ACTOR.to_owned(),
            server: server.map(|server| server.name.clone()),
            server_ip: server.map(|server| server.address.ip()),
            tls: None,
            stage,
            words,
            duration_ms: self.context.clock.monotonic_ms().saturating_sub(self.began_ms),
        }
    }
}

/// What sets some servers apart, and how they are spoken to: domains whose mail goes to the same ones share their sessions.
fn site(way: &Way, demand: &Demand, servers: &[Server]) -> String {
    match way.to {
        To::Mx(_) => {
            let names: BTreeSet<&str> = servers.iter().map(|server| server.name.as_str()).collect();
            // Where one domain's policy is not met, the others' mail goes on.
            let dane = servers.iter().find_map(|server| server.signed.dane.as_ref());
            let policy = demand.name(dane).unwrap_or("mx");
            format!("{policy} {}", names.into_iter().collect::<Vec<_>>().join(" "))
        }
        To::Relay { .. } | To::Peer { .. } => way.key(),
    }
}

/// Whether it is our own word that no later attempt will do better: a server's own words settle its recipients.
fn is_final(attempt: &Attempt) -> bool {
    attempt.words.code.is_none() && attempt.words.enhanced.is_some_and(|(class, _, _)| class == 5)
}

/// Waits for the greeting's first line and leaves it where it is; whether it names ourselves.
// RFC 5321 §4.2: 220 and the server's domain
async fn greets_as(
    connection: &mut Connection,
    hostname: &DomainName,
    within: Duration,
) -> Result<bool, ConnectionError> {
    let line = tokio::time::timeout(within, async {
        loop {
            let buffered = connection.buffered();
            if let Some(end) = buffered.iter().position(|byte| *byte == b'\n') {
                return Ok(buffered[..end].to_vec());
            }
            // What is longer, or ends here, is for the client to judge.
            if buffered.len() >= limits::REPLY_LINE_BYTES || connection.fill(within).await? == 0 {
                return Ok(Vec::new());
            }
        }
    });
    let line: Result<Vec<u8>, ConnectionError> = line.await.map_err(|_| ConnectionError::TimedOut)?;
    let line = line?;
    let text = line.strip_prefix(b"220").and_then(|rest| rest.strip_prefix(b" ").or(rest.strip_prefix(b"-")));
    let name = text.unwrap_or_default().split(u8::is_ascii_whitespace).next().unwrap_or_default();
    Ok(name.eq_ignore_ascii_case(hostname.as_str().as_bytes()))
}
