use std::time::Duration;

use crate::store::Store;
use crate::telemetry::metrics;
use crate::trace::{Event, Kind, Recorded};
use crate::turn::{SessionChanged, SessionState};

/// Counts what the trace and sessions with peers tell of, as it is committed.
pub(super) fn count(store: &Store) {
    store.bus().hear::<Recorded>(|| true, |recorded| count_event(&recorded));
    store.bus().hear::<SessionChanged>(
        || true,
        |changed| {
            let state = match changed.session.state {
                SessionState::Running => return,
                SessionState::Done => "done",
                SessionState::Refused => "refused",
                SessionState::Failed => "failed",
            };
            metrics().turned(changed.session.verb.as_str(), state);
        },
    );
}

fn count_event(recorded: &Recorded) {
    let (event, metrics) = (&recorded.event, metrics());
    let since_taken = || Duration::from_millis(event.at.ms_since(recorded.subject.at()));
    match event.kind {
        Kind::Accepted => metrics.received(place(event), "accepted", ""),
        Kind::Rejected => metrics.received(place(event), "rejected", reason(event)),
        Kind::Aborted => metrics.received(place(event), "aborted", ""),
        Kind::Delivered => metrics.delivered(since_taken()),
        Kind::Relayed => metrics.relayed(since_taken()),
        Kind::Deferred => metrics.attempted("deferred"),
        Kind::Failed => metrics.attempted("failed"),
        Kind::Expired => metrics.attempted("expired"),
        Kind::Uncertain => metrics.attempted("uncertain"),
        Kind::Bounced => metrics.reported("failed"),
        Kind::Delayed => metrics.reported("delayed"),
        _ => {}
    }
}

/// Where it came in: the first word of who did it.
fn place(event: &Event) -> &'static str {
    const PLACES: [&str; 8] = ["smtp", "submission", "odmr", "turned", "lmtp", "imap", "http", "delivery"];
    let word = event.actor.split(' ').next().unwrap_or_default();
    PLACES.into_iter().find(|place| *place == word).unwrap_or("other")
}

/// Why it was refused: of a closed set, by the enhanced code.
// RFC 3463 §3
fn reason(event: &Event) -> &'static str {
    match event.enhanced {
        Some((_, 1, _)) => "address",
        Some((_, 2, 2)) => "mailbox_full",
        Some((_, 2, _)) => "mailbox",
        Some((_, 3, 1)) => "disk_full",
        Some((_, 3, 4)) => "too_big",
        Some((_, 4 | 5, _)) => "protocol",
        Some((_, 7, _)) => "policy",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;

    #[test]
    fn labels_are_of_closed_sets() {
        let check = |actor: &str, enhanced, expected: (&str, &str)| {
            let event = Event { enhanced, ..Event::new(Timestamp(1), Kind::Rejected, actor) };
            assert_eq!((place(&event), reason(&event)), expected, "{actor} {enhanced:?}");
        };
        check("smtp", Some((5, 1, 1)), ("smtp", "address"));
        check("submission a@x.test", Some((4, 2, 2)), ("submission", "mailbox_full"));
        check("turned branch", Some((5, 3, 4)), ("turned", "too_big"));
        check("a@x.test", None, ("other", "other"));
        check("smtp branch", Some((5, 7, 1)), ("smtp", "policy"));
    }
}
