//! What is deleted is gone at once, and its rows go slice by slice.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::super::going::{GOING, GOING_ACCOUNTS};
use super::super::log::MODSEQ_LOG;
use super::super::message_row::{HEADS, MESSAGES, OWN_LINES};
use super::super::row::{MAILBOX_BY_NAME, MAILBOXES, SUBSCRIPTIONS, USAGE};
use super::*;
use crate::base::limits;
use crate::kept;

const OWN: &[u8] = b"Return-Path: <sender@far.test>\r\n";

impl World {
    /// Removes all that is deleted, slice by slice: how many it were. After each the file is sound, and none has removed
    /// more than it may.
    pub(super) async fn sweep(&self) -> usize {
        let mut slices = 0;
        let mut before = self.rows_of_messages();
        loop {
            let has_more = self.store.write(Sweep).await.unwrap().into_inner();
            slices += 1;
            self.is_sound();
            let left = self.rows_of_messages();
            assert!(before - left <= limits::SWEPT_MESSAGES as u64, "{before} rows, and then {left}");
            before = left;
            if !has_more {
                return slices;
            }
        }
    }

    fn rows_of_messages(&self) -> u64 {
        let view = self.store.view().unwrap();
        view.count(&MESSAGES).unwrap() + view.count(&MODSEQ_LOG).unwrap()
    }

    async fn create(&self, account: AccountId, name: &str) -> MailboxId {
        let op = CreateMailbox { account, name: name.into(), special_use: None, at: Timestamp(1_700_000_000_000) };
        let _ = self.store.write(op).await.unwrap();
        folder(&self.store.view().unwrap(), account, name).unwrap().unwrap().0
    }

    async fn delete(&self, account: AccountId, name: &str) {
        let (by, at) = ("imap alice@example.test".to_owned(), Timestamp(7_000));
        let _ = self.store.write(DeleteMailbox { account, name: name.into(), by, at }).await.unwrap();
    }

    async fn keep_for(&self, ms: u64) {
        let _ = self.store.write(kept::KeepFor { ms }).await.unwrap();
    }
}

#[tokio::test]
async fn a_deleted_mailbox_is_gone_at_once_and_its_rows_slice_by_slice() {
    const COUNT: u64 = 300;
    let world = World::new();
    world.keep_for(1_000_000).await;
    let alice = world.put_account("alice@example.test", None);
    let (inbox, old) = (world.inbox(alice), world.create(alice, "Old").await);
    for number in 1..=COUNT {
        // The first lies in two mailboxes.
        let mut to = vec![(old, OWN.to_vec())];
        to.extend((number == 1).then(|| (inbox, OWN.to_vec())));
        world.bring(number << 16, b"H: v\r\n", b"\r\nbody\r\n", to).await;
    }
    let second = MessageId(2 << 16);
    world.delete(alice, "Old").await;

    let view = world.store.view().unwrap();
    assert!(folder(&view, alice, "Old").unwrap().is_none() && row(&view, old).unwrap().is_none());
    assert!(roster(&view, old).unwrap().is_none() && changes(&view, old, ModSeq(1)).unwrap().is_none());
    assert_eq!(listing(&view, old).unwrap(), []);
    assert!(!has(&view, old, Uid(1)).unwrap() && member(&view, old, Uid(1)).unwrap().is_none());
    assert_eq!(world.read(old, Uid(1)).await, None);
    assert_eq!(usage(&view, alice).unwrap(), Usage { size_bytes: OWN.len() as u64 + 14, messages: 1 });
    // What is to be kept can be delivered once more at any time, from here or from there.
    assert_eq!(place_of(&view, second).unwrap(), Some((old, Uid(2))));
    drop(view);
    assert_eq!(world.expunge(old, &[1]).await, Expunged::default());
    world.is_sound();
    let new = world.create(alice, "Old").await;
    assert_ne!(new, old, "the name is free, and the number is not");

    // Messages, rows of the log, and the mark.
    let slices = (2 * COUNT as usize + 1).div_ceil(limits::SWEPT_MESSAGES);
    assert_eq!(world.sweep().await, slices);
    let view = world.store.view().unwrap();
    assert_eq!(
        (view.count(&GOING).unwrap(), view.count(&MESSAGES).unwrap(), view.count(&OWN_LINES).unwrap()),
        (0, 1, 1)
    );
    assert_eq!(kept::kept(&view, second).unwrap().map(|kept| kept.at), Some(Timestamp(7_000)));
    assert!(kept::kept(&view, MessageId(1 << 16)).unwrap().is_none(), "another has it still");
    drop(view);
    assert!(world.read(inbox, Uid(1)).await.is_some());
    assert_eq!(world.sweep().await, 1, "there is nothing more");
}

#[tokio::test]
async fn a_deleted_account_with_very_many_mailboxes_goes_slice_by_slice() {
    let world = World::new();
    world.keep_for(1_000_000).await;
    let alice = world.put_account("alice@example.test", None);
    let mut last = world.inbox(alice);
    for number in 0..limits::SWEPT_MESSAGES {
        last = world.create(alice, &format!("m{number:03}")).await;
    }
    let first = world.inbox(alice);
    world.bring(1 << 16, b"H: v\r\n", b"\r\nbody\r\n", vec![(first, OWN.to_vec())]).await;
    world.bring(2 << 16, b"H: v\r\n", b"\r\nbody\r\n", vec![(last, OWN.to_vec())]).await;
    world.delete_account("alice@example.test").unwrap();
    world.is_sound();
    let view = world.store.view().unwrap();
    assert_eq!((view.count(&GOING).unwrap(), view.count(&GOING_ACCOUNTS).unwrap()), (limits::SWEPT_MESSAGES as u64, 1));
    assert!(row(&view, last).unwrap().is_some(), "the last is not marked yet");
    for id in [1, 2] {
        assert_eq!(place_of(&view, MessageId(id << 16)).unwrap(), None, "it is nobody's");
    }
    drop(view);
    // Another of that name has nothing to do with it.
    let second = world.put_account("alice@example.test", None);
    assert!(second != alice && world.listing(world.inbox(second)).is_empty());
    world.delete_account("alice@example.test").unwrap();
    assert!(world.sweep().await > 1);
    let view = world.store.view().unwrap();
    assert_eq!((view.count(&GOING).unwrap(), view.count(&GOING_ACCOUNTS).unwrap()), (0, 0));
    assert_eq!((view.count(&MAILBOXES).unwrap(), view.count(&MAILBOX_BY_NAME).unwrap()), (0, 0));
    assert_eq!((view.count(&SUBSCRIPTIONS).unwrap(), view.count(&USAGE).unwrap()), (0, 0));
    assert_eq!((view.count(&HEADS).unwrap(), view.count(&MODSEQ_LOG).unwrap()), (0, 0));
    assert!(kept::kept(&view, MessageId(1 << 16)).unwrap().is_none(), "its mail is to be gone");
}

#[tokio::test]
async fn the_sweep_takes_up_what_the_last_run_has_left_and_hears_of_more() {
    let world = World::new();
    let alice = world.put_account("alice@example.test", None);
    let is_swept = async || {
        while world.store.view().unwrap().count(&GOING).unwrap() > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        world.is_sound();
    };
    let archive = folder(&world.store.view().unwrap(), alice, "Archive").unwrap().unwrap().0;
    world.bring(1 << 16, b"H: v\r\n", b"\r\nbody\r\n", vec![(archive, OWN.to_vec())]).await;
    world.delete(alice, "Archive").await;
    let stop = CancellationToken::new();
    let task = tokio::spawn(sweep(world.store.clone(), stop.clone()));
    is_swept().await;
    assert_eq!(world.store.view().unwrap().count(&HEADS).unwrap(), 0);
    world.delete(alice, "Sent").await;
    is_swept().await;
    stop.cancel();
    task.await.unwrap();
}
