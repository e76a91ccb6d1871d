use serde::Serialize;

use super::row::{Day, DayResults, FailureCount, PolicyResults, PolicySeen};
use crate::base::DomainName;

/// The report of a day to a domain.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// Who reports: the domain of `contact`. RFC 8460 §5.3
    pub submitter: &'a DomainName,
    /// Whom to ask about it.
    pub contact: &'a str,
    /// Its id.
    pub id: &'a str,
    /// Of whose mail.
    pub domain: &'a DomainName,
    /// Of which day.
    pub day: Day,
    /// What came of it.
    pub results: &'a DayResults,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Root<'a> {
    organization_name: &'a str,
    date_range: DateRange,
    contact_info: &'a str,
    report_id: &'a str,
    policies: Vec<Policy<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct DateRange {
    start_datetime: String,
    end_datetime: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Policy<'a> {
    policy: PolicyItself<'a>,
    summary: Summary,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failure_details: Vec<Detail<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct PolicyItself<'a> {
    policy_type: &'static str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    policy_string: &'a [String],
    policy_domain: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    mx_host: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Summary {
    total_successful_session_count: u64,
    total_failure_session_count: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Detail<'a> {
    result_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sending_mta_ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receiving_mx_hostname: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receiving_ip: Option<String>,
    failed_session_count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_reason_code: Option<&'a str>,
}

impl Report<'_> {
    /// As it is sent, before it is compressed.
    // RFC 8460 §4.4
    pub fn json(&self) -> Vec<u8> {
        let root = Root {
            organization_name: self.submitter.as_str(),
            date_range: DateRange {
                start_datetime: seconds(self.day.begin().rfc3339()),
                end_datetime: seconds(self.day.end().rfc3339()),
            },
            contact_info: self.contact,
            report_id: self.id,
            policies: self.results.policies.iter().map(|results| policy(results, self.domain)).collect(),
        };
        // Plain data, whose keys are texts: it can't fail.
        serde_json::to_vec(&root).unwrap_or_default()
    }
}

/// Without the fraction, as the examples of the RFC have it.
fn seconds(time: String) -> String {
    match time.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => time,
    }
}

fn policy<'a>(results: &'a PolicyResults, domain: &'a DomainName) -> Policy<'a> {
    type Strings<'a> = &'a [String];
    let (policy_type, policy_string, mx_host): (_, Strings<'_>, Strings<'_>) = match &results.policy {
        PolicySeen::NoneFound => ("no-policy-found", &[], &[]),
        PolicySeen::Sts { lines, mx_hosts } => ("sts", lines, mx_hosts),
        PolicySeen::Tlsa { records, .. } => ("tlsa", records, &[]),
    };
    // RFC 8460 §1.1: of DANE, the policy domain is the TLSA base domain
    let policy_domain = match &results.policy {
        PolicySeen::Tlsa { base, .. } => base,
        PolicySeen::NoneFound | PolicySeen::Sts { .. } => domain.as_str(),
    };
    Policy {
        policy: PolicyItself { policy_type, policy_string, policy_domain, mx_host },
        summary: Summary {
            total_successful_session_count: results.successes,
            total_failure_session_count: results.failures,
        },
        failure_details: results.details.iter().map(detail).collect(),
    }
}

fn detail(counted: &FailureCount) -> Detail<'_> {
    let failure = &counted.failure;
    Detail {
        result_type: failure.kind.name(),
        sending_mta_ip: failure.sending_ip.map(|ip| ip.to_string()),
        receiving_mx_hostname: failure.mx.as_deref(),
        receiving_ip: failure.receiving_ip.map(|ip| ip.to_string()),
        failed_session_count: counted.count,
        failure_reason_code: failure.reason.as_deref(),
    }
}
