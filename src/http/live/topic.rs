use actix_web::HttpRequest;

use crate::directory::Scope;
use crate::http::caller::Caller;
use crate::http::page::{pairs, refuse_unknown};
use crate::http::problem::{Code, Fault, Problem};

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Topic {
    /// Entries of the queue.
    Queue,
    /// The story of messages, as the trace tells it.
    Delivery,
    /// Mail connections that begin and end.
    Session,
    /// Sessions with peers, line by line.
    Turn,
    /// Long work.
    Job,
    /// How the server does.
    Health,
    /// Who changed what.
    Audit,
}

/// Whose events a caller may follow.
struct Rule {
    topic: Topic,
    name: &'static str,
    /// What is needed besides `events:read`.
    scope: Option<Scope>,
    /// Only for those who may see all mail.
    is_whole: bool,
}

const fn rule(topic: Topic, name: &'static str, scope: Option<Scope>, is_whole: bool) -> Rule {
    Rule { topic, name, scope, is_whole }
}

const RULES: [Rule; 7] = [
    rule(Topic::Queue, "queue", Some(Scope::QueueRead), false),
    rule(Topic::Delivery, "delivery", Some(Scope::TraceRead), false),
    rule(Topic::Session, "session", Some(Scope::SessionsRead), true),
    rule(Topic::Turn, "turn", Some(Scope::TurnRead), true),
    rule(Topic::Job, "job", Some(Scope::JobsRead), false),
    rule(Topic::Health, "health", None, true),
    rule(Topic::Audit, "audit", Some(Scope::AuditRead), true),
];

impl Topic {
    /// Its name, as in `event: queue`.
    pub fn name(self) -> &'static str {
        RULES.iter().find(|rule| rule.topic == self).map_or("", |rule| rule.name)
    }
}

impl Rule {
    fn allows(&self, caller: &Caller) -> bool {
        self.scope.is_none_or(|scope| caller.has(scope)) && !(self.is_whole && caller.is_restricted())
    }
}

/// What a reader of events asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::http) struct Topics {
    named: Option<Vec<Topic>>,
    /// Seconds after which it wants no more.
    pub seconds: Option<u64>,
}

impl Topics {
    /// Reads the parameters.
    ///
    /// # Errors
    /// 422 with each fault.
    pub fn read(request: &HttpRequest) -> Result<Self, Problem> {
        Self::parse(request.query_string())
    }

    fn parse(query: &str) -> Result<Self, Problem> {
        let given = pairs(query)?;
        refuse_unknown(&given, &["topics", "seconds"])?;
        let (mut topics, mut faults) = (Self { named: None, seconds: None }, Vec::new());
        for (name, value) in given {
            if name == "seconds" {
                match value.parse() {
                    Ok(seconds) => topics.seconds = Some(seconds),
                    Err(_) => faults.push(Fault::parameter("seconds", "out_of_range", "a number of seconds from 0 up")),
                }
                continue;
            }
            for word in value.split(',').map(str::trim).filter(|word| !word.is_empty()) {
                let named = topics.named.get_or_insert_default();
                match RULES.iter().find(|rule| rule.name == word) {
                    Some(rule) if !named.contains(&rule.topic) => named.push(rule.topic),
                    Some(_) => {}
                    None => {
                        let names = RULES.map(|rule| rule.name).join(", ");
                        let message = format!("{word:?} is no topic: known are {names}");
                        faults.push(Fault::parameter("topics", "not_allowed", message));
                    }
                }
            }
        }
        if faults.is_empty() { Ok(topics) } else { Err(Problem::invalid(faults)) }
    }

    /// The topics that the caller gets: those that it names, else all that it may follow.
    ///
    /// # Errors
    /// 403 when it names one that it may not follow.
    pub fn of(&self, caller: &Caller) -> Result<Vec<Topic>, Problem> {
        let Some(named) = &self.named else {
            return Ok(RULES.iter().filter(|rule| rule.allows(caller)).map(|rule| rule.topic).collect());
        };
        let refused = RULES.iter().find(|rule| named.contains(&rule.topic) && !rule.allows(caller));
        if let Some(rule) = refused {
            let detail = match rule.scope.filter(|scope| !caller.has(*scope)) {
                Some(scope) => format!("The topic {} needs the scope {scope} too.", rule.name),
                None => format!("The topic {} is not for those who are restricted to domains.", rule.name),
            };
            return Err(Problem::new(Code::Forbidden, detail));
        }
        Ok(named.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_read_or_named() {
        let check = |query: &str, expected: Option<(Option<&[Topic]>, Option<u64>)>| {
            let seen = Topics::parse(query).ok();
            let expected = expected.map(|(named, seconds)| Topics { named: named.map(<[_]>::to_vec), seconds });
            assert_eq!(seen, expected, "{query}");
        };
        check("", Some((None, None)));
        check("topics=", Some((None, None)));
        check("topics=queue,%20turn,queue", Some((Some(&[Topic::Queue, Topic::Turn]), None)));
        check("topics=job&topics=audit&seconds=3", Some((Some(&[Topic::Job, Topic::Audit]), Some(3))));
        check("topics=queue,mail", None);
        check("seconds=-1", None);
        check("topic=queue", None);
    }

    #[test]
    fn the_owner_may_follow_everything() {
        let all = Topics::parse("").unwrap().of(&Caller::Owner).unwrap();
        assert_eq!(all.iter().map(|topic| topic.name()).collect::<Vec<_>>(), RULES.map(|rule| rule.name));
    }
}
