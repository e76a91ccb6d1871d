//! TLSRPT (RFC 8460): what came of TLS at other domains' servers is counted, and told to those that want to know.

use pillarbox::base::{Clock, DomainName};
use pillarbox::directory::{DomainFields, Precondition, PutDomain};
use pillarbox::dkim::Algorithm;
use pillarbox::settings::Settings;
use pillarbox::tlsreport::{self, Day, DayResults};
use serde_json::json;

use crate::dns::Zone;
use crate::forwarding::give_key;
use crate::report;
use crate::secure::{Authority, Mx, Web};
use crate::sink::{Sink, free_port};
use crate::site::{SOON, START, Site};

const DAY_S: u64 = 24 * 60 * 60;
const HOUR_S: u64 = 60 * 60;
const POLICY: &str = "version: STSv1\r\nmode: testing\r\nmx: mx.there.test\r\nmax_age: 604800\r\n";

/// `there.test` has TLS and a policy, `plain.test` has no TLS; both want to know. `quiet.test` does not.
fn zone() -> Zone {
    Zone::new()
        .mail("there.test", "127.0.0.9")
        .mail("plain.test", "127.0.0.8")
        .mail("quiet.test", "127.0.0.8")
        .mail("reports.test", "127.0.0.7")
        .address("mta-sts.there.test", "127.0.0.1")
        .text("_mta-sts.there.test", "v=STSv1; id=1;")
        .text("_smtp._tls.there.test", "v=TLSRPTv1; rua=mailto:there@reports.test")
        .text("_smtp._tls.plain.test", "v=TLSRPTv1; rua=https://reports.test/, mailto:plain@reports.test")
}

impl Site {
    /// What is kept of the day on which every test begins.
    pub fn results(&self, domain: &str) -> Option<DayResults> {
        tlsreport::results(&self.house.store.view().unwrap(), Day::of(START), domain).unwrap()
    }

    async fn until_counted(&self, domain: &str, successes: u64, failures: u64) {
        let is_so = |site: &Site| {
            site.results(domain).is_some_and(|results| {
                let count = |of: fn(&tlsreport::PolicyResults) -> u64| results.policies.iter().map(of).sum::<u64>();
                (count(|policy| policy.successes), count(|policy| policy.failures)) == (successes, failures)
            })
        };
        self.until(&format!("{successes} and {failures} of {domain}"), is_so).await;
    }

    async fn send_alone(&self, recipient: &str) {
        self.send(&[recipient]).await;
        self.until_empty().await;
    }
}

/// The value of the first DKIM-Signature of a header.
fn signature(head: &str) -> String {
    let (_, behind) = head.split_once("DKIM-Signature:").unwrap();
    let mut lines = behind.split("\r\n");
    let first = lines.next().unwrap().to_owned();
    lines.take_while(|line| line.starts_with([' ', '\t'])).fold(first, |whole, line| whole + line)
}

// RFC 8460 §3, §4, §5.3
#[tokio::test(flavor = "multi_thread")]
async fn who_wants_to_know_is_told_of_the_day() {
    let (authority, port) = (Authority::new(), free_port());
    let web = Web::start(authority.certificate("mta-sts.there.test"), "127.0.0.1:0").await;
    web.give(POLICY);
    let settings = [authority.setting(), "delivery.tls_reports_from=tls@us.test".to_owned()];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let site = Site::open_with(zone(), port, web.address.port(), &settings).await;
    let name = DomainName::parse("us.test").unwrap();
    let fields = DomainFields::new(&Settings::default());
    let put = PutDomain { name, fields, precondition: Precondition::None, at: START };
    site.house.store.write(put).await.unwrap().into_inner();
    give_key(&site, Algorithm::Ed25519).await;
    let _there = Mx::start(authority.certificate("mx.there.test"), &format!("127.0.0.9:{port}"), &["SIZE"]).await;
    let _plain = Sink::start(&format!("127.0.0.8:{port}"));
    let reports = Sink::start_with(&format!("127.0.0.7:{port}"), true);
    for recipient in ["a@there.test", "b@there.test", "c@plain.test", "d@quiet.test"] {
        site.send_alone(recipient).await;
    }
    site.until_counted("there.test", 2, 0).await;
    site.until_counted("plain.test", 0, 1).await;
    site.until_counted("quiet.test", 0, 1).await;
    site.pass(DAY_S + 5 * HOUR_S);
    site.house.report_tls();
    let taken = reports.wait_for(2, SOON);
    site.until_empty().await;
    for taken in taken {
        let (head, said) = report::read(&taken.content);
        let (domain, policy, failures) = match taken.recipients.as_slice() {
            [to] if to == "there@reports.test" => ("there.test", "sts", json!(0)),
            [to] if to == "plain@reports.test" => ("plain.test", "no-policy-found", json!(1)),
            other => panic!("nobody asked for a report to {other:?}"),
        };
        assert_eq!(taken.sender, "tls@us.test");
        let signature = signature(&head);
        for signed in [" d=us.test;", "TLS-Report-Domain", "TLS-Report-Submitter"] {
            assert!(signature.contains(signed), "{signed}: {head}");
        }
        assert!(
            head.contains(&format!("\r\nTLS-Report-Domain: {domain}\r\nTLS-Report-Submitter: us.test\r\n")),
            "{head}"
        );
        let [told] = said["policies"].as_array().unwrap().as_slice() else { panic!("{said}") };
        assert_eq!(
            (&told["policy"]["policy-type"], &told["policy"]["policy-domain"]),
            (&json!(policy), &json!(domain))
        );
        assert_eq!(told["summary"]["total-failure-session-count"], failures, "{said}");
        assert_eq!(said["date-range"]["start-datetime"], "2026-11-22T00:00:00Z");
        if domain == "plain.test" {
            let [detail] = told["failure-details"].as_array().unwrap().as_slice() else { panic!("{said}") };
            assert_eq!(detail["result-type"], "starttls-not-supported");
            assert_eq!(
                (&detail["receiving-mx-hostname"], &detail["receiving-ip"]),
                (&json!("mx.plain.test"), &json!("127.0.0.8"))
            );
        } else {
            assert_eq!(told["summary"]["total-successful-session-count"], 2, "{said}");
        }
    }
    // What was told, or nobody wants to know, is forgotten; and of the reports themselves nothing is noted.
    let tomorrow = Day(Day::of(site.clock.now()).0 + 1);
    let left = |site: &Site| tlsreport::days_before(&site.house.store.view().unwrap(), tomorrow, None, 9).unwrap();
    site.until("nothing is left", |site| left(site).is_empty()).await;
    site.stop().await;
}
