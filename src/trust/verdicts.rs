use std::fmt;
use std::net::IpAddr;

use crate::base::{Address, DomainName};

/// What came of a check.
// RFC 8601 §2.7
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// It holds.
    Pass,
    /// It does not.
    Fail,
    /// It probably does not (SPF).
    SoftFail,
    /// Nothing is said of it; of DKIM: what is there can't be used.
    Neutral,
    /// There is nothing to be checked.
    None,
    /// The DNS does not answer.
    TempError,
    /// What the DNS or the message says is wrong.
    PermError,
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::Neutral => "neutral",
            Self::None => "none",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        })
    }
}

/// Whose record SPF was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpfOf {
    /// The domain of the envelope's sender.
    MailFrom(DomainName),
    /// The name in HELO or EHLO, where there is no sender.
    Helo(DomainName),
}

/// Whether a domain lets the client send in its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spf {
    /// Whether it does.
    pub word: Word,
    /// Which.
    pub of: SpfOf,
}

/// A signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dkim {
    /// Whether it holds.
    pub word: Word,
    /// `d=`: who signs.
    pub domain: DomainName,
    /// `s=`
    pub selector: String,
    /// The first characters of `b=`, by which several are told apart.
    // RFC 6008 §4
    pub begins: String,
}

/// Whether the domain in From answers for the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dmarc {
    /// Whether it does.
    pub word: Word,
    /// Which; `None`: From names none, or several.
    pub domain: Option<DomainName>,
    /// What it asks to be done with what fails: `none`, `quarantine`, `reject`.
    pub policy: &'static str,
}

/// The seals of those who have passed the message on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Whether all of them hold: `none` (there are none), `pass` or `fail`.
    // RFC 8617 §5.2, §5.2.1: whatever keeps it from being proved is a failure for good
    pub word: Word,
    /// Who has sealed last.
    pub domain: Option<DomainName>,
}

/// What is known of who a message is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdicts {
    /// `None`: there was nobody to ask for, or the client is not who sends.
    pub spf: Option<Spf>,
    /// In the order of the fields; empty: it is not signed.
    pub dkim: Vec<Dkim>,
    /// By both.
    pub dmarc: Dmarc,
    /// Who has passed it on.
    pub arc: Chain,
    /// Who has brought it, where that is who sends.
    pub peer_ip: Option<IpAddr>,
}

impl Verdicts {
    /// Whether the message is from the owner of that address, or from somebody whom their domain lets send: what can't be
    /// delivered may be told there, and reaches nobody who has not sent it.
    pub fn prove(&self, sender: &Address) -> bool {
        let Some(name) = sender.host.name() else { return false };
        let is_let = |spf: &Spf| spf.word == Word::Pass && spf.of == SpfOf::MailFrom(name.clone());
        let has_signed = |dkim: &Dkim| dkim.word == Word::Pass && is_in(name, &dkim.domain);
        self.spf.as_ref().is_some_and(is_let) || self.dkim.iter().any(has_signed)
    }
}

/// As in `spf=pass dkim=pass (far.test) dmarc=pass`: for the trace.
impl fmt::Display for Verdicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(spf) = &self.spf {
            let (SpfOf::MailFrom(name) | SpfOf::Helo(name)) = &spf.of;
            write!(f, "spf={} ({name}) ", spf.word)?;
        }
        if self.dkim.is_empty() {
            f.write_str("dkim=none ")?;
        }
        for dkim in &self.dkim {
            write!(f, "dkim={} ({}) ", dkim.word, dkim.domain)?;
        }
        write!(f, "dmarc={}", self.dmarc.word)?;
        if let Some(domain) = &self.dmarc.domain {
            write!(f, " ({domain})")?;
        }
        match &self.arc {
            Chain { word: Word::None, .. } => Ok(()),
            Chain { word, domain: Some(domain) } => write!(f, " arc={word} ({domain})"),
            Chain { word, domain: None } => write!(f, " arc={word}"),
        }
    }
}

/// Whether a name is the domain, or below it.
fn is_in(name: &DomainName, domain: &DomainName) -> bool {
    let rest = name.as_str().strip_suffix(domain.as_str());
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.')) && domain.as_str().contains('.')
}
