use crate::trace::Event;

/// Why a message was not taken, by another server or on the way to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Fault {
    NoSuchAddress,
    MailboxDisabled,
    MailboxFull,
    TooBig,
    /// The server is not for that domain, or not for us.
    RelayingDenied,
    /// Who we are, or who the sender is, is on a list.
    Blocked,
    Spam,
    /// SPF, DKIM, DMARC or reverse DNS.
    Unauthenticated,
    /// Our own login, with a smarthost.
    Login,
    Tls,
    /// It does not answer.
    Dns,
    NoSuchDomain,
    /// Null MX.
    NoMailDomain,
    /// The DNS answers, and names nothing that could be dialled.
    NoServer,
    ReceiverDown,
    Timeout,
    Greylisted,
    RateLimited,
    /// Busy, full, broken: for now.
    ServerTrouble,
    Loop,
    /// The sender's address.
    Sender,
    /// The message itself.
    Content,
    OurTrouble,
    Other,
}

/// Why an attempt has failed: by its stage, the codes and the words of the server.
pub(super) fn of_attempt(event: &Event) -> Fault {
    let text = event.text.to_lowercase();
    let attempt = Attempt {
        stage: event.stage.as_deref().unwrap_or_default(),
        code: event.code,
        enhanced: event.enhanced,
        text: &text,
    };
    if attempt.code.is_none() { attempt.by_ourselves() } else { attempt.by_the_server() }
}

/// What is known of an attempt.
struct Attempt<'a> {
    stage: &'a str,
    code: Option<u16>,
    enhanced: Option<(u8, u16, u16)>,
    /// Lower case.
    text: &'a str,
}

/// A row of the table: what it needs, all of it, and what it says.
struct Rule {
    needs: Needs,
    /// At least one of these, where there are some.
    words: &'static [&'static str],
    fault: Fault,
}

/// Which attempts a row is about.
enum Needs {
    Anything,
    /// 4xx.
    Temporary,
    /// 5xx.
    Permanent,
    /// A reply code.
    Code(u16),
    /// The last two numbers of an enhanced code, of any class.
    Detail(u16, u16),
    /// The same of class 5.
    Hard(u16, u16),
    /// The second number of an enhanced code.
    Subject(u16),
    Stage(&'static [&'static str]),
}

const fn rule(needs: Needs, words: &'static [&'static str], fault: Fault) -> Rule {
    Rule { needs, words, fault }
}

/// What servers say. The first row that fits decides: what says most stands first, and what many servers say for many
/// reasons last.
const RULES: &[Rule] = &[
    rule(Needs::Stage(&["login"]), &[], Fault::Login),
    rule(Needs::Stage(&["tls"]), &[], Fault::Tls),
    rule(Needs::Temporary, &["greylist", "graylist", "postgrey", "grey-list", "gray-list"], Fault::Greylisted),
    // RFC 7372 §3, and what the large providers say since 2024.
    rule(Needs::Detail(7, 20), &[], Fault::Unauthenticated),
    rule(Needs::Detail(7, 21), &[], Fault::Unauthenticated),
    rule(Needs::Detail(7, 22), &[], Fault::Unauthenticated),
    rule(Needs::Detail(7, 23), &[], Fault::Unauthenticated),
    rule(Needs::Detail(7, 24), &[], Fault::Unauthenticated),
    rule(Needs::Detail(7, 25), &[], Fault::Unauthenticated),
    rule(Needs::Detail(7, 26), &[], Fault::Unauthenticated),
    // RFC 7505 §4.2: the sender's domain takes no mail.
    rule(Needs::Detail(7, 27), &[], Fault::Sender),
    rule(Needs::Detail(7, 30), &[], Fault::Unauthenticated),
    rule(Needs::Detail(7, 32), &[], Fault::Unauthenticated),
    rule(Needs::Detail(7, 509), &[], Fault::Unauthenticated),
    rule(Needs::Detail(7, 515), &[], Fault::Unauthenticated),
    rule(
        Needs::Anything,
        &[
            "spf",
            "dkim",
            "dmarc",
            "not authenticated",
            "unauthenticated",
            "reverse dns",
            "ptr record",
            "reverse hostname",
        ],
        Fault::Unauthenticated,
    ),
    rule(Needs::Detail(4, 6), &[], Fault::Loop),
    rule(Needs::Detail(4, 14), &[], Fault::Loop),
    rule(Needs::Anything, &["too many hops", "hop count", "mail loop", "routing loop", "loops back"], Fault::Loop),
    rule(
        Needs::Anything,
        &[
            "likely unsolicited",
            "suspected spam",
            "spam message",
            "looks like spam",
            "spam content",
            "spam score",
            "as spam",
            "is spam",
            "considered spam",
            "spam detected",
            "spam-like",
            "phishing",
            "message content rejected",
            "rejected due to content",
            "virus",
            "malware",
        ],
        Fault::Spam,
    ),
    rule(
        Needs::Temporary,
        &["rate limit", "ratelimit", "too many", "throttl", "too fast", "unusual rate", "at a rate", "too much mail"],
        Fault::RateLimited,
    ),
    rule(
        Needs::Anything,
        &[
            "blocklist",
            "block list",
            "blacklist",
            "black list",
            "blocked",
            "denylist",
            "dnsbl",
            "rbl",
            "spamhaus",
            "spamcop",
            "barracuda",
            "sorbs",
            "reputation",
            "banned",
            "s3140",
            "s3150",
        ],
        Fault::Blocked,
    ),
    rule(
        Needs::Anything,
        &[
            "relay access denied",
            "relaying denied",
            "relay denied",
            "not permitted to relay",
            "relay not permitted",
            "relaying not permitted",
            "relaying not allowed",
            "unable to relay",
            "do not relay",
        ],
        Fault::RelayingDenied,
    ),
    rule(Needs::Detail(7, 54), &[], Fault::RelayingDenied),
    rule(Needs::Detail(7, 64), &[], Fault::RelayingDenied),
    rule(Needs::Detail(2, 2), &[], Fault::MailboxFull),
    rule(
        Needs::Anything,
        &[
            "mailbox full",
            "mailbox is full",
            "over quota",
            "overquota",
            "quota exceeded",
            "exceeded quota",
            "out of storage",
            "storage allocation",
        ],
        Fault::MailboxFull,
    ),
    rule(Needs::Detail(3, 4), &[], Fault::TooBig),
    rule(Needs::Detail(2, 3), &[], Fault::TooBig),
    rule(Needs::Permanent, &["too large", "too big", "size limit", "maximum size", "message size"], Fault::TooBig),
    rule(Needs::Detail(7, 10), &[], Fault::Tls),
    rule(
        Needs::Anything,
        &["must issue a starttls", "starttls first", "tls required", "encryption required"],
        Fault::Tls,
    ),
    rule(Needs::Code(530), &[], Fault::Login),
    rule(Needs::Code(535), &[], Fault::Login),
    rule(Needs::Detail(7, 8), &[], Fault::Login),
    rule(Needs::Anything, &["authentication required", "authentication is required"], Fault::Login),
    rule(Needs::Hard(2, 1), &[], Fault::MailboxDisabled),
    rule(
        Needs::Permanent,
        &["account disabled", "mailbox disabled", "user disabled", "is disabled", "inactive", "suspended"],
        Fault::MailboxDisabled,
    ),
    rule(Needs::Detail(1, 7), &[], Fault::Sender),
    rule(Needs::Detail(1, 8), &[], Fault::Sender),
    rule(Needs::Anything, &["sender address rejected", "sender verify", "sender rejected"], Fault::Sender),
    rule(Needs::Hard(1, 0), &[], Fault::NoSuchAddress),
    rule(Needs::Hard(1, 1), &[], Fault::NoSuchAddress),
    rule(Needs::Hard(1, 3), &[], Fault::NoSuchAddress),
    rule(Needs::Hard(1, 6), &[], Fault::NoSuchAddress),
    // Exchange: RecipientNotFound.
    rule(Needs::Hard(1, 10), &[], Fault::NoSuchAddress),
    // Exchange Online: the directory of that organisation does not have it.
    rule(Needs::Hard(4, 1), &[], Fault::NoSuchAddress),
    rule(
        Needs::Anything,
        &[
            "user unknown",
            "unknown user",
            "no such user",
            "no such recipient",
            "unknown recipient",
            "recipient unknown",
            "recipient not found",
            "mailbox not found",
            "no mailbox",
            "no such mailbox",
            "does not exist",
            "invalid recipient",
            "unrouteable address",
            "unknown address",
            "not a valid mailbox",
            "user not found",
        ],
        Fault::NoSuchAddress,
    ),
    rule(Needs::Anything, &["spam", "unsolicited", "junk"], Fault::Spam),
    rule(Needs::Detail(7, 28), &[], Fault::RateLimited),
    rule(Needs::Detail(7, 500), &[], Fault::RateLimited),
    rule(Needs::Detail(7, 650), &[], Fault::RateLimited),
    rule(Needs::Code(421), &[], Fault::ServerTrouble),
    rule(Needs::Detail(7, 0), &["try again", "later"], Fault::RateLimited),
    rule(Needs::Code(552), &[], Fault::TooBig),
    rule(Needs::Subject(3), &[], Fault::ServerTrouble),
    rule(Needs::Subject(4), &[], Fault::ServerTrouble),
    rule(Needs::Subject(6), &[], Fault::Content),
];

impl Attempt<'_> {
    /// The server has said nothing; these are our own words, which always have an enhanced code.
    fn by_ourselves(&self) -> Fault {
        let is_late = self.text.contains("timed out") || self.text.contains("in time");
        match (self.stage, self.enhanced.map(|(_, subject, detail)| (subject, detail))) {
            ("tls", _) => Fault::Tls,
            ("login", _) => Fault::Login,
            (_, Some((1, 10))) => Fault::NoMailDomain,
            (_, Some((1, 2))) => Fault::NoSuchDomain,
            (_, Some((4, 6))) => Fault::Loop,
            (_, Some((4, 3))) => Fault::Dns,
            (_, Some((4, 4))) => Fault::NoServer,
            (_, Some((4, 1 | 2))) if is_late => Fault::Timeout,
            (_, Some((4, 1 | 2))) => Fault::ReceiverDown,
            (_, Some((3, 4))) => Fault::TooBig,
            (_, Some((6, _))) => Fault::Content,
            (_, Some((7, _))) => Fault::Tls,
            (_, Some((5, _))) => Fault::ServerTrouble,
            (_, Some((3, _))) => Fault::OurTrouble,
            _ => Fault::Other,
        }
    }

    fn by_the_server(&self) -> Fault {
        let decided = RULES.iter().find(|rule| {
            self.fits(&rule.needs) && (rule.words.is_empty() || rule.words.iter().any(|word| self.has(word)))
        });
        decided.map_or_else(|| self.by_stage(), |rule| rule.fault)
    }

    /// What a refusal without a reason means, by where it was said.
    fn by_stage(&self) -> Fault {
        let is_policy = self.enhanced.is_some_and(|(_, subject, _)| subject == 7);
        if self.class() != 5 {
            return if is_policy { Fault::Blocked } else { Fault::ServerTrouble };
        }
        match self.stage {
            "greeting" | "hello" => Fault::Blocked,
            "recipient" if is_policy => Fault::Blocked,
            "recipient" => Fault::NoSuchAddress,
            "sender" if is_policy || self.code == Some(554) => Fault::Blocked,
            "sender" => Fault::Sender,
            // What a filter says of a message, it says behind it.
            "data" | "end" if is_policy => Fault::Spam,
            "data" | "end" => Fault::Content,
            _ => Fault::Other,
        }
    }

    fn fits(&self, needs: &Needs) -> bool {
        let is = |wanted| self.enhanced.is_some_and(|(_, subject, detail)| (subject, detail) == wanted);
        match needs {
            Needs::Anything => true,
            Needs::Temporary => self.class() == 4,
            Needs::Permanent => self.class() == 5,
            Needs::Code(code) => self.code == Some(*code),
            Needs::Detail(subject, detail) => is((*subject, *detail)),
            Needs::Hard(subject, detail) => self.class() == 5 && is((*subject, *detail)),
            Needs::Subject(wanted) => self.enhanced.is_some_and(|(_, subject, _)| subject == *wanted),
            Needs::Stage(stages) => stages.contains(&self.stage),
        }
    }

    fn class(&self) -> u16 {
        self.code.unwrap_or_default() / 100
    }

    /// Whether the text has that word, or those words, not as a part of others.
    fn has(&self, word: &str) -> bool {
        let is_edge = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphanumeric());
        self.text.match_indices(word).any(|(at, _)| {
            // Endings are free: `throttl` is `throttled` and `throttling`.
            let is_long = word.len() > 4;
            let before = self.text.get(..at).and_then(|text| text.chars().next_back());
            let behind = self.text.get(at + word.len()..).and_then(|text| text.chars().next());
            is_edge(before) && (is_long || is_edge(behind))
        })
    }
}
