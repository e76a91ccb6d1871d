//! What stands behind the client: the messages of a script, and what came of them.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use pillarbox::base::{Address, DomainName, MessageId, QueueId, SeededRandom, Timestamp, TurnedClock};
use pillarbox::queue::{self, Content, Outcome, Verdict};
use pillarbox::sasl::Mechanism;
use pillarbox::smtp::client::{Courier, Login, Mail, NotOpened, Patience, Plan, Recipient, Room, Then, Tls};
use pillarbox::smtp::wire::{mail_arguments, rcpt_arguments};
use pillarbox::tls::Roots;

use super::script;
use crate::text::{self, Variables};

/// When the dialogues take place.
const NOW: Timestamp = Timestamp(1_795_341_600_000);

/// Hands out a script's messages and remembers what came of them.
pub struct Recorder {
    mails: VecDeque<(Mail, Option<String>)>,
    /// The texts of them.
    texts: VecDeque<Bytes>,
    /// Of the message that was handed out last.
    refused: Option<String>,
    /// Every recipient of every message.
    pub names: Vec<(QueueId, String)>,
    /// Whose attempt was opened.
    pub opened: Vec<QueueId>,
    /// What came of them.
    pub outcomes: Vec<Outcome>,
    /// Messages that were taken for somebody: each is settled at once.
    pub taken: u64,
}

impl Recorder {
    /// With these messages.
    pub fn new(mails: &[script::Mail], variables: &Variables) -> Result<Self, String> {
        let mut recorder = Self {
            mails: VecDeque::new(),
            texts: VecDeque::new(),
            refused: None,
            names: Vec::new(),
            opened: Vec::new(),
            outcomes: Vec::new(),
            taken: 0,
        };
        for (message, mail) in (1..).map(MessageId).zip(mails) {
            let mut recipients = Vec::new();
            for (number, (recipient, asked)) in (0..).zip(mail.recipients.iter().zip(&mail.asked)) {
                let id = QueueId { message, number };
                let asked = rcpt_arguments(&format!("TO:<a@x.test> {asked}"), true);
                let options = asked.map_err(|error| error.to_string())?.options;
                recipients.push(Recipient { id, address: address(recipient)?, options });
                recorder.names.push((id, recipient.clone()));
            }
            let sender = if mail.sender == "<>" { None } else { Some(address(&mail.sender)?) };
            let bytes = Bytes::from(text::octets(&mail.text, variables)?);
            recorder.texts.push_back(bytes.clone());
            let content = Content::from(bytes);
            let (eight_bit, smtputf8) = (mail.eight_bit, mail.smtputf8);
            let with = mail_arguments(&format!("FROM:<> {}", mail.with)).map_err(|error| error.to_string())?;
            let options = with.parameters.options(NOW);
            let made = Mail { id: message, sender, recipients, eight_bit, smtputf8, options, content };
            recorder.mails.push_back((made, mail.refused.clone()));
        }
        Ok(recorder)
    }
}

impl Recorder {
    /// What does not fit comes in a message of its own.
    fn cut(&mut self, room: Room) {
        let Some((mail, refused)) = self.mails.front_mut().filter(|(mail, _)| mail.recipients.len() > room.recipients)
        else {
            return;
        };
        let recipients = mail.recipients.split_off(room.recipients);
        let text = self.texts.front().cloned().unwrap_or_default();
        let rest = Mail {
            id: mail.id,
            sender: mail.sender.clone(),
            recipients,
            eight_bit: mail.eight_bit,
            smtputf8: mail.smtputf8,
            options: mail.options.clone(),
            content: Content::from(text.clone()),
        };
        let rest = (rest, refused.clone());
        self.mails.insert(1, rest);
        self.texts.insert(1, text);
    }
}

impl Courier for Recorder {
    async fn next(&mut self, room: Room) -> Option<Mail> {
        self.cut(room);
        let (mail, refused) = self.mails.pop_front()?;
        self.texts.pop_front();
        self.refused = refused;
        Some(mail)
    }

    async fn open(&mut self, recipients: &[QueueId]) -> Result<(), NotOpened> {
        if let Some(why) = self.refused.take() {
            return Err(NotOpened(why));
        }
        self.opened.extend_from_slice(recipients);
        Ok(())
    }

    fn sign_again(&self, converted: Vec<u8>) -> Vec<u8> {
        converted
    }

    async fn settle(&mut self, outcomes: Vec<Outcome>) {
        self.taken += u64::from(outcomes.iter().any(|outcome| outcome.verdict == Verdict::Delivered));
        self.outcomes.extend(outcomes);
    }
}

/// The plan of a script; `roots` are trusted, and `pin` is the SHA-256 of the server's certificate.
pub fn plan(script: &script::Plan, roots: &Roots, pin: [u8; 32]) -> Result<Plan, String> {
    let refused = |error: rustls::Error| error.to_string();
    let any = || roots.opportunistic().map_err(refused);
    let domains = |list: &str| list.split(',').map(domain).collect::<Result<Vec<_>, _>>();
    let (verb, rest) = script.then.split_once(' ').unwrap_or((&script.then, ""));
    Ok(Plan {
        hostname: "mx.example.test".parse().map_err(|_| "a name")?,
        actor: "delivery".into(),
        server: "mx.b.test".into(),
        policy: None,
        require_tls: false,
        tls: match script.tls.as_str() {
            "never" => Tls::Never,
            "keep" => Tls::Keep,
            "opportunistic" => Tls::Opportunistic(any()?),
            "required" => Tls::Required(any()?),
            "implicit" => Tls::Implicit(any()?),
            "verified" => Tls::Required(roots.verified().map_err(refused)?),
            // Public CAs alone: the server's certificate is none of theirs.
            "public" => Tls::Required(Roots::public().map_err(|e| e.to_string())?.verified().map_err(refused)?),
            "unverified" => {
                Tls::Opportunistic(Roots::public().map_err(|e| e.to_string())?.opportunistic().map_err(refused)?)
            }
            "pinned" => Tls::Required(roots.pinned(pin).map_err(refused)?),
            "mispinned" => Tls::Required(roots.pinned([7; 32]).map_err(refused)?),
            other => return Err(format!("no such TLS: {other}")),
        },
        login: match &script.login {
            None => script.is_certified.then(Login::by_certificate),
            Some((user, secret)) => {
                let secret = text::octets(secret, &Variables::new())?;
                let login = queue::Login { user: user.clone(), secret: String::from_utf8_lossy(&secret).into_owned() };
                let random = SeededRandom::new(5802);
                Some(if script.is_peer {
                    Login::at_peer(&login, &Mechanism::BY_SECRET, &random)
                } else {
                    Login::at_relay(&login, &random)
                })
            }
        },
        then: match verb {
            "quit" => Then::Quit,
            "look" => Then::Look,
            "turn" => Then::Turn,
            "atrn" if rest.is_empty() => Then::Atrn(Vec::new()),
            "atrn" => Then::Atrn(domains(rest)?),
            "etrn" => Then::Etrn(domains(rest)?),
            other => return Err(format!("no such end: {other}")),
        },
        messages_max: script.messages,
        patience: Patience {
            greeting: script.patience,
            reply: script.patience,
            data: script.patience,
            block: script.patience,
            end: script.patience,
            turn: script.patience,
        },
        clock: Arc::new(TurnedClock::new(NOW)),
        began_ms: 0,
    })
}

fn domain(text: &str) -> Result<DomainName, String> {
    text.parse().map_err(|error| format!("{text}: {error}"))
}

fn address(text: &str) -> Result<Address, String> {
    text.parse().map_err(|error| format!("{text}: {error}"))
}
