use crate::base::Address;
use crate::http::caller::Caller;
use crate::trace::Event;

/// What a caller may see of a story.
pub(super) struct Seen {
    /// The events.
    pub events: Vec<Event>,
    /// That is all of it.
    pub is_whole: bool,
}

/// What a caller may see of a story; `None`: nothing, or there is none. Who is restricted to domains sees all of what
/// comes from them, and of what comes from elsewhere what is about their own recipients.
pub(super) fn part(caller: &Caller, events: Vec<Event>) -> Option<Seen> {
    if events.is_empty() {
        return None;
    }
    let reaches = |text: &String| {
        let address = Address::parse(text).ok();
        address.as_ref().and_then(|address| address.host.name()).is_some_and(|domain| caller.reaches(domain))
    };
    let is_from_there = events.iter().any(|event| event.sender.as_ref().is_some_and(reaches));
    if !caller.is_restricted() || is_from_there {
        return Some(Seen { events, is_whole: true });
    }
    let names = |event: &Event| [&event.recipient, &event.account].into_iter().flatten().cloned().collect::<Vec<_>>();
    let is_own = |event: &Event| names(event).iter().any(reaches);
    if !events.iter().any(is_own) {
        return None;
    }
    let count = events.len();
    // What names nobody is about the whole message.
    let events: Vec<Event> = events.into_iter().filter(|event| names(event).is_empty() || is_own(event)).collect();
    Some(Seen { is_whole: events.len() == count, events })
}
