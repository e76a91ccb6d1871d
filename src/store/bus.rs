use std::any::{Any, TypeId};
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

use crate::base::limits;

/// What a commit was about: a kind that the announcing room names, and which one (0: the kind as a whole).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Topic(pub &'static str, pub u64);

type Listener = Box<dyn Fn(Topic) + Send + Sync>;

/// A value that an op has told of ([`super::Tx::tell`]).
pub(super) type News = Arc<dyn Any + Send + Sync>;

/// Tells watchers what was committed, after it was committed and before the one who asked for it is answered.
#[derive(Default)]
pub struct Bus {
    ends: Mutex<Ends>,
}

#[derive(Default)]
struct Ends {
    watches: Vec<(&'static str, Weak<Slot>)>,
    listeners: Vec<(&'static str, Arc<Listener>)>,
    ears: Arc<Vec<Ear>>,
    closed: bool,
}

/// Who hears the values of a type.
#[derive(Clone)]
pub(super) struct Ear {
    kind: TypeId,
    is_open: Arc<dyn Fn() -> bool + Send + Sync>,
    hear: Arc<dyn Fn(News) + Send + Sync>,
}

impl Ear {
    /// Whether it wants values of that type, now.
    pub(super) fn wants(&self, kind: TypeId) -> bool {
        self.kind == kind && (self.is_open)()
    }
}

/// A watcher's end.
#[derive(Debug)]
pub struct Watch {
    kind: &'static str,
    slot: Arc<Slot>,
}

#[derive(Debug, Default)]
struct Slot {
    state: Mutex<Waiting>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    topics: VecDeque<Topic>,
    closed: bool,
}

impl Bus {
    /// Watches every topic of that kind.
    pub fn watch(&self, kind: &'static str) -> Watch {
        let slot = Arc::new(Slot::default());
        let mut ends = lock(&self.ends);
        lock(&slot.state).closed = ends.closed;
        ends.watches.retain(|(_, slot)| slot.strong_count() > 0);
        ends.watches.push((kind, Arc::downgrade(&slot)));
        Watch { kind, slot }
    }

    /// Calls `listener` for every topic of that kind, on the writer's thread, before the one who made the change is
    /// answered: for a cache that must not outlive the answer. It must be quick.
    pub fn listen(&self, kind: &'static str, listener: impl Fn(Topic) + Send + Sync + 'static) {
        lock(&self.ends).listeners.push((kind, Arc::new(Box::new(listener))));
    }

    /// Calls `hear` with every value of type `T` that a committed op has told of, in their order, on the writer's thread:
    /// it must be quick, and must not wait for the store. While `is_open` says no, nothing is even built.
    pub fn hear<T: Any + Send + Sync>(
        &self,
        is_open: impl Fn() -> bool + Send + Sync + 'static,
        hear: impl Fn(Arc<T>) + Send + Sync + 'static,
    ) {
        let hear = move |news: News| {
            if let Ok(value) = news.downcast::<T>() {
                hear(value);
            }
        };
        let ear = Ear { kind: TypeId::of::<T>(), is_open: Arc::new(is_open), hear: Arc::new(hear) };
        let mut ends = lock(&self.ends);
        if !ends.closed {
            Arc::make_mut(&mut ends.ears).push(ear);
        }
    }

    pub(super) fn ears(&self) -> Arc<Vec<Ear>> {
        Arc::clone(&lock(&self.ends).ears)
    }

    pub(super) fn publish(&self, topics: &[Topic], news: &[News]) {
        for value in news {
            // The value's own type: of the `Arc`, it would be another.
            let kind = (**value).type_id();
            for ear in self.ears().iter().filter(|ear| ear.kind == kind) {
                // A listener's panic is not the writer's.
                if catch_unwind(AssertUnwindSafe(|| (ear.hear)(Arc::clone(value)))).is_err() {
                    tracing::error!("one who hears what was committed panicked");
                }
            }
        }
        if topics.is_empty() {
            return;
        }
        let (watches, listeners) = {
            let ends = lock(&self.ends);
            (ends.watches.clone(), ends.listeners.clone())
        };
        for topic in topics {
            for (_, listener) in listeners.iter().filter(|(kind, _)| *kind == topic.0) {
                // A listener's panic is not the writer's.
                if catch_unwind(AssertUnwindSafe(|| listener(*topic))).is_err() {
                    tracing::error!(?topic, "a listener panicked");
                }
            }
            for (_, slot) in watches.iter().filter(|(kind, _)| *kind == topic.0) {
                if let Some(slot) = slot.upgrade() {
                    slot.add(*topic);
                }
            }
        }
    }

    pub(super) fn close(&self) {
        let watches = {
            let mut ends = lock(&self.ends);
            ends.closed = true;
            // What they hold may hold the store.
            ends.listeners.clear();
            ends.ears = Arc::default();
            std::mem::take(&mut ends.watches)
        };
        for slot in watches.iter().filter_map(|(_, slot)| slot.upgrade()) {
            lock(&slot.state).closed = true;
            slot.wake.notify_one();
        }
    }
}

impl Slot {
    fn add(&self, topic: Topic) {
        let mut state = lock(&self.state);
        if state.topics.back() == Some(&topic) {
            return;
        }
        if state.topics.len() >= limits::WATCH_TOPICS {
            state.topics.clear();
            state.topics.push_back(Topic(topic.0, 0));
        } else {
            state.topics.push_back(topic);
        }
        drop(state);
        self.wake.notify_one();
    }
}

impl Watch {
    /// The next committed topic of the kind. `None` when the store is closed. When the watcher was too slow and
    /// topics were lost, the id is 0: look at everything.
    pub async fn next(&mut self) -> Option<Topic> {
        loop {
            {
                let mut state = lock(&self.slot.state);
                if let Some(topic) = state.topics.pop_front() {
                    return Some(topic);
                }
                if state.closed {
                    return None;
                }
            }
            self.slot.wake.notified().await;
        }
    }

    /// The kind that it watches.
    pub fn kind(&self) -> &'static str {
        self.kind
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ends = lock(&self.ends);
        let (watches, listeners, ears) = (ends.watches.len(), ends.listeners.len(), ends.ears.len());
        f.debug_struct("Bus").field("watches", &watches).field("listeners", &listeners).field("ears", &ears).finish()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::queue::block_on;
    use super::*;

    #[test]
    fn a_watcher_hears_its_kind_once_and_then_the_end() {
        let bus = Bus::default();
        let mut watch = bus.watch("mail");
        bus.publish(&[Topic("mail", 1), Topic("other", 2), Topic("mail", 1), Topic("mail", 3)], &[]);
        bus.close();
        let heard: Vec<_> = std::iter::from_fn(|| block_on(watch.next())).collect();
        assert_eq!(heard, [Topic("mail", 1), Topic("mail", 3)]);
        assert_eq!(block_on(bus.watch("mail").next()), None);
    }

    #[test]
    fn a_slow_watcher_is_told_to_look_at_everything() {
        let bus = Bus::default();
        let mut watch = bus.watch("mail");
        for id in 1..=limits::WATCH_TOPICS as u64 + 1 {
            bus.publish(&[Topic("mail", id)], &[]);
        }
        assert_eq!(block_on(watch.next()), Some(Topic("mail", 0)));
    }

    #[test]
    fn a_listener_is_called_at_once() {
        let bus = Bus::default();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Arc::clone(&heard);
        bus.listen("login", move |topic| lock(&ear).push(topic.1));
        bus.publish(&[Topic("login", 7), Topic("mail", 8)], &[]);
        assert_eq!(*lock(&heard), [7]);
    }

    #[test]
    fn values_are_heard_by_their_type_in_their_order() {
        let bus = Bus::default();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Arc::clone(&heard);
        bus.hear::<u8>(|| true, |_| panic!("on purpose"));
        bus.hear::<u32>(|| true, move |value| lock(&ear).push(*value));
        bus.hear::<u64>(|| false, |_| {});
        let wants = |kind| bus.ears().iter().any(|ear| ear.wants(kind));
        assert_eq!([TypeId::of::<u32>(), TypeId::of::<u64>(), TypeId::of::<i8>()].map(wants), [true, false, false]);
        bus.publish(&[], &[Arc::new(7_u32), Arc::new(1_u8), Arc::new("x"), Arc::new(8_u32)]);
        bus.close();
        bus.publish(&[], &[Arc::new(9_u32)]);
        assert_eq!(*lock(&heard), [7, 8]);
    }
}
