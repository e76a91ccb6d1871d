//! A queue on a test disk, and what is compared after each step.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fmt::Debug;
use std::sync::Arc;

use pillarbox::base::{Address, MailOptions, MessageId, MessageIds, QueueId, RcptOptions, SeededRandom, Timestamp};
use pillarbox::intake::{self, Outbound};
use pillarbox::mailbox;
use pillarbox::queue::{self, Entry, NewEntry, NewMessage, Recover};
use pillarbox::store::fault::FaultDisk;
use pillarbox::store::{Halt, Op, StagedBlob, Store, StoreError, Tx, WriteError};
use pillarbox::trace::{self, Subject};

use super::file;
use super::oracle::{NEVER, Oracle, Sent, policy, shape};
use super::steps::DOMAINS;
use super::table::{Cause, Seen, Stand};

/// Open attempts that one recovery closes at a time.
const RECOVERED: usize = 2;

/// Of so many changes one is followed by a check of the whole file, as every crash and the end are: a check reads
/// every row, and what a change leaves wrong stays so.
const CHECKED: u64 = 8;

/// A queue that may crash at any moment, and what it should hold.
pub struct World<'a> {
    disk: Arc<FaultDisk>,
    pub store: Store,
    pub oracle: Oracle,
    pub ids: Arc<MessageIds>,
    before: Rows,
    /// Changes since the last check of the whole file.
    unchecked: u64,
    seen: &'a Seen,
    random: SeededRandom,
}

/// The entries, with whether each is in an attempt.
type Rows = BTreeMap<QueueId, (Entry, bool)>;

/// What has moved an entry, if it is one that may have been moved.
type Mover<'a> = &'a dyn Fn(QueueId) -> Option<Cause>;

/// The file is gone on, or the power went in the middle.
type Played<T> = Result<Option<T>, String>;

impl<'a> World<'a> {
    /// On a disk that holds `image`.
    pub fn new(image: Vec<u8>, seed: u64, seen: &'a Seen) -> Result<Self, String> {
        let disk = FaultDisk::holding(image);
        let store = file::open(&disk)?;
        let oracle = Oracle { now: Timestamp(1_795_341_900_000), ..Oracle::default() };
        let (ids, random) = (Arc::new(MessageIds::default()), SeededRandom::new(seed));
        Ok(Self { disk, store, oracle, ids, before: Rows::new(), unchecked: 0, seen, random })
    }

    pub fn outbound(&self) -> Arc<Outbound> {
        let hostname = "mx.example.test".parse().expect("a name");
        Arc::new(Outbound {
            hostname,
            policy: policy(),
            capture_to: None,
            ids: Arc::clone(&self.ids),
            signers: Arc::default(),
            srs: None,
            seals: false,
        })
    }

    /// Makes one change, in the file and in the oracle, which must say the same of it.
    pub async fn play<O>(
        &mut self,
        op: O,
        cause: Mover<'_>,
        change: impl FnOnce(&mut Oracle) -> Result<O::Out, O::Refused>,
    ) -> Played<O::Out>
    where
        O: Op<Out: Debug + PartialEq + Clone, Refused: Debug + PartialEq>,
    {
        let mut next = self.oracle.clone();
        let expected = change(&mut next);
        let name = op.name();
        let seen = match self.store.write(op).await {
            Ok(out) => Ok(out.into_inner()),
            Err(WriteError::Refused(refused)) => Err(refused),
            Err(_) if self.disk.is_dark() => {
                let both = vec![self.oracle.clone(), next];
                self.reopen(both, true, cause).await?;
                return Ok(None);
            }
            Err(error) => return Err(format!("{name}: {error:?}")),
        };
        if seen != expected {
            return Err(format!("{name} gave {seen:?} and should have given {expected:?}"));
        }
        if expected.is_ok() {
            self.oracle = next;
        }
        self.compare(name, cause).await?;
        Ok(seen.ok())
    }

    /// Queues a message, as `intake` does.
    pub async fn enqueue(&mut self, sent: Sent, recipients: Vec<Address>) -> Result<(), String> {
        let mut writer = self.store.blob_writer();
        let staged = async {
            writer.write(&sent.body).await?;
            writer.finish().await
        };
        let body = match staged.await {
            Ok(body) => body,
            Err(_) if self.disk.is_dark() => {
                return self.reopen(vec![self.oracle.clone()], true, &|_| None).await;
            }
            Err(error) => return Err(format!("a body: {error:?}")),
        };
        let id = self.ids.message(self.oracle.now);
        if self.oracle.stories.contains_key(&id) {
            return Err(format!("{id} was there before"));
        }
        let op = Enqueue { id, sent: sent.clone(), body, recipients: recipients.clone() };
        let cause = |entry: QueueId| (entry.message == id).then_some(Cause::Enqueue);
        self.play(op, &cause, |oracle| Ok(oracle.enqueue(id, sent, &recipients))).await.map(drop)
    }

    /// Sets a power cut at the write that comes after so many.
    pub fn cut(&self, writes: u64) {
        self.disk.cut_power_after(writes);
    }

    /// The process dies between two changes, or the power goes.
    pub async fn crash(&mut self, power: bool) -> Result<(), String> {
        self.reopen(vec![self.oracle.clone()], power, &|_| None).await
    }

    /// Opens the file again, as a crash has left it: in one of these states. Then recovers.
    async fn reopen(&mut self, allowed: Vec<Oracle>, power: bool, cause: Mover<'_>) -> Result<(), String> {
        let image = if power { self.disk.image_after_power_cut(&self.random) } else { self.disk.image() };
        self.disk = FaultDisk::holding(image);
        self.store = file::open(&self.disk)?;
        let rows = self.rows().map_err(|error| error.to_string())?;
        let mut found = None;
        for oracle in allowed {
            // A change may leave the entries as they were, and be told by the trace alone.
            if is_like(&rows, &oracle) && self.story_differs(&oracle)?.is_none() {
                found = Some(oracle);
            }
        }
        self.oracle = found.ok_or("after a crash it holds none of the states that it may hold")?;
        self.unchecked = CHECKED;
        let crash = |id| cause(id).or(Some(Cause::Crash));
        self.compare("a crash", &crash).await?;
        let newest = intake::newest_id(&self.store.view().map_err(text)?).map_err(text)?;
        self.ids = Arc::new(MessageIds::after(newest));
        loop {
            let recover = Recover { at: self.oracle.now, limit: RECOVERED };
            let closed =
                Box::pin(self.play(recover, &|_| Some(Cause::Recover), |oracle| Ok(oracle.recover(RECOVERED))));
            if closed.await? == Some(0) {
                return Ok(());
            }
        }
    }

    /// Everything in the file is as the oracle says, and each entry went where the table lets it go.
    async fn compare(&mut self, name: &str, cause: Mover<'_>) -> Result<(), String> {
        match self.differs(cause) {
            Ok(None) => Ok(()),
            Ok(Some(wrong)) => Err(format!("after {name}: {wrong}")),
            Err(_) if self.disk.is_dark() => Box::pin(self.reopen(vec![self.oracle.clone()], true, &|_| None)).await,
            Err(error) => Err(format!("after {name}: {error}")),
        }
    }

    fn differs(&mut self, cause: Mover<'_>) -> Result<Option<String>, StoreError> {
        let rows = self.rows()?;
        if !is_like(&rows, &self.oracle) {
            return Ok(Some(format!("the entries are {rows:#?}\nand should be {:#?}", self.oracle.entries)));
        }
        if let Some(wrong) = self.lists_differ()? {
            return Ok(Some(wrong));
        }
        self.unchecked += 1;
        if self.unchecked >= CHECKED {
            let findings = self.store.check()?;
            if !findings.lines().is_empty() {
                return Ok(Some(findings.lines().join("; ")));
            }
            self.unchecked = 0;
        }
        let moved = self.moved(&rows, cause);
        self.before = rows;
        Ok(moved.err())
    }

    /// Holds every change of an entry against the table.
    fn moved(&self, rows: &Rows, cause: Mover<'_>) -> Result<(), String> {
        let ids: BTreeSet<&QueueId> = self.before.keys().chain(rows.keys()).collect();
        for id in ids {
            let (before, after) = (self.before.get(id), rows.get(id));
            if before == after {
                continue;
            }
            let from = before.map_or(Stand::Nowhere, |(entry, open)| Stand::of(entry, *open));
            let to = match after {
                Some((entry, open)) => Stand::of(entry, *open),
                None => self.end_of(id).ok_or_else(|| format!("{id} is lost"))?,
            };
            let cause = cause(*id).ok_or_else(|| format!("{id} became {to:?}, and nobody has moved it"))?;
            self.seen.note(from, cause, to)?;
        }
        Ok(())
    }

    fn end_of(&self, id: &QueueId) -> Option<Stand> {
        match self.oracle.ends.get(id) {
            Some(queue::Fate::Delivered { .. }) => Some(Stand::Delivered),
            Some(queue::Fate::Failed) => Some(Stand::Failed),
            Some(queue::Fate::Expired) => Some(Stand::Expired),
            Some(queue::Fate::Deferred { .. }) => None,
            None => self.oracle.dropped.contains(id).then_some(Stand::Dropped),
        }
    }

    fn rows(&self) -> Result<Rows, StoreError> {
        let view = self.store.view()?;
        let all = queue::entries(&view, None, usize::MAX)?;
        all.into_iter().map(|one| Ok((one.id, (one.entry, queue::open_attempt(&view, one.id)?.is_some())))).collect()
    }

    /// The lists of the queue name what they should, in their order.
    fn lists_differ(&self) -> Result<Option<String>, StoreError> {
        let (view, oracle) = (self.store.view()?, &self.oracle);
        let ids = |waiting: Vec<queue::Waiting>| -> Vec<QueueId> { waiting.iter().map(|one| one.id).collect() };
        let of = |fits: &dyn Fn(QueueId, &Entry) -> bool| -> Vec<QueueId> {
            oracle.entries.iter().filter(|(id, entry)| fits(**id, entry)).map(|(id, _)| *id).collect()
        };
        let mut pairs = vec![(ids(queue::due(&view, oracle.now, None, usize::MAX)?), oracle.due())];
        for domain in DOMAINS {
            let seen = ids(queue::entries_of_domain(&view, domain, None, usize::MAX)?);
            pairs.push((seen, of(&|_, entry| entry.recipient.host.to_string() == domain)));
        }
        for id in oracle.stories.keys() {
            pairs.push((ids(queue::entries_of_message(&view, *id)?), of(&|entry, _| entry.message == *id)));
            if queue::message(&view, *id)?.is_some() != oracle.messages.contains_key(id) {
                return Ok(Some(format!("{id} is there without entries, or the other way round")));
            }
        }
        let next =
            oracle.entries.values().map(|entry| entry.due).filter(|due| *due > oracle.now && *due != NEVER).min();
        if queue::next_due(&view, oracle.now)? != next {
            return Ok(Some(format!("the next is not due at {next:?}")));
        }
        let reports = file::readers(&view)?.map(|inbox| mailbox::listing(&view, inbox).map(|listing| listing.len()));
        for (seen, expected) in reports.into_iter().zip(&oracle.reports) {
            let seen = seen?;
            if seen != expected.len() {
                return Ok(Some(format!("{seen} reports instead of {}", expected.len())));
            }
        }
        let wrong = pairs.into_iter().find(|(seen, expected)| seen != expected);
        Ok(wrong.map(|(seen, expected)| format!("a list has {seen:?} and should have {expected:?}")))
    }

    fn story_differs(&self, oracle: &Oracle) -> Result<Option<String>, String> {
        let view = self.store.view().map_err(text)?;
        for (id, expected) in &oracle.stories {
            let story = trace::story(&view, Subject::Message(*id)).map_err(text)?;
            let seen: Vec<_> = story.iter().map(|event| event.kind).collect();
            if seen != *expected {
                return Ok(Some(format!("the trace tells {seen:?} of {id}, and should tell {expected:?}")));
            }
        }
        Ok(None)
    }

    /// What takes longer: every message and report is what it should be, and the trace tells all that happened.
    pub async fn examine(&self) -> Result<(), String> {
        for (id, sent) in &self.oracle.messages {
            let seen = file::content(&self.store, *id).await.map_err(text)?;
            if seen.as_deref() != Some([sent.head.as_slice(), &sent.body].concat().as_slice()) {
                return Err(format!("{id} is not as it came"));
            }
        }
        if let Some(wrong) = self.story_differs(&self.oracle)? {
            return Err(wrong);
        }
        let reports = file::reports(&self.store).await.map_err(text)?;
        if reports != self.oracle.reports {
            return Err(format!("the reports are of {reports:?}, and should be of {:?}", self.oracle.reports));
        }
        Ok(())
    }
}

fn is_like(rows: &Rows, oracle: &Oracle) -> bool {
    let expected = oracle.entries.iter().map(|(id, entry)| (*id, shape(entry), oracle.open.contains(id)));
    rows.iter().map(|(id, (entry, open))| (*id, shape(entry), *open)).eq(expected)
}

fn text(error: StoreError) -> String {
    error.to_string()
}

/// Queues a message.
struct Enqueue {
    id: MessageId,
    sent: Sent,
    body: StagedBlob,
    recipients: Vec<Address>,
}

impl Op for Enqueue {
    type Plan = ();
    type Out = Vec<QueueId>;
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "enqueue"
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<Vec<QueueId>, StoreError> {
        let recipients = self.recipients.iter().cloned();
        let blob = Some(&self.body).filter(|_| !self.sent.body.is_empty());
        let message = NewMessage {
            id: self.id,
            sender: self.sent.sender.clone(),
            notify: self.sent.notify,
            head: &self.sent.head,
            blob: blob.map(|body| tx.adopt_blob(body, 1)).transpose()?,
            body_bytes: self.sent.body.len() as u64,
            eight_bit: false,
            smtputf8: false,
            at: self.sent.at,
            options: MailOptions::default(),
            return_path: None,
            recipients: recipients
                .map(|recipient| NewEntry { recipient, original: None, options: RcptOptions::default() })
                .collect(),
        };
        queue::enqueue(tx, &message, &policy())
    }
}
