use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::*;
use crate::backup::{Backups, Id, Origin};
use crate::base::{
    Address, Clock, DomainName, JobId, MailboxId, MessageId, MessageIds, SystemFlags, Timestamp, TurnedClock, Uid,
};
use crate::directory::{
    self, AccountChange, AccountFields, AliasFields, DomainFields, Precondition, PutAlias, PutDomain,
};
use crate::job::{self, JobState};
use crate::jobs::tests::ended;
use crate::jobs::{self, Jobs};
use crate::mailbox::{self, CopyMessages, DeleteAccount, DeleteMailbox, Expunge, Incoming, Placement, PutAccount};
use crate::settings::Settings;
use crate::store::{
    AnyTable, CopyOptions, CrossCheck, Halt, Op, Options, Schema, StagedBlob, Store, StoreError, Tx, WriteError,
};
use crate::{audit, kept, trace};

/// A server's file on disk with alice@example.test, whose mail is in a backup.
struct Site {
    _folder: tempfile::TempDir,
    store: Store,
    backups: Arc<Backups>,
    jobs: Arc<Jobs>,
    clock: Arc<TurnedClock>,
}

/// A message for a mailbox.
struct Bring {
    id: MessageId,
    head: Vec<u8>,
    body: Option<StagedBlob>,
    to: MailboxId,
}

impl Op for Bring {
    type Plan = ();
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "test.bring"
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        let incoming = Incoming {
            id: self.id,
            head: &self.head,
            blob: self.body.as_ref().map(|body| tx.adopt_blob(body, 1)).transpose()?,
            body_bytes: self.body.as_ref().map_or(0, StagedBlob::size_bytes),
            summary: None,
            at: self.id.at(),
        };
        let own_lines = b"Return-Path: <x@far.test>\r\nDelivered-To: alice@example.test\r\n";
        mailbox::deliver(tx, &incoming, &[Placement { mailbox: self.to, own_lines }]).map(drop)
    }
}

fn schema() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let rooms = [trace::TABLES, audit::TABLES, job::TABLES, kept::TABLES, directory::TABLES, mailbox::TABLES];
        let tables: Vec<&'static dyn AnyTable> = rooms.concat();
        let checks = [trace::CHECKS, kept::CHECKS, directory::CHECKS, mailbox::CHECKS].into_iter().flatten();
        let checks: Vec<CrossCheck> = checks.map(|check| CrossCheck { name: check.name, run: check.run }).collect();
        Schema { version: 1, tables: tables.leak(), checks: checks.leak(), migrations: &[] }
    })
}

fn alice() -> Address {
    Address::parse("alice@example.test").unwrap()
}

fn all() -> Wanted {
    Wanted::all_of(alice())
}

impl Site {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("mail.redb");
        let clock = Arc::new(TurnedClock::new(Timestamp::parse_rfc3339("2026-11-22T12:00:00Z").unwrap()));
        let options = Options { disk_reserve_bytes: 0, clock: clock.clone(), ..Options::at(&data) };
        let store = Store::open(options, schema()).unwrap();
        let backups = Arc::new(Backups::beside(Some(&data), store.clone()));
        let jobs = Jobs::new(store.clone(), clock.clone(), Arc::new(MessageIds::default()));
        let site = Self { _folder: folder, store, backups, jobs, clock };
        let put = PutDomain {
            name: DomainName::parse("example.test").unwrap(),
            fields: DomainFields::new(&Settings::default()),
            precondition: Precondition::None,
            at: Timestamp(1),
        };
        site.write(put).await;
        site.put_account("alice@example.test").await;
        site
    }

    async fn write<O: Op>(&self, op: O) -> O::Out
    where
        WriteError<O::Refused>: std::fmt::Debug,
    {
        self.store.write(op).await.unwrap().into_inner()
    }

    async fn put_account(&self, text: &str) {
        let change = AccountChange {
            address: Address::parse(text).unwrap(),
            fields: AccountFields { display_name: "Alice".into(), ..AccountFields::default() },
            password: None,
            precondition: Precondition::None,
            at: Timestamp(2),
        };
        self.write(PutAccount(change)).await;
    }

    fn mailbox(&self, name: &str) -> Option<MailboxId> {
        let view = self.store.view().unwrap();
        let account = directory::account(&view, &alice()).unwrap()?;
        mailbox::folder(&view, account.id, name).unwrap().map(|(id, _)| id)
    }

    async fn bring(&self, id: u64, subject: &str, body: &[u8], to: &str) {
        let mut writer = self.store.blob_writer();
        writer.write(body).await.unwrap();
        let body = Some(writer.finish().await.unwrap());
        let head = format!("Subject: {subject}\r\nMessage-ID: <{id}@far.test>\r\n").into_bytes();
        self.write(Bring { id: MessageId(id << 16), head, body, to: self.mailbox(to).unwrap() }).await;
    }

    async fn expunge(&self, name: &str, uids: &[u32]) {
        let op = Expunge {
            mailbox: self.mailbox(name).unwrap(),
            uids: mailbox::runs(uids.iter().map(|uid| Uid(*uid))),
            only_deleted: false,
            by: "imap alice@example.test".into(),
            peer_ip: None,
            at: self.clock.now(),
        };
        self.write(op).await;
    }

    async fn delete_mailbox(&self, name: &str) {
        let account = directory::account(&self.store.view().unwrap(), &alice()).unwrap().unwrap().id;
        let op = DeleteMailbox { account, name: name.into(), by: "http owner".into(), at: self.clock.now() };
        self.write(op).await;
    }

    async fn delete_account(&self) {
        let (address, precondition) = (alice(), Precondition::None);
        self.write(DeleteAccount { address, precondition, by: "http owner".into(), at: self.clock.now() }).await;
    }

    fn back_up(&self) -> Id {
        let now = self.clock.now();
        self.clock.advance_ms(1000);
        let goes_on = &mut |_| ControlFlow::Continue(());
        self.backups.make(Origin::Manual, now, CopyOptions::default(), goes_on).unwrap().id
    }

    fn open(&self, backup: Id, wanted: &Wanted) -> Result<Source, ItemsError> {
        Source::open(&self.backups, &self.store, backup, wanted)
    }

    async fn start(&self, backup: Id, wanted: Wanted) -> JobId {
        self.start_as(backup, wanted, true).await
    }

    async fn start_as(&self, backup: Id, wanted: Wanted, may_make: bool) -> JobId {
        let source = self.open(backup, &wanted).unwrap();
        let (store, clock) = (self.store.clone(), self.clock.clone());
        let order = Order { source, wanted, may_make, by: "http owner".into(), store, clock };
        let target = "alice@example.test".to_owned();
        let asked = jobs::Order { kind: "restore_items", target, actor: "http owner".into(), session: None };
        self.jobs.start(asked, move |task| restore(order, task)).await.unwrap()
    }

    /// Restores, and gives the result of a job that did all; the file is sound, and the survey had said the same.
    async fn restore(&self, backup: Id, wanted: Wanted) -> Value {
        let source = self.open(backup, &wanted).unwrap();
        let survey = Survey::of(&source, &wanted, &self.store, self.clock.now()).unwrap();
        let id = self.start(backup, wanted).await;
        let job = ended(&self.store, id).await;
        assert_eq!(job.state, JobState::Succeeded, "{job:?}");
        let result: Value = serde_json::from_str(&job.result.unwrap()).unwrap();
        let sum = |of: fn(&SurveyedFolder) -> u64| survey.folders.iter().map(of).sum::<u64>();
        assert_eq!(result["restored"], sum(|folder| folder.messages), "{result} {survey:?}");
        assert_eq!(result["size_bytes"], sum(|folder| folder.size_bytes));
        assert_eq!(result["still_there"], sum(|folder| folder.still_there));
        assert_eq!(result["account_made"], survey.is_account_new);
        assert_eq!(job.progress.done, job.progress.total.unwrap());
        assert_eq!(self.store.check().unwrap().lines(), [] as [&str; 0]);
        result
    }

    /// All mail of the account: of each message its mailbox, id, flags, date and octets, without its UID.
    fn mail(&self) -> Vec<(String, MessageId, SystemFlags, Timestamp, Vec<u8>)> {
        let view = self.store.view().unwrap();
        let account = directory::account(&view, &alice()).unwrap().unwrap();
        let mut mail = Vec::new();
        for folder in mailbox::folders(&view, account.id).unwrap() {
            let Some((id, _)) = folder.mailbox else { continue };
            for member in mailbox::roster(&view, id).unwrap().unwrap().members {
                let mut octets = Vec::new();
                assert!(mailbox::read_range(&view, id, member.uid, (0, u64::MAX), &mut octets).unwrap());
                mail.push((folder.name.clone(), member.message, member.flags, member.internal_date, octets));
            }
        }
        mail.sort_by_key(|(name, id, ..)| (name.clone(), *id));
        mail
    }
}

#[tokio::test]
async fn an_account_comes_back_as_it_was_and_once() {
    let site = Site::new().await;
    let targets = vec![alice()];
    let fields = AliasFields::leading_to(targets);
    let address = Address::parse("info@example.test").unwrap();
    site.write(PutAlias { address: address.clone(), fields, precondition: Precondition::None, at: Timestamp(3) }).await;
    site.bring(1, "first", b"\r\nshort\r\n", "INBOX").await;
    site.bring(2, "long", &b"\r\nline of a long one\r\n".repeat(200_000), "Sent").await;
    let (before, backup) = (site.mail(), site.back_up());
    site.delete_account().await;
    site.write(directory::DeleteAlias { address, precondition: Precondition::None }).await;
    let result = site.restore(backup, all()).await;
    assert_eq!((&result["restored"], &result["account_made"]), (&2.into(), &true.into()));
    assert_eq!(result["aliases_made"], serde_json::json!(["info@example.test"]));
    assert!(site.mail() == before, "it is not as it was");
    let result = site.restore(backup, all()).await;
    assert_eq!((&result["restored"], &result["still_there"]), (&0.into(), &2.into()));
    assert!(site.mail() == before, "twice is not as once");
    let account = directory::account(&site.store.view().unwrap(), &alice()).unwrap().unwrap();
    assert_eq!(account.fields.display_name, "Alice");
}

#[tokio::test]
async fn a_mailbox_comes_back_where_it_was_or_elsewhere() {
    let site = Site::new().await;
    site.bring(1, "kept", b"\r\none\r\n", "INBOX").await;
    site.bring(2, "drafted", b"\r\ntwo\r\n", "Drafts").await;
    let (before, backup) = (site.mail(), site.back_up());
    let drafts = || Wanted { mailbox: Some("Drafts".into()), ..all() };
    site.delete_mailbox("Drafts").await;
    let result = site.restore(backup, drafts()).await;
    assert_eq!((&result["restored"], &result["mailboxes_made"]), (&1.into(), &serde_json::json!(["Drafts"])));
    assert!(site.mail() == before, "it is not as it was");
    site.delete_mailbox("Drafts").await;
    let into = Wanted { into: Some("Restored/2026-11-22".into()), ..all() };
    let result = site.restore(backup, into).await;
    assert_eq!((&result["restored"], &result["still_there"]), (&1.into(), &1.into()));
    assert_eq!(site.mail()[1].0, "Restored/2026-11-22/Drafts");
    let source = |mailbox: &str| site.open(backup, &Wanted { mailbox: Some(mailbox.into()), ..all() });
    assert!(matches!(source("Nowhere"), Err(ItemsError::NoMailbox(_))));
    let nobody = Wanted::all_of(Address::parse("nobody@example.test").unwrap());
    assert!(matches!(site.open(backup, &nobody), Err(ItemsError::NoAccount(_))));
}

#[tokio::test]
async fn single_messages_come_back_by_what_they_are_known_by() {
    let site = Site::new().await;
    for id in 1..=6 {
        site.bring(id * 1000, &format!("number {id}"), format!("\r\n{id}\r\n").as_bytes(), "INBOX").await;
    }
    let backup = site.back_up();
    site.expunge("INBOX", &[1, 2, 3, 4, 5]).await;
    let mut seen = Vec::new();
    let mut check = async |wanted: Wanted, restored: u64, still_there: u64| {
        let result = site.restore(backup, wanted).await;
        seen.push((result["restored"].as_u64().unwrap(), result["still_there"].as_u64().unwrap()));
        assert_eq!(seen.last(), Some(&(restored, still_there)), "{result}");
    };
    check(Wanted { message: Some(MessageId(3000 << 16)), ..all() }, 1, 0).await;
    check(Wanted { query: Some("NUMBER 1".into()), ..all() }, 1, 0).await;
    let uids = Some([Uid(2), Uid(6), Uid(99)].into());
    check(Wanted { mailbox: Some("INBOX".into()), uids, ..all() }, 1, 1).await;
    let (after, before) = (Some(Timestamp(4000)), Some(Timestamp(5000)));
    check(Wanted { after, before, ..all() }, 1, 0).await;
    check(Wanted { query: Some("number".into()), ..all() }, 1, 5).await;
    assert_eq!(site.mail().len(), 6);
}

#[tokio::test]
async fn many_come_back_in_slices_also_when_some_are_there() {
    let site = Site::new().await;
    for id in 1..=450 {
        site.bring(id, "x", &[b"\r\n".as_slice(), &b"0123456789".repeat(3000)].concat(), "INBOX").await;
    }
    let (before, backup) = (site.mail(), site.back_up());
    site.expunge("INBOX", &(1..=450).collect::<Vec<_>>()).await;
    let uids = Some((50..250).map(Uid).collect());
    site.restore(backup, Wanted { mailbox: Some("INBOX".into()), uids, ..all() }).await;
    let result = site.restore(backup, all()).await;
    assert_eq!((&result["restored"], &result["still_there"]), (&250.into(), &200.into()));
    assert!(site.mail() == before);
}

#[tokio::test]
async fn a_restore_waits_for_its_turn_and_is_cancelled() {
    let site = Site::new().await;
    site.bring(1, "x", b"\r\none\r\n", "INBOX").await;
    let backup = site.back_up();
    site.expunge("INBOX", &[1]).await;
    let turn = super::restore::TURN.lock().await;
    let id = site.start(backup, all()).await;
    assert!(site.jobs.cancel(id).is_ok());
    let job = ended(&site.store, id).await;
    assert_eq!(job.state, JobState::Cancelled, "{job:?}");
    drop(turn);
    assert!(site.mail().is_empty());
    site.restore(backup, all()).await;
    assert_eq!(site.mail().len(), 1);
}

#[tokio::test]
async fn an_account_that_goes_meanwhile_is_not_made_again_unasked() {
    let site = Site::new().await;
    site.bring(1, "x", b"\r\none\r\n", "INBOX").await;
    let backup = site.back_up();
    let turn = super::restore::TURN.lock().await;
    // It is there when it is asked for, so that nobody asks who may make it.
    let id = site.start_as(backup, all(), false).await;
    site.delete_account().await;
    drop(turn);
    let job = ended(&site.store, id).await;
    assert_eq!((job.state, job.problem.as_deref()), (JobState::Failed, Some("the account was deleted meanwhile")));
    assert!(directory::account(&site.store.view().unwrap(), &alice()).unwrap().is_none());
    // Somebody else gets the address: the mail goes there, and that is said.
    site.put_account("alice@example.test").await;
    let survey = Survey::of(&site.open(backup, &all()).unwrap(), &all(), &site.store, site.clock.now()).unwrap();
    assert!(survey.is_account_another);
    let result = site.restore(backup, all()).await;
    assert_eq!((&result["restored"], &result["account_another"]), (&1.into(), &true.into()));
}

#[tokio::test]
async fn what_was_moved_is_still_there() {
    let site = Site::new().await;
    for id in 1..=3 {
        site.bring(id, "x", b"\r\none\r\n", "INBOX").await;
    }
    let (backup, before) = (site.back_up(), site.mail().len());
    let (from, to) = (site.mailbox("INBOX").unwrap(), site.mailbox("Archive").unwrap());
    let uids = mailbox::runs([Uid(1)]);
    let moving = |uids, from, to, moves| CopyMessages {
        from,
        uids,
        to,
        moves,
        by: "imap".into(),
        peer_ip: None,
        at: Timestamp(9),
    };
    site.write(moving(uids, from, to, true)).await;
    // A copy of it is another message than it.
    site.write(moving(mailbox::runs([Uid(2)]), from, to, false)).await;
    let result = site.restore(backup, all()).await;
    assert_eq!((&result["restored"], &result["still_there"]), (&0.into(), &3.into()));
    site.expunge("INBOX", &[2]).await;
    let result = site.restore(backup, all()).await;
    assert_eq!((&result["restored"], &result["still_there"]), (&1.into(), &2.into()));
    assert_eq!(site.mail().len(), before + 1);
}

#[test]
fn of_very_many_the_first_are_listed() {
    let mut few = Few::default();
    (0..1000).for_each(|number| few.add(number));
    assert_eq!((few.count, few.first), (1000, (0..20).collect::<Vec<_>>()));
}

#[tokio::test]
async fn what_is_damaged_in_the_copy_costs_itself_alone() {
    let site = Site::new().await;
    let noise: Vec<u8> = (0..40_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    site.bring(1, "whole", b"\r\none\r\n", "INBOX").await;
    site.bring(2, "damaged", &noise, "INBOX").await;
    site.bring(3, "whole too", b"\r\nthree\r\n", "INBOX").await;
    let backup = site.back_up();
    let path = site.backups.get(backup).unwrap().path;
    let mut octets = std::fs::read(&path).unwrap();
    let places: Vec<usize> =
        octets.windows(64).enumerate().filter(|(_, w)| *w == &noise[..64]).map(|(n, _)| n).collect();
    assert!(!places.is_empty(), "the noise lies in the copy as it is");
    for place in places {
        octets[place + 40] ^= 1;
    }
    std::fs::write(&path, octets).unwrap();
    site.delete_account().await;
    let id = site.start(backup, all()).await;
    let job = ended(&site.store, id).await;
    assert_eq!(job.state, JobState::Failed);
    let result: Value = serde_json::from_str(&job.result.unwrap()).unwrap();
    assert_eq!((&result["restored"], &result["damaged"]), (&2.into(), &1.into()), "{result}");
    assert_eq!(result["damaged_messages"][0]["uid"], 2);
    assert!(job.problem.unwrap().contains("1 can't be read"));
    assert_eq!(site.store.check().unwrap().lines(), [] as [&str; 0]);
}
