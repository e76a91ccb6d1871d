//! Mail in motion: one entry for each recipient elsewhere, its schedule in the file, and the routes that mail takes.
//!
//! Floor F3c. Functions on a transaction; who connects where and when is for `delivery` to say, and what comes of a
//! bounce for `intake`.
//!
//! An entry is in one of these states. In all of them it has a row in `queue` (with the state's name in it), one in
//! `queue_due`, one in `queue_by_domain`, and its message one in `queue_messages` and `queue_heads`.
//!
//! | state | on disk | what ends it |
//! |---|---|---|
//! | waiting | due: its next attempt | an attempt; an operator; [`Park`] when its domain is held for a peer, [`HoldByRule`] when a rule is for it |
//! | released | the same, marked `released` | the same, but that it is neither parked nor held by a rule before it was tried |
//! | parked | the peer; due: its end | a swapped session, a release for one attempt, its end |
//! | held | the reason; due: never, or when the hold ends | an operator; [`EndHold`] when its time has come |
//! | in an attempt | one of the first three, and a row in `attempts_open` | [`settle`], or [`Strand`]; after a crash [`Recover`] |
//! | gone | no row but the trace's | nothing |
//!
//! An attempt opens ([`Open`]) before the end of data is sent, and closes with its outcome. Between the two nobody else
//! moves the entry: operators are refused, flushes and the like pass it over. What a crash leaves in it may be at the
//! other side or not: [`Recover`] records it as uncertain, and it is tried again. What a crash leaves in any other state
//! is what was there. `tests/model/queue` holds the room to every single transition.

mod act;
mod check;
mod content;
mod enqueue;
mod entry;
mod flush;
mod index;
mod outcome;
mod park;
mod pause;
mod policy;
mod read;
mod recall;
mod recover;
mod route;
mod route_change;
mod row;
mod rule;
mod rule_change;
mod settle;
mod strand;
mod summary;
mod tally;
mod via;

pub use act::{Act, Action, Refused, sound_entry, sound_message};
pub use check::{CHECKS, references};
pub use content::{Content, content};
pub use enqueue::{NewEntry, NewMessage, enqueue};
pub use entry::{Change, Changed};
pub use flush::{Flush, Flushed, Selector, Slice};
pub use outcome::{Attempt, Outcome, Stage, Verdict, Words};
pub use park::{EndHold, Park, Postpone};
pub use pause::{EndPause, Pause, PutPause, pause};
pub use policy::Policy;
pub use read::{
    Waiting, due, entries, entries_of_domain, entries_of_message, entries_of_peer, entries_of_sender, entry,
    entry_if_sound, head, holds, is_open, may_go, message, message_if_sound, newest, next_due, oldest, open_attempt,
};
pub use recall::{Recall, is_ahead};
pub use recover::{Open, OpenRefused, Recover, Sending};
pub use route::{Login, Match, ROUTE_TOPIC, Route, RouteFields, RouteKind, TlsUse};
pub use route_change::{DeleteRoute, PutRoute, RouteRefused, route, route_for, routes};
pub use row::{Entry, Message, NEVER, Notify, OpenAttempt, QUEUE_TOPIC, State, TABLES};
pub use rule::{Rule, RuleAction, RuleFields, RuleMatch, Rules, rule, rules};
pub use rule_change::{DeleteRule, HoldByRule, PutRule, RuleRefused};
pub use settle::{Fate, Settled, Settlement, settle};
pub use strand::Strand;
pub use summary::{Summary, summary};
pub use tally::CountAll;
pub use via::{Via, send_via, via};

#[cfg(test)]
mod tests;
