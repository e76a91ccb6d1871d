//! ETRN with other people's programs: fetchmail asks us to release mail, and we ask Postfix.

use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::dns::{Dns, Zone};
use crate::programs::{has, write_private};
use crate::sink::{Sink, free_port};
use crate::site::Site;
use crate::swap_site::{Swapper, submit_over, wait_until};
use crate::swap_talk::{Talk, hex};

const LIMIT: Duration = Duration::from_secs(60);
/// Where the mail of the released domain goes.
const OUTSIDE: &str = "127.0.0.11";

/// fetchmail, once, for these domains: the exit code, and all that it says.
fn fetchmail(hub: &Swapper, domains: &str, folder: &std::path::Path) -> (i32, String) {
    let config = folder.join("fetchmailrc");
    let port = hub.site.port("smtp");
    let text = format!("poll 127.0.0.1 with proto ETRN and port {port}\n    fetchdomains {domains}\n");
    write_private(&config, &text);
    let output = Command::new("fetchmail")
        .args(["--nodetach", "--nosyslog", "--verbose", "--pidfile", "fetchmail.pid", "--fetchmailrc"])
        .arg(&config)
        .current_dir(folder)
        .env("HOME", folder)
        .env("FETCHMAILHOME", folder)
        .env("LC_ALL", "C")
        .output()
        .expect("fetchmail starts");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn fetchmail_has_held_mail_sent() {
    if !has("fetchmail") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let sink = Sink::start(&format!("{OUTSIDE}:0"));
    let dns = Dns::start(Zone::new().mail("branch.test", OUTSIDE).mail("other.test", OUTSIDE));
    let (resolver, port) = (dns.address.to_string(), sink.address.port().to_string());
    let arguments = ["--resolver", &resolver, "--remote-port", &port, "--set", "delivery.allow_networks=127.0.0.0/8"];
    let hub = Swapper::start(folder.path(), "hub.test", &["hubert"], &arguments);
    // fetchmail does not log in for ETRN: where it is says who it is.
    hub.put_peer("branch", &["branch.test"], &json!({"verbs": ["etrn"], "networks": ["127.0.0.1/32"]}));
    hub.put_peer("other", &["other.test"], &json!({"verbs": ["etrn"], "networks": ["192.0.2.0/24"]}));
    for (domain, subject) in [("branch.test", "one"), ("branch.test", "two"), ("other.test", "held")] {
        hub.submit("hubert", &format!("user@{domain}"), subject);
    }
    assert_eq!((hub.waiting("branch.test"), hub.waiting("other.test")), (2, 1));

    let (code, said) = fetchmail(&hub, "branch.test", folder.path());
    assert!(said.contains("ETRN branch.test"), "{code}: {said}");
    let taken = sink.wait_for(2, LIMIT);
    assert!(taken.iter().all(|taken| taken.recipients == ["user@branch.test"]), "{taken:?}");
    wait_until("the branch's mail to be gone", || hub.waiting("branch.test") == 0);
    assert!(code == 0 || code == 1, "{code}: {said}");

    // What is not for who asks is refused, and stays.
    let (code, said) = fetchmail(&hub, "other.test", folder.path());
    assert!(said.contains("459"), "{code}: {said}");
    assert_eq!(hub.waiting("other.test"), 1);
    assert_eq!(sink.count(), 2);
}

#[test]
fn mail_is_released_to_the_peers_own_server() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let hub = Swapper::start(folder.path(), "hub.test", &["hubert"], &[]);
    let sink = Sink::start(&format!("{OUTSIDE}:0"));
    let server = json!({"host": format!("[{}]", sink.address.ip()), "port": sink.address.port()});
    hub.put_peer("branch", &["branch.test"], &server);
    hub.submit("hubert", "user@branch.test", "by-etrn");
    let mut talk = hub.as_peer("smtp", "branch");
    talk.say("ETRN branch.test", "253");
    sink.wait_for(1, LIMIT);
    // The same by hand, and only what was there: what comes later is held again.
    wait_until("an empty queue", || hub.queue().is_empty());
    hub.submit("hubert", "user@branch.test", "by-hand");
    wait_until("it is held", || hub.waiting("branch.test") == 1);
    hub.rest("POST", "/queue/flush", &json!({"selector": {"domain": "branch.test"}})).is(202);
    sink.wait_for(2, LIMIT);
    wait_until("an empty queue", || hub.queue().is_empty());
}

#[test]
fn postfix_calls_back() {
    if !has("postfix") || !has("dovecot") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let port = free_port();
    // Nobody listens there yet: what comes for the branch is deferred, and Postfix would try again in five minutes.
    let next = format!("branch.test=smtp:[127.0.0.1]:{port}");
    let postfix = Site::peer_with(
        folder.path(),
        &[("PEER_DOMAIN", "hub.test"), ("PEER_ACCOUNTS", "hubert"), ("PEER_NEXT", &next), ("PEER_LOG", "1")],
    );
    let address = postfix.address("smtp");
    let mut talk = Talk::dial(address);
    talk.expect("220");
    talk.say("EHLO client.example.test", "250");
    for subject in ["one", "two"] {
        submit_over(&mut talk, "somebody@elsewhere.test", "bea@branch.test", subject);
    }
    talk.say("QUIT", "221");
    let log = folder.path().join("peer/postfix.log");
    wait_until("Postfix to defer both", || {
        std::fs::read_to_string(&log).unwrap_or_default().matches("status=deferred").count() >= 2
    });

    let ours = folder.path().join("ours");
    std::fs::create_dir(&ours).expect("a folder");
    let branch = Swapper::start(&ours, "branch.test", &["bea"], &["--listen", &format!("smtp=127.0.0.1:{port}")]);
    branch.put_peer(
        "hub",
        &["branch.test"],
        &json!({
            "verbs": ["etrn"],
            "direction": "initiate",
            "host": format!("[{}]", address.ip()),
            "port": address.port(),
            "auth": null,
            "tls": {"mode": "pinned", "server_cert_sha256": fingerprint(address)},
        }),
    );
    let job = branch.call("hub", &json!({"verb": "etrn"}));
    assert_eq!(job["state"], "succeeded", "{job}");
    wait_until("both messages", || branch.subjects("bea").len() == 2);
    let mut subjects = branch.subjects("bea");
    subjects.sort();
    assert_eq!(subjects, ["one", "two"]);
    let session = branch.last_session();
    assert_eq!((&session["verb"], &session["state"]), (&json!("etrn"), &json!("done")), "{session}");

    // What Postfix does not hold for us it does not release.
    branch.rest("PUT", "/domains/strange.test", &json!({})).is(201);
    let body = json!({"domains": ["strange.test"]});
    let answer = branch.rest("PATCH", "/turn/peers/hub", &body);
    answer.is(200);
    let job = branch.call("hub", &json!({"verb": "etrn"}));
    assert_eq!(job["state"], "failed", "{job}");
}

/// The fingerprint of a server's certificate.
fn fingerprint(address: std::net::SocketAddr) -> String {
    let mut talk = Talk::dial(address);
    talk.expect("220");
    talk.say("EHLO probe.example.test", "250");
    talk.say("STARTTLS", "220");
    hex(&talk.start_tls())
}

#[test]
fn two_servers_ask_each_other() {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a temporary folder"));
    let hub = Swapper::start(folders[0].path(), "hub.test", &["hubert"], &[]);
    let branch = Swapper::start(folders[1].path(), "branch.test", &["bea"], &[]);
    let back = branch.site.address("smtp");
    hub.put_peer("branch", &["branch.test"], &json!({"host": format!("[{}]", back.ip()), "port": back.port()}));
    let address = hub.site.address("smtp");
    branch.put_provider("hub", &["branch.test", "hub.test"], "branch", address, &hub.fingerprint());
    branch.submit("bea", "hubert@hub.test", "up");
    hub.submit("hubert", "bea@branch.test", "down");
    let job = branch.call("hub", &json!({"verb": "etrn"}));
    assert_eq!(job["state"], "succeeded", "{job}");
    assert_eq!(hub.subjects("hubert"), ["up"]);
    wait_until("the call back", || branch.subjects("bea") == ["down"]);
}
