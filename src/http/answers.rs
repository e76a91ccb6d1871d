use serde::{Deserialize, Serialize};

use crate::audit;
use crate::base::{AuditId, Timestamp, limits};
use crate::postcard_row;
use crate::store::{Halt, Op, Read, Row, Span, StoreError, Table, Tx};

/// The counter of places.
pub(super) const NUMBERS: &str = "http.answer";

/// What is known of each `Idempotency-Key`, by who asked and the key.
pub(super) static ANSWERS: Table<(String, String), Known> = Table::new("http_answers");
/// The same in the order in which they came, so that the oldest go first.
pub(super) static ANSWER_ORDER: Table<u64, Place> = Table::new("http_answer_order");
/// The places of each caller, so that nobody takes those of others.
pub(super) static ANSWERS_OF: Table<(String, u64), ()> = Table::new("http_answers_of");
/// Rows that one write removes at most: more than it adds, and no long work.
const PRUNED_AT_ONCE: usize = 32;
/// Milliseconds by which the clock may have been set back since a request was begun.
const CLOCK_SLACK_MS: u64 = 5 * 60 * 1000;

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Known {
    /// Its request was begun. When nobody works on it any more, what came of it was not written down here.
    Begun(Begun),
    /// Its request was answered.
    Done(Answer),
}

/// A request that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Begun {
    /// The request, as the audit names it.
    pub request_id: String,
    /// When.
    pub at: Timestamp,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answer {
    /// Of all that the request asked for.
    pub request_hash: [u8; 32],
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// When the request was begun.
    pub at: Timestamp,
}

impl Row for Known {
    const VERSION: u8 = 2;

    fn encode(&self, out: &mut Vec<u8>) {
        // Writing plain data to memory can't fail; an empty row would be seen as damage.
        if let Ok(bytes) = postcard::to_stdvec(self) {
            out.extend_from_slice(&bytes);
        }
    }

    fn decode(version: u8, bytes: &[u8]) -> Option<Self> {
        let (known, rest) = match version {
            // There were only answers.
            1 => postcard::take_from_bytes(bytes).map(|(answer, rest)| (Self::Done(answer), rest)).ok()?,
            2 => postcard::take_from_bytes(bytes).ok()?,
            _ => return None,
        };
        rest.is_empty().then_some(known)
    }
}

impl Known {
    fn at(&self) -> Timestamp {
        match self {
            Self::Begun(begun) => begun.at,
            Self::Done(answer) => answer.at,
        }
    }
}

/// Where something is that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub actor: String,
    pub key: String,
    /// When its request was begun.
    pub at: Timestamp,
}
postcard_row!(Place, 1);

/// What is known of that key of who asks, unless it is too old.
///
/// # Errors
/// [`StoreError`].
pub(super) fn known(read: &impl Read, actor: &str, key: &str, now: Timestamp) -> Result<Option<Known>, StoreError> {
    let known = read.get(&ANSWERS, &(actor.to_owned(), key.to_owned()))?;
    Ok(known.filter(|known| now.ms_since(known.at()) < limits::IDEMPOTENCY_MS))
}

/// What the audit has of a request that was begun. Every change stands there in its own transaction, or was noted before:
/// where there is nothing, nothing was done.
///
/// # Errors
/// [`StoreError`].
pub(super) fn trail(read: &impl Read, begun: &Begun) -> Result<Option<AuditId>, StoreError> {
    let since = Timestamp(begun.at.ms().saturating_sub(CLOCK_SLACK_MS));
    let mut behind = None;
    loop {
        let rows = audit::rows(read, behind, Some(since), None, limits::AUDIT_SLICE)?;
        if let Some((id, _)) = rows.iter().find(|(_, row)| row.act.request_id == begun.request_id) {
            return Ok(Some(*id));
        }
        match rows.last() {
            Some((id, _)) if rows.len() == limits::AUDIT_SLICE => behind = Some(*id),
            _ => return Ok(None),
        }
    }
}

/// Writes down that a request is begun, before it is, and forgets what is too old or too much. Gives the number of its
/// place.
pub(super) struct Begin {
    pub actor: String,
    pub key: String,
    pub begun: Begun,
}

impl Op for Begin {
    type Plan = ();
    type Out = u64;
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "http.begin_once"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<std::convert::Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<u64, StoreError> {
        let (actor, key, at) = (self.actor.clone(), self.key.clone(), self.begun.at);
        let number = tx.next(NUMBERS, last_number)?;
        tx.put(&ANSWERS, &(actor.clone(), key.clone()), &Known::Begun(self.begun.clone()))?;
        tx.put(&ANSWERS_OF, &(actor.clone(), number), &())?;
        tx.put(&ANSWER_ORDER, &number, &Place { actor: actor.clone(), key, at })?;
        for (old, place) in tx.rows(&ANSWER_ORDER, Span::all(), PRUNED_AT_ONCE)? {
            let is_old = at.ms_since(place.at) >= limits::IDEMPOTENCY_MS;
            if !is_old && number - old < limits::IDEMPOTENT_ANSWERS {
                break;
            }
            forget(tx, old)?;
        }
        let own = tx.rows(&ANSWERS_OF, Span::prefix(&actor), limits::IDEMPOTENT_ANSWERS_PER_CALLER + PRUNED_AT_ONCE)?;
        let too_many = own.len().saturating_sub(limits::IDEMPOTENT_ANSWERS_PER_CALLER);
        own.iter().take(too_many).try_for_each(|((_, old), ())| forget(tx, *old))?;
        Ok(number)
    }
}

/// Ends what [`Begin`] began: with an answer to keep, or without one as if it had never been.
pub(super) struct End {
    /// The place's number.
    pub number: u64,
    pub answer: Option<Answer>,
}

impl Op for End {
    type Plan = ();
    type Out = ();
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "http.end_once"
    }

    fn weight_bytes(&self) -> usize {
        256 + self.answer.as_ref().map_or(0, |answer| answer.body.len())
    }

    fn runs_when_full(&self) -> bool {
        self.answer.is_none()
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<std::convert::Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        let Some(answer) = &self.answer else { return forget(tx, self.number) };
        // Gone where its caller has begun so many others meanwhile.
        let Some(Place { actor, key, .. }) = tx.get(&ANSWER_ORDER, &self.number)? else { return Ok(()) };
        tx.put(&ANSWERS, &(actor, key), &Known::Done(answer.clone()))
    }
}

fn forget(tx: &mut Tx<'_>, number: u64) -> Result<(), StoreError> {
    let Some(Place { actor, key, at }) = tx.remove(&ANSWER_ORDER, &number)? else { return Ok(()) };
    tx.remove(&ANSWERS_OF, &(actor.clone(), number))?;
    let place = (actor, key);
    // The key may have been used again since.
    if tx.get(&ANSWERS, &place)?.is_some_and(|known| known.at() == at) {
        tx.remove(&ANSWERS, &place)?;
    }
    Ok(())
}

/// The highest place that an answer has.
pub(super) fn last_number(read: &impl Read) -> Result<u64, StoreError> {
    Ok(read.last_key(&ANSWER_ORDER)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::TurnedClock;
    use crate::store::{Options, Schema, Store};

    static SCHEMA: Schema =
        Schema { version: 1, tables: &[&ANSWERS, &ANSWER_ORDER, &ANSWERS_OF], checks: &[], migrations: &[] };

    fn store() -> Store {
        Store::open(Options::memory(Arc::new(TurnedClock::new(Timestamp(1)))), &SCHEMA).unwrap()
    }

    fn begin(store: &Store, actor: &str, key: &str, at: u64) -> u64 {
        let begun = Begun { request_id: "r".into(), at: Timestamp(at) };
        store.write_blocking(Begin { actor: actor.into(), key: key.into(), begun }).unwrap().into_inner()
    }

    fn answer(at: u64) -> Answer {
        Answer { request_hash: [7; 32], status: 202, headers: Vec::new(), body: b"{}".to_vec(), at: Timestamp(at) }
    }

    #[test]
    fn a_row_of_before_is_an_answer() {
        let bytes = postcard::to_stdvec(&answer(5)).unwrap();
        assert_eq!(Known::decode(1, &bytes), Some(Known::Done(answer(5))));
        for known in [Known::Done(answer(5)), Known::Begun(Begun { request_id: "r".into(), at: Timestamp(5) })] {
            let mut bytes = Vec::new();
            known.encode(&mut bytes);
            assert_eq!(Known::decode(Known::VERSION, &bytes), Some(known));
        }
    }

    #[test]
    fn a_caller_keeps_its_share_and_others_theirs() {
        let store = store();
        let is_known =
            |actor: &str, key: &str| known(&store.view().unwrap(), actor, key, Timestamp(1)).unwrap().is_some();
        begin(&store, "quiet", "k", 1);
        for number in 0..=limits::IDEMPOTENT_ANSWERS_PER_CALLER {
            begin(&store, "loud", &number.to_string(), 1);
        }
        assert!(is_known("quiet", "k") && !is_known("loud", "0") && is_known("loud", "1"));
        let view = store.view().unwrap();
        let count = view.rows(&ANSWERS, Span::all(), usize::MAX).unwrap().len();
        assert_eq!(count, limits::IDEMPOTENT_ANSWERS_PER_CALLER + 1);
        assert_eq!(view.rows(&ANSWER_ORDER, Span::all(), usize::MAX).unwrap().len(), count);
        assert_eq!(view.rows(&ANSWERS_OF, Span::all(), usize::MAX).unwrap().len(), count);
    }

    #[test]
    fn what_is_over_or_refused_leaves_nothing() {
        let store = store();
        let end = |number, answer| store.write_blocking(End { number, answer }).unwrap().into_inner();
        let refused = begin(&store, "a", "k", 1);
        end(refused, None);
        let first = begin(&store, "a", "k", 2);
        end(first, Some(answer(2)));
        assert_eq!(known(&store.view().unwrap(), "a", "k", Timestamp(3)).unwrap(), Some(Known::Done(answer(2))));
        // A day later the key is a new one, and the old place goes without it.
        let day = limits::IDEMPOTENCY_MS;
        begin(&store, "a", "k", 2 + day);
        let view = store.view().unwrap();
        assert!(matches!(known(&view, "a", "k", Timestamp(2 + day)).unwrap(), Some(Known::Begun(_))));
        assert_eq!(view.rows(&ANSWER_ORDER, Span::all(), 9).unwrap().len(), 1);
        // An answer whose place is gone is not kept.
        end(first, Some(answer(2)));
        assert!(matches!(known(&store.view().unwrap(), "a", "k", Timestamp(2 + day)).unwrap(), Some(Known::Begun(_))));
    }
}
