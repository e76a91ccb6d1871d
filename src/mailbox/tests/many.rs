//! What an op on all messages of a large mailbox costs: one modseq, one row of the log, and no more time than it must.

use std::ops::ControlFlow;

use super::super::log::MODSEQ_LOG;
use super::super::message_row::{HEADS, Head};
use super::*;
use crate::base::limits;
use crate::message::Summary;
use crate::store::{Read, Span};

/// Ten thousand messages in one mailbox, in one op.
struct Fill {
    mailbox: MailboxId,
    has_summaries: bool,
    count: u64,
    /// Of each there is a story.
    has_stories: bool,
}

const HEAD: &str = "Received: from mx.far.test by mx.example.test; Sun, 22 Nov 2026 07:00:00 +0000\r\n\
    From: Somebody <somebody@far.test>\r\nTo: Alice <alice@example.test>\r\nSubject: What there is to be said\r\n\
    Date: Sun, 22 Nov 2026 07:00:00 +0000\r\nMessage-ID: <1234567890@far.test>\r\nMIME-Version: 1.0\r\n\
    Content-Type: text/plain; charset=utf-8\r\n";

fn body(number: u64) -> Vec<u8> {
    format!("\r\nThis is number {number}.\r\n{}", "And so it goes on, line by line.\r\n".repeat(60)).into_bytes()
}

impl Op for Fill {
    type Plan = ();
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "test.fill"
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        let summary = Summary::of_whole(HEAD.as_bytes(), &body(0));
        for number in 1..=self.count {
            let body = body(number);
            let message = Incoming {
                id: MessageId(number << 16),
                head: HEAD.as_bytes(),
                blob: Some(tx.put_small_blob(&body, 1)?),
                body_bytes: body.len() as u64,
                summary: self.has_summaries.then_some(&summary),
                at: Timestamp(5_000),
            };
            let own_lines = b"Return-Path: <somebody@far.test>\r\nDelivered-To: alice@example.test\r\n";
            deliver(tx, &message, &[Placement { mailbox: self.mailbox, own_lines }])?;
            if self.has_stories {
                let event = trace::Event {
                    recipient: Some("alice@example.test".into()),
                    account: Some("alice@example.test".into()),
                    ..trace::Event::new(Timestamp(5_000), trace::Kind::Delivered, "smtp")
                };
                trace::record(tx, trace::Subject::Message(message.id), event)?;
            }
        }
        Ok(())
    }
}

/// Lets the heads of some messages count a reference too many.
struct Spoil([MessageId; 3]);

impl Op for Spoil {
    type Plan = ();
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "test.spoil"
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        for id in &self.0 {
            let head = tx.get(&HEADS, id)?.expect("the head is there");
            tx.put(&HEADS, id, &Head { references: 2, ..head })?;
        }
        Ok(())
    }
}

impl World {
    fn modseq(&self, mailbox: MailboxId) -> u64 {
        row(&self.store.view().unwrap(), mailbox).unwrap().unwrap().modseq.0
    }

    /// How many rows the logs of all mailboxes have.
    fn log_rows(&self) -> usize {
        let mut rows = 0;
        let count = |_, _| {
            rows += 1;
            ControlFlow::Continue(())
        };
        self.store.view().unwrap().scan(&MODSEQ_LOG, Span::all(), count).unwrap();
        rows
    }

    /// Writes, and says how many octets it wrote.
    async fn weighed<O: Op>(&self, what: &str, op: O) -> O::Out
    where
        O::Refused: std::fmt::Debug,
    {
        let written = self.store.health().written_bytes;
        let out = self.store.write(op).await.map_err(|error| format!("{error:?}")).unwrap().into_inner();
        let kib = (self.store.health().written_bytes - written) / 1024;
        println!("{what}: {kib} KiB");
        out
    }
}

fn flags(mailbox: MailboxId, uids: Vec<(Uid, Uid)>, flags: SystemFlags) -> ChangeFlags {
    let keywords = vec!["$Label1".to_owned()];
    ChangeFlags { mailbox, uids, mode: FlagMode::Add, flags, keywords, unchanged_since: None }
}

#[tokio::test]
async fn an_op_on_ten_thousand_messages_is_one_change() {
    const COUNT: u32 = 10_000;
    let world = World::new();
    let alice = world.put_account("alice@example.test", None);
    let (inbox, bobs) = (world.inbox(alice), world.inbox(world.put_account("bob@example.test", None)));
    let find = |name: &str| folder(&world.store.view().unwrap(), alice, name).unwrap().unwrap().0;
    let (archive, trash) = (find("Archive"), find("Trash"));
    let count = u64::from(COUNT);
    world
        .weighed(
            "delivered without summaries",
            Fill { mailbox: bobs, has_summaries: false, count: 1000, has_stories: false },
        )
        .await;
    world.delete_account("bob@example.test").unwrap();
    world.sweep().await;
    world.weighed("delivered", Fill { mailbox: inbox, has_summaries: true, count, has_stories: false }).await;
    let all = || vec![(Uid(1), Uid(u32::MAX))];
    let before = (world.modseq(inbox), world.log_rows());

    let done = world.weighed("STORE all", flags(inbox, all(), SystemFlags::SEEN)).await;
    assert_eq!(done.modseq, Some(ModSeq(before.0 + 1)));
    let odd = runs((0..COUNT / 20).map(|number| Uid(20 * number + 1)));
    world.weighed("STORE every twentieth", flags(inbox, odd, SystemFlags::FLAGGED)).await;
    assert_eq!((world.modseq(inbox), world.log_rows()), (before.0 + 2, before.1 + 2));

    let seen = roster(&world.store.view().unwrap(), inbox).unwrap().unwrap();
    assert_eq!(seen.members.len(), COUNT as usize);
    let changed = changes(&world.store.view().unwrap(), inbox, ModSeq(before.0 + 1)).unwrap().unwrap().changed;
    assert_eq!(changed.len(), COUNT as usize / 20);
    let mut summarised = 0;
    let each = |_, _| {
        summarised += 1;
        ControlFlow::Continue(())
    };
    summaries(&world.store.view().unwrap(), inbox, (Uid(1), Uid(u32::MAX)), each).unwrap();
    assert_eq!(summarised, COUNT);

    let (by, at) = ("imap alice@example.test".to_owned(), Timestamp(9_000));
    let copy = CopyMessages { from: inbox, uids: all(), to: archive, moves: false, by: by.clone(), peer_ip: None, at };
    assert_eq!(world.weighed("COPY", copy.clone()).await.uids.len(), COUNT as usize);
    assert_eq!((world.modseq(archive), world.log_rows()), (2, before.1 + 3));
    let moving = CopyMessages { to: trash, moves: true, ..copy.clone() };
    // Parts of it, so that nobody waits for all.
    let one = world.weighed("a part of a MOVE", moving.clone()).await;
    let at_once = limits::MOVED_AT_ONCE as u32;
    assert_eq!((one.uids.len(), one.left), (limits::MOVED_AT_ONCE, vec![(Uid(at_once + 1), Uid(COUNT))]));
    let (rest, wrong) = super::super::move_all(&world.store, moving).await;
    assert_eq!(
        (rest.uids.len(), rest.uids.last(), wrong),
        ((COUNT - at_once) as usize, Some(&(Uid(COUNT), Uid(COUNT))), None)
    );
    let parts = u64::from(COUNT / at_once);
    assert_eq!((world.modseq(trash), world.modseq(inbox)), (1 + parts, before.0 + 2 + parts));
    assert_eq!(world.log_rows(), before.1 + 3 + 2 * parts as usize);
    // Into itself, each of them is moved once.
    let itself = CopyMessages { from: trash, to: trash, moves: true, ..copy };
    let (moved, wrong) = super::super::move_all(&world.store, itself).await;
    assert_eq!(
        (moved.uids.len(), moved.uids.last(), wrong),
        (COUNT as usize, Some(&(Uid(COUNT), Uid(2 * COUNT))), None)
    );
    let peer_ip = Some("192.0.2.7".parse().unwrap());
    let expunge = Expunge { mailbox: trash, uids: all(), only_deleted: false, by, peer_ip, at };
    // Parts of it, so that nobody waits for all.
    let one = world.weighed("a part of an EXPUNGE", expunge.clone()).await;
    let at_once = limits::EXPUNGED_AT_ONCE;
    assert_eq!((one.messages, one.next), (at_once, Some(Uid(COUNT + at_once as u32 + 1))));
    let before = (world.modseq(trash), world.log_rows());
    let (rest, wrong) = super::super::expunge(&world.store, expunge.clone()).await;
    assert_eq!((rest.messages, wrong), (COUNT as usize - at_once, None));
    let parts = (rest.messages / at_once) as u64;
    assert_eq!((world.modseq(trash), world.log_rows()), (before.0 + parts, before.1 + parts as usize));
    assert_eq!(rest.modseq, Some(ModSeq(before.0 + parts)));
    // What was there once is told by all of them.
    let gone = changes(&world.store.view().unwrap(), trash, ModSeq(2)).unwrap().unwrap().expunged;
    assert_eq!(gone, [(Uid(1), Uid(2 * COUNT))]);
    let (last, wrong) = super::super::expunge(&world.store, Expunge { mailbox: archive, ..expunge }).await;
    assert_eq!((last.messages, wrong), (COUNT as usize, None));
    assert_eq!(usage(&world.store.view().unwrap(), alice).unwrap(), Usage::default());
    world.is_sound();
}

/// A check counts the references of so many messages in several passes, and finds the same in each.
#[tokio::test]
async fn what_is_wrong_with_one_of_very_many_messages_is_found() {
    const COUNT: u64 = 2 * limits::TALLIED_AT_ONCE as u64 + 500;
    let world = World::new();
    let inbox = world.inbox(world.put_account("alice@example.test", None));
    let filled = Fill { mailbox: inbox, has_summaries: false, count: COUNT, has_stories: false };
    world.weighed("delivered", filled).await;
    world.is_sound();
    let spoilt = [1, COUNT / 2, COUNT].map(|number| MessageId(number << 16));
    world.weighed("spoilt", Spoil(spoilt)).await;
    let lines = world.store.check().unwrap().lines().to_vec();
    assert_eq!(lines, spoilt.map(|id| format!("heads: {id} counts 2 references, and 1 messages point to it")));
    world.store.mend().unwrap();
    world.is_sound();
}

/// What telling the trace of a MOVE costs: an event of each message whose story is kept, and nothing of the others.
#[tokio::test]
async fn a_move_of_ten_thousand_is_told_of_each_story_that_is_kept() {
    const COUNT: u64 = 10_000;
    for has_stories in [false, true] {
        let world = World::new();
        let alice = world.put_account("alice@example.test", None);
        let inbox = world.inbox(alice);
        let trash = folder(&world.store.view().unwrap(), alice, "Trash").unwrap().unwrap().0;
        let filled = Fill { mailbox: inbox, has_summaries: true, count: COUNT, has_stories };
        world.weighed("delivered", filled).await;
        let moving = CopyMessages {
            from: inbox,
            uids: vec![(Uid(1), Uid(u32::MAX))],
            to: trash,
            moves: true,
            by: "imap alice@example.test".into(),
            peer_ip: None,
            at: Timestamp(9_000),
        };
        world.weighed(if has_stories { "MOVE with stories" } else { "MOVE without" }, moving).await;
        let view = world.store.view().unwrap();
        let story = trace::story(&view, trace::Subject::Message(MessageId(7 << 16))).unwrap();
        let told: Vec<_> =
            story.iter().skip(1).map(|event| (event.kind, event.mailbox.as_deref(), event.text.as_str())).collect();
        let expected = [(trace::Kind::Moved, Some("Trash"), "from INBOX")];
        assert_eq!(told, if has_stories { &expected[..] } else { &[] });
        world.is_sound();
    }
}
