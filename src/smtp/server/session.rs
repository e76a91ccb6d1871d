use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::budget::Budget;
use super::commit::Taken;
use super::context::Context;
use super::report::Asked;
use super::{policy, report};
use crate::base::{Fault, Reply, limits};
use crate::directory::{Identity, LoginError, Protocol};
use crate::intake::{self, Accepted, Confirm};
use crate::net::{Connection, ConnectionError};
use crate::sasl::{Credentials, Mechanism};
use crate::smtp::machine::{
    Driver, Effect, Effects, Facts, Input, LoginRefusal, Profile, Receipt, Rules, Sender, State, step,
};
use crate::smtp::wire::{ForwardPath, Framer, reply};
use crate::store::Committed;

/// What the machine carries for us.
pub(super) struct Smtp;

impl Driver for Smtp {
    type Identity = Arc<Identity>;
    type Recipient = intake::Recipient;
    type Body = Taken;
    type Receipt = Committed<Accepted>;
}

impl Receipt for Committed<Accepted> {
    fn message_id(&self) -> crate::base::MessageId {
        self.id
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
    pub(super) framer: Framer,
    /// Copies that the transaction's recipients lead to.
    pub(super) copies: usize,
    /// Somebody has logged in: their place is not needed for others.
    pub(super) is_known: bool,
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
}

impl Session {
    pub(super) fn new(connection: Connection, context: Arc<Context>, profile: Profile) -> Self {
        Self {
            intake: Arc::new(context.sessions.open()),
            connection,
            context,
            profile,
            budget: Budget::new(Instant::now()),
            unconfirmed: Vec::new(),
            asked: None,
            framer: Framer::default(),
            copies: 0,
            is_known: false,
        }
    }

    pub(super) async fn run(mut self) {
        let peer = self.connection.peer();
        match self.talk().await {
            Ok(()) => {
                // The registry learns of the end before the client can: it may come back at once.
                drop(self.intake);
                self.connection.close().await;
            }
            Err(end) => tracing::debug!(%peer, %end, "smtp session ended"),
        }
    }

    /// Ends with `Ok` when the last reply is written and the connection is to be closed in an orderly way.
    async fn talk(&mut self) -> Result<(), End> {
        let first = self.first_input().await?;
        let (mut state, mut effects) = step(State::new(self.rules(), self.connection.tls().is_some()), first);
        loop {
            (state, effects) = match self.perform(&state, effects).await? {
                Done::Answer(input) => step(state, input),
                Done::Listen => self.listen(state).await?,
                Done::Close => return Ok(()),
            };
        }
    }

    fn rules(&self) -> Arc<Rules> {
        Arc::new(Rules {
            profile: self.profile,
            hostname: self.context.hostname.to_string(),
            message_bytes_max: self.context.message_bytes_max,
            recipients_max: self.context.recipients_max,
            has_tls: self.context.tls.is_some(),
            allows_cleartext_login: self.connection.is_loopback(),
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
                Effect::Close => return Ok(Done::Close),
                Effect::Drop => return Err(End::Dropped),
                Effect::CheckSender { facts, sender } => {
                    self.copies = 0;
                    Input::Sender(policy::check_sender(&context, &facts, &sender))
                }
                Effect::CheckRecipient { facts, sender, recipient } => {
                    self.asked = Some(Asked::rcpt(&facts, &sender, &recipient));
                    let answer = self.check_recipient(&facts, &sender, recipient);
                    // A group takes a while, and there may be hundreds in the buffer: others get their turn between.
                    tokio::task::yield_now().await;
                    Input::Recipient(answer)
                }
                Effect::Verify { identity, name } => Input::Verified(policy::verify(&context, &identity, &name)),
                Effect::Authenticate { mechanism, credentials } => {
                    Input::Login(self.authenticate(mechanism, credentials).await)
                }
                Effect::ReceiveData { facts, line_ends, bytes_max } => {
                    self.asked = state.receiving().map(|transaction| Asked::data(&facts, transaction));
                    match self.receive(line_ends, bytes_max).await {
                        Ok(end) => Input::Data(end),
                        Err(End::Connection(ConnectionError::TimedOut)) if self.budget.is_spent(Instant::now()) => {
                            Input::Exhausted
                        }
                        Err(End::Connection(ConnectionError::TimedOut)) => Input::Idle,
                        Err(end) => return Err(end),
                    }
                }
                Effect::Commit { facts, transaction, body } => match self.commit(&facts, transaction, body).await {
                    Ok(receipt) => Input::Committed(receipt),
                    Err(refusal) => Input::NotCommitted(refusal),
                },
                Effect::StartTls => {
                    self.start_tls().await?;
                    Input::Secured
                }
            };
            return Ok(Done::Answer(answer));
        }
        Ok(Done::Listen)
    }

    /// Writes a reply down. What it refuses goes to the trace, what is our fault to the log.
    fn reply(&mut self, reply: &Reply) {
        reply.write_to(self.connection.output());
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
        let recipient = policy::check_recipient(&self.context, facts, sender, recipient)?;
        self.copies += recipient.deliveries.len() + recipient.remote.len();
        Ok(recipient)
    }

    async fn authenticate(
        &mut self,
        mechanism: Mechanism,
        credentials: Credentials,
    ) -> Result<Arc<Identity>, LoginRefusal> {
        let Credentials { login, password } = credentials;
        let peer = self.connection.peer().ip();
        match self.context.authenticator.authenticate(&login, &password, Protocol::Submission).await {
            Ok(identity) => {
                tracing::info!(%peer, login = %identity.login, mechanism = mechanism.name(), "logged in");
                self.connection.authenticated();
                self.is_known = true;
                Ok(Arc::new(identity))
            }
            Err(LoginError::Refused) => {
                tracing::info!(%peer, login, mechanism = mechanism.name(), "login refused");
                Err(LoginRefusal::Wrong)
            }
            Err(LoginError::Busy) => Err(LoginRefusal::Unchecked(policy::too_many_logins())),
            Err(LoginError::Broken(cause)) => Err(LoginRefusal::Unchecked(policy::login_broken(cause))),
        }
    }

    async fn start_tls(&mut self) -> Result<(), End> {
        self.connection.flush(self.context.idle).await?;
        let Some(config) = self.context.tls.clone() else {
            return Err(End::Dropped);
        };
        self.framer = Framer::default();
        self.connection.start_tls(config, Duration::from_secs(limits::TLS_HANDSHAKE_S)).await?;
        Ok(())
    }

    /// Who does what here, for trace and log: `smtp`, or `submission` and the account.
    pub(super) fn actor(&self, identity: Option<&Identity>) -> String {
        match (self.profile, identity) {
            (Profile::Mx, _) => "smtp".to_owned(),
            (Profile::Submission, None) => "submission".to_owned(),
            (Profile::Submission, Some(identity)) => format!("submission {}", identity.login),
        }
    }

    /// TLS version and cipher suite, where TLS is active.
    pub(super) fn tls_text(&self) -> Option<String> {
        self.connection.tls().map(|facts| format!("{} {}", facts.version, facts.cipher))
    }
}
