//! Mail in motion: one entry for each recipient elsewhere, its schedule in the file, and the routes that mail takes.
//!
//! Floor F3c. Functions on a transaction; who connects where and when is for `delivery` to say, and what comes of a
//! bounce for `intake`.

mod act;
mod enqueue;
mod outcome;
mod policy;
mod read;
mod recover;
mod route;
mod row;

pub use act::{Act, Action, Flush, Flushed, Park, Postpone, Refused, Selector};
pub use enqueue::{NewEntry, NewMessage, enqueue};
pub use outcome::{Attempt, Fate, Outcome, Settled, Stage, Verdict, Words, settle};
pub use policy::Policy;
pub use read::{
    Content, Summary, Waiting, content, due, entries, entries_of_domain, entries_of_message, entry, message, newest,
    next_due, open_attempt, summary,
};
pub use recover::{Open, OpenRefused, Recover};
pub use route::{
    DeleteRoute, Login, Match, PutRoute, ROUTE_TOPIC, Route, RouteFields, RouteKind, RouteRefused, TlsUse, route,
    route_for, routes,
};
pub use row::{CHECKS, Entry, Message, Notify, OpenAttempt, QUEUE_TOPIC, State, TABLES};
