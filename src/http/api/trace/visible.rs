use crate::base::Address;
use crate::http::caller::Caller;
use crate::trace::{Event, Subject};

/// What a caller may see of a story.
pub(super) struct Seen {
    /// The events.
    pub events: Vec<Event>,
    /// That is all of it.
    pub is_whole: bool,
}

/// What a caller may see of a story; `None`: nothing, or there is none. Who is restricted to domains sees all of what
/// comes from them, and of what comes from elsewhere what is about their own recipients. The refusals of one session are
/// about many messages, whose senders anybody may have made up: of those, what is about them.
pub(super) fn part(caller: &Caller, subject: Subject, events: Vec<Event>) -> Option<Seen> {
    if events.is_empty() {
        return None;
    }
    let reaches = |text: &String| {
        let address = Address::parse(text).ok();
        address.as_ref().and_then(|address| address.host.name()).is_some_and(|domain| caller.reaches(domain))
    };
    let is_refused = matches!(subject, Subject::Refused(_));
    let is_from_there = || !is_refused && events.iter().any(|event| event.sender.as_ref().is_some_and(reaches));
    if !caller.is_restricted() || is_from_there() {
        return Some(Seen { events, is_whole: true });
    }
    let is_own = |event: &Event| {
        let sender = event.sender.as_ref().filter(|_| is_refused);
        [event.recipient.as_ref(), event.account.as_ref(), sender].into_iter().flatten().any(reaches)
    };
    if !events.iter().any(is_own) {
        return None;
    }
    let count = events.len();
    // What names nobody is about the whole message.
    let is_general = |event: &Event| !is_refused && event.recipient.is_none() && event.account.is_none();
    let events: Vec<Event> = events.into_iter().filter(|event| is_general(event) || is_own(event)).collect();
    Some(Seen { is_whole: events.len() == count, events })
}
