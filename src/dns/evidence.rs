use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use mail_auth::MessageAuthenticator;
use tokio::time::Instant;

use super::Resolver;
use super::answer::{self, MailServers};
use crate::base::DomainName;
use crate::trust::{Answer, Judge, Question, Resolve};

/// Says of messages who they are from, by what the DNS says within some time.
#[derive(Clone)]
pub struct Evidence {
    judge: Judge,
    resolver: Resolver,
}

/// Asks until then.
pub struct Until<'a> {
    resolver: &'a Resolver,
    until: Instant,
}

impl Evidence {
    /// By what `resolver` says.
    pub fn new(resolver: &Resolver) -> Self {
        // The evaluators want one of their own, and never ask it.
        let judge = Judge::new(MessageAuthenticator(resolver.inner().clone()));
        Self { judge, resolver: resolver.clone() }
    }

    /// Who judges.
    pub fn judge(&self) -> &Judge {
        &self.judge
    }

    /// The DNS, for so long.
    pub fn within(&self, within: Duration) -> Until<'_> {
        Until { resolver: &self.resolver, until: Instant::now() + within }
    }
}

impl Resolve for Until<'_> {
    async fn ask(&self, question: &Question) -> Answer {
        tokio::time::timeout_at(self.until, ask(self.resolver, question)).await.unwrap_or(Answer::Unanswered)
    }
}

async fn ask(resolver: &Resolver, question: &Question) -> Answer {
    let (name, kind) = match question {
        Question::Texts(name) => (Name::from_ascii(name), RecordType::TXT),
        Question::Mx(name) => (Name::from_ascii(name), RecordType::MX),
        Question::V4(name) => (Name::from_ascii(name), RecordType::A),
        Question::V6(name) => (Name::from_ascii(name), RecordType::AAAA),
        Question::Names(ip) => (Ok(Name::from(*ip)), RecordType::PTR),
    };
    // What is no name has no records.
    let Ok(name) = name else { return Answer::Nothing };
    let Some(records) = resolver.records(&name, kind).await else { return Answer::Unanswered };
    let answer = match question {
        Question::Texts(_) => Answer::Texts(answer::texts(&name, &records)),
        Question::Mx(_) => match answer::mail_servers(&name, &records) {
            MailServers::Mx(servers) => {
                Answer::Mx(servers.into_iter().map(|(preference, host)| (preference, format!("{host}."))).collect())
            }
            MailServers::Implicit | MailServers::Null => Answer::Nothing,
        },
        Question::V4(_) => Answer::V4(answer::addresses(&name, &records).into_iter().filter_map(v4).collect()),
        Question::V6(_) => Answer::V6(answer::addresses(&name, &records).into_iter().filter_map(v6).collect()),
        Question::Names(_) => Answer::Names(names(&records)),
    };
    let is_empty = match &answer {
        Answer::Texts(texts) | Answer::Names(texts) => texts.is_empty(),
        Answer::Mx(servers) => servers.is_empty(),
        Answer::V4(addresses) => addresses.is_empty(),
        Answer::V6(addresses) => addresses.is_empty(),
        Answer::Nothing | Answer::Unanswered => false,
    };
    if is_empty { Answer::Nothing } else { answer }
}

fn v4(address: IpAddr) -> Option<std::net::Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

fn v6(address: IpAddr) -> Option<std::net::Ipv6Addr> {
    match address {
        IpAddr::V6(address) => Some(address),
        IpAddr::V4(_) => None,
    }
}

/// The host names among PTR records.
// RFC 7208 §5.5: at most ten
fn names(records: &[Record]) -> Vec<String> {
    let name = |record: &Record| match &record.data {
        RData::PTR(name) => DomainName::parse(name.to_ascii().trim_end_matches('.')).ok(),
        _ => None,
    };
    records.iter().filter_map(name).take(10).map(|name| format!("{name}.")).collect()
}
