use std::io::Read as _;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::row::RESULTS;
use super::*;
use crate::base::{Address, DomainName, MessageId, SystemClock, Timestamp, limits};
use crate::store::{Options, Read, Schema, Span, Store};
use crate::tlspolicy::{Mode, StsPolicy, Tlsa};

static SCHEMA: Schema = Schema { version: 1, tables: TABLES, checks: CHECKS, migrations: &[] };

/// 2026-11-22
const DAY: Day = Day(20_779);

fn store() -> Store {
    Store::open(Options::memory(Arc::new(SystemClock)), &SCHEMA).unwrap()
}

fn name(text: &str) -> DomainName {
    text.parse().unwrap()
}

fn failure(kind: ResultKind) -> Failure {
    let ip = |text: &str| Some(text.parse().unwrap());
    let (sending_ip, receiving_ip) = (ip("198.51.100.1"), ip("192.0.2.1"));
    let reason = (kind == ResultKind::ValidationFailure).then(|| "why".to_owned());
    Failure { kind, sending_ip, mx: Some("mx.d.test".into()), receiving_ip, reason }
}

fn note(domain: &str, policy: &PolicySeen, failure: Option<Failure>) -> Note {
    Note { day: DAY, domain: name(domain), policy: policy.clone(), failure }
}

fn policy() -> PolicySeen {
    PolicySeen::sts(&StsPolicy::own(Mode::Testing, &name("mx.d.test")))
}

fn dane() -> PolicySeen {
    PolicySeen::tlsa(&name("mx.d.test"), &[Tlsa::read(3, 1, 1, &[0xab; 32]).unwrap()])
}

/// A day with three policies: three sessions that met one, and three that did not, two of them alike.
async fn filled(store: &Store) -> DayResults {
    let refused = |kind| Some(failure(kind));
    for (policy, failure) in [
        (policy(), None),
        (policy(), refused(ResultKind::CertificateExpired)),
        (policy(), refused(ResultKind::ValidationFailure)),
        (policy(), None),
        (PolicySeen::NoneFound, None),
        (dane(), refused(ResultKind::DnssecInvalid)),
        (policy(), refused(ResultKind::CertificateExpired)),
        (policy(), None),
    ] {
        store.write(note("d.test", &policy, failure)).await.unwrap().into_inner();
    }
    results(&store.view().unwrap(), DAY, "d.test").unwrap().unwrap()
}

fn report<'a>(submitter: &'a DomainName, domain: &'a DomainName, results: &'a DayResults) -> Report<'a> {
    Report { submitter, contact: "tls@us.test", id: "1@us.test", domain, day: DAY, results }
}

fn expected() -> Value {
    json!({
        "organization-name": "us.test",
        "date-range": {"start-datetime": "2026-11-22T00:00:00Z", "end-datetime": "2026-11-22T23:59:59Z"},
        "contact-info": "tls@us.test",
        "report-id": "1@us.test",
        "policies": [
            {
                "policy": {
                    "policy-type": "sts",
                    "policy-string": ["version: STSv1", "mode: testing", "mx: mx.d.test", "max_age: 86400"],
                    "policy-domain": "d.test",
                    "mx-host": ["mx.d.test"],
                },
                "summary": {"total-successful-session-count": 3, "total-failure-session-count": 3},
                "failure-details": [
                    {
                        "result-type": "certificate-expired",
                        "sending-mta-ip": "198.51.100.1",
                        "receiving-mx-hostname": "mx.d.test",
                        "receiving-ip": "192.0.2.1",
                        "failed-session-count": 2,
                    },
                    {
                        "result-type": "validation-failure",
                        "sending-mta-ip": "198.51.100.1",
                        "receiving-mx-hostname": "mx.d.test",
                        "receiving-ip": "192.0.2.1",
                        "failed-session-count": 1,
                        "failure-reason-code": "why",
                    },
                ],
            },
            {
                "policy": {"policy-type": "no-policy-found", "policy-domain": "d.test"},
                "summary": {"total-successful-session-count": 1, "total-failure-session-count": 0},
            },
            {
                "policy": {
                    "policy-type": "tlsa",
                    "policy-string": [format!("3 1 1 {}", "AB".repeat(32))],
                    "policy-domain": "mx.d.test",
                },
                "summary": {"total-successful-session-count": 0, "total-failure-session-count": 1},
                "failure-details": [{
                    "result-type": "dnssec-invalid",
                    "sending-mta-ip": "198.51.100.1",
                    "receiving-mx-hostname": "mx.d.test",
                    "receiving-ip": "192.0.2.1",
                    "failed-session-count": 1,
                }],
            },
        ],
    })
}

// RFC 8460 §4.4
#[tokio::test]
async fn a_report_says_what_was_counted() {
    let results = filled(&store()).await;
    let (us, domain) = (name("us.test"), name("d.test"));
    let said: Value = serde_json::from_slice(&report(&us, &domain, &results).json()).unwrap();
    assert_eq!(said, expected());
}

// RFC 8460 §5.1, §5.3
#[tokio::test]
async fn a_report_goes_by_mail() {
    let results = filled(&store()).await;
    let (us, domain) = (name("us.test"), name("d.test"));
    let from = Address::parse("tls@us.test").unwrap();
    let to = ["a@d.test", "b@r.test"].map(|to| Address::parse(to).unwrap());
    let at = Timestamp::parse_rfc3339("2026-11-23T01:02:03Z").unwrap();
    let letter = Letter { report: report(&us, &domain, &results), from: &from, to: &to, message: MessageId(7), at };
    let text = String::from_utf8(letter.compose()).unwrap();
    for expected in [
        "From: tls@us.test\r\nTo: a@d.test,\r\n b@r.test\r\n",
        "Subject: Report Domain: d.test\r\n Submitter: us.test\r\n Report-ID: <1@us.test>\r\n",
        "TLS-Report-Domain: d.test\r\nTLS-Report-Submitter: us.test\r\nTLS-Required: No\r\n",
        "Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n boundary=\"",
        "Content-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\n",
        "filename=\"us.test!d.test!1795305600!1795391999.json.gz\"\r\n\r\n",
        "on TLS at the mail servers of\r\nd.test, for 2026-11-22. Questions: tls@us.test\r\n",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let (_, attached) = text.split_once(".json.gz\"\r\n\r\n").unwrap();
    let (base64, _) = attached.split_once("--").unwrap();
    let packed = STANDARD.decode(base64.replace("\r\n", "")).unwrap();
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut unpacked).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&unpacked).unwrap(), expected());
}

#[tokio::test]
async fn a_day_of_a_domain_has_an_end_and_is_forgotten() {
    let store = store();
    let last_ms = DAY.begin().plus_ms(crate::base::DAY_MS - 1);
    assert_eq!((Day::of(DAY.begin()), Day::of(last_ms), Day::of(last_ms.plus_ms(1))), (DAY, DAY, Day(DAY.0 + 1)));
    filled(&store).await;
    store.write(Note { day: Day(DAY.0 + 1), ..note("e.test", &policy(), None) }).await.unwrap().into_inner();
    let before = |day, after: Option<&(Day, String)>| days_before(&store.view().unwrap(), day, after, 9).unwrap();
    let (first, second) = ((DAY, "d.test".to_owned()), (Day(DAY.0 + 1), "e.test".to_owned()));
    assert_eq!(before(DAY, None), []);
    assert_eq!(before(Day(DAY.0 + 1), None), std::slice::from_ref(&first));
    assert_eq!(before(Day(DAY.0 + 2), None), [first.clone(), second.clone()]);
    assert_eq!(before(Day(DAY.0 + 2), Some(&first)), std::slice::from_ref(&second));
    store.write(Forget(vec![first])).await.unwrap().into_inner();
    assert_eq!(before(Day(DAY.0 + 2), None), [second]);
}

#[tokio::test]
async fn what_is_kept_has_bounds() {
    let store = store();
    let mut results = DayResults::default();
    for number in 0..2 * limits::TLS_RESULT_POLICIES {
        let policy = PolicySeen::Sts { lines: vec![number.to_string()], mx_hosts: Vec::new() };
        results.count(&policy, None);
    }
    assert_eq!(results.policies.len(), limits::TLS_RESULT_POLICIES);
    let mut results = DayResults::default();
    for number in 0..2 * limits::TLS_RESULT_DETAILS {
        let mx = Some(format!("mx{number}.d.test"));
        let failure = Failure { mx, ..failure(ResultKind::ValidationFailure) };
        results.count(&PolicySeen::NoneFound, Some(&failure));
    }
    let policy = &results.policies[0];
    assert_eq!(policy.details.len(), limits::TLS_RESULT_DETAILS);
    assert_eq!(policy.failures, 2 * limits::TLS_RESULT_DETAILS as u64);
    store.write(note("d.test", &PolicySeen::NoneFound, None)).await.unwrap().into_inner();
    assert_eq!(store.view().unwrap().keys(&RESULTS, Span::all(), 9).unwrap().len(), 1);
    assert_eq!(store.check().unwrap().lines(), [] as [&str; 0]);
}
