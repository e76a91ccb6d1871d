use std::net::IpAddr;

use super::shape::TraceEntry;
use super::visible;
use crate::base::{Address, IdError, MessageId, QueueId, Timestamp, TraceId, limits};
use crate::http::api::Listed;
use crate::http::caller::Caller;
use crate::http::page::{ListQuery, cursor};
use crate::http::problem::{Fault, Problem};
use crate::store::{Read, StoreError};
use crate::trace::{self, Direction, Event, Outcome, Subject, UnknownWord, Verdict};

/// The word for the null sender.
const NULL_SENDER: &str = "<>";

/// Which stories are looked for.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    looks: Looks,
    sender: Option<String>,
    recipient: Option<String>,
    after: Option<Timestamp>,
    before: Option<Timestamp>,
    outcome: Option<Outcome>,
    direction: Option<Direction>,
}

/// What `q` is.
#[derive(Debug, Default, PartialEq, Eq)]
enum Looks {
    #[default]
    All,
    One(Subject),
    Index(trace::Wanted),
    /// Lower case.
    Text(String),
}

/// A story that is wanted.
struct Hit {
    subject: Subject,
    events: Vec<Event>,
    verdict: Verdict,
}

/// Reads `m_…` and `t_…`.
pub(super) fn parse_subject(text: &str) -> Result<Subject, IdError> {
    match text.strip_prefix("t_") {
        Some(_) => text.parse().map(|id: TraceId| Subject::Refused(id)),
        None => text.parse().map(|id: MessageId| Subject::Message(id)),
    }
}

impl Wanted {
    /// What the parameters of a list say.
    pub fn of_query(query: &ListQuery) -> Result<Self, Problem> {
        let words = |all: Vec<&str>| format!("expected one of {}", all.join(", "));
        let wrong = |name: &str, all| Problem::invalid(vec![Fault::parameter(name, "not_allowed", words(all))]);
        let outcome = query.filter("outcome").map(str::parse).transpose();
        let direction = query.filter("direction").map(str::parse).transpose();
        let address = |text: &str| match text {
            NULL_SENDER => Ok(String::new()),
            text => Address::parse(text).map(|address| address.key()),
        };
        Ok(Self {
            looks: query.filter("q").map(str::trim).map(Looks::of).unwrap_or_default(),
            sender: query.read("sender", address)?,
            recipient: query.read("recipient", |text| Address::parse(text).map(|address| address.key()))?,
            after: query.time("after")?,
            before: query.time("before")?,
            outcome: outcome.map_err(|_: UnknownWord| wrong("outcome", words_of(Outcome::ALL, Outcome::as_str)))?,
            direction: direction
                .map_err(|_: UnknownWord| wrong("direction", words_of(Direction::ALL, Direction::as_str)))?,
        })
    }

    /// A page of what is wanted, of what the caller may see.
    pub fn list(
        &self,
        read: &impl Read,
        caller: &Caller,
        query: &ListQuery,
        after: Option<Subject>,
    ) -> Result<Listed<TraceEntry>, StoreError> {
        let (hits, next) = self.gather(read, caller, after, query.limit)?;
        let items = hits.iter().map(|hit| TraceEntry::of(hit.subject, &hit.events, &hit.verdict)).collect();
        let next_cursor = next.map(|subject| cursor(&subject.to_string()));
        if !query.count {
            return Ok(Listed { items, next_cursor, count: None, count_exact: None });
        }
        let (counted, more) = self.gather(read, caller, None, limits::COUNT_MAX)?;
        Ok(Listed { items, next_cursor, count: Some(counted.len() as u64), count_exact: Some(more.is_none()) })
    }

    /// The newest before `before`, and where to go on, where there may be more.
    fn gather(
        &self,
        read: &impl Read,
        caller: &Caller,
        before: Option<Subject>,
        limit: usize,
    ) -> Result<(Vec<Hit>, Option<Subject>), StoreError> {
        if let Looks::One(subject) = self.looks {
            let hit = if before.is_none() { self.hit(read, caller, subject)? } else { None };
            return Ok((hit.into_iter().collect(), None));
        }
        let by = self.by(read)?;
        // Ids begin with their time.
        let mut end = match (before, self.before.map(Subject::first_at)) {
            (Some(before), Some(first)) if first.at() <= before.at() => Some(first),
            (before, first) => before.or(first),
        };
        let (mut hits, mut looked_at) = (Vec::new(), 0);
        loop {
            let slice = trace::find(read, &by, end, limits::PAGE_ITEMS)?;
            let is_end = slice.len() < limits::PAGE_ITEMS;
            for subject in slice {
                if self.after.is_some_and(|after| subject.at() < after) {
                    return Ok((hits, None));
                }
                if hits.len() == limit || looked_at == limits::STORIES_LOOKED_AT {
                    return Ok((hits, end));
                }
                looked_at += 1;
                end = Some(subject);
                hits.extend(self.hit(read, caller, subject)?);
            }
            if is_end {
                return Ok((hits, None));
            }
        }
    }

    /// The index that leads to the fewest.
    fn by(&self, read: &impl Read) -> Result<trace::Wanted, StoreError> {
        Ok(match (&self.looks, &self.recipient, &self.sender) {
            // A Message-ID without its brackets looks like an address.
            (Looks::Index(index @ trace::Wanted::Address(text)), ..)
                if trace::find(read, index, None, 1)?.is_empty() =>
            {
                trace::Wanted::MessageId(text.clone())
            }
            (Looks::Index(index), ..) => index.clone(),
            (_, Some(address), _) => trace::Wanted::Address(address.clone()),
            (_, None, Some(address)) if !address.is_empty() => trace::Wanted::Address(address.clone()),
            _ => trace::Wanted::All,
        })
    }

    fn hit(&self, read: &impl Read, caller: &Caller, subject: Subject) -> Result<Option<Hit>, StoreError> {
        let Some(seen) = visible::part(caller, subject, trace::story(read, subject)?) else { return Ok(None) };
        let verdict = trace::verdict(&seen.events);
        let hit = Hit { subject, events: seen.events, verdict };
        Ok(self.takes(&hit).then_some(hit))
    }

    fn takes(&self, Hit { subject, events, verdict }: &Hit) -> bool {
        // The refusals of one session may have many.
        let has_sender = |wanted: &String| {
            events.iter().filter_map(|event| event.sender.as_deref()).any(|sender| key(sender) == *wanted)
        };
        let is_named = |wanted: &String| {
            let named = events.iter().flat_map(|event| [&event.recipient, &event.account]).flatten();
            named.into_iter().any(|address| key(address) == *wanted)
        };
        let has_message_id = |text: &str| {
            let bare = |field: &str| field.trim().trim_start_matches('<').trim_end_matches('>').to_owned();
            events.iter().any(|event| event.message_id.as_deref().is_some_and(|field| bare(field) == text))
        };
        let has_text = |text: &str| events.iter().any(|event| says(event, text));
        self.before.is_none_or(|before| subject.at() < before)
            && self.after.is_none_or(|after| subject.at() >= after)
            && self.sender.as_ref().is_none_or(has_sender)
            && self.recipient.as_ref().is_none_or(is_named)
            && self.direction.is_none_or(|wanted| verdict.direction == wanted)
            && self.outcome.is_none_or(|wanted| {
                verdict.outcome == wanted || verdict.recipients.iter().any(|recipient| recipient.outcome == wanted)
            })
            && match &self.looks {
                Looks::Text(text) => has_text(text),
                // Of what the caller may not see, it is not told that it is there.
                Looks::Index(trace::Wanted::Address(text)) => {
                    let wanted = key(text);
                    is_named(&wanted) || has_sender(&wanted) || has_message_id(text)
                }
                Looks::All | Looks::One(_) | Looks::Index(_) => true,
            }
    }
}

impl Looks {
    /// By what it looks like.
    fn of(text: &str) -> Self {
        if text.is_empty() {
            return Self::All;
        }
        if let Ok(subject) = parse_subject(text) {
            return Self::One(subject);
        }
        if let Ok(id) = text.parse::<QueueId>() {
            return Self::One(Subject::Message(id.message));
        }
        if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Self::Index(trace::Wanted::Ip(ip));
        }
        let is_message_id = text.starts_with('<') && text.ends_with('>') && text.len() > 2;
        if is_message_id {
            return Self::Index(trace::Wanted::MessageId(text.to_owned()));
        }
        if Address::parse(text).is_ok() {
            return Self::Index(trace::Wanted::Address(text.to_owned()));
        }
        Self::Text(text.to_lowercase())
    }
}

/// Whether that text stands in what was said or is known.
fn says(event: &Event, text: &str) -> bool {
    let code = event.code.map(|code| code.to_string());
    let enhanced = event.enhanced.map(|(class, subject, detail)| format!("{class}.{subject}.{detail}"));
    let texts = [
        Some(&event.text),
        event.server.as_ref(),
        event.helo.as_ref(),
        event.sender.as_ref(),
        event.recipient.as_ref(),
        event.message_id.as_ref(),
        event.account.as_ref(),
        Some(&event.actor),
        code.as_ref(),
        enhanced.as_ref(),
    ];
    texts.into_iter().flatten().any(|known| known.to_lowercase().contains(text))
}

fn key(address: &str) -> String {
    Address::parse(address).map_or_else(|_| address.to_lowercase(), |address| address.key())
}

fn words_of<T: Copy>(all: &[T], word: impl Fn(T) -> &'static str) -> Vec<&'static str> {
    all.iter().map(|value| word(*value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_for_is_known_by_its_looks() {
        let check = |text: &str, expected: Looks| assert_eq!(Looks::of(text), expected, "{text}");
        let message = Subject::Message(MessageId(0));
        check("", Looks::All);
        check("m_0000000000000", Looks::One(message));
        check("t_0000000000000", Looks::One(Subject::Refused(TraceId(0))));
        check("q_0000000000000_3", Looks::One(message));
        check("192.0.2.1", Looks::Index(trace::Wanted::Ip("192.0.2.1".parse().unwrap())));
        check("[2001:db8::1]", Looks::Index(trace::Wanted::Ip("2001:db8::1".parse().unwrap())));
        check("<1@x.test>", Looks::Index(trace::Wanted::MessageId("<1@x.test>".into())));
        check("a@x.test", Looks::Index(trace::Wanted::Address("a@x.test".into())));
        check("Mailbox FULL", Looks::Text("mailbox full".into()));
        check("m_0", Looks::Text("m_0".into()));
        check("<>", Looks::Text("<>".into()));
    }
}
