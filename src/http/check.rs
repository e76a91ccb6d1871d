use super::answers::{ANSWER_ORDER, ANSWERS, ANSWERS_OF, NUMBERS, Place, last_number};
use crate::store::{CrossCheck, Findings, Read, Span, StoreError, View};

/// The room's cross-checks.
pub const CHECKS: &[CrossCheck] = &[CrossCheck { name: "answers and their places", run: check_answers }];

/// Each place is one of its caller's, and of an answer; each answer has a place from which it is forgotten.
fn check_answers(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    let places = view.rows(&ANSWER_ORDER, Span::all(), usize::MAX)?;
    for (number, Place { actor, .. }) in &places {
        if !view.has(&ANSWERS_OF, &(actor.clone(), *number))? {
            let finding = findings.add(format!("http_answers_of: the place {number} of {actor} is missing"));
            finding.put(&ANSWERS_OF, &(actor.clone(), *number), &());
        }
    }
    for ((actor, number), ()) in view.rows(&ANSWERS_OF, Span::all(), usize::MAX)? {
        if view.get(&ANSWER_ORDER, &number)?.is_none_or(|place| place.actor != actor) {
            let finding = findings.add(format!("http_answers_of: the place {number} is not one of {actor}"));
            finding.remove(&ANSWERS_OF, &(actor, number));
        }
    }
    let placed: std::collections::HashSet<_> = places.iter().map(|(_, place)| (&place.actor, &place.key)).collect();
    for ((actor, key), _) in view.rows(&ANSWERS, Span::all(), usize::MAX)? {
        if !placed.contains(&(&actor, &key)) {
            let finding = findings.add(format!("http_answers: an answer of {actor} has no place"));
            finding.remove(&ANSWERS, &(actor, key));
        }
    }
    let last = last_number(view)?;
    if last > view.counter(NUMBERS)? {
        findings.add("http_answer_order: the counter of places is behind").raise(NUMBERS, last);
    }
    Ok(())
}
