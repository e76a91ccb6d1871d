//! Whether destinations that do not answer slow those that do: mail for many destinations of which half answer no
//! connection, and then the mail for the other half alone.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::dns::{Dns, Zone};
use super::mails;
use super::median;
use super::sink::{Sink, free_port};
use super::site::Site;
use super::wire::Smtp;
use super::{CONNECTIONS, LIMIT, PASSWORD, SENDER, SINK, SIZE_BYTES};

/// Destinations that answer, and as many that do not.
const HALF: usize = 500;

/// Prints how long the healthy half took beside the other and alone, in turns.
pub fn compare(scratch: &Path, messages: usize, rounds: usize) {
    let (mut beside, mut alone) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let mut order = [true, false];
        // Which comes first changes with the round.
        if round % 2 == 1 {
            order.reverse();
        }
        for has_deaf in order {
            let seconds = measure(scratch, messages, has_deaf);
            let what = if has_deaf { "beside as many that do not answer" } else { "alone" };
            eprintln!("round {}, {what}: {:.2} s", round + 1, seconds);
            if has_deaf { &mut beside } else { &mut alone }.push(seconds);
        }
    }
    let ratios = beside.iter().zip(&alone).map(|(beside, alone)| beside / alone).collect();
    println!("| {HALF} destinations that answer | beside {HALF} that do not | times as long |\n|---:|---:|---:|");
    println!("| {:.2} s | {:.2} s | {:.2} |", median(alone), median(beside), median(ratios));
}

/// Seconds until the healthy destinations have their mail, from the moment on at which mail goes out.
fn measure(scratch: &Path, messages: usize, has_deaf: bool) -> f64 {
    let port = free_port();
    let mut zone = Zone::new();
    for number in 0..HALF {
        zone = zone.mail(&format!("healthy{number}.test"), SINK);
        zone = zone.mail(&format!("deaf{number}.test"), &format!("127.1.{}.{}", number / 250, number % 250 + 1));
    }
    let dns = Dns::start(zone);
    let _deaf = has_deaf.then(|| Deaf::start(port));
    let sink = Sink::start_with(&format!("{SINK}:{port}"), false);
    let folder = tempfile::tempdir_in(scratch).expect("a folder");
    let (resolver, port) = (dns.address.to_string(), port.to_string());
    let mut arguments = vec!["--resolver", &resolver, "--remote-port", &port];
    arguments.extend(["--set", "delivery.allow_networks=127.0.0.0/8"]);
    let site = Site::serve(folder.path(), &arguments);
    site.create_accounts(&["alice".to_owned()]);
    let (status, answer) = site.rest("PUT", "/api/v1/queue/pause", r#"{"reason":"the queue is filled"}"#);
    assert_eq!(status, 200, "{answer}");
    fill(&site, messages, has_deaf);
    let began = std::time::Instant::now();
    let (status, answer) = site.rest("DELETE", "/api/v1/queue/pause", "");
    assert_eq!(status, 204, "{answer}");
    let taken = sink.wait_for(messages, LIMIT);
    assert_eq!((taken.len(), sink.count()), (messages, messages), "each message once");
    let last = taken.iter().map(|taken| taken.at).max().expect("a message");
    (last - began).as_secs_f64()
}

/// Puts `messages` into the queue for destinations that answer, in turn, and as many for those that do not.
fn fill(site: &Site, messages: usize, has_deaf: bool) {
    std::thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            scope.spawn(move || {
                let mut session = Smtp::login(site.address("submission"), SENDER, PASSWORD).expect("alice logs in");
                for number in (connection..messages).step_by(CONNECTIONS) {
                    for kind in ["deaf", "healthy"].into_iter().filter(|kind| has_deaf || *kind == "healthy") {
                        let content = mails::of_size(&format!("{kind}-{number}"), number as u64, SIZE_BYTES);
                        let recipient = format!("u{number}@{kind}{}.test", number % HALF);
                        session.submit(SENDER, &[&recipient], &content).expect("it is taken");
                    }
                }
                session.quit().expect("QUIT answers");
            });
        }
    });
}

/// Hosts whose connections time out.
struct Deaf(Child);

impl Deaf {
    fn start(port: u16) -> Self {
        let mut child = Command::new("python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/queue/deaf_hosts.py"))
            .args([port.to_string(), HALF.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("it says something");
        assert_eq!(line, "ready\n");
        Self(child)
    }
}

impl Drop for Deaf {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
