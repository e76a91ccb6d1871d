use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::DomainKey;
use mail_auth::dmarc::Dmarc;
use mail_auth::hickory_resolver::proto::op::ResponseCode;
use mail_auth::spf::Spf;
use mail_auth::{DnsError, DnssecStatus, Error, MX, RecordSet, ResolverCache, Txt};

/// What the DNS is asked. Names are lower-case and end with a dot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Question {
    /// The TXT records of a name.
    Texts(String),
    /// Its MX records.
    Mx(String),
    /// Its A records.
    V4(String),
    /// Its AAAA records.
    V6(String),
    /// The PTR records of an address.
    Names(IpAddr),
}

/// What the DNS says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Each text put together of its strings.
    Texts(Vec<String>),
    /// The preference and the host of each.
    Mx(Vec<(u16, String)>),
    /// Addresses.
    V4(Vec<Ipv4Addr>),
    /// Addresses.
    V6(Vec<Ipv6Addr>),
    /// Host names.
    Names(Vec<String>),
    /// There is no such name, or it has no such record.
    Nothing,
    /// The DNS does not answer, or not in time.
    Unanswered,
}

/// Asks the DNS. Whoever makes one says how long it may take.
pub trait Resolve: Sync {
    /// The answer to a question.
    fn ask(&self, question: &Question) -> impl Future<Output = Answer> + Send;
}

/// What is known of the DNS. The evaluators of mail-auth ask it as their cache, which has an answer to everything: what is
/// not known yet is written down, and the evaluation is made once more when it is.
pub(super) struct Answers {
    known: Mutex<HashMap<Question, Answer>>,
    missing: Mutex<Vec<Question>>,
    /// Whose names are asked for.
    peer_ip: Option<IpAddr>,
    /// Behind a question without an answer, others may be asked in vain.
    one_at_a_time: bool,
}

impl Answers {
    pub(super) fn new(peer_ip: Option<IpAddr>, one_at_a_time: bool) -> Self {
        Self { known: Mutex::default(), missing: Mutex::default(), peer_ip, one_at_a_time }
    }

    pub(super) fn take_missing(&self) -> Vec<Question> {
        std::mem::take(&mut *lock(&self.missing))
    }

    /// Where something is missing, more of what the same evaluation will ask: all of it is asked for at once.
    pub(super) fn foresee(&self, questions: impl Iterator<Item = Question>) {
        if !lock(&self.missing).is_empty() {
            for question in questions {
                self.answer(question);
            }
        }
    }

    pub(super) fn put(&self, question: Question, answer: Answer) {
        lock(&self.known).insert(question, answer);
    }

    /// Whether an address, or who takes mail, was asked for and the DNS did not say.
    pub(super) fn is_unanswered(&self) -> bool {
        let is_host = |question: &Question| matches!(question, Question::V4(_) | Question::V6(_) | Question::Mx(_));
        lock(&self.known).iter().any(|(question, answer)| is_host(question) && *answer == Answer::Unanswered)
    }

    /// How many of these questions have led to nothing.
    // RFC 7208 §4.6.4
    pub(super) fn void(&self) -> usize {
        let is_host = |question: &Question| matches!(question, Question::V4(_) | Question::V6(_) | Question::Mx(_));
        lock(&self.known).iter().filter(|(question, answer)| is_host(question) && **answer == Answer::Nothing).count()
    }

    fn answer(&self, question: Question) -> Answer {
        if let Some(answer) = lock(&self.known).get(&question) {
            return answer.clone();
        }
        let mut missing = lock(&self.missing);
        if !(missing.contains(&question) || self.one_at_a_time && !missing.is_empty()) {
            missing.push(question);
        }
        Answer::Nothing
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The octets that a name is hashed by: a cache is only told that its key can be hashed and compared.
#[derive(Default)]
struct Octets(Vec<u8>);

impl Hasher for Octets {
    fn finish(&self) -> u64 {
        0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

fn name_of<Q: Hash + ?Sized>(key: &Q) -> String {
    let mut octets = Octets::default();
    key.hash(&mut octets);
    // It is what ends a text that is hashed, and no octet of UTF-8.
    octets.0.retain(|octet| *octet != 0xff);
    String::from_utf8(octets.0).unwrap_or_default()
}

impl ResolverCache<Box<str>, Txt> for Answers {
    fn get<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let name = name_of(name);
        let texts = match self.answer(Question::Texts(name.clone())) {
            Answer::Texts(texts) => texts,
            Answer::Unanswered => return Some(Txt::Error(unanswered())),
            _ => Vec::new(),
        };
        Some(record(&name, &texts))
    }

    fn remove<Q>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: Txt, _: Instant) {}
}

fn unanswered() -> Error {
    Error::Dns(DnsError::Resolver("no answer".to_owned()))
}

fn nothing() -> Txt {
    Txt::Error(Error::Dns(DnsError::RecordNotFound(ResponseCode::NoError)))
}

/// The record of that kind which its name says.
fn record(name: &str, texts: &[String]) -> Txt {
    let mut labels = name.split('.');
    if labels.clone().any(|label| label == "_domainkey") {
        // RFC 6376 §3.6.2.2: of several, any may be taken.
        let is_report = name.starts_with("_report.");
        let mut keys = texts.iter().filter(|_| !is_report).map(|text| DomainKey::parse(text.as_bytes()));
        let first = keys.next();
        let good = keys.find(Result::is_ok);
        return match first {
            Some(Err(_)) if good.is_some() => good.map_or_else(nothing, Txt::from),
            Some(first) => Txt::from(first),
            None => nothing(),
        };
    }
    if labels.next() == Some("_dmarc") {
        // RFC 7489 §6.6.3: of several, none counts.
        let mut found = texts.iter().filter(|text| text.starts_with("v=DMARC1"));
        return match (found.next(), found.next()) {
            (Some(text), None) => Dmarc::parse(text.as_bytes()).map_or_else(|_| nothing(), Txt::from),
            _ => nothing(),
        };
    }
    // RFC 7208 §4.5
    let is_spf = |text: &&String| {
        let (version, rest) = text.split_at_checked(6).unwrap_or_default();
        version.eq_ignore_ascii_case("v=spf1") && (rest.is_empty() || rest.starts_with(' '))
    };
    let mut found = texts.iter().filter(is_spf);
    match (found.next(), found.next()) {
        (Some(text), None) if is_well_formed(text) => Txt::from(Spf::parse(text.as_bytes())),
        (Some(_), None) => Txt::Error(Error::ParseError),
        (Some(_), Some(_)) => Txt::Error(Error::ParseError),
        (None, _) => nothing(),
    }
}

/// Whether every term of an SPF record is one: the evaluator passes over what it does not know, and an error anywhere in a
/// record is one of the whole.
// RFC 7208 §4.6
fn is_well_formed(record: &str) -> bool {
    const MECHANISMS: [&str; 8] = ["all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"];
    record.split(' ').skip(1).filter(|term| !term.is_empty()).all(|term| {
        let mechanism = term.strip_prefix(['+', '-', '~', '?']).unwrap_or(term);
        let name = mechanism.split([':', '/', '=']).next().unwrap_or_default();
        let is_modifier = mechanism.get(name.len()..).is_some_and(|rest| rest.starts_with('='));
        match is_modifier {
            true => mechanism == term && name.starts_with(|first: char| first.is_ascii_alphabetic()),
            false => MECHANISMS.iter().any(|known| known.eq_ignore_ascii_case(name)),
        }
    })
}

/// The other kinds of records: a name without one has an empty set.
macro_rules! set_cache {
    ($key:ty, $value:ty, |$answers:ident, $name:ident| $question:expr, $pattern:pat => $set:expr) => {
        impl ResolverCache<$key, RecordSet<$value>> for Answers {
            fn get<Q>(&self, name: &Q) -> Option<RecordSet<$value>>
            where
                $key: Borrow<Q>,
                Q: Hash + Eq + ?Sized,
            {
                let ($answers, $name) = (self, name);
                let rrset = match self.answer($question) {
                    $pattern => $set,
                    _ => Vec::new(),
                };
                Some(RecordSet { rrset: rrset.into(), dnssec_status: DnssecStatus::Indeterminate })
            }

            fn remove<Q>(&self, _: &Q) -> Option<RecordSet<$value>>
            where
                $key: Borrow<Q>,
                Q: Hash + Eq + ?Sized,
            {
                None
            }

            fn insert(&self, _: $key, _: RecordSet<$value>, _: Instant) {}
        }
    };
}

set_cache!(Box<str>, MX, |_answers, name| Question::Mx(name_of(name)), Answer::Mx(found) => found
    .into_iter()
    .map(|(preference, host)| MX { preference, exchanges: Box::from([host.into_boxed_str()]) })
    .collect::<Vec<_>>());
set_cache!(Box<str>, Ipv4Addr, |_answers, name| Question::V4(name_of(name)), Answer::V4(found) => found);
set_cache!(Box<str>, Ipv6Addr, |_answers, name| Question::V6(name_of(name)), Answer::V6(found) => found);
set_cache!(IpAddr, Box<str>, |answers, _name| {
    // Nobody else is asked for.
    Question::Names(answers.peer_ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
}, Answer::Names(found) => found.into_iter().map(String::into_boxed_str).collect::<Vec<_>>());
