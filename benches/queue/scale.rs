//! What is done with a queue, as an operator and a program see it, while very much is queued: how long lists, numbers, a
//! flush and a start take, how much memory the server has, and how soon new mail for a server that answers is there.

use std::path::Path;
use std::time::Instant;

use super::dns::{Dns, Zone};
use super::mails;
use super::median;
use super::processes;
use super::sink::{Sink, free_port};
use super::site::{PASSWORD, Site};
use super::wire::Smtp;
use super::{CONNECTIONS, LIMIT, SENDER, SINK, SIZE_BYTES};

/// Recipients of a message, each of a domain of its own. Nobody listens where their mail goes.
const DOMAINS: usize = 100;
/// How often each thing is done.
const TIMES: usize = 20;

/// Queues so many recipients, and prints what is seen.
pub fn measure(scratch: &Path, recipients: usize) {
    let folder = tempfile::tempdir_in(scratch).expect("a folder");
    let mut zone = Zone::new().mail("sink.test", SINK);
    for number in 0..DOMAINS {
        zone = zone.mail(&format!("d{number}.test"), &format!("127.0.5.{}", number + 1));
    }
    let (dns, port) = (Dns::start(zone), free_port());
    let sink = Sink::start_with(&format!("{SINK}:{port}"), false);
    let (resolver, port) = (dns.address.to_string(), port.to_string());
    let mut arguments = vec!["--resolver", &resolver, "--remote-port", &port];
    arguments.extend(["--set", "delivery.allow_networks=127.0.0.0/8"]);
    let site = Site::serve(folder.path(), &arguments);
    site.create_accounts(&["alice".to_owned()]);
    let pause = |method, body, status| {
        let (seen, answer) = site.rest(method, "/api/v1/queue/pause", body);
        assert_eq!(seen, status, "{answer}");
    };
    pause("PUT", r#"{"reason":"the queue is filled"}"#, 200);
    let before = memory_mb(&site);
    fill(&site, recipients / DOMAINS);
    println!("| what | median | slowest of {TIMES} |\n|---|---:|---:|");
    let rest = |what: &str, method: &str, path: &str, body: &str| {
        let seconds = repeat(|| {
            let (status, answer) = site.rest(method, path, body);
            assert!(status == 200 || status == 202, "{what}: {answer}");
        });
        print(what, seconds);
    };
    rest("a page of the queue", "GET", "/api/v1/queue?limit=50", "");
    rest("a page of a domain's", "GET", "/api/v1/queue?limit=50&domain=d77.test", "");
    rest("a page of a sender's", "GET", &format!("/api/v1/queue?limit=50&sender={SENDER}"), "");
    rest("the queue's numbers", "GET", "/api/v1/queue/summary", "");
    let flush = r#"{"selector":{"domain":"d77.test"}}"#;
    rest(&format!("a flush of a domain ({} recipients)", recipients / DOMAINS), "POST", "/api/v1/queue/flush", flush);
    pause("DELETE", "", 204);
    let mut session = Smtp::login(site.address("submission"), SENDER, PASSWORD).expect("alice logs in");
    let mut count = 0;
    let seconds = repeat(|| {
        count += 1;
        let content = mails::of_size(&format!("new-{count}"), count as u64, SIZE_BYTES);
        session.submit(SENDER, &["b@sink.test"], &content).expect("it is taken");
        sink.wait_for(count, LIMIT);
    });
    print(
        "new mail, from MAIL until another server has it, while all of that is due and no server of it answers",
        seconds,
    );
    println!("\nMemory: {before:.0} MB before, {:.0} MB at the end (PSS).", memory_mb(&site));
    assert!(site.stop().success(), "the server stops");
    let began = Instant::now();
    let site = Site::serve(folder.path(), &arguments);
    println!("A start takes {:.0} ms until every listener is up.", began.elapsed().as_secs_f64() * 1000.0);
    let (status, summary) = site.rest("GET", "/api/v1/queue/summary", "");
    assert_eq!(status, 200, "{summary}");
    println!("{} recipients are due then, and {} wait.", summary["due"], summary["waiting"]);
}

/// Queues so many messages with a recipient in each domain.
fn fill(site: &Site, messages: usize) {
    let began = Instant::now();
    std::thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            scope.spawn(move || {
                let mut session = Smtp::login(site.address("submission"), SENDER, PASSWORD).expect("alice logs in");
                for number in (connection..messages).step_by(CONNECTIONS) {
                    let content = mails::of_size(&format!("queued-{number}"), number as u64, SIZE_BYTES);
                    let recipients: Vec<String> =
                        (0..DOMAINS).map(|domain| format!("u{number}@d{domain}.test")).collect();
                    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
                    session.submit(SENDER, &recipients, &content).expect("it is taken");
                }
                session.quit().expect("QUIT answers");
            });
        }
    });
    let recipients = messages * DOMAINS;
    println!("{recipients} recipients of {messages} messages were queued in {:.0} s.\n", began.elapsed().as_secs_f64());
}

/// How many seconds each time took.
fn repeat(mut what: impl FnMut()) -> Vec<f64> {
    let time = |()| {
        let began = Instant::now();
        what();
        began.elapsed().as_secs_f64()
    };
    std::iter::repeat_n((), TIMES).map(time).collect()
}

fn print(what: &str, seconds: Vec<f64>) {
    let slowest = seconds.iter().copied().fold(0.0, f64::max);
    println!("| {what} | {:.1} ms | {:.1} ms |", median(seconds) * 1000.0, slowest * 1000.0);
}

fn memory_mb(site: &Site) -> f64 {
    processes::memory(&[site.pid()]).pss_mb
}
