use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::budget::Budget;
use super::commit::Taken;
use super::context::Context;
use super::data::Chunks;
use super::report::Asked;
use super::swap::{Ended, Served, Turned};
use super::told::Told;
use super::{names, policy, report};
use crate::base::{Fault, Reply, limits};
use crate::directory::{LoginError, Presence, Protocol, Role};
use crate::intake::{self, Accepted, Confirm};
use crate::net::{Connection, ConnectionError, Transcript};
use crate::sasl::{Channel, Claim, Credentials, Mechanism};
use crate::smtp::machine::{
    ChunkEnd, Driver, Effect, Effects, Facts, Identity, Input, LoginRefusal, Peer, Profile, Receipt, Rules, Sender,
    State, Welcome, step,
};
use crate::smtp::wire::{self, ForwardPath, Framer, Mask, reply};
use crate::store::Committed;
use crate::telemetry::metrics;
use crate::{directory, turn};

/// What the machine carries for us.
pub(super) struct Smtp;

impl Driver for Smtp {
    type Account = Arc<directory::Identity>;
    type Peer = Arc<turn::Peer>;
    type Swap = Turned;
    type Recipient = intake::Recipient;
    type Body = Taken;
    type Chunks = Box<Chunks>;
    type Receipt = Committed<Accepted>;

    fn runs_the_server(account: &Self::Account) -> bool {
        account.roles.contains(&Role::Admin)
    }

    fn leads(recipient: &Self::Recipient) -> Vec<String> {
        let here = recipient.deliveries.iter().map(|delivery| format!("to the INBOX of {}", delivery.address));
        let elsewhere = recipient.remote.iter().map(|address| format!("to {address}, which is elsewhere"));
        here.chain(elsewhere).collect()
    }
}

impl Receipt for Committed<Accepted> {
    fn message_id(&self) -> crate::base::MessageId {
        self.id
    }

    fn story(&self) -> Vec<String> {
        if self.again {
            return vec!["it was here already, and is not stored twice".to_owned()];
        }
        let queued = self.queued.iter().map(|(given, id)| format!("for {given} queued as {id}"));
        std::iter::once("on disk".to_owned()).chain(queued).collect()
    }
}

impl Peer for Arc<turn::Peer> {
    fn may(&self, verb: wire::Verb) -> bool {
        let verb = match verb {
            wire::Verb::Turn => turn::Verb::Turn,
            wire::Verb::Atrn => turn::Verb::Atrn,
            wire::Verb::Etrn => turn::Verb::Etrn,
            _ => return false,
        };
        self.fields.verbs.contains(&verb)
    }
}

/// One connection and what belongs to it.
pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) context: Arc<Context>,
    pub(super) profile: Profile,
    pub(super) budget: Budget,
    /// Alive as long as this is: a message that comes again meanwhile is not a retransmission.
    pub(super) intake: Arc<intake::Session>,
    /// What is to be confirmed as soon as the client says anything more. More than one where it did not wait for
    /// our 250 before it sent the next message.
    pub(super) unconfirmed: Vec<Confirm>,
    /// What the next reply answers, where a refusal goes to the trace.
    pub(super) asked: Option<Asked>,
    /// What went there already.
    pub(super) told: Told,
    /// What of the client's lines may be written down.
    pub(super) mask: Mask,
    pub(super) framer: Framer,
    /// Copies that the transaction's recipients lead to.
    pub(super) copies: usize,
    /// Somebody has logged in: their place is not needed for others.
    pub(super) is_known: bool,
    /// A peer might log in from there by a certificate: STARTTLS asks for one.
    asks_certificate: bool,
    /// The account that has.
    pub(super) presence: Option<Presence>,
    /// Whom a reversed session is with.
    pub(super) reversed: Option<Arc<turn::Peer>>,
    /// What came of it.
    pub(super) served: Served,
    /// The command that the next reply answers, and when it came.
    pub(super) spoken: Option<(&'static str, Instant)>,
    /// The last reply, where it was a refusal: what a session that is closed on it was closed for.
    refusal: Option<String>,
}

/// Why a session ends without a word.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error("the client has closed the connection")]
    Eof,
    #[error("what came is not answered")]
    Dropped,
}

/// What carrying out a step has led to.
enum Done {
    /// The machine asked: here is the answer.
    Answer(Input<'static, Smtp>),
    /// It waits for the client.
    Listen,
    /// It is over, and the last reply is written.
    Close,
    /// It is over, and the connection goes on with the roles swapped.
    Swap(Turned),
}

impl Session {
    pub(super) fn new(mut connection: Connection, context: Arc<Context>, profile: Profile) -> Self {
        if connection.transcript().is_none() {
            connection.record(Transcript::of_messages());
        }
        Self {
            intake: Arc::new(context.sessions.open()),
            connection,
            context,
            profile,
            budget: Budget::new(Instant::now()),
            unconfirmed: Vec::new(),
            asked: None,
            told: Told::default(),
            mask: Mask::default(),
            framer: Framer::default(),
            copies: 0,
            is_known: false,
            asks_certificate: false,
            presence: None,
            reversed: None,
            served: Served::default(),
            spoken: None,
            refusal: None,
        }
    }

    /// A session with a peer that has swapped roles with us.
    pub(super) fn reversed(connection: Connection, context: Arc<Context>, peer: Arc<turn::Peer>) -> Self {
        let session = Self::new(connection, context, Profile::Reversed);
        Self { is_known: true, reversed: Some(peer), ..session }
    }

    pub(super) async fn run(mut self) -> Ended {
        let peer = self.connection.peer();
        let ended = self.talk().await;
        report::ended(&mut self);
        match ended {
            Ok(None) => {
                // The registry learns of the end before the client can: it may come back at once.
                drop(self.intake);
                self.connection.close().await;
                Ended::Closed(self.served)
            }
            Ok(Some(mut turned)) => {
                turned.served = self.served;
                Ended::Swap(Box::new(self.connection), turned)
            }
            Err(end) => {
                tracing::debug!(%peer, %end, "smtp session ended");
                Ended::Closed(Served { failure: Some(end.to_string()), ..self.served })
            }
        }
    }

    /// Ends with `Ok` when the last reply is written and the connection is to be closed in an orderly way, or handed on
    /// with the roles swapped.
    async fn talk(&mut self) -> Result<Option<Turned>, End> {
        let first = self.first_input().await?;
        if matches!(first, Input::EarlyTalk) {
            self.asked = Some(Asked::connection());
        }
        let (rules, tls) = (self.rules(), self.connection.tls().map(|facts| Channel::clone(&facts.channel)));
        let state = match self.reversed.clone() {
            Some(peer) => State::reversed(rules, tls, peer),
            None => State::new(rules, tls),
        };
        let (mut state, mut effects) = step(state, first);
        loop {
            (state, effects) = match self.perform(&state, effects).await? {
                Done::Answer(input) => step(state, input),
                Done::Listen => self.listen(state).await?,
                Done::Close => return Ok(None),
                Done::Swap(turned) => return Ok(Some(turned)),
            };
        }
    }

    fn rules(&mut self) -> Arc<Rules> {
        let welcome = self.welcome();
        // Not where people send: their mail programs would ask them which to show.
        self.asks_certificate = welcome.certificate && matches!(self.profile, Profile::Mx | Profile::Odmr);
        Arc::new(Rules {
            profile: self.profile,
            hostname: self.context.hostname.to_string(),
            message_bytes_max: self.context.message_bytes_max,
            recipients_max: self.context.recipients_max,
            has_tls: self.context.tls.is_some(),
            allows_cleartext_login: self.connection.is_loopback(),
            takes_peers: welcome.login,
            takes_cram: welcome.cram,
            takes_cram_in_clear: welcome.cram_in_clear,
            takes_etrn: welcome.etrn,
            release_max: (self.profile == Profile::Submission)
                .then(|| self.context.clock.now().plus_ms(u64::from(limits::FUTURE_RELEASE_S) * 1000)),
            vrfy: self.context.vrfy,
            seeds: self.context.entropy.seeds(),
        })
    }

    /// Carries out a step's effects in their order.
    async fn perform(&mut self, state: &State<Smtp>, effects: Effects<Smtp>) -> Result<Done, End> {
        let context = Arc::clone(&self.context);
        for effect in effects {
            let answer = match effect {
                Effect::Reply(reply) => {
                    self.reply(&reply);
                    continue;
                }
                Effect::Flush => {
                    self.connection.flush(context.idle).await?;
                    continue;
                }
                Effect::Delay => {
                    tokio::time::sleep(context.refusal_delay).await;
                    continue;
                }
                Effect::Close => {
                    self.served.failure = self.refusal.take();
                    return Ok(Done::Close);
                }
                Effect::Drop => return Err(End::Dropped),
                Effect::Swap(turned) => return Ok(Done::Swap(turned)),
                Effect::CheckSender { facts, sender } => {
                    self.copies = 0;
                    let answer = self.check_room().and_then(|()| policy::check_sender(&context, &facts, &sender));
                    Input::Sender(answer)
                }
                Effect::CheckRecipient { facts, sender, recipient, options } => {
                    self.asked = Some(Asked::rcpt(&facts, &sender, &recipient));
                    let answer = self.check_recipient(&facts, &sender, recipient);
                    let answer = answer.map(|recipient| intake::Recipient { options, ..recipient });
                    // A group takes a while, and there may be hundreds in the buffer: others get their turn between.
                    tokio::task::yield_now().await;
                    Input::Recipient(answer)
                }
                Effect::Verify { identity, question } => {
                    Input::Verified(names::verify(&context, identity.as_ref(), &question))
                }
                Effect::Expand { identity, question } => {
                    Input::Verified(names::expand(&context, identity.as_ref(), &question))
                }
                Effect::Authenticate { mechanism, claim } => {
                    self.asked = state.facts().map(|facts| Asked::login(&facts, claim.login(), mechanism.name()));
                    let login = self.authenticate(mechanism, claim).await;
                    // Nobody knows whether it would have been right: there is nothing to tell.
                    self.asked = self.asked.take().filter(|_| !matches!(login, Err(LoginRefusal::Unchecked(_))));
                    Input::Login(login)
                }
                Effect::ReceiveData { facts, line_ends, bytes_max } => {
                    self.asked = state.receiving().map(|transaction| Asked::data(&facts, transaction));
                    let seals = state.receiving().is_some_and(|transaction| !self.sealers(transaction).is_empty());
                    let received = self.receive(line_ends, bytes_max, seals).await.map(|end| {
                        self.spoken = Some(("end_of_data", Instant::now()));
                        self.note_data(&end);
                        Input::Data(end)
                    });
                    self.heard_out(received)?
                }
                Effect::ReceiveChunk { facts, before, chunk, line_ends, bytes_max } => {
                    self.asked = state.receiving().map(|transaction| Asked::data(&facts, transaction));
                    let seals = state.receiving().is_some_and(|transaction| !self.sealers(transaction).is_empty());
                    let received = self.receive_chunk(before, chunk, line_ends, bytes_max, seals).await.map(|end| {
                        self.spoken = Some((if chunk.is_last { "end_of_data" } else { "BDAT" }, Instant::now()));
                        match &end {
                            ChunkEnd::End(end) => self.note_data(end),
                            // It is answered, and no refusal: nothing is to be told of it.
                            ChunkEnd::More(_) => self.asked = None,
                        }
                        Input::Chunk(end)
                    });
                    self.heard_out(received)?
                }
                Effect::SkipChunk(bytes) => {
                    let skipped = self.skip_chunk(bytes).await;
                    self.heard_out(skipped.map(|()| Input::Skipped))?
                }
                Effect::Commit { facts, transaction, body } => match self.commit(&facts, transaction, body).await {
                    Ok(receipt) => Input::Committed(receipt),
                    Err(refusal) => Input::NotCommitted(refusal),
                },
                Effect::CheckSwap { peer, request } => Input::Swap(self.check_swap(&peer, request).await?),
                Effect::CheckEtrn { identity, node } => Input::Etrn(self.check_etrn(identity, node).await),
                Effect::StartTls => {
                    self.start_tls().await?;
                    Input::Secured(
                        self.connection.tls().map(|facts| Channel::clone(&facts.channel)).unwrap_or_default(),
                    )
                }
            };
            return Ok(Done::Answer(answer));
        }
        Ok(Done::Listen)
    }

    /// What came of waiting for a message: where its sender was too slow, the session ends with a word.
    fn heard_out(&mut self, received: Result<Input<'static, Smtp>, End>) -> Result<Input<'static, Smtp>, End> {
        match received {
            Err(End::Connection(ConnectionError::TimedOut)) => {
                self.asked = self.asked.take().map(|asked| asked.aborted("the sender took too long"));
                Ok(if self.budget.is_spent(Instant::now()) { Input::Exhausted } else { Input::Idle })
            }
            Err(end) => {
                if let Some(asked) = self.asked.take() {
                    report::aborted(self, asked, &end);
                }
                Err(end)
            }
            received => received,
        }
    }

    /// Writes a reply down. What it refuses goes to the trace, what is our fault to the log.
    fn reply(&mut self, reply: &Reply) {
        reply.write_to(self.connection.output());
        if let Some((verb, since)) = self.spoken.take() {
            metrics().smtp_command(verb, reply.code(), since.elapsed());
        }
        self.refusal = (!reply.is_positive()).then(|| reply.to_string());
        self.note_reply(reply);
        if let Some(asked) = self.asked.take()
            && !reply.is_positive()
        {
            report::refused(self, &asked, reply);
        }
        if reply.fault() == Fault::Ours {
            let cause = reply.cause().unwrap_or_default();
            tracing::error!(peer = %self.connection.peer(), code = reply.code(), cause, "a fault of ours");
        }
    }

    /// Counts what the recipients lead to: of groups, few recipients are many copies.
    fn check_recipient(
        &mut self,
        facts: &Facts<Smtp>,
        sender: &Sender,
        recipient: ForwardPath,
    ) -> Result<intake::Recipient, Reply> {
        if self.copies > limits::TRANSACTION_COPIES {
            return Err(reply::TOO_MANY_RECIPIENTS.into());
        }
        self.check_domain(&recipient)?;
        let recipient = policy::check_recipient(&self.context, facts, sender, recipient)?;
        self.copies += recipient.deliveries.len() + recipient.remote.len();
        Ok(recipient)
    }

    async fn authenticate(&mut self, mechanism: Mechanism, claim: Claim) -> Result<Welcome<Smtp>, LoginRefusal> {
        let (login, peer) = (claim.login().to_owned(), self.connection.peer().ip());
        let way = turn::Way { ip: peer, is_private: self.is_private() };
        let found = self.context.store.view().and_then(|view| turn::authenticate(&view, mechanism, &claim, way));
        match found {
            Ok(Some(turn::Known { peer: found, proof })) => {
                tracing::info!(%peer, login, name = found.name, mechanism = mechanism.name(), "a peer logged in");
                self.connection.authenticated();
                self.is_known = true;
                self.begin_record(&found);
                return Ok(Welcome { identity: Identity::Peer(Arc::new(found)), proof });
            }
            // Accounts log in where they submit. There, what follows takes the same time for every other name.
            Ok(None) if self.profile != Profile::Submission => {
                tracing::info!(%peer, login, mechanism = mechanism.name(), "login refused");
                return Err(LoginRefusal::Wrong);
            }
            Ok(None) => {}
            Err(error) => return Err(LoginRefusal::Unchecked(policy::login_broken(error.to_string()))),
        }
        let Ok(Credentials { password, .. }) = claim.into_password() else { return Err(LoginRefusal::Wrong) };
        let desk = &self.context.authenticator;
        let verified = desk.authenticate(&login, &password, Protocol::Submission, Some(peer)).await;
        metrics().login(Protocol::Submission.as_str(), LoginError::outcome(&verified));
        match verified {
            Ok(identity) => {
                tracing::info!(%peer, login = %identity.login, mechanism = mechanism.name(), "logged in");
                self.connection.authenticated();
                self.is_known = true;
                self.presence = Some(self.context.authenticator.enter(&identity, &self.context.stop));
                Ok(Welcome { identity: Identity::Account(Arc::new(identity)), proof: None })
            }
            Err(LoginError::Refused) => {
                tracing::info!(%peer, login, mechanism = mechanism.name(), "login refused");
                Err(LoginRefusal::Wrong)
            }
            Err(LoginError::Busy) => Err(LoginRefusal::Unchecked(policy::too_many_logins())),
            Err(LoginError::Broken(cause)) => Err(LoginRefusal::Unchecked(policy::login_broken(cause))),
        }
    }

    /// Whether nobody listens in.
    pub(super) fn is_private(&self) -> bool {
        self.connection.tls().is_some() || self.connection.is_loopback()
    }

    /// Whether the account was changed behind the login. What it sends then is not taken, also what was begun before.
    pub(super) fn is_logged_out(&self) -> bool {
        self.presence.as_ref().is_some_and(|presence| presence.has_ended() && !presence.is_stopping())
    }

    async fn start_tls(&mut self) -> Result<(), End> {
        self.connection.flush(self.context.idle).await?;
        let config = if self.asks_certificate { &self.context.tls_asking } else { &self.context.tls };
        let Some(config) = config.clone() else {
            return Err(End::Dropped);
        };
        self.framer = Framer::default();
        self.connection.start_tls(config, Duration::from_secs(limits::TLS_HANDSHAKE_S)).await?;
        self.note_tls();
        Ok(())
    }

    /// Who does what here, for trace and log: `smtp`, `submission` and the account, `smtp` and the peer, or for a session
    /// with roles swapped `turned` and the peer.
    pub(super) fn actor(&self, identity: Option<&Identity<Smtp>>) -> String {
        let place = match self.profile {
            Profile::Mx => "smtp",
            Profile::Submission => "submission",
            Profile::Odmr => "odmr",
            Profile::Reversed => "turned",
        };
        match identity {
            None => place.to_owned(),
            Some(Identity::Account(account)) => format!("{place} {}", account.login),
            Some(Identity::Peer(peer)) => format!("{place} {}", peer.name),
        }
    }

    /// TLS version and cipher suite, where TLS is active.
    pub(super) fn tls_text(&self) -> Option<String> {
        self.connection.tls().map(|facts| format!("{} {}", facts.version, facts.cipher))
    }
}
