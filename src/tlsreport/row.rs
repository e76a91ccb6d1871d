use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::base::{DAY_MS, DomainName, Timestamp, limits};
use crate::postcard_row;
use crate::store::{AnyTable, Read, Span, StoreError, Table};
use crate::tlspolicy::{StsPolicy, Tlsa};

/// What came of TLS, by the day and the domain of the mail.
pub(super) static RESULTS: Table<(u64, String), DayResults> = Table::new("tls_results");

/// The room's tables.
pub const TABLES: &[&dyn AnyTable] = &[&RESULTS];

/// A day of UTC, counted from 1970.
// RFC 8460 §4.1: a report is of a day of UTC
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub u64);

/// What came of TLS at a domain's servers on a day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayResults {
    /// By the policy that was gone by.
    pub policies: Vec<PolicyResults>,
}
postcard_row!(DayResults, 1);

/// What came of it by one policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyResults {
    /// The policy.
    pub policy: PolicySeen,
    /// Sessions that met it.
    pub successes: u64,
    /// Sessions that did not, in all.
    pub failures: u64,
    /// The failures of each kind, as far as there is room for them.
    pub details: Vec<FailureCount>,
}

/// A policy as it was when it was gone by.
// RFC 8460 §4.4
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PolicySeen {
    /// There was none: TLS was made where it was offered.
    NoneFound,
    /// MTA-STS.
    Sts {
        /// Its lines; none where it could not be had.
        lines: Vec<String>,
        /// The servers that it names.
        mx_hosts: Vec<String>,
    },
    /// DANE.
    Tlsa {
        /// The TLSA base domain: the server, mostly. RFC 8460 §1.1
        base: String,
        /// The records that were gone by; none where there was none to go by.
        records: Vec<String>,
    },
}

/// So many sessions failed alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureCount {
    /// What failed.
    pub failure: Failure,
    /// How often.
    pub count: u64,
}

/// What failed, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What it was.
    pub kind: ResultKind,
    /// Our address.
    pub sending_ip: Option<IpAddr>,
    /// The server's name, as the DNS has it.
    pub mx: Option<String>,
    /// The server's address.
    pub receiving_ip: Option<IpAddr>,
    /// What more is known, where the kind says little, in at most [`limits::TLS_RESULT_REASON_BYTES`].
    pub reason: Option<String>,
}

/// What may fail.
// RFC 8460 §4.3; a new one goes to the end: rows name them by their place
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResultKind {
    /// STARTTLS is not offered.
    StartTlsNotSupported,
    /// The certificate is of another name.
    CertificateHostMismatch,
    /// It has expired.
    CertificateExpired,
    /// No CA that we trust vouches for it, or something else is wrong with it.
    CertificateNotTrusted,
    /// Something else of TLS.
    ValidationFailure,
    /// The policy can't be fetched.
    StsPolicyFetchError,
    /// What was fetched is no policy.
    StsPolicyInvalid,
    /// The certificate of the policy's web server does not hold.
    StsWebPkiInvalid,
    /// Of the TLSA records that are signed, none can be gone by.
    TlsaInvalid,
    /// Whether there are TLSA records can't be known.
    DnssecInvalid,
}

impl Day {
    /// The day of a time.
    pub fn of(at: Timestamp) -> Self {
        Self(at.ms() / DAY_MS)
    }

    /// When it begins.
    pub fn begin(self) -> Timestamp {
        Timestamp(self.0.saturating_mul(DAY_MS))
    }

    /// Its last second.
    pub fn end(self) -> Timestamp {
        self.begin().plus_ms(DAY_MS - 1000)
    }
}

impl PolicySeen {
    /// An MTA-STS policy.
    pub fn sts(policy: &StsPolicy) -> Self {
        let lines = policy.text().lines().map(str::to_owned).collect();
        Self::Sts { lines, mx_hosts: policy.mx.iter().map(ToString::to_string).collect() }
    }

    /// TLSA records at a base domain.
    pub fn tlsa(base: &DomainName, records: &[Tlsa]) -> Self {
        let records = records.iter().take(limits::TLS_RESULT_RECORDS).map(Tlsa::text).collect();
        Self::Tlsa { base: base.to_string(), records }
    }

    /// One that could not be had.
    pub fn sts_unknown() -> Self {
        Self::Sts { lines: Vec::new(), mx_hosts: Vec::new() }
    }
}

impl ResultKind {
    /// As a report says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::StartTlsNotSupported => "starttls-not-supported",
            Self::CertificateHostMismatch => "certificate-host-mismatch",
            Self::CertificateExpired => "certificate-expired",
            Self::CertificateNotTrusted => "certificate-not-trusted",
            Self::ValidationFailure => "validation-failure",
            Self::StsPolicyFetchError => "sts-policy-fetch-error",
            Self::StsPolicyInvalid => "sts-policy-invalid",
            Self::StsWebPkiInvalid => "sts-webpki-invalid",
            Self::TlsaInvalid => "tlsa-invalid",
            Self::DnssecInvalid => "dnssec-invalid",
        }
    }
}

impl DayResults {
    /// Counts a session. What there is no room for is counted with the others of its policy, or not at all.
    pub(super) fn count(&mut self, policy: &PolicySeen, failure: Option<&Failure>) {
        let place = self.policies.iter().position(|known| known.policy == *policy);
        let place = place.unwrap_or_else(|| {
            self.policies.push(PolicyResults {
                policy: policy.clone(),
                successes: 0,
                failures: 0,
                details: Vec::new(),
            });
            self.policies.len() - 1
        });
        if place >= limits::TLS_RESULT_POLICIES {
            self.policies.truncate(limits::TLS_RESULT_POLICIES);
            return;
        }
        let Some(results) = self.policies.get_mut(place) else { return };
        let Some(failure) = failure else {
            results.successes = results.successes.saturating_add(1);
            return;
        };
        results.failures = results.failures.saturating_add(1);
        if let Some(known) = results.details.iter_mut().find(|known| known.failure == *failure) {
            known.count = known.count.saturating_add(1);
        } else if results.details.len() < limits::TLS_RESULT_DETAILS {
            results.details.push(FailureCount { failure: failure.clone(), count: 1 });
        }
    }
}

/// The days before `day` of which something is kept, each with its domain, behind `after`, at most so many.
///
/// # Errors
/// [`StoreError`].
pub fn days_before(
    read: &impl Read,
    day: Day,
    after: Option<&(Day, String)>,
    limit: usize,
) -> Result<Vec<(Day, String)>, StoreError> {
    let span = Span::range(..(day.0, String::new()));
    let span = match after {
        Some((day, domain)) => span.after(&(day.0, domain.clone())),
        None => span,
    };
    Ok(read.keys(&RESULTS, span, limit)?.into_iter().map(|(day, domain)| (Day(day), domain)).collect())
}

/// What is kept of a domain and a day.
///
/// # Errors
/// [`StoreError`]; not for a row that is damaged: it is nothing to report.
pub fn results(read: &impl Read, day: Day, domain: &str) -> Result<Option<DayResults>, StoreError> {
    read.get_if_sound(&RESULTS, &(day.0, domain.to_owned()))
}
