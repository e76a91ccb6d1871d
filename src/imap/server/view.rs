use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use tokio::sync::watch;

use super::snapshot::Snapshot;
use crate::base::{MailboxId, Uid, limits};
use crate::mailbox::{self, MAILBOX_TOPIC};
use crate::store::{Store, StoreError};

/// The mailboxes that sessions have open: each is kept in memory once, and brought up to date when it was changed. Those
/// that were opened last stay a while when nobody has them open any more. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Views(Arc<Registry>);

#[derive(Debug, Default)]
struct Registry {
    entries: Mutex<HashMap<MailboxId, Entry>>,
    kept: Mutex<Kept>,
    listening: OnceLock<()>,
}

/// The mailboxes that were opened last, the newest in front, with how many messages each had then.
#[derive(Debug, Default)]
struct Kept(VecDeque<(Arc<View>, usize)>);

/// What is known of a mailbox that was opened since the server began.
#[derive(Debug)]
struct Entry {
    view: Weak<View>,
    recent: Arc<Recent>,
}

/// The first UID that is recent for the next session; 0 before the first was told anything. RFC 3501 §2.3.2
///
/// It outlives the view: what comes while nobody has the mailbox open is recent for the next. A restart forgets it.
#[derive(Debug, Default)]
struct Recent(AtomicU32);

/// A mailbox that somebody has open.
#[derive(Debug)]
pub(super) struct View {
    pub(super) mailbox: MailboxId,
    /// The newest snapshot that was asked for.
    newest: tokio::sync::Mutex<Newest>,
    /// Counted up whenever a change was committed.
    changed: watch::Sender<u64>,
    recent: Arc<Recent>,
}

#[derive(Debug)]
enum Newest {
    Unread,
    /// What there was when that many changes had been committed, or something later.
    Read(u64, Snapshot),
    Gone,
}

impl Views {
    /// The view of a mailbox, read from the file where nobody has it open; `None` when there is no such mailbox.
    pub(super) async fn open(&self, store: &Store, mailbox: MailboxId) -> Result<Option<Arc<View>>, StoreError> {
        self.listen(store);
        let view = self.view(mailbox);
        let Some(now) = view.now(store).await? else { return Ok(None) };
        lock(&self.0.kept).keep(&view, now.len());
        Ok(Some(view))
    }

    /// How many messages the next session gets as recent; 0 where nobody has had the mailbox open yet.
    pub(super) async fn recent(&self, store: &Store, mailbox: MailboxId) -> Result<u32, StoreError> {
        let from = self.0.entries().get(&mailbox).map_or(0, |entry| entry.recent.0.load(Ordering::Relaxed));
        if from == 0 {
            return Ok(0);
        }
        let Some(view) = self.open(store, mailbox).await? else { return Ok(0) };
        let Some(now) = view.now(store).await? else { return Ok(0) };
        let count = (now.len() + 1).saturating_sub(now.first_from(Uid(from)) as usize);
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// The view that sessions share, read or not.
    pub(super) fn view(&self, mailbox: MailboxId) -> Arc<View> {
        let mut entries = self.0.entries();
        let entry = entries.entry(mailbox).or_insert_with(|| Entry { view: Weak::new(), recent: Arc::default() });
        if let Some(view) = entry.view.upgrade() {
            return view;
        }
        let view = Arc::new(View {
            mailbox,
            newest: tokio::sync::Mutex::new(Newest::Unread),
            changed: watch::Sender::new(0),
            recent: Arc::clone(&entry.recent),
        });
        entry.view = Arc::downgrade(&view);
        view
    }

    fn listen(&self, store: &Store) {
        self.0.listening.get_or_init(|| {
            let registry = Arc::clone(&self.0);
            store.bus().listen(MAILBOX_TOPIC, move |topic| {
                let Ok(mailbox) = u32::try_from(topic.1) else { return };
                let view = registry.entries().get(&MailboxId(mailbox)).and_then(|entry| entry.view.upgrade());
                if let Some(view) = view {
                    view.changed.send_modify(|count| *count += 1);
                }
            });
        });
    }
}

impl Registry {
    fn entries(&self) -> MutexGuard<'_, HashMap<MailboxId, Entry>> {
        lock(&self.entries)
    }
}

impl Kept {
    fn keep(&mut self, view: &Arc<View>, messages: usize) {
        self.0.retain(|(kept, _)| !Arc::ptr_eq(kept, view));
        self.0.push_front((Arc::clone(view), messages));
        let total = |kept: &VecDeque<(_, usize)>| kept.iter().map(|(_, messages)| messages).sum::<usize>();
        while self.0.len() > limits::VIEWS_KEPT || total(&self.0) > limits::VIEWS_KEPT_MESSAGES {
            self.0.pop_back();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl View {
    /// The mailbox as it is now: everything that was committed before this was called is in it. `None`: it is gone. Where
    /// several ask at a time, one reads and the others wait for it.
    pub(super) async fn now(&self, store: &Store) -> Result<Option<Snapshot>, StoreError> {
        let mut newest = self.newest.lock().await;
        // Before the read: what is committed meanwhile is read again.
        let count = *self.changed.borrow();
        let mailbox = self.mailbox;
        let known = match &*newest {
            Newest::Gone => return Ok(None),
            Newest::Read(at, snapshot) if *at == count => return Ok(Some(snapshot.clone())),
            Newest::Read(_, snapshot) => Some(snapshot.clone()),
            Newest::Unread => None,
        };
        let read = store.read(move |view| {
            if let Some(known) = known
                && let Some(changes) = mailbox::changes(view, mailbox, known.modseq)?
            {
                return Ok(Some(known.after(&changes)));
            }
            Ok(mailbox::roster(view, mailbox)?.map(Snapshot::new))
        });
        let snapshot = read.await?;
        *newest = snapshot.clone().map_or(Newest::Gone, |snapshot| Newest::Read(count, snapshot));
        Ok(snapshot)
    }

    /// The first UID that is recent for a session that is told of all below `uid_next` now. Unless it only looks, nobody
    /// else gets these as recent.
    pub(super) fn claim_recent(&self, uid_next: Uid, only_looks: bool) -> Uid {
        let recent = &self.recent.0;
        // Of what came before the first session since the start, nobody knows: it is old.
        let first = recent.compare_exchange(0, uid_next.0, Ordering::Relaxed, Ordering::Relaxed);
        let from = first.map_or_else(Uid, |_| uid_next);
        if !only_looks {
            recent.fetch_max(uid_next.0, Ordering::Relaxed);
        }
        from
    }

    /// Is told of changes: after each, [`View::now`] differs.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Opens mailboxes with so many messages, one after the other: which stay in memory.
    fn check(opened: &[(u32, usize)], expected: &[u32]) {
        let views = Views::default();
        for (mailbox, messages) in opened {
            let view = views.view(MailboxId(*mailbox));
            lock(&views.0.kept).keep(&view, *messages);
        }
        let is_kept = |mailbox: &u32| views.0.entries()[&MailboxId(*mailbox)].view.strong_count() > 0;
        let mut kept: Vec<u32> = opened.iter().map(|(mailbox, _)| *mailbox).filter(is_kept).collect();
        kept.sort_unstable();
        kept.dedup();
        assert_eq!(kept, expected);
    }

    #[test]
    fn what_was_opened_last_stays_within_limits() {
        const HALF: usize = limits::VIEWS_KEPT_MESSAGES / 2;
        check(&[(1, 10), (2, 10)], &[1, 2]);
        check(&[(1, HALF), (2, HALF), (3, 1)], &[2, 3]);
        check(&[(1, HALF), (2, HALF), (1, HALF), (3, 1)], &[1, 3]);
        check(&[(1, 10), (2, 2 * HALF + 1)], &[]);
        let many: Vec<(u32, usize)> = (1..=100).map(|mailbox| (mailbox, 1)).collect();
        check(&many, &Vec::from_iter(101 - limits::VIEWS_KEPT as u32..=100));
    }
}
