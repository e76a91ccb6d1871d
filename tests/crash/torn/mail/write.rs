//! The server's own ops, made of changes.

use std::fmt::Debug;
use std::sync::Arc;

use pillarbox::base::{
    AccountId, Address, DomainName, Enhanced, MailOptions, MailboxId, MessageIds, QueueId, SeededRandom, SystemFlags,
    Timestamp, Uid,
};
use pillarbox::directory::{AccountChange, AccountFields, DomainFields, Precondition, PutDomain, account};
use pillarbox::intake;
use pillarbox::intake::{
    Accept, Append, Appended, Body, Origin, Outbound, Recipient, Redeliver, Sessions, Settle, Source, Wish,
};
use pillarbox::job::{Job, JobState, Progress, PutJob};
use pillarbox::kept::{KeepFor, Reap};
use pillarbox::mailbox::{
    ChangeFlags, CopyMessages, CreateMailbox, DeleteAccount, DeleteMailbox, Expunge, PutAccount, RenameMailbox, Sweep,
    folder, runs,
};
use pillarbox::message::Summary;
use pillarbox::queue::{
    Act, Action, Attempt, Notify, Open, OpenAttempt, Outcome, Recover, Sending, Stage, Verdict, Words,
};
use pillarbox::settings::Settings;
use pillarbox::store::{Committed, Op, StagedBlob, Store, WriteError};

use super::change::{Change, Letter, Place, What};
use super::house::{KEPT_MS, address};

/// Who does all that, for the trace.
const BY: &str = "a test";
/// Kept messages of a slice, more than there are.
const ALL: usize = 10_000;

/// An op that is ready to be written.
pub enum Write {
    Domain(PutDomain),
    KeepFor(KeepFor),
    PutAccount(PutAccount),
    DeleteAccount(DeleteAccount),
    Accept(Box<Accept>),
    Append(Append),
    Expunge(Expunge),
    Flag(ChangeFlags),
    Copy(CopyMessages),
    Create(CreateMailbox),
    DeleteMailbox(DeleteMailbox),
    Rename(RenameMailbox),
    Open(Open),
    Settle(Settle),
    Recover(Recover),
    Act(Act),
    Redeliver(Box<Redeliver>),
    Reap(Reap),
    PutJob(PutJob),
}

impl Write {
    /// Writes it. What fails has no answer; what fits the model is never refused.
    pub async fn submit(self, store: &Store) -> Result<(), ()> {
        match self {
            Self::Domain(op) => write(store, op).await,
            Self::KeepFor(op) => write(store, op).await,
            Self::PutAccount(op) => write(store, op).await,
            Self::DeleteAccount(op) => delete(store, op).await,
            Self::Accept(op) => write(store, *op).await,
            Self::Append(op) => write(store, op).await,
            Self::Expunge(op) => write(store, op).await,
            Self::Flag(op) => write(store, op).await,
            Self::Copy(op) => write(store, op).await,
            Self::Create(op) => write(store, op).await,
            Self::DeleteMailbox(op) => delete(store, op).await,
            Self::Rename(op) => write(store, op).await,
            Self::Open(op) => write(store, op).await,
            Self::Settle(op) => write(store, op).await,
            Self::Recover(op) => write(store, op).await,
            Self::Act(op) => write(store, op).await,
            Self::Redeliver(op) => write(store, *op).await,
            Self::Reap(op) => write(store, op).await,
            Self::PutJob(op) => write(store, op).await,
        }
    }
}

/// What is deleted is gone with the first write, and its rows with those behind it, none of which anybody waits for.
async fn delete<O: Op<Refused: Debug>>(store: &Store, op: O) -> Result<(), ()> {
    write(store, op).await?;
    while store.write(Sweep).await.is_ok_and(Committed::into_inner) {}
    Ok(())
}

async fn write<O: Op<Refused: Debug>>(store: &Store, op: O) -> Result<(), ()> {
    let name = op.name();
    match store.write(op).await {
        Ok(_) => Ok(()),
        Err(WriteError::Refused(refused)) => panic!("{name} is refused: {refused:?}"),
        Err(_) => Err(()),
    }
}

/// Does what comes before the write: bodies are taken in, and names looked up.
pub async fn prepare(store: &Store, change: Change) -> Result<Write, ()> {
    let (at, id) = (change.at, change.id());
    let by = BY.to_owned();
    Ok(match change.what {
        What::PutDomain => {
            let fields = DomainFields::new(&Settings::default());
            let name = DomainName::parse("example.test").expect("a domain name");
            Write::Domain(PutDomain { name, fields, precondition: Precondition::None, at })
        }
        What::KeepFor => Write::KeepFor(KeepFor { ms: KEPT_MS }),
        What::PutAccount(name) => Write::PutAccount(PutAccount(AccountChange {
            address: parse(&address(name)),
            fields: AccountFields::default(),
            password: None,
            precondition: Precondition::Absent,
            at,
        })),
        What::DeleteAccount(name) => {
            let (address, precondition) = (parse(&address(name)), Precondition::None);
            Write::DeleteAccount(DeleteAccount { address, precondition, by, at })
        }
        What::Deliver { to, remote, sender, letter } => {
            let (body, summary) = take(store, &letter).await?;
            let Letter { mark, head, .. } = letter;
            Write::Accept(Box::new(Accept {
                id,
                at,
                // Each is a session of its own, and over when its message is sent once more.
                session: Some(Arc::new(Sessions::new(&SeededRandom::new(mark ^ at.0)).open())),
                origin: Origin { actor: by, ..Origin::default() },
                sender: sender.map(parse),
                recipients: recipients(store, &to, &remote)?,
                trace_fields: b"Received: by a test\r\n".to_vec(),
                summary,
                header_block: head,
                delivered_to: Vec::new(),
                body: body.map(Body::Staged),
                message_id_field: None,
                notify: Notify::Sender,
                seal: None,
                eight_bit: false,
                smtputf8: false,
                options: MailOptions::default(),
                outbound: outbound(at),
            }))
        }
        What::Append { name, to, letter, flags } => {
            let (body, summary) = take(store, &letter).await?;
            let (account, mailbox) = find(store, name, &to)?;
            let message = Appended {
                id,
                header_block: letter.head,
                body,
                summary,
                flags: SystemFlags(flags),
                keywords: Vec::new(),
                internal_date: at,
                message_id_field: None,
            };
            Write::Append(Append { account, mailbox, messages: vec![message], by, peer_ip: None, at })
        }
        What::Expunge { place, only_deleted } => {
            let ((_, mailbox), uids) = (find(store, place.name, &place.folder)?, uids(&place));
            Write::Expunge(Expunge { mailbox, uids, only_deleted, by, peer_ip: None, at })
        }
        What::Flag { place, mode, flags, keyword } => {
            let ((_, mailbox), uids) = (find(store, place.name, &place.folder)?, uids(&place));
            let (flags, keywords) = (SystemFlags(flags), keyword.map(str::to_owned).into_iter().collect());
            Write::Flag(ChangeFlags { mailbox, uids, mode, flags, keywords, unchanged_since: None })
        }
        What::Copy { place, to, moves } => {
            let ((_, from), (_, to)) = (find(store, place.name, &place.folder)?, find(store, place.name, &to)?);
            Write::Copy(CopyMessages { from, uids: uids(&place), to, moves, by, peer_ip: None, at })
        }
        What::Create(name, folder) => {
            let (account, _) = find(store, name, "INBOX")?;
            Write::Create(CreateMailbox { account, name: folder.to_owned(), special_use: None, at })
        }
        What::DeleteMailbox(name, folder) => {
            let (account, _) = find(store, name, "INBOX")?;
            Write::DeleteMailbox(DeleteMailbox { account, name: folder, by, at })
        }
        What::Rename(name, from, to) => {
            let (account, _) = find(store, name, "INBOX")?;
            Write::Rename(RenameMailbox { account, from, to: to.to_owned(), at })
        }
        What::Open(entries) => {
            let sending = |(id, recipient): (QueueId, String)| Sending { id, recipient: parse(&recipient) };
            let (server, actor) = ("mx.far.test [192.0.2.1]:25".to_owned(), "delivery".to_owned());
            let entries = entries.into_iter().map(sending).collect();
            Write::Open(Open { entries, attempt: OpenAttempt { at, server, actor } })
        }
        What::Settle(outcomes) => {
            let outcomes = outcomes.into_iter().map(|(id, verdict)| Outcome::new(id, verdict, attempt(at, verdict)));
            Write::Settle(Settle { outcomes: outcomes.collect(), outbound: outbound(at), at, jitter: 1000 })
        }
        What::Recover => Write::Recover(Recover { at, limit: ALL }),
        What::Hold(id) => act(id, Action::Hold { reason: "a look".into(), until: None }, at),
        What::Release(id) => act(id, Action::Release, at),
        What::Drop(id) => act(id, Action::Drop, at),
        What::Redeliver { of, to, remote } => {
            let recipients = recipients(store, &to, &remote)?;
            let origin = Origin { actor: by, ..Origin::default() };
            let wish = Wish { of, source: Source::Queue, recipients, via: None, origin, at, outbound: outbound(at) };
            let prepared = Redeliver::prepare(store, wish).await.map_err(drop)?;
            Write::Redeliver(Box::new(prepared.expect("what is there can be delivered once more")))
        }
        What::Reap => Write::Reap(Reap { at, is_full: false, limit: ALL }),
        What::PutJob(id, has_ended) => {
            let state = if has_ended { JobState::Succeeded } else { JobState::Running };
            let job = Job {
                kind: "test".into(),
                target: String::new(),
                actor: by,
                state,
                progress: Progress::default(),
                session: None,
                created_at: at,
                started_at: Some(at),
                ended_at: has_ended.then_some(at),
                result: None,
                problem: None,
            };
            Write::PutJob(PutJob { id, job })
        }
    })
}

fn act(id: QueueId, action: Action, at: Timestamp) -> Write {
    Write::Act(Act { entries: vec![id], action, actor: BY.to_owned(), at })
}

fn attempt(at: Timestamp, verdict: Verdict) -> Attempt {
    let (stage, code, class) = match verdict {
        Verdict::Delivered => (Stage::End, 250, 2),
        Verdict::Deferred => (Stage::Recipient, 450, 4),
        Verdict::Failed => (Stage::Recipient, 550, 5),
    };
    let words = Words { code: Some(code), ..Words::own(Enhanced(class, 0, 0), "as a test says") };
    let (actor, server) = ("delivery".to_owned(), Some("mx.far.test".to_owned()));
    Attempt { at, actor, server, server_ip: None, tls: None, stage, words, duration_ms: 5 }
}

async fn take(store: &Store, letter: &Letter) -> Result<(Option<StagedBlob>, Summary), ()> {
    let mut writer = store.blob_writer();
    for piece in letter.body.chunks(10_000) {
        writer.write(piece).await.map_err(drop)?;
    }
    let body = writer.finish().await.map_err(drop)?;
    Ok((Some(body), Summary::of_whole(&letter.head, &letter.body)))
}

fn recipients(store: &Store, to: &[&str], remote: &[&str]) -> Result<Vec<Recipient>, ()> {
    let view = store.view().map_err(drop)?;
    let here = to.iter().map(|name| parse(&address(name)));
    let all = here.chain(remote.iter().map(|address| parse(address)));
    all.map(|address| Ok(intake::recipient(&view, &address, 0).map_err(drop)?.expect("it is taken"))).collect()
}

/// An account and one of its mailboxes.
fn find(store: &Store, name: &str, mailbox: &str) -> Result<(AccountId, MailboxId), ()> {
    let view = store.view().map_err(drop)?;
    let row = account(&view, &parse(&address(name))).map_err(drop)?.expect("the account is there");
    let (id, _) = folder(&view, row.id, mailbox).map_err(drop)?.expect("the mailbox is there");
    Ok((row.id, id))
}

fn uids(place: &Place) -> Vec<(Uid, Uid)> {
    runs(place.uids.iter().copied().map(Uid))
}

/// As of that moment, so that a report gets an id of that moment.
fn outbound(at: Timestamp) -> Arc<Outbound> {
    let hostname = DomainName::parse("mx.example.test").expect("a name");
    let mut settings = Settings::default();
    settings.queue_delay_notice_seconds = 0;
    let ids = Arc::new(MessageIds::after((at.0 << 16) - 1));
    Arc::new(Outbound::of(&settings, hostname, ids).expect("the defaults are good"))
}

fn parse(text: &str) -> Address {
    Address::parse(text).expect("an address")
}
