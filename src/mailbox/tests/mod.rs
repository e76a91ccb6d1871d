mod damage;
mod detail;
mod folders;
mod going;
mod keywords;
mod many;
mod model;
mod restore;

use std::convert::Infallible;
use std::sync::Arc;

use super::*;
use crate::base::{
    AccountId, Address, DomainName, MailboxId, MessageId, ModSeq, SystemClock, SystemFlags, Timestamp, Uid,
};
use crate::directory::{self, AccountChange, AccountFields, DomainFields, Precondition, PutDomain, Refused};
use crate::settings::Settings;
use crate::store::{
    AnyTable, Committed, CrossCheck, Halt, Op, Options, Schema, StagedBlob, Store, StoreError, Tx, WriteError,
};
use crate::trace;

/// Mailboxes in memory, with the domain example.test.
struct World {
    store: Store,
}

/// A message for some mailboxes, as `intake` brings it.
struct Bring {
    id: MessageId,
    head: Vec<u8>,
    body: Option<StagedBlob>,
    to: Vec<(MailboxId, Vec<u8>)>,
}

impl Op for Bring {
    type Plan = ();
    type Out = Vec<Uid>;
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "test.bring"
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<Vec<Uid>, StoreError> {
        let references = self.to.len() as u32;
        let incoming = Incoming {
            id: self.id,
            head: &self.head,
            blob: self.body.as_ref().map(|body| tx.adopt_blob(body, references)).transpose()?,
            body_bytes: self.body.as_ref().map_or(0, StagedBlob::size_bytes),
            summary: None,
            at: Timestamp(5_000),
        };
        let copies: Vec<_> =
            self.to.iter().map(|(mailbox, own_lines)| Placement { mailbox: *mailbox, own_lines }).collect();
        deliver(tx, &incoming, &copies)
    }
}

fn schema() -> &'static Schema {
    let tables: Vec<&'static dyn AnyTable> = [trace::TABLES, crate::kept::TABLES, directory::TABLES, TABLES].concat();
    let checks = [trace::CHECKS, directory::CHECKS, CHECKS].into_iter().flatten();
    let checks: Vec<CrossCheck> = checks.copied().collect();
    Box::leak(Box::new(Schema { version: 1, tables: tables.leak(), checks: checks.leak(), migrations: &[] }))
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

impl World {
    fn new() -> Self {
        let store = Store::open(Options::memory(Arc::new(SystemClock)), schema()).unwrap();
        let put = PutDomain {
            name: DomainName::parse("example.test").unwrap(),
            fields: DomainFields::new(&Settings::default()),
            precondition: Precondition::None,
            at: Timestamp(1),
        };
        store.write_blocking(put).unwrap().into_inner();
        Self { store }
    }

    fn put_account(&self, text: &str, quota_bytes: Option<u64>) -> AccountId {
        let change = AccountChange {
            address: address(text),
            fields: AccountFields { quota_bytes, ..AccountFields::default() },
            password: None,
            precondition: Precondition::None,
            at: Timestamp(1_700_000_000_000),
        };
        self.store.write_blocking(PutAccount(change)).unwrap().into_inner().row.id
    }

    fn delete_account(&self, text: &str) -> Result<(), WriteError<Refused>> {
        let op = DeleteAccount {
            address: address(text),
            precondition: Precondition::None,
            by: "http owner".into(),
            at: Timestamp(8_000),
        };
        self.store.write_blocking(op).map(Committed::into_inner)
    }

    fn inbox(&self, account: AccountId) -> MailboxId {
        inbox(&self.store.view().unwrap(), account).unwrap().unwrap()
    }

    async fn bring(&self, id: u64, head: &[u8], body: &[u8], to: Vec<(MailboxId, Vec<u8>)>) -> Vec<Uid> {
        let body = if body.is_empty() {
            None
        } else {
            let mut writer = self.store.blob_writer();
            writer.write(body).await.unwrap();
            Some(writer.finish().await.unwrap())
        };
        let op = Bring { id: MessageId(id), head: head.to_vec(), body, to };
        self.store.write(op).await.unwrap().into_inner()
    }

    async fn expunge(&self, mailbox: MailboxId, uids: &[u32]) -> Expunged {
        let op = Expunge {
            mailbox,
            uids: runs(uids.iter().copied().map(Uid)),
            only_deleted: false,
            by: "pop3 alice@example.test".into(),
            peer_ip: None,
            at: Timestamp(9_000),
        };
        self.store.write(op).await.unwrap().into_inner()
    }

    fn listing(&self, mailbox: MailboxId) -> Vec<Entry> {
        listing(&self.store.view().unwrap(), mailbox).unwrap()
    }

    /// The message as it is read, and its size as it is announced.
    async fn read(&self, mailbox: MailboxId, uid: Uid) -> Option<(Vec<u8>, u64)> {
        let mut content = content(&self.store, mailbox, uid).unwrap()?;
        let mut bytes = Vec::new();
        while let Some(piece) = content.next().await.unwrap() {
            bytes.extend_from_slice(&piece);
        }
        Some((bytes, content.size_bytes()))
    }

    fn is_sound(&self) {
        assert_eq!(self.store.check().unwrap().lines(), [] as [&str; 0]);
    }
}

#[tokio::test]
async fn a_message_is_read_as_it_came_with_its_own_lines_before_it() {
    let world = World::new();
    let (alice, bob) = (world.put_account("alice@example.test", None), world.put_account("bob@example.test", None));
    let (a, b) = (world.inbox(alice), world.inbox(bob));
    assert_ne!(a, b);
    let body = [b"\r\n".as_slice(), &b"line\r\n".repeat(100_000)].concat();
    let to = vec![(a, b"Delivered-To: alice\r\n".to_vec()), (b, b"Delivered-To: bob\r\n".to_vec())];
    assert_eq!(world.bring(1 << 16, b"Subject: x\r\n", &body, to).await, [Uid(1), Uid(1)]);
    let to = vec![(a, Vec::new())];
    assert_eq!(world.bring(2 << 16, b"Subject: no body\r\n", b"", to).await, [Uid(2)]);
    let expected = [b"Delivered-To: bob\r\nSubject: x\r\n".as_slice(), &body].concat();
    assert_eq!(world.read(b, Uid(1)).await, Some((expected.clone(), expected.len() as u64)));
    assert_eq!(world.read(a, Uid(2)).await, Some((b"Subject: no body\r\n".to_vec(), 18)));
    assert_eq!(world.read(a, Uid(3)).await, None);
    let listing = world.listing(a);
    assert_eq!(listing.iter().map(|entry| entry.uid).collect::<Vec<_>>(), [Uid(1), Uid(2)]);
    assert_eq!(listing[0].uidl, MessageId(1 << 16).to_string());
    assert_eq!(listing[0].size_bytes, expected.len() as u64 + 2);
    world.is_sound();
}

#[tokio::test]
async fn what_is_expunged_leaves_nothing_but_its_story() {
    let world = World::new();
    let (alice, bob) = (world.put_account("alice@example.test", None), world.put_account("bob@example.test", None));
    let (a, b) = (world.inbox(alice), world.inbox(bob));
    for id in 1..=4 {
        world.bring(id << 16, b"H: v\r\n", b"\r\nbody\r\n", vec![(a, Vec::new()), (b, Vec::new())]).await;
    }
    // The story of the others is pruned.
    let subject = |id: u64| trace::Subject::Message(MessageId(id << 16));
    let event = trace::Event::new(Timestamp(1), trace::Kind::Accepted, "smtp");
    world.store.write_blocking(trace::Record { subject: subject(1), event }).unwrap().into_inner();
    let expunged = Expunged { messages: 2, size_bytes: 28, modseq: Some(ModSeq(6)), next: None };
    assert_eq!(world.expunge(a, &[1, 3, 3, 9]).await, expunged);
    assert_eq!(world.expunge(a, &[1]).await, Expunged::default());
    assert_eq!(world.listing(a).iter().map(|entry| entry.uid.0).collect::<Vec<_>>(), [2, 4]);
    assert_eq!(world.listing(b).len(), 4);
    assert!(world.read(b, Uid(1)).await.is_some() && world.read(a, Uid(1)).await.is_none());
    let view = world.store.view().unwrap();
    assert_eq!(usage(&view, alice).unwrap(), Usage { size_bytes: 28, messages: 2 });
    let story = trace::story(&view, subject(1)).unwrap();
    assert_eq!((story[1].kind, story[1].recipient.as_deref()), (trace::Kind::Expunged, Some("alice@example.test")));
    assert_eq!(trace::story(&view, subject(3)).unwrap(), []);
    drop(view);
    world.is_sound();
    // A number that was used is never used again.
    assert_eq!(world.bring(5 << 16, b"", b"x", vec![(a, Vec::new())]).await, [Uid(5)]);
    world.expunge(a, &[5]).await;
    assert_eq!(world.bring(6 << 16, b"", b"x", vec![(a, Vec::new())]).await, [Uid(6)]);
    assert_eq!(world.expunge(MailboxId(99), &[1]).await, Expunged::default());
    world.is_sound();
}

#[tokio::test]
async fn an_account_goes_with_its_mail_and_comes_back_empty() {
    let world = World::new();
    let first = world.put_account("alice@example.test", None);
    let old = world.inbox(first);
    world.bring(1 << 16, b"H: v\r\n", b"\r\nbody\r\n", vec![(old, Vec::new())]).await;
    let subject = trace::Subject::Message(MessageId(1 << 16));
    let event = trace::Event::new(Timestamp(1), trace::Kind::Accepted, "smtp");
    world.store.write_blocking(trace::Record { subject, event }).unwrap().into_inner();
    assert_eq!(world.put_account("alice@example.test", Some(9)), first, "a change keeps account and mail");
    assert_eq!(world.listing(world.inbox(first)).len(), 1);
    world.delete_account("alice@example.test").unwrap();
    world.is_sound();
    world.sweep().await;
    assert!(matches!(world.delete_account("alice@example.test"), Err(WriteError::Refused(Refused::NotFound))));
    let story = trace::story(&world.store.view().unwrap(), subject).unwrap();
    assert_eq!((story[1].actor.as_str(), story[1].text.as_str()), ("http owner", "the account was deleted"));
    let second = world.put_account("alice@example.test", None);
    let new = world.inbox(second);
    assert!(second != first && new != old && world.listing(new).is_empty());
    world.is_sound();
}

#[tokio::test]
async fn a_quota_counts_every_octet() {
    let world = World::new();
    let alice = world.put_account("alice@example.test", Some(100));
    let inbox = world.inbox(alice);
    let has_room = |size_bytes| has_room(&world.store.view().unwrap(), alice, size_bytes).unwrap();
    assert!(has_room(100) && !has_room(101));
    world.bring(1 << 16, &[b'h'; 30], &[b'b'; 40], vec![(inbox, vec![b'o'; 20])]).await;
    assert!(has_room(10) && !has_room(11) && !has_room(u64::MAX));
    world.expunge(inbox, &[1]).await;
    assert!(has_room(100));
    world.put_account("alice@example.test", None);
    assert!(has_room(u64::MAX));
    assert!(!super::has_room(&world.store.view().unwrap(), AccountId(99), 0).unwrap());
}
