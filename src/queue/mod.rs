//! Mail in motion: one entry for each recipient elsewhere, its schedule in the file, and the routes that mail takes.
//!
//! Floor F3c. Functions on a transaction; who connects where and when is for `delivery` to say, and what comes of a
//! bounce for `intake`.

mod act;
mod check;
mod content;
mod enqueue;
mod entry;
mod flush;
mod outcome;
mod park;
mod policy;
mod read;
mod recover;
mod route;
mod route_change;
mod row;
mod settle;
mod summary;

pub use act::{Act, Action, Refused};
pub use check::{CHECKS, references};
pub use content::{Content, content};
pub use enqueue::{NewEntry, NewMessage, enqueue};
pub use flush::{Flush, Flushed, Selector, Slice};
pub use outcome::{Attempt, Outcome, Stage, Verdict, Words};
pub use park::{Park, Postpone};
pub use policy::Policy;
pub use read::{
    Waiting, due, entries, entries_of_domain, entries_of_message, entry, message, newest, next_due, open_attempt,
};
pub use recover::{Open, OpenRefused, Recover};
pub use route::{Login, Match, ROUTE_TOPIC, Route, RouteFields, RouteKind, TlsUse};
pub use route_change::{DeleteRoute, PutRoute, RouteRefused, route, route_for, routes};
pub use row::{Entry, Message, Notify, OpenAttempt, QUEUE_TOPIC, State, TABLES};
pub use settle::{Fate, Settled, Settlement, settle};
pub use summary::{Summary, summary};
