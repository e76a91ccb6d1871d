use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::convert::{self, Unconverted};
use super::send::{self, Unsent};
use super::{Courier, Ended, Failure, Mail, NotOpened, Plan, Room, Summary, Then, Tls, TlsEnd};
use crate::base::{Enhanced, MailOptions, QueueId, Timestamp, TlsWish, limits};
use crate::net::{Connection, ConnectionError, Transcript};
use crate::queue::{self, Attempt, Content, Outcome};
use crate::sasl::Channel;
use crate::smtp::machine::client::{
    self as machine, Effect, Effects, Envelope, Fate, Framing, Input, Rules, StartTls, State, step,
};
use crate::smtp::wire::{Answer, AnswerReader, By, END_OF_DATA, Outgoing, Wishes};
use crate::tls::{Certified, ClientTls};

/// How long a server whose connection does not take what we send may still say why.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// One connection and what belongs to it.
pub(super) struct Session<'a, C> {
    connection: Connection,
    plan: &'a Plan,
    courier: &'a mut C,
    reader: AnswerReader,
    /// The message that is being sent, and when it was taken on.
    mail: Option<(Mail, u64)>,
    /// Whose attempt is to be opened while the message is sent.
    opening: Vec<QueueId>,
    /// The end of a message that goes out by BDAT: its last octets.
    tail: Option<Vec<u8>>,
    /// Sending has failed, perhaps in the middle: nothing may be sent behind it.
    is_mute: bool,
    /// The first message's attempt has lasted since the server was looked for.
    began_ms: Option<u64>,
    summary: Summary,
}

/// Octets of a message that was sent, and those of its end that were kept back.
type Sent = (u64, Option<Vec<u8>>);

/// How a session ends.
enum End {
    Close,
    Drop,
    Swap,
}

impl<'a, C: Courier> Session<'a, C> {
    pub(super) fn new(mut connection: Connection, plan: &'a Plan, courier: &'a mut C) -> Self {
        if connection.transcript().is_none() {
            connection.record(Transcript::of_messages());
        }
        Self {
            connection,
            plan,
            courier,
            reader: AnswerReader::default(),
            mail: None,
            opening: Vec::new(),
            tail: None,
            is_mute: false,
            began_ms: Some(plan.began_ms),
            summary: Summary::default(),
        }
    }

    pub(super) async fn run(mut self) -> Ended {
        let plan = self.plan;
        if let Tls::Implicit(tls) = &plan.tls
            && let Err(why) = self.start_tls(tls).await
        {
            let words = machine::Words::own(Enhanced(4, 7, 5), why);
            self.summary.failure = Some(Failure { stage: queue::Stage::Tls, words: words.into(), is_busy: false });
            return Ended::Closed(self.summary);
        }
        let mut state = State::new(self.rules(), self.channel());
        let mut inputs = VecDeque::new();
        let end = loop {
            let input = match inputs.pop_front() {
                Some(input) => input,
                None => self.listen(state.patience()).await,
            };
            let (next, effects) = step(state, input);
            state = next;
            if let Some(end) = self.perform(effects, &mut inputs).await {
                break end;
            }
        };
        let Self { connection, summary, .. } = self;
        match end {
            End::Swap => return Ended::Swap(connection, summary),
            End::Close => connection.hang_up().await,
            End::Drop => drop(connection),
        }
        Ended::Closed(summary)
    }

    fn rules(&self) -> Rules {
        let plan = self.plan;
        Rules {
            hostname: plan.hostname.clone(),
            start_tls: match plan.tls {
                Tls::Keep | Tls::Never | Tls::Implicit(_) => StartTls::Never,
                Tls::Opportunistic(_) => StartTls::Offered,
                Tls::Required(_) => StartTls::Required,
            },
            login: plan.login.clone(),
            is_loopback: self.connection.is_loopback(),
            then: match &plan.then {
                Then::Quit => machine::Then::Quit,
                Then::Turn => machine::Then::Turn,
                Then::Atrn(domains) => machine::Then::Atrn(domains.clone()),
                Then::Etrn(domains) => machine::Then::Etrn(domains.clone()),
                Then::Look => machine::Then::Look,
            },
            messages_max: plan.messages_max,
            require_tls: plan.require_tls,
        }
    }

    /// Carries out a step's effects in their order; what they are answered with goes to `inputs`.
    async fn perform(&mut self, effects: Effects, inputs: &mut VecDeque<Input>) -> Option<End> {
        for effect in effects {
            match effect {
                Effect::Say(line) => self.say(&line),
                Effect::SendEnd => self.send_end(),
                Effect::StartTls => inputs.push_back(self.secure().await),
                Effect::Next(room) => inputs.push_back(self.next(room).await),
                Effect::Convert => inputs.push_back(self.convert().await),
                Effect::OpenAttempt(recipients) => self.opening = self.ids(&recipients),
                Effect::SendContent(framing) => self.send_content(framing, inputs).await,
                Effect::Settle(fates) => self.settle(fates).await,
                Effect::Fail(failure) => self.fail(failure),
                Effect::Answered(answer) => self.answered(&answer),
                Effect::Swap => return Some(self.swap().await),
                Effect::Close => return Some(End::Close),
                Effect::Drop => return Some(End::Drop),
            }
        }
        None
    }

    fn say(&mut self, line: &Outgoing) {
        line.write_to(self.connection.output());
        if let Some(transcript) = self.connection.transcript() {
            transcript.said(&line.masked());
        }
    }

    /// Sends what is written and waits for a whole reply. The time is for all of it: a server that sends it octet by
    /// octet gains nothing.
    async fn listen(&mut self, patience: machine::Patience) -> Input {
        let within = self.within(patience);
        let deadline = Instant::now() + within;
        if !self.is_mute
            && let Err(error) = self.connection.flush(within).await
        {
            return self.last_words(error).await;
        }
        self.hear(deadline).await
    }

    fn within(&self, patience: machine::Patience) -> Duration {
        let ours = &self.plan.patience;
        match patience {
            machine::Patience::Greeting => ours.greeting,
            machine::Patience::Reply => ours.reply,
            machine::Patience::Data => ours.data,
            machine::Patience::End => ours.end,
            machine::Patience::Turn => ours.turn,
            machine::Patience::Quit => ours.reply.min(Duration::from_secs(limits::QUIT_REPLY_S)),
        }
    }

    async fn hear(&mut self, deadline: Instant) -> Input {
        loop {
            let (consumed, answer) = self.reader.read(self.connection.buffered());
            self.connection.consume(consumed);
            match answer {
                Some(Ok(answer)) => return self.heard(answer),
                Some(Err(error)) => return Input::Garbled(error),
                None => {}
            }
            match self.connection.fill(deadline.saturating_duration_since(Instant::now())).await {
                Ok(0) => return Input::Lost("the server has closed it".into()),
                Ok(_) => {}
                Err(error) => return gone(error),
            }
        }
    }

    fn heard(&self, answer: Answer) -> Input {
        if let Some(transcript) = self.connection.transcript() {
            let last = answer.lines().len().saturating_sub(1);
            for (number, line) in answer.lines().iter().enumerate() {
                let separator = if number == last { ' ' } else { '-' };
                transcript.heard(&format!("{}{separator}{line}", answer.code()));
            }
        }
        Input::Answer { answer, is_followed: !self.connection.buffered().is_empty() }
    }

    /// Sending has failed. The server may have said why before it closed.
    async fn last_words(&mut self, error: ConnectionError) -> Input {
        self.is_mute = true;
        match self.hear(Instant::now() + LAST_WORDS).await {
            said @ Input::Answer { .. } => said,
            _ => gone(error),
        }
    }

    async fn secure(&mut self) -> Input {
        let plan = self.plan;
        let (Tls::Opportunistic(tls) | Tls::Required(tls)) = &plan.tls else {
            return Input::NotSecured("there is no configuration".into());
        };
        match self.start_tls(tls).await {
            Ok(()) => Input::Secured(self.channel().unwrap_or_default()),
            Err(why) => Input::NotSecured(why),
        }
    }

    /// What TLS says of the connection, where it is active.
    fn channel(&self) -> Option<Channel> {
        self.connection.tls().map(|facts| Channel::clone(&facts.channel))
    }

    async fn start_tls(&mut self, tls: &ClientTls) -> Result<(), String> {
        let within = Duration::from_secs(limits::TLS_HANDSHAKE_S);
        let done = self.connection.start_client_tls(tls, &self.plan.server, within).await;
        if let Some(transcript) = self.connection.transcript() {
            match (&done, self.connection.tls()) {
                (Ok(()), Some(facts)) => transcript.note(&facts.summary()),
                (Err(error), _) => transcript.note(&error.to_string()),
                _ => {}
            }
        }
        let certificate = done.as_ref().err().and_then(ConnectionError::certificate_fault);
        let done = done.map_err(|error| match error {
            ConnectionError::TimedOut => "the TLS handshake timed out".to_owned(),
            error => error.to_string(),
        });
        self.summary.tls = Some(match (&done, self.connection.tls()) {
            (Ok(()), facts) => TlsEnd::Made(facts.map_or(Certified::NotAsked, |facts| facts.certified.clone())),
            (Err(why), _) => TlsEnd::Failed { certificate, why: why.clone() },
        });
        done
    }

    fn send_end(&mut self) {
        match self.tail.take() {
            Some(tail) => self.connection.write(&tail),
            None => self.connection.write(END_OF_DATA),
        }
    }

    async fn next(&mut self, room: Room) -> Input {
        (self.mail, self.tail) = (None, None);
        let Some(mail) = self.courier.next(room).await else { return Input::NoMail };
        if let Some(transcript) = self.connection.transcript() {
            transcript.begin_message();
        }
        let envelope = Envelope {
            sender: mail.sender.clone(),
            recipients: mail.recipients.iter().map(|to| (to.address.clone(), to.options.clone())).collect(),
            size_bytes: mail.content.size_bytes(),
            eight_bit: mail.eight_bit,
            smtputf8: mail.smtputf8,
            wishes: wishes(&mail.options, self.plan.clock.now()),
        };
        let began_ms = self.began_ms.take().unwrap_or_else(|| self.plan.clock.monotonic_ms());
        self.mail = Some((mail, began_ms));
        Input::Mail(envelope)
    }

    fn ids(&self, recipients: &[usize]) -> Vec<QueueId> {
        let Some((mail, _)) = &self.mail else { return Vec::new() };
        recipients.iter().filter_map(|place| mail.recipients.get(*place)).map(|to| to.id).collect()
    }

    /// Puts a message of ASCII alone in the place of the one that is being sent.
    async fn convert(&mut self) -> Input {
        let Some((mail, _)) = &mut self.mail else { return Input::NotConverted("there is no message".into()) };
        match convert::seven_bit(&mut mail.content).await {
            Ok(converted) => {
                let content = Content::from(Bytes::from(self.courier.sign_again(converted)));
                let size_bytes = content.size_bytes();
                mail.content = content;
                Input::Converted(size_bytes)
            }
            Err(Unconverted::Message(why)) => Input::NotConverted(why),
            Err(Unconverted::Broken(why)) => Input::ContentBroken(why),
        }
    }

    async fn send_content(&mut self, framing: Framing, inputs: &mut VecDeque<Input>) {
        let (opened, sent) = self.transfer(framing).await;
        inputs.push_back(match opened {
            Ok(()) => Input::Opened,
            Err(refused) => Input::NotOpened(refused.to_string()),
        });
        let sent = match sent {
            None => return,
            Some(Ok((bytes, tail))) => {
                self.tail = tail;
                if let Some(transcript) = self.connection.transcript() {
                    transcript.said_data(bytes);
                }
                Input::ContentSent
            }
            Some(Err(Unsent::Message(why))) => Input::ContentBroken(why),
            Some(Err(Unsent::Connection(error))) => self.last_words(error).await,
        };
        inputs.push_back(sent);
    }

    /// Sends the message while the attempt is committed. When the commit is refused, not another octet is sent; when
    /// sending fails, the commit is waited for all the same: what was asked for may not happen behind our back.
    async fn transfer(&mut self, framing: Framing) -> (Result<(), NotOpened>, Option<Result<Sent, Unsent>>) {
        let ids = std::mem::take(&mut self.opening);
        let Some((mail, _)) = &mut self.mail else {
            return (Ok(()), Some(Err(Unsent::Message("there is no message".into()))));
        };
        let opened = self.courier.open(&ids);
        let (connection, within) = (&mut self.connection, self.plan.patience.block);
        let sent = async move {
            match framing {
                Framing::Dots => {
                    Ok::<Sent, Unsent>((send::content(connection, &mut mail.content, within).await?, None))
                }
                Framing::Chunk => {
                    let (bytes, tail) = send::chunk(connection, &mut mail.content, within).await?;
                    Ok((bytes, Some(tail)))
                }
            }
        };
        tokio::pin!(opened, sent);
        tokio::select! {
            opened = &mut opened => match opened {
                Ok(()) => (Ok(()), Some(sent.await)),
                refused => (refused, None),
            },
            sent = &mut sent => (opened.await, Some(sent)),
        }
    }

    async fn settle(&mut self, fates: Vec<Fate>) {
        // Where the server has not answered, what happened instead is not said yet.
        let happened = fates.iter().find(|fate| fate.words.code.is_none()).map(|fate| fate.words.text.as_str());
        let dialogue: Arc<str> = self.dialogue(happened).into();
        let outcomes: Vec<Outcome> =
            fates.into_iter().filter_map(|fate| self.outcome(fate, Arc::clone(&dialogue))).collect();
        let is_delivered = |outcome: &Outcome| outcome.verdict == queue::Verdict::Delivered;
        let is_refused = |outcome: &&Outcome| !is_delivered(outcome) && outcome.attempt.words.code.is_some();
        self.summary.sent += u64::from(outcomes.iter().any(is_delivered));
        self.summary.refused += outcomes.iter().filter(is_refused).count() as u64;
        if !outcomes.is_empty() {
            self.courier.settle(outcomes).await;
        }
    }

    /// What was said of this message.
    fn dialogue(&self, happened: Option<&str>) -> String {
        let said = self.connection.transcript().map(Transcript::message).unwrap_or_default();
        match happened {
            Some(what) => format!("{said}* {what}\n"),
            None => said,
        }
    }

    fn outcome(&self, fate: Fate, dialogue: Arc<str>) -> Option<Outcome> {
        let (mail, began_ms) = self.mail.as_ref()?;
        let entry = mail.recipients.get(fate.recipient)?.id;
        let clock = &self.plan.clock;
        let attempt = Attempt {
            at: clock.now(),
            actor: self.plan.actor.clone(),
            server: Some(self.plan.server.clone()),
            server_ip: Some(self.connection.peer().ip()),
            tls: self.connection.tls().map(|facts| match self.plan.policy {
                Some(policy) => format!("{}; {policy}", facts.summary()),
                None => facts.summary(),
            }),
            stage: fate.stage.into(),
            words: fate.words.into(),
            duration_ms: clock.monotonic_ms().saturating_sub(*began_ms),
        };
        Some(Outcome { entry, verdict: fate.verdict.into(), attempt, dialogue, passed_on: fate.passed_on })
    }

    fn fail(&mut self, failure: machine::Failure) {
        let machine::Failure { stage, words, is_busy } = failure;
        tracing::debug!(server = %self.plan.server, peer = %self.connection.peer(), ?stage, text = words.text, "session broke");
        if let Some(transcript) = self.connection.transcript()
            && words.code.is_none()
        {
            transcript.note(&words.text);
        }
        self.summary.dialogue = self.dialogue(None);
        self.summary.failure = Some(Failure { stage: stage.into(), words: words.into(), is_busy });
    }

    /// Of several answers to ETRN, the first refusal is kept.
    fn answered(&mut self, answer: &Answer) {
        let is_refused = self.summary.answer.as_ref().is_some_and(|(code, _)| *code >= 400);
        if !is_refused {
            self.summary.answer = Some((answer.code(), answer.text()));
        }
    }

    async fn swap(&mut self) -> End {
        let what = match self.connection.is_quiet().await {
            Ok(true) => {
                if let Some(transcript) = self.connection.transcript() {
                    transcript.note("the roles are swapped");
                }
                return End::Swap;
            }
            Ok(false) => "the server said more than it was asked".to_owned(),
            Err(error) => error.to_string(),
        };
        let words = machine::Words::own(Enhanced(4, 5, 0), what);
        self.fail(machine::Failure { stage: machine::Stage::Sender, words, is_busy: false });
        End::Drop
    }
}

/// What a server is asked for besides taking the message.
fn wishes(options: &MailOptions, now: Timestamp) -> Wishes {
    Wishes {
        ret: options.ret,
        envelope_id: options.envelope_id.clone(),
        require_tls: options.tls == TlsWish::Required,
        by: options.deliver_by.map(|deadline| By::left(deadline, now)),
        priority: (options.priority != 0).then_some(options.priority),
    }
}

fn gone(error: ConnectionError) -> Input {
    match error {
        ConnectionError::TimedOut => Input::TimedOut,
        ConnectionError::Lost(error) => Input::Lost(error.to_string()),
        error => Input::Lost(error.to_string()),
    }
}
