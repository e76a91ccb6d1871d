//! TLSRPT (RFC 8460) by the real program: what its sessions show is counted, outlasts a restart, and is told when the day is
//! over, once, with signatures that dkimpy verifies.

use std::path::Path;

use pillarbox::base::{Clock, DAY_MS, SystemClock};
use pillarbox::schema::SCHEMA;
use pillarbox::store::{Options, Store};
use pillarbox::tlsreport::{self, Day, Forget, Note};
use serde_json::json;

use crate::dkim::{all_hold, has_dkimpy, keys, publish, verify};
use crate::dns::Zone;
use crate::outside::{Outside, SOON, alice, note};
use crate::report;
use crate::sink::Sink;
use crate::site::data_file;

const ARGUMENTS: [&str; 4] = ["--set", "dkim.create_keys=true", "--set", "delivery.tls_reports_from=tls@example.test"];

/// `plain.test` has no TLS, and wants to know.
fn zone() -> Zone {
    let record = "v=TLSRPTv1; rua=mailto:reports@far.test";
    Zone::new().mail("far.test", "127.0.0.2").mail("plain.test", "127.0.0.3").text("_smtp._tls.plain.test", record)
}

fn open(file: &Path) -> Store {
    let options = Options { disk_reserve_bytes: 0, disk_ballast_bytes: 0, ..Options::at(file) };
    Store::open(options, &SCHEMA).expect("it opens")
}

/// All days and domains of which something is kept, today included.
fn kept(store: &Store) -> Vec<(Day, String)> {
    let tomorrow = Day(Day::of(SystemClock.now()).0 + 1);
    tlsreport::days_before(&store.view().expect("a view"), tomorrow, None, 9).expect("they are read")
}

/// A day whose reports are due, whenever this is asked, and for hours from then on.
fn day_over() -> Day {
    let now = SystemClock.now();
    let days = if now.ms() % DAY_MS > DAY_MS / 2 { 1 } else { 2 };
    Day(Day::of(now).0 - days)
}

/// Moves what is kept to another day.
fn move_to(store: &Store, day: Day) {
    let kept = kept(store);
    for (was, name) in &kept {
        let results = tlsreport::results(&store.view().expect("a view"), *was, name).expect("it is read");
        for policy in results.expect("it is there").policies {
            let note =
                |failure| Note { day, domain: name.parse().expect("a domain"), policy: policy.policy.clone(), failure };
            let failed =
                policy.details.iter().flat_map(|detail| (0..detail.count).map(|_| Some(detail.failure.clone())));
            for failure in (0..policy.successes).map(|_| None).chain(failed) {
                store.write_blocking(note(failure)).expect("it is counted").into_inner();
            }
        }
    }
    store.write_blocking(Forget(kept)).expect("it is forgotten").into_inner();
}

#[test]
fn who_asks_is_told_of_a_day_that_is_over() {
    if !has_dkimpy() {
        return;
    }
    let world = Outside::new(zone());
    let far = Sink::start_with(&format!("127.0.0.2:{}", world.port), true);
    let plain = Sink::start(&format!("127.0.0.3:{}", world.port));
    let site = world.serve_new(&ARGUMENTS);
    let keys = keys(&site);
    let records = publish(&world, zone(), &site, &keys);
    alice(&site).submit("alice@example.test", &["carol@plain.test"], &note("1")).expect("it is taken");
    plain.wait_for(1, SOON);
    world.stop(site);

    let file = data_file(&world.folder.path().join("ours"));
    let store = open(&file);
    let names: Vec<String> = kept(&store).into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["plain.test"], "what was counted outlasts the server");
    let day = day_over();
    move_to(&store, day);
    store.close();

    let site = world.serve(&ARGUMENTS);
    let taken = far.wait_for(1, SOON).remove(0);
    assert_eq!(
        (taken.sender.as_str(), taken.recipients.as_slice()),
        ("tls@example.test", &["reports@far.test".into()][..])
    );
    let (head, said) = report::read(&taken.content);
    assert!(head.contains("\r\nTLS-Report-Domain: plain.test\r\nTLS-Report-Submitter: example.test\r\n"), "{head}");
    assert_eq!(verify(world.folder.path(), &records, &taken.content), all_hold(&keys), "{head}");
    let begin = day.begin().rfc3339();
    let (date, _) = begin.split_once('T').expect("a date and a time");
    assert_eq!(said["date-range"]["start-datetime"], format!("{date}T00:00:00Z"));
    assert_eq!(said["contact-info"], "tls@example.test");
    let policy = &said["policies"][0];
    assert_eq!(policy["policy"], json!({"policy-type": "no-policy-found", "policy-domain": "plain.test"}));
    assert_eq!(policy["summary"], json!({"total-successful-session-count": 0, "total-failure-session-count": 1}));
    assert_eq!(policy["failure-details"][0]["result-type"], "starttls-not-supported");
    assert_eq!(policy["failure-details"][0]["receiving-mx-hostname"], "mx.plain.test");
    world.stop(site);
    let store = open(&file);
    assert_eq!(kept(&store), [], "it went with its report, and of that nothing is counted");
    store.close();
}
