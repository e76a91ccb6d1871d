mod append;
mod home;
mod remote;
mod reports;
mod settle;
mod signed;

use std::sync::Arc;

use super::unconfirmed::{UNCONFIRMED, UNCONFIRMED_BY_TIME};
use super::*;
use crate::base::{
    AccountId, Address, Clock, DomainName, MailOptions, MessageId, QueueId, RcptOptions, SeededRandom, Timestamp,
    TurnedClock, Uid, limits,
};
use crate::directory::{
    self, AccountChange, AccountFields, AliasFields, DomainFields, Precondition, PutAlias, PutDomain, Resolution,
};
use crate::dkim;
use crate::mailbox::{self, DeleteAccount, PutAccount};
use crate::message::Summary;
use crate::queue::{self, Notify};
use crate::settings::Settings;
use crate::srs;
use crate::store::{AnyTable, Committed, CrossCheck, Options, Read, Schema, Span, Store, WriteError};
use crate::trace::{self, Kind, Subject};

const HEADER: &str = "From: sender@far.test\r\nSubject: hello\r\n";
const BODY: &str = "\r\nbody\r\n";

/// A server's way in, without the protocol: alice, bob and `both` at example.test.
struct World {
    store: Store,
    clock: TurnedClock,
    outbound: Arc<Outbound>,
    sessions: Sessions,
}

/// A message on its way.
#[derive(Clone)]
struct Mail {
    sender: Option<&'static str>,
    to: Vec<&'static str>,
    header: String,
    body: String,
    notify: Notify,
    options: MailOptions,
    /// What is asked for each recipient.
    asked: RcptOptions,
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            sender: Some("sender@far.test"),
            to: vec!["alice@example.test"],
            header: HEADER.into(),
            body: BODY.into(),
            notify: Notify::Sender,
            options: MailOptions::default(),
            asked: RcptOptions::default(),
        }
    }
}

fn schema() -> &'static Schema {
    let tables = [trace::TABLES, crate::kept::TABLES, directory::TABLES, dkim::TABLES, mailbox::TABLES, queue::TABLES];
    let tables: Vec<&'static dyn AnyTable> = [&tables.concat(), srs::TABLES, TABLES].concat();
    let checks = [trace::CHECKS, crate::kept::CHECKS, directory::CHECKS, dkim::CHECKS, mailbox::CHECKS, queue::CHECKS];
    let checks = checks.into_iter().flatten().chain(srs::CHECKS).chain(CHECKS);
    let checks: Vec<CrossCheck> = checks.copied().collect();
    Box::leak(Box::new(Schema { version: 1, tables: tables.leak(), checks: checks.leak(), migrations: &[] }))
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

impl World {
    async fn new() -> Self {
        let clock = TurnedClock::new(Timestamp(1_795_341_900_123));
        let store = Store::open(Options::memory(Arc::new(crate::base::SystemClock)), schema()).unwrap();
        let hostname = DomainName::parse("mx.example.test").unwrap();
        let outbound = Outbound::of(&Settings::default(), hostname, Arc::default()).unwrap();
        let sessions = Sessions::new(&SeededRandom::new(1));
        store.write(srs::MakeKey::new(&SeededRandom::new(1))).await.unwrap().into_inner();
        let world = Self { store, clock, outbound: Arc::new(outbound), sessions };
        let (precondition, at) = (Precondition::None, Timestamp(1));
        let fields = DomainFields::new(&Settings::default());
        let put = PutDomain { name: DomainName::parse("example.test").unwrap(), fields, precondition, at };
        world.store.write(put).await.unwrap().into_inner();
        world.put_account("alice@example.test", None).await;
        world.put_account("bob@example.test", None).await;
        world.put_alias("both@example.test", &["alice@example.test", "bob@example.test"]).await;
        world
    }

    async fn put_account(&self, text: &str, quota_bytes: Option<u64>) {
        let change = AccountChange {
            address: address(text),
            fields: AccountFields { quota_bytes, ..AccountFields::default() },
            password: None,
            precondition: Precondition::None,
            at: Timestamp(1),
        };
        self.store.write(PutAccount(change)).await.unwrap().into_inner();
    }

    fn session(&self) -> Arc<Session> {
        Arc::new(self.sessions.open())
    }

    fn recipient(&self, text: &str) -> Recipient {
        let given = address(text);
        match directory::resolve(&self.store.view().unwrap(), &given).unwrap() {
            Resolution::Local(deliveries) => {
                Recipient { given, deliveries, remote: Vec::new(), options: RcptOptions::default() }
            }
            Resolution::Forwards { local, remote, .. } => {
                Recipient { given, deliveries: local, remote, options: RcptOptions::default() }
            }
            Resolution::NotLocal => Recipient {
                remote: vec![given.clone()],
                given,
                deliveries: Vec::new(),
                options: RcptOptions::default(),
            },
            other => panic!("{text}: {other:?}"),
        }
    }

    async fn accept(&self, session: &Arc<Session>, mail: &Mail) -> Accept {
        let mut writer = self.store.blob_writer();
        writer.write(mail.body.as_bytes()).await.unwrap();
        let at = self.clock.now();
        let scan = crate::message::Scan::of(mail.header.as_bytes());
        Accept {
            id: self.outbound.ids.message(at),
            at,
            session: Some(Arc::clone(session)),
            origin: Origin {
                actor: "smtp".into(),
                peer_ip: Some("192.0.2.1".parse().unwrap()),
                helo: Some("mx.far.test".into()),
                tls: None,
                checked: None,
            },
            sender: mail.sender.map(address),
            recipients: mail
                .to
                .iter()
                .map(|to| Recipient { options: mail.asked.clone(), ..self.recipient(to) })
                .collect(),
            trace_fields: b"Received: x\r\n".to_vec(),
            header_block: mail.header.clone().into_bytes(),
            summary: Summary::of_whole(mail.header.as_bytes(), mail.body.as_bytes()),
            delivered_to: scan.delivered_to,
            body: Some(Body::Staged(writer.finish().await.unwrap())),
            message_id_field: scan.message_id,
            notify: mail.notify,
            seal: None,
            eight_bit: !mail.body.is_ascii(),
            smtputf8: false,
            options: mail.options.clone(),
            outbound: Arc::clone(&self.outbound),
        }
    }

    async fn send(&self, session: &Arc<Session>, mail: &Mail) -> Result<Accepted, Refused> {
        let op = self.accept(session, mail).await;
        match self.store.write(op).await.map(Committed::into_inner) {
            Ok(accepted) => Ok(accepted),
            Err(WriteError::Refused(refused)) => Err(refused),
            Err(other) => panic!("{other}"),
        }
    }

    /// A whole session: one message, after which the sender says more, or the connection breaks.
    async fn deliver(&self, mail: &Mail, is_confirmed: bool) -> Accepted {
        let session = self.session();
        let accepted = self.send(&session, mail).await.unwrap();
        if is_confirmed {
            self.store.ride(accepted.confirm());
        }
        accepted
    }

    async fn put_alias(&self, text: &str, targets: &[&str]) {
        let fields = AliasFields::leading_to(targets.iter().map(|target| address(target)).collect());
        let put = PutAlias { address: address(text), fields, precondition: Precondition::None, at: Timestamp(1) };
        self.store.write(put).await.unwrap().into_inner();
    }

    /// Mail for elsewhere stays here, in bob's INBOX.
    fn capturing(mut self) -> Self {
        let capture_to = Some(address("bob@example.test"));
        self.outbound = Arc::new(Outbound { capture_to, ..Outbound::clone(&self.outbound) });
        self
    }

    /// What is queued: recipient, and the address that was named where it is another one.
    fn queued(&self) -> Vec<(QueueId, String, Option<String>)> {
        let entries = queue::entries(&self.store.view().unwrap(), None, usize::MAX).unwrap();
        let text = |address: &Address| address.to_string();
        entries.into_iter().map(|w| (w.id, text(&w.entry.recipient), w.entry.original.as_ref().map(text))).collect()
    }

    fn inbox(&self, who: &str) -> Vec<MessageId> {
        let view = self.store.view().unwrap();
        let account = directory::account(&view, &address(who)).unwrap().unwrap().id;
        let inbox = mailbox::inbox(&view, account).unwrap().unwrap();
        mailbox::listing(&view, inbox).unwrap().into_iter().map(|entry| entry.message).collect()
    }

    async fn text(&self, who: &str, place: usize) -> String {
        let view = self.store.view().unwrap();
        let account: AccountId = directory::account(&view, &address(who)).unwrap().unwrap().id;
        let inbox = mailbox::inbox(&view, account).unwrap().unwrap();
        let entry = mailbox::listing(&view, inbox).unwrap().remove(place);
        drop(view);
        let mut content = mailbox::content(&self.store, inbox, entry.uid).unwrap().unwrap();
        let mut bytes = Vec::new();
        while let Some(piece) = content.next().await.unwrap() {
            bytes.extend_from_slice(&piece);
        }
        assert_eq!(bytes.len() as u64, entry.size_bytes);
        String::from_utf8(bytes).unwrap()
    }

    fn kinds(&self, id: MessageId) -> Vec<Kind> {
        let story = trace::story(&self.store.view().unwrap(), Subject::Message(id)).unwrap();
        story.into_iter().map(|event| event.kind).collect()
    }

    /// How many copies are remembered as unconfirmed.
    fn unconfirmed(&self) -> usize {
        let view = self.store.view().unwrap();
        let rows = view.rows(&UNCONFIRMED, Span::all(), usize::MAX).unwrap().len();
        assert_eq!(view.rows(&UNCONFIRMED_BY_TIME, Span::all(), usize::MAX).unwrap().len(), rows);
        rows
    }

    fn is_sound(&self) {
        assert_eq!(self.store.check().unwrap().lines(), [] as [&str; 0]);
    }
}

#[tokio::test]
async fn what_is_unconfirmed_and_contradicts_its_times_is_mended() {
    let world = World::new().await;
    world.deliver(&Mail { to: vec!["alice@example.test"], ..Mail::default() }, false).await;
    assert_eq!(world.unconfirmed(), 1);
    let lost = |tx: &mut crate::store::Tx<'_>| {
        let (place, ()) = tx.first(&UNCONFIRMED_BY_TIME, Span::all())?.expect("there is one");
        tx.remove(&UNCONFIRMED_BY_TIME, &place).map(drop)
    };
    world.store.is_mended(lost, "unconfirmed_by_time: a row of");
    assert_eq!(world.unconfirmed(), 1);
    let other = |tx: &mut crate::store::Tx<'_>| tx.put(&UNCONFIRMED_BY_TIME, &(Timestamp(1), [7; 16], 9), &());
    world.store.is_mended(other, "nothing of session 9 is unconfirmed");
    assert_eq!(world.unconfirmed(), 1);
}

#[tokio::test]
async fn a_message_is_there_for_everybody_once() {
    let world = World::new().await;
    let to = vec!["alice@example.test", "both@example.test", "alice+x@example.test"];
    let accepted = world.deliver(&Mail { to, ..Mail::default() }, true).await;
    assert!(!accepted.again);
    assert_eq!(world.inbox("alice@example.test"), [accepted.id]);
    assert_eq!(world.inbox("bob@example.test"), [accepted.id]);
    let expected =
        format!("Return-Path: <sender@far.test>\r\nDelivered-To: bob@example.test\r\nReceived: x\r\n{HEADER}{BODY}");
    assert_eq!(world.text("bob@example.test", 0).await, expected);
    let story = trace::story(&world.store.view().unwrap(), Subject::Message(accepted.id)).unwrap();
    assert_eq!(world.kinds(accepted.id), [Kind::Accepted, Kind::Delivered, Kind::Delivered, Kind::Delivered]);
    assert_eq!((story[0].sender.as_deref(), story[0].helo.as_deref()), (Some("sender@far.test"), Some("mx.far.test")));
    assert_eq!(story[0].size_bytes, Some((HEADER.len() + BODY.len()) as u64));
    assert_eq!(story[2].recipient.as_deref(), Some("both@example.test"), "as it was named");
    assert_eq!(story[2].text, "to the INBOX of bob@example.test");
    assert_eq!(story[3].recipient.as_deref(), Some("alice+x@example.test"), "who gets no copy of their own");
    let verdict = trace::verdict(&story);
    assert_eq!((verdict.outcome, verdict.recipients.len()), (trace::Outcome::InMailbox, 3));
    assert!(verdict.recipients.iter().all(|recipient| recipient.mailbox.as_deref() == Some("INBOX")), "{verdict:?}");
    // What mail programs ask of it is there for each copy, and tells of the head as it is read.
    let bob = directory::account(&world.store.view().unwrap(), &address("bob@example.test")).unwrap().unwrap().id;
    let mut subjects = 0;
    let view = world.store.view().unwrap();
    let inbox = mailbox::inbox(&view, bob).unwrap().unwrap();
    let whole = (Uid(1), Uid(u32::MAX));
    let each = |_, summary: Summary| {
        subjects += 1;
        assert!(summary.envelope.windows(5).any(|word| word == b"hello"));
        assert_eq!((summary.preview.as_str(), summary.structure.parts.len()), ("body", 1));
        std::ops::ControlFlow::Continue(())
    };
    mailbox::summaries(&view, inbox, whole, each).unwrap();
    assert_eq!(subjects, 1);
    drop(view);
    world.is_sound();
}

#[tokio::test]
async fn a_body_for_a_hundred_lies_there_once() {
    let world = World::new().await;
    let names: Vec<&'static str> = (0..100).map(|number| &*format!("reader-{number}@example.test").leak()).collect();
    for name in &names {
        world.put_account(name, None).await;
    }
    // Shorter than what is found again by its hash: it is one body since it is one message.
    let body = "the same for all of them\r\n".repeat(1000);
    let mail = Mail { to: names.clone(), body, ..Mail::default() };
    assert!(mail.body.len() < limits::SHARED_BODY_BYTES as usize);
    let accepted = world.deliver(&mail, true).await;
    for name in [names[0], names[99]] {
        assert_eq!(world.inbox(name), [accepted.id]);
    }
    let mut bodies = Vec::new();
    let each = |_, facts: crate::store::BlobFacts| bodies.push((facts.references, facts.size_bytes));
    world.store.view().unwrap().each_blob(each).unwrap();
    assert_eq!(bodies, [(100, mail.body.len() as u64)]);
    world.is_sound();
}

#[tokio::test]
async fn the_null_sender_and_the_empty_body_are_taken_in() {
    let world = World::new().await;
    world.deliver(&Mail { sender: None, body: String::new(), ..Mail::default() }, true).await;
    let expected = format!("Return-Path: <>\r\nDelivered-To: alice@example.test\r\nReceived: x\r\n{HEADER}");
    assert_eq!(world.text("alice@example.test", 0).await, expected);
    world.is_sound();
}

#[tokio::test]
async fn what_a_sender_repeats_because_it_missed_our_answer_is_stored_once() {
    let world = World::new().await;
    let mail = Mail { to: vec!["both@example.test"], ..Mail::default() };
    let first = world.deliver(&mail, false).await;
    world.clock.advance_ms(60_000);
    // It may miss the second answer as well.
    for _ in 0..2 {
        let again = world.deliver(&mail, false).await;
        assert!(again.again && again.id == first.id);
    }
    let last = world.deliver(&mail, true).await;
    assert!(last.again && last.id == first.id);
    assert_eq!((world.inbox("alice@example.test").len(), world.inbox("bob@example.test").len()), (1, 1));
    let repeats = world.kinds(first.id).iter().filter(|kind| **kind == Kind::Repeated).count();
    assert_eq!(repeats, 6, "three repetitions for two recipients");
    // Now that it has our answer, the same bytes are a message of their own.
    let new = world.deliver(&mail, true).await;
    assert!(!new.again && new.id != first.id);
    assert_eq!(world.inbox("alice@example.test"), [first.id, new.id]);
    world.store.write(Flush).await.unwrap().into_inner();
    assert_eq!(world.unconfirmed(), 0);
    world.is_sound();
}

/// Does nothing, so that what rides before it is done when it comes back.
struct Flush;

impl crate::store::Op for Flush {
    type Plan = ();
    type Out = ();
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "test.flush"
    }

    fn check(&self, _: &crate::store::Tx<'_>) -> Result<(), crate::store::Halt<std::convert::Infallible>> {
        Ok(())
    }

    fn apply(&self, _: &mut crate::store::Tx<'_>, (): ()) -> Result<(), crate::store::StoreError> {
        Ok(())
    }
}

#[tokio::test]
async fn only_the_same_message_from_a_session_that_broke_is_a_repetition() {
    let world = World::new().await;
    let mail = Mail::default();
    let first = world.deliver(&mail, false).await;
    for other in [
        Mail { sender: Some("other@far.test"), ..mail.clone() },
        Mail { sender: None, ..mail.clone() },
        Mail { to: vec!["bob@example.test"], ..mail.clone() },
        Mail { header: format!("{HEADER}X: y\r\n"), ..mail.clone() },
        Mail { body: format!("{BODY}.\r\n"), ..mail.clone() },
        // The border between header and body counts.
        Mail { header: format!("{HEADER}\r\n"), body: BODY[2..].into(), ..mail.clone() },
    ] {
        let accepted = world.deliver(&other, true).await;
        assert!(!accepted.again && accepted.id != first.id);
    }
    // Another session brings the same while the first still lives: both mean it.
    let (one, two) = (world.session(), world.session());
    let mail = Mail { body: "\r\ntwice\r\n".into(), ..mail };
    let from_one = world.send(&one, &mail).await.unwrap();
    let from_two = world.send(&two, &mail).await.unwrap();
    assert!(!from_one.again && !from_two.again);
    // The second gets its answer, the first does not, and comes again.
    world.store.ride(from_two.confirm());
    drop((one, two));
    let again = world.deliver(&mail, true).await;
    assert!(again.again && again.id == from_one.id);
    assert_eq!(
        world.inbox("alice@example.test").iter().filter(|id| [from_one.id, from_two.id].contains(id)).count(),
        2
    );
    world.is_sound();
}

#[tokio::test]
async fn a_crash_hides_whether_the_answer_came() {
    let mut world = World::new().await;
    let mail = Mail::default();
    let session = world.session();
    let first = world.send(&session, &mail).await.unwrap();
    // The process is another one; the session of the old one counts as over, although nobody closed it.
    world.sessions = Sessions::new(&SeededRandom::new(2));
    let again = world.deliver(&mail, true).await;
    assert!(again.again && again.id == first.id);
    assert_eq!(world.inbox("alice@example.test"), [first.id]);
}

#[tokio::test]
async fn each_recipient_is_looked_at_alone() {
    let world = World::new().await;
    let first = world.deliver(&Mail::default(), false).await;
    let wider = Mail { to: vec!["alice@example.test", "bob@example.test"], ..Mail::default() };
    let second = world.deliver(&wider, false).await;
    assert!(!second.again && second.id != first.id);
    assert_eq!(world.inbox("alice@example.test"), [first.id]);
    assert_eq!(world.inbox("bob@example.test"), [second.id]);
    let third = world.deliver(&wider, true).await;
    assert!(third.again);
    assert_eq!((world.inbox("alice@example.test").len(), world.inbox("bob@example.test").len()), (1, 1));
    world.is_sound();
}

#[tokio::test]
async fn a_repetition_is_expected_for_five_days() {
    let world = World::new().await;
    let mail = Mail::default();
    let first = world.deliver(&mail, false).await;
    world.clock.advance_ms(limits::UNCONFIRMED_MS - 1);
    assert!(world.deliver(&mail, false).await.again);
    // The days are counted from the first time, not from the last.
    world.clock.advance_ms(1);
    let new = world.deliver(&mail, false).await;
    assert!(!new.again && new.id != first.id);
    assert_eq!(world.unconfirmed(), 1, "what is over goes when the next message comes");
    world.is_sound();
}

#[tokio::test]
async fn what_is_refused_leaves_nothing() {
    let world = World::new().await;
    let session = world.session();
    let to_both = Mail { to: vec!["both@example.test", "bob@example.test"], ..Mail::default() };
    let check = async |mail: &Mail, expected: Refused| {
        assert_eq!(world.send(&session, mail).await.unwrap_err(), expected);
        assert_eq!(world.inbox("alice@example.test"), []);
        assert_eq!(world.unconfirmed(), 0);
        assert_eq!(trace::find(&world.store.view().unwrap(), &trace::Wanted::All, None, 9).unwrap(), []);
        world.is_sound();
    };
    let looping = Mail { header: format!("Delivered-To: BOB@example.test\r\n{HEADER}"), ..to_both.clone() };
    check(&looping, Refused::Loop(address("both@example.test"))).await;
    check(&Mail { to: Vec::new(), ..Mail::default() }, Refused::Nobody).await;
    let own_lines = "Return-Path: <sender@far.test>\r\nDelivered-To: bob@example.test\r\n";
    let size_bytes = (own_lines.len() + "Received: x\r\n".len() + HEADER.len() + BODY.len()) as u64;
    world.put_account("bob@example.test", Some(size_bytes - 1)).await;
    check(&to_both, Refused::OverQuota(address("both@example.test"))).await;
    // An account that goes between RCPT and the end of the data.
    let late = world.accept(&session, &Mail::default()).await;
    let delete = DeleteAccount {
        address: address("alice@example.test"),
        precondition: Precondition::None,
        by: "test".into(),
        at: Timestamp(2),
    };
    world.store.write(delete).await.unwrap().into_inner();
    let outcome = world.store.write(late).await.map(Committed::into_inner);
    assert_eq!(outcome.unwrap_err(), WriteError::Refused(Refused::Gone(address("alice@example.test"))));
    world.put_account("bob@example.test", Some(size_bytes)).await;
    assert!(world.send(&session, &Mail { to: vec!["bob@example.test"], ..Mail::default() }).await.is_ok());
    world.is_sound();
}

#[tokio::test]
async fn two_messages_in_one_batch_share_a_quota() {
    let world = World::new().await;
    world.put_account("alice@example.test", Some(300)).await;
    let (one, two) = (world.session(), world.session());
    let mail = Mail { body: format!("\r\n{}\r\n", "x".repeat(100)), ..Mail::default() };
    let (first, second) = (world.accept(&one, &mail).await, world.accept(&two, &mail).await);
    let (first, second) = tokio::join!(world.store.write(first), world.store.write(second));
    assert_eq!(usize::from(first.is_ok()) + usize::from(second.is_ok()), 1);
    assert_eq!(world.inbox("alice@example.test").len(), 1);
    world.is_sound();
}
