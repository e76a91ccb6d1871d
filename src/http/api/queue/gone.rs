use super::shape::word;
use crate::base::{Address, QueueId};
use crate::http::caller::Caller;
use crate::http::problem::{Code, Fault, Problem};
use crate::store::{Read, StoreError};
use crate::trace::{self, Event, Kind, Subject};

/// 404 for what is not in the queue: where it went, when the trace knows and the caller may.
pub(super) fn problem(read: &impl Read, caller: &Caller, id: QueueId) -> Result<Problem, StoreError> {
    let plain = Problem::new(Code::NotFound, format!("{id} is not in the queue."));
    let story = trace::story(read, Subject::Message(id.message))?;
    let Some(recipient) = recipient_of(&story, id) else { return Ok(plain) };
    if !reaches(caller, &story, &recipient) {
        return Ok(plain);
    }
    let is_end = |event: &&Event| {
        event.entry.map_or(event.recipient.as_ref() == Some(&recipient), |entry| entry == id.number)
            && matches!(event.kind, Kind::Relayed | Kind::Failed | Kind::Expired | Kind::Dropped)
    };
    let Some(end) = story.iter().rfind(is_end) else { return Ok(plain) };
    let what = sentence(end, &recipient);
    let detail = format!("{id} is not in the queue any more: {what} The trace of {} has the whole story.", id.message);
    Ok(Problem::new(Code::NotFound, detail).with_faults(vec![Fault::reason(&word(&end.kind), what)]))
}

/// What became of it, for people.
fn sentence(end: &Event, recipient: &str) -> String {
    let (at, by, text) = (end.at, &end.actor, &end.text);
    let server = end.server.as_deref().map(|server| format!(" to {server}")).unwrap_or_default();
    let said = if text.is_empty() { String::new() } else { format!(": {text}") };
    match end.kind {
        Kind::Relayed => format!("the message for {recipient} was delivered{server} at {at}{said}."),
        Kind::Expired => format!("the message for {recipient} was given up at {at}{said}."),
        Kind::Dropped => format!("the message for {recipient} was removed at {at} by {by}, and nobody was told."),
        // Nobody was asked: an operator has decided.
        _ if end.stage.as_deref() == Some("queue") => {
            format!("the message for {recipient} was bounced at {at} by {by}{said}.")
        }
        _ => format!("the message for {recipient} was refused for good at {at} by {by}{said}."),
    }
}

/// The recipient that has had that id: the trace tells it where the entry was queued, as in `as q_…_0`, or
/// `for bob@elsewhere.test, as q_…_0` where an alias had led there.
fn recipient_of(story: &[Event], id: QueueId) -> Option<String> {
    let end = format!("as {id}");
    let is_of = |event: &Event| event.entry == Some(id.number) || event.text.ends_with(&end);
    let queued = story.iter().find(|event| event.kind == Kind::Queued && is_of(event))?;
    let forwarded = queued.text.strip_prefix("for ").and_then(|text| text.split_once(", as "));
    let mut recipient = forwarded.map(|(recipient, _)| recipient.to_owned()).or_else(|| queued.recipient.clone())?;
    for event in story.iter().filter(|event| event.kind == Kind::Redirected) {
        if event.recipient.as_ref() == Some(&recipient)
            && let Some(to) = event.text.strip_prefix("to ")
        {
            // By which way it goes stands behind it, as in `to b@else.test by the route smart`.
            let (to, _) = to.rsplit_once(" by ").filter(|(_, way)| !way.contains('@')).unwrap_or((to, ""));
            recipient = to.to_owned();
        }
    }
    Some(recipient)
}

fn reaches(caller: &Caller, story: &[Event], recipient: &str) -> bool {
    let Ok(recipient) = Address::parse(recipient) else { return !caller.is_restricted() };
    let sender = story.iter().find_map(|event| event.sender.as_deref());
    caller.reaches_mail(sender.and_then(|sender| Address::parse(sender).ok()).as_ref(), &recipient)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{MessageId, Timestamp};

    #[test]
    fn the_recipient_of_an_id_is_found_in_the_story() {
        let id = |number| QueueId { message: MessageId(7 << 16), number };
        let queued = |recipient: &str, text: String| Event {
            recipient: Some(recipient.into()),
            text,
            ..Event::new(Timestamp(7), Kind::Queued, "smtp")
        };
        let story = [
            queued("a@x.test", format!("as {}", id(0))),
            queued("info@x.test", format!("for b@y.test, as {}", id(1))),
            queued("c@x.test", format!("as {}", id(11))),
            queued("d@x.test", format!("as {}", id(12))),
            Event {
                recipient: Some("d@x.test".into()),
                text: "to \"e by f\"@z.test".into(),
                ..Event::new(Timestamp(8), Kind::Redirected, "http owner")
            },
            queued("g@x.test", format!("as {}", id(13))),
            Event {
                recipient: Some("g@x.test".into()),
                text: "to h@z.test by relay.test:25".into(),
                ..Event::new(Timestamp(8), Kind::Redirected, "http owner")
            },
            Event {
                recipient: Some("h@z.test".into()),
                text: "by the route smart".into(),
                ..Event::new(Timestamp(9), Kind::Redirected, "http owner")
            },
        ];
        let expected =
            [(0, "a@x.test"), (1, "b@y.test"), (11, "c@x.test"), (12, "\"e by f\"@z.test"), (13, "h@z.test")];
        for (number, expected) in
            expected.map(|(number, address)| (number, Some(address))).into_iter().chain([(2, None)])
        {
            assert_eq!(recipient_of(&story, id(number)).as_deref(), expected, "{number}");
        }
    }
}
