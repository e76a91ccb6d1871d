use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::event::{Event, Kind};
use super::record::Recorded;
use crate::base::Timestamp;
use crate::postcard_row;
use crate::store::{Halt, Op, Read, Span, Store, StoreError, Table, Tx};

/// What came and went in each hour since 1970.
pub(super) static TRAFFIC: Table<u64, Hour> = Table::new("traffic");

const HOUR_MS: u64 = 60 * 60 * 1000;
/// Hours that are kept.
const KEPT: u64 = 7 * 24;

/// What came and went in an hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hour {
    /// Messages that were taken in.
    pub received: u64,
    /// Copies that were put into mailboxes.
    pub delivered: u64,
    /// Recipients that other servers have taken.
    pub relayed: u64,
    /// Commands and messages that were refused.
    pub refused: u64,
    /// Recipients that were given up.
    pub bounced: u64,
    /// Attempts that failed for now.
    pub deferred: u64,
}
postcard_row!(Hour, 1);

impl Hour {
    fn count(&mut self, event: &Event) -> bool {
        let field = match event.kind {
            Kind::Accepted => &mut self.received,
            Kind::Delivered => &mut self.delivered,
            Kind::Relayed => &mut self.relayed,
            Kind::Rejected => &mut self.refused,
            Kind::Failed | Kind::Expired => &mut self.bounced,
            Kind::Deferred => &mut self.deferred,
            _ => return false,
        };
        *field += event.times();
        true
    }
}

/// Counts what the trace is told of, as it is committed. What was counted since the last [`Traffic::save`] is lost by a
/// crash: it is for people's eyes.
pub struct Traffic(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    hours: BTreeMap<u64, Hour>,
    /// Those that the file does not have like that.
    changed: BTreeSet<u64>,
}

impl Traffic {
    /// Goes on from what the file says.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(store: &Store) -> Result<Arc<Self>, StoreError> {
        // A week of hours.
        let hours = store.view()?.rows(&TRAFFIC, Span::all(), usize::MAX)?.into_iter().collect();
        let traffic = Arc::new(Self(Mutex::new(Counted { hours, changed: BTreeSet::new() })));
        let counter = Arc::clone(&traffic);
        store.bus().hear::<Recorded>(
            || true,
            move |recorded| {
                let hour = recorded.event.at.ms() / HOUR_MS;
                let mut counted = counter.counted();
                if counted.hours.entry(hour).or_default().count(&recorded.event) {
                    counted.changed.insert(hour);
                }
            },
        );
        Ok(traffic)
    }

    /// The last `count` hours up to that of `now`, the oldest first, each with its beginning.
    pub fn hours(&self, now: Timestamp, count: u64) -> Vec<(Timestamp, Hour)> {
        let (counted, last) = (self.counted(), now.ms() / HOUR_MS);
        let first = (last + 1).saturating_sub(count);
        let hour = |hour: u64| (Timestamp(hour * HOUR_MS), counted.hours.get(&hour).copied().unwrap_or_default());
        (first..=last).map(hour).collect()
    }

    /// What has to be written to the file; `None` when it has everything. To be given to [`Store::ride`].
    pub fn save(&self, now: Timestamp) -> Option<SaveTraffic> {
        let mut counted = self.counted();
        let changed = std::mem::take(&mut counted.changed);
        let oldest = (now.ms() / HOUR_MS).saturating_sub(KEPT);
        counted.hours = counted.hours.split_off(&oldest);
        let hours: Vec<_> =
            changed.into_iter().filter_map(|hour| Some((hour, counted.hours.get(&hour).copied()?))).collect();
        (!hours.is_empty()).then_some(SaveTraffic { hours, oldest })
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes hours down, and forgets those before the oldest.
pub struct SaveTraffic {
    hours: Vec<(u64, Hour)>,
    oldest: u64,
}

impl Op for SaveTraffic {
    type Plan = ();
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "trace.save_traffic"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        for (old, _) in tx.rows(&TRAFFIC, Span::range(..self.oldest), usize::MAX)? {
            tx.remove(&TRAFFIC, &old)?;
        }
        self.hours.iter().try_for_each(|(hour, counted)| tx.put(&TRAFFIC, hour, counted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{MessageId, SystemClock};
    use crate::store::{Options, Schema};
    use crate::trace::{self, Record, Subject};

    static SCHEMA: Schema = Schema { version: 1, tables: trace::TABLES, checks: trace::CHECKS, migrations: &[] };

    #[test]
    fn events_are_counted_by_their_hour_and_outlive_a_start() {
        let store = Store::open(Options::memory(Arc::new(SystemClock)), &SCHEMA).unwrap();
        let traffic = Traffic::open(&store).unwrap();
        let now = Timestamp(500_000 * HOUR_MS + 5);
        let events = [
            (now, Kind::Accepted),
            (now, Kind::Delivered),
            (now, Kind::Delivered),
            (now, Kind::Held),
            (Timestamp(now.ms() - HOUR_MS), Kind::Failed),
            (Timestamp(now.ms() - HOUR_MS), Kind::Expired),
            (Timestamp(now.ms() - 2 * HOUR_MS), Kind::Rejected),
            (Timestamp(now.ms() - 200 * HOUR_MS), Kind::Relayed),
        ];
        for (number, (at, kind)) in (1..).zip(events) {
            let event = Event::new(at, kind, "test");
            let _ = store.write_blocking(Record { subject: Subject::Message(MessageId(number)), event }).unwrap();
        }
        let check = |traffic: &Traffic| {
            let hours = traffic.hours(now, 3);
            assert_eq!(hours[0], (Timestamp(499_998 * HOUR_MS), Hour { refused: 1, ..Hour::default() }));
            assert_eq!(hours[1].1, Hour { bounced: 2, ..Hour::default() });
            assert_eq!(hours[2].1, Hour { received: 1, delivered: 2, ..Hour::default() });
        };
        check(&traffic);
        let _ = store.write_blocking(traffic.save(now).unwrap()).unwrap();
        assert!(traffic.save(now).is_none());
        let again = Traffic::open(&store).unwrap();
        check(&again);
        assert_eq!(again.hours(now, 300).iter().filter(|(_, hour)| hour.relayed > 0).count(), 0, "a week is kept");
        // A row of the next week pushes the old ones out.
        let later = Timestamp(now.ms() + KEPT * HOUR_MS);
        let event = Event::new(later, Kind::Accepted, "test");
        let _ = store.write_blocking(Record { subject: Subject::Message(MessageId(99)), event }).unwrap();
        let _ = store.write_blocking(again.save(later).unwrap()).unwrap();
        assert_eq!(store.view().unwrap().rows(&TRAFFIC, Span::all(), 99).unwrap().len(), 2);
    }
}
