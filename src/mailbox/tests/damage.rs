use super::super::log::{Change, ChangeKind, MODSEQ_LOG};
use super::super::message_row::{COPIES, Copies, Front, HEADS, Head, MESSAGES, OWN_LINES};
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

async fn check(damage: fn(&mut Tx<'_>) -> Result<(), StoreError>, expected: &str) {
    let world = World::new();
    let inbox = world.inbox(world.put_account("alice@example.test", None));
    world.bring(ID.0, b"H: v\r\n", b"\r\nbody\r\n", vec![(inbox, b"O: w\r\n".to_vec())]).await;
    world.is_sound();
    world.store.write(Damage(damage)).await.unwrap().into_inner();
    let findings = world.store.check().unwrap();
    assert!(findings.lines().iter().any(|line| line.contains(expected)), "{expected}: {:?}", findings.lines());
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
    check(|tx| alter(tx, &MAILBOXES, AT.0, |row| row.account = AccountId(7)), "account 7, which is not there").await;
    check(|tx| alter(tx, &MAILBOXES, AT.0, |row| row.messages = 2), "does not say what its 1 messages take").await;
    check(|tx| alter(tx, &MAILBOXES, AT.0, |row| row.size_bytes += 1), "does not say what its 1 messages take").await;
    check(|tx| alter(tx, &MAILBOXES, AT.0, |row| row.uid_next = Uid(1)), "uid is not below the next one").await;
    check(|tx| alter(tx, &MAILBOXES, AT.0, |row| row.modseq = ModSeq(1)), "above the mailbox's highest").await;
    check(|tx| tx.remove(&OWN_LINES, &AT).map(drop), "its own lines are not of the size").await;
    check(|tx| tx.put(&OWN_LINES, &(AT.0, Uid(2)), &Front::new(&[], None)), "uid 2 of mailbox 1 is no message").await;
    check(|tx| tx.remove(&HEADS, &ID).map(drop), "its head is not of the size").await;
    check(|tx| alter(tx, &HEADS, ID, |row| row.references = 2), "counts 2 references, and 1 messages").await;
    check(
        |tx| tx.put(&HEADS, &MessageId(9), &Head { references: 1, bytes: Vec::new() }),
        "counts 1 references, and 0 messages",
    )
    .await;
    check(|tx| alter(tx, &MESSAGES, AT, |row| row.blob = None), "its body is not of the size").await;
    check(|tx| alter(tx, &MESSAGES, AT, |row| row.body_bytes += 1), "its body is not of the size").await;
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
async fn a_check_sees_what_is_wrong_with_flags_copies_and_lists() {
    check(|tx| alter(tx, &MAILBOXES, AT.0, |row| row.unseen = 0), "does not say what its 1 messages take").await;
    check(|tx| alter(tx, &MAILBOXES, AT.0, |row| row.deleted = 1), "does not say what its 1 messages take").await;
    check(|tx| alter(tx, &MESSAGES, AT, |row| row.flags = SystemFlags::SEEN), "does not say what its 1 messages").await;
    check(|tx| alter(tx, &MESSAGES, AT, |row| row.keywords = 2), "it has a keyword without a name").await;
    check(|tx| alter(tx, &MESSAGES, AT, |row| row.copy = 1), "its copy's number was not given out").await;
    check(|tx| tx.put(&COPIES, &ID, &Copies { references: 1, last: 1 }), "counts 2 references, and 1 messages").await;
    check(|tx| tx.put(&COPIES, &MessageId(9), &Copies::default()), "copies: m_0000000000009 is no message").await;
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
