use super::super::going::{GOING, GOING_ACCOUNTS, Going};
use super::super::log::{Change, ChangeKind, MODSEQ_LOG};
use super::super::message_row::{COPIES, Copies, Front, HEADS, Head, MESSAGES, Message, OWN_LINES};
use super::super::row::{
    KEYWORDS, Keywords, MAILBOX_BY_NAME, MAILBOXES, MailboxRef, SUBSCRIPTIONS, Subscription, USAGE,
};
use super::*;

use crate::store::Read;

/// Does damage to a file with one account (1), one mailbox (1) and one message (uid 1).
struct Damage(fn(&mut Tx<'_>) -> Result<(), StoreError>);

impl Op for Damage {
    type Plan = ();
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "test.damage"
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        (self.0)(tx)
    }
}

const AT: (MailboxId, Uid) = (MailboxId(1), Uid(1));
const ID: MessageId = MessageId(1 << 16);
const ALICE: AccountId = AccountId(1);

/// The check finds what is expected, and a repair mends it.
async fn check(damage: fn(&mut Tx<'_>) -> Result<(), StoreError>, expected: &str) {
    let left = mended(damage, expected).await;
    assert_eq!(left, [] as [&str; 0], "{expected}");
}

/// The check finds what is expected, and a repair can't mend it.
async fn check_left(damage: fn(&mut Tx<'_>) -> Result<(), StoreError>, expected: &str) {
    let left = mended(damage, expected).await;
    assert!(left.iter().any(|line| line.contains(expected)), "{expected}: {left:?}");
}

async fn mended(damage: fn(&mut Tx<'_>) -> Result<(), StoreError>, expected: &str) -> Vec<String> {
    let world = World::new();
    let inbox = world.inbox(world.put_account("alice@example.test", None));
    world.bring(ID.0, b"H: v\r\n", b"\r\nbody\r\n", vec![(inbox, b"O: w\r\n".to_vec())]).await;
    world.is_sound();
    world.store.write(Damage(damage)).await.unwrap().into_inner();
    let findings = world.store.check().unwrap();
    assert!(findings.lines().iter().any(|line| line.contains(expected)), "{expected}: {:?}", findings.lines());
    world.store.mend().unwrap();
    world.store.check().unwrap().lines().to_vec()
}

/// As the deletion of the mailbox marks it.
fn going() -> Going {
    let (by, at, text) = ("imap".into(), Timestamp(7), String::new());
    Going { owner: None, mailbox: Some("INBOX".into()), by, at, text, is_kept: true }
}

/// Changes a row in place.
fn alter<K: crate::store::Key, V: crate::store::Row>(
    tx: &mut Tx<'_>,
    table: &crate::store::Table<K, V>,
    key: K,
    change: impl FnOnce(&mut V),
) -> Result<(), StoreError> {
    let mut row = tx.get(table, &key)?.expect("the row is there");
    change(&mut row);
    tx.put(table, &key, &row)
}

#[tokio::test]
async fn a_check_sees_every_kind_of_disagreement() {
    check(|tx| tx.remove(&MAILBOXES, &AT.0).map(drop), "messages: a row of mailbox 1, which is not there").await;
    check(|tx| tx.remove(&MAILBOX_BY_NAME, &(ALICE, "INBOX".into())).map(drop), "has no INBOX").await;
    check(
        |tx| tx.put(&MAILBOX_BY_NAME, &(ALICE, "x".into()), &MailboxRef(MailboxId(1))),
        "x of account 1 leads to mailbox 1, which is not it",
    )
    .await;
    check_left(|tx| alter(tx, &MAILBOXES, AT.0, |row| row.account = AccountId(7)), "account 7, which is not there")
        .await;
    check(|tx| alter(tx, &MAILBOXES, AT.0, |row| row.messages = 2), "does not say what its 1 messages take").await;
    check(|tx| alter(tx, &MAILBOXES, AT.0, |row| row.size_bytes += 1), "does not say what its 1 messages take").await;
    check(|tx| alter(tx, &MAILBOXES, AT.0, |row| row.uid_next = Uid(1)), "uid is not below the next one").await;
    check(|tx| alter(tx, &MAILBOXES, AT.0, |row| row.modseq = ModSeq(1)), "above the mailbox's highest").await;
    check(|tx| tx.remove(&OWN_LINES, &AT).map(drop), "its own lines are not of the size").await;
    check(|tx| tx.put(&OWN_LINES, &(AT.0, Uid(2)), &Front::new(&[], None)), "uid 2 of mailbox 1 is no message").await;
    check_left(|tx| tx.remove(&HEADS, &ID).map(drop), "its head is not of the size").await;
    check(|tx| alter(tx, &HEADS, ID, |row| row.references = 2), "counts 2 references, and 1 messages").await;
    check(
        |tx| tx.put(&HEADS, &MessageId(9), &Head { references: 1, bytes: Vec::new() }),
        "counts 1 references, and 0 messages",
    )
    .await;
    check_left(|tx| alter(tx, &MESSAGES, AT, |row| row.blob = None), "its body is not of the size").await;
    check_left(|tx| alter(tx, &MESSAGES, AT, |row| row.body_bytes += 1), "its body is not of the size").await;
    check(|tx| alter(tx, &USAGE, ALICE, |row| row.size_bytes += 1), "account 1 does not say what its mail takes").await;
    check(|tx| tx.remove(&USAGE, &ALICE).map(drop), "account 1 has mail and no row").await;
    check(|tx| tx.put(&USAGE, &AccountId(7), &Usage::default()), "usage: a row of account 7").await;
    check(
        |tx| tx.put(&MODSEQ_LOG, &(AT.0, ModSeq(99)), &Change { kind: ChangeKind::Added, uids: Vec::new() }),
        "99 of mailbox 1 is above its highest",
    )
    .await;
    check(|tx| tx.remove(&MODSEQ_LOG, &(AT.0, ModSeq(2))).map(drop), "mailbox 1 has 0 rows instead of 1").await;
    check(|tx| tx.remove(&MODSEQ_LOG, &(AT.0, ModSeq(2))).map(drop), "the log does not tell of its last change").await;
    check(|tx| alter(tx, &MODSEQ_LOG, (AT.0, ModSeq(2)), |row| row.uids.clear()), "the log does not tell").await;
    check(
        |tx| alter(tx, &MODSEQ_LOG, (AT.0, ModSeq(2)), |row| row.kind = ChangeKind::Expunged),
        "the log does not tell of its last change",
    )
    .await;
    check(|tx| alter(tx, &MAILBOXES, AT.0, |row| row.log_floor = ModSeq(2)), "2 of mailbox 1 is below its floor").await;
}

#[tokio::test]
async fn a_check_sees_what_is_deleted_and_there() {
    check(|tx| tx.put(&GOING, &AT.0, &going()), "mailboxes_going: mailbox 1 is there, and deleted").await;
    check(|tx| tx.put(&GOING_ACCOUNTS, &ALICE, &going()), "accounts_going: account 1 is there, and deleted").await;
    // Its number is given to no other as long as its messages lie under it.
    check(|tx| tx.put(&GOING, &MailboxId(1000), &going()), "the counter of their numbers is behind").await;
    // A name that still leads to it ends; it does not make it anew.
    check(
        |tx| {
            tx.put(&GOING, &MailboxId(2), &going())?;
            tx.remove(&MAILBOXES, &MailboxId(2)).map(drop)
        },
        "leads to mailbox 2, which is not it",
    )
    .await;
}

#[tokio::test]
async fn an_account_with_a_damaged_mailbox_is_deleted_with_its_mail() {
    let world = World::new();
    let alice = world.put_account("alice@example.test", None);
    let bob = world.put_account("bob@example.test", None);
    let theirs = world.inbox(bob);
    world.bring(ID.0, b"H: v\r\n", b"", vec![(world.inbox(alice), Vec::new()), (theirs, Vec::new())]).await;
    let damage = Damage(|tx| {
        tx.remove(&MAILBOXES, &AT.0)?;
        // Bob's INBOX: six mailboxes are Alice's.
        tx.put(&MAILBOX_BY_NAME, &(ALICE, "x".into()), &MailboxRef(MailboxId(7)))
    });
    world.store.write(damage).await.unwrap().into_inner();
    assert_eq!((alice, theirs), (ALICE, MailboxId(7)));
    world.delete_account("alice@example.test").unwrap();
    world.sweep().await;
    assert_eq!(world.listing(theirs).len(), 1, "it was never hers");
    assert!(!world.store.view().unwrap().has(&MESSAGES, &AT).unwrap());
}

#[tokio::test]
async fn a_check_sees_what_is_wrong_with_counters() {
    use super::super::row::{NUMBERS, VALIDITIES};
    let world = World::new();
    world.put_account("alice@example.test", None);
    let store = world.store;
    for counter in [NUMBERS, VALIDITIES] {
        store.forget_counter(counter);
        let lines = store.check().unwrap();
        assert!(matches!(lines.lines(), [line] if line.contains("is behind")), "{lines:?}");
        assert_eq!(store.mend().unwrap().len(), 1);
        assert_eq!(store.check().unwrap().lines(), [] as [&str; 0]);
    }
}

#[tokio::test]
async fn a_mailbox_that_has_lost_its_row_is_there_again_with_its_messages() {
    let world = World::new();
    let alice = world.put_account("alice@example.test", None);
    let inbox = world.inbox(alice);
    world.bring(ID.0, b"H: v\r\n", b"\r\nbody\r\n", vec![(inbox, b"O: w\r\n".to_vec())]).await;
    let before = world.store.view().unwrap().get(&MAILBOXES, &inbox).unwrap().unwrap();
    world.store.write(Damage(|tx| tx.remove(&MAILBOXES, &AT.0).map(drop))).await.unwrap().into_inner();
    world.store.mend().unwrap();
    world.is_sound();
    let after = world.store.view().unwrap().get(&MAILBOXES, &inbox).unwrap().unwrap();
    assert!(after.uid_validity > before.uid_validity, "nobody knows which UIDs were given");
    assert_eq!((after.uid_next, after.messages, after.name.as_str()), (Uid(2), 1, "INBOX"));
    let message = world.read(inbox, Uid(1)).await.unwrap();
    assert_eq!(message.0, b"O: w\r\nH: v\r\n\r\nbody\r\n");
}

#[tokio::test]
async fn a_check_sees_what_is_wrong_with_flags_copies_and_lists() {
    check(|tx| alter(tx, &MAILBOXES, AT.0, |row| row.unseen = 0), "does not say what its 1 messages take").await;
    check(|tx| alter(tx, &MAILBOXES, AT.0, |row| row.deleted = 1), "does not say what its 1 messages take").await;
    check(|tx| alter(tx, &MESSAGES, AT, |row| row.flags = SystemFlags::SEEN), "does not say what its 1 messages").await;
    check(|tx| alter(tx, &MESSAGES, AT, |row| row.keywords = 2), "it has a keyword without a name").await;
    check(|tx| alter(tx, &MESSAGES, AT, |row| row.copy = 1), "its copy's number was not given out").await;
    check(|tx| tx.put(&COPIES, &ID, &Copies { references: 1, last: 1 }), "counts 2 references, and 1 messages").await;
    check(|tx| tx.put(&COPIES, &MessageId(9), &Copies::default()), "copies: m_0000000000009 is no message").await;
    check_left(
        |tx| {
            let message = tx.get(&MESSAGES, &AT)?.expect("it is there");
            let front = tx.get(&OWN_LINES, &AT)?.expect("they are there");
            tx.put(&COPIES, &ID, &Copies { references: 2, last: 1 })?;
            for uid in [Uid(2), Uid(3)] {
                tx.put(&OWN_LINES, &(AT.0, uid), &front)?;
                tx.put(&MESSAGES, &(AT.0, uid), &Message { copy: 1, ..message })?;
            }
            Ok(())
        },
        "account 1 has copy 1 of m_0000000002000 twice",
    )
    .await;
    check(|tx| tx.put(&KEYWORDS, &MailboxId(99), &Keywords::default()), "keywords: a row of mailbox 99").await;
    check(|tx| tx.put(&KEYWORDS, &AT.0, &Keywords(vec!["a".into(), "A".into()])), "one is there twice").await;
    check(
        |tx| tx.put(&SUBSCRIPTIONS, &(AccountId(7), "x".into()), &Subscription(true)),
        "subscriptions: a row of account 7",
    )
    .await;
    check(|tx| tx.put(&SUBSCRIPTIONS, &(ALICE, "x".into()), &Subscription(false)), "for x says nothing").await;
    check(|tx| tx.put(&SUBSCRIPTIONS, &(ALICE, "INBOX".into()), &Subscription(true)), "INBOX says nothing").await;
    check(
        |tx| alter(tx, &MAILBOXES, AT.0, |row| row.special_use = Some(SpecialUse::Junk)),
        "is not the only one of its account for its use",
    )
    .await;
}
