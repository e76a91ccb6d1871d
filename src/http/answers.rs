use serde::{Deserialize, Serialize};

use crate::base::{Timestamp, limits};
use crate::postcard_row;
use crate::store::{Halt, Op, Read, Span, StoreError, Table, Tx};

/// Answers that are kept for their `Idempotency-Key`, by who asked and the key.
pub(super) static ANSWERS: Table<(String, String), Answer> = Table::new("http_answers");
/// The same in the order in which they came, so that the oldest go first.
pub(super) static ANSWER_ORDER: Table<u64, Kept> = Table::new("http_answer_order");
/// Rows that one write removes at most: more than it adds, and no long work.
const PRUNED_AT_ONCE: usize = 32;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answer {
    /// Of all that the request asked for.
    pub request_hash: [u8; 32],
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// When it was given.
    pub at: Timestamp,
}
postcard_row!(Answer, 1);

/// Where an answer is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    actor: String,
    key: String,
    at: Timestamp,
}
postcard_row!(Kept, 1);

/// The answer that is kept for that key of who asks, unless it is too old.
///
/// # Errors
/// [`StoreError`].
pub(super) fn answer_of(
    read: &impl Read,
    actor: &str,
    key: &str,
    now: Timestamp,
) -> Result<Option<Answer>, StoreError> {
    let answer = read.get(&ANSWERS, &(actor.to_owned(), key.to_owned()))?;
    Ok(answer.filter(|answer| now.ms_since(answer.at) < limits::IDEMPOTENCY_MS))
}

/// Keeps an answer, and forgets those that are too old or too many.
pub(super) struct KeepAnswer {
    pub actor: String,
    pub key: String,
    pub answer: Answer,
}

impl Op for KeepAnswer {
    type Plan = ();
    type Out = ();
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "http.keep_answer"
    }

    fn weight_bytes(&self) -> usize {
        256 + self.answer.body.len()
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<std::convert::Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        let (place, at) = ((self.actor.clone(), self.key.clone()), self.answer.at);
        let number = tx.next("http.answer")?;
        tx.put(&ANSWERS, &place, &self.answer)?;
        tx.put(&ANSWER_ORDER, &number, &Kept { actor: place.0, key: place.1, at })?;
        for (old, kept) in tx.rows(&ANSWER_ORDER, Span::all(), PRUNED_AT_ONCE)? {
            let is_old = at.ms_since(kept.at) >= limits::IDEMPOTENCY_MS;
            if !is_old && number - old < limits::IDEMPOTENT_ANSWERS {
                break;
            }
            tx.remove(&ANSWER_ORDER, &old)?;
            let place = (kept.actor, kept.key);
            // The key may have been used again since.
            if tx.get(&ANSWERS, &place)?.is_some_and(|answer| answer.at == kept.at) {
                tx.remove(&ANSWERS, &place)?;
            }
        }
        Ok(())
    }
}
