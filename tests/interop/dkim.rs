//! What we sign, verified by dkimpy: everything that we originate, of every awkward form, as it arrives at another server.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::dkimpy;
use crate::dns::Zone;
use crate::mails;
use crate::outside::{Outside, alice, wait_for_mail, wait_until};
use crate::sink::Sink;
use crate::site::Site;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/dkim/verify.py");
const KEYS: &str = "/api/v1/domains/example.test/dkim-keys";

/// Whether dkimpy can be run here, with ed25519.
pub fn has_dkimpy() -> bool {
    dkimpy::is_here("dkim, nacl", "python3-dkim and python3-nacl")
}

fn zone() -> Zone {
    Zone::new().mail("far.test", "127.0.0.2")
}

/// The domain's keys, when it has both by itself.
pub fn keys(site: &Site) -> Vec<Value> {
    let look = || site.rest("GET", KEYS, "").1["items"].as_array().cloned().unwrap_or_default();
    wait_until("two keys", look, |keys| keys.len() == 2)
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} of {value}"))
}

/// Publishes the records of these keys in `zone`, and lets them sign.
pub fn publish(world: &Outside, mut zone: Zone, site: &Site, keys: &[Value]) -> Value {
    let mut records = json!({});
    for key in keys {
        zone = zone.text(text(key, "record_name"), text(key, "record_value"));
        records[text(key, "record_name")] = key["record_value"].clone();
    }
    world.dns.set(zone);
    for key in keys {
        let (status, answer) = site.rest("POST", &format!("{KEYS}/{}/activate", text(key, "selector")), "");
        assert_eq!((status, text(&answer, "state")), (200, "active"), "{answer}");
    }
    records
}

/// What dkimpy says of each signature.
pub fn verify(folder: &Path, records: &Value, message: &[u8]) -> Vec<String> {
    let file = folder.join("records.json");
    fs::write(&file, records.to_string()).expect("the records are written");
    let output = dkimpy::run(Path::new(SCRIPT), &[&file.to_string_lossy()], message);
    let mut lines: Vec<String> = String::from_utf8_lossy(&output).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// What [`verify`] gives of a message that all these keys have signed.
pub fn all_hold(keys: &[Value]) -> Vec<String> {
    let line = |key: &Value| {
        let method = if text(key, "algorithm") == "ed25519" { "ed25519-sha256" } else { "rsa-sha256" };
        format!("example.test {} {method} holds", text(key, "selector"))
    };
    keys.iter().map(line).collect()
}

/// Bodies whose relaxed form is easily got wrong.
fn awkward() -> Vec<(&'static str, &'static str)> {
    vec![
        ("white-space-at-the-end", "text\r\n \t\r\n\r\n \r\n"),
        ("nothing-but-white-space", " \r\n\t\r\n"),
        ("tabs-and-spaces", "\ta \t b  \r\n\r\n\r\nc\t\r\n"),
        ("empty-lines-first", "\r\n\r\ntext\r\n"),
    ]
}

#[test]
fn dkimpy_verifies_what_we_send() {
    if !has_dkimpy() {
        return;
    }
    let world = Outside::new(zone());
    let sink = Sink::start_with(&format!("127.0.0.2:{}", world.port), true);
    let site = world.serve_new(&["--set", "dkim.create_keys=true"]);
    let keys = keys(&site);
    let records = publish(&world, zone(), &site, &keys);
    let expected = all_hold(&keys);

    let mut session = alice(&site);
    let mut sent: Vec<Vec<u8>> = mails::plain().into_iter().map(|mail| mail.content).collect();
    for (name, body) in awkward() {
        let header = "From: Alice <alice@example.test>\r\nTo: carol@far.test\r\nMessage-ID:";
        sent.push(
            format!("{header} <{name}@example.test>\r\nSubject: =?utf-8?q?x?=\r\n  two\r\n\r\n{body}").into_bytes(),
        );
    }
    // Without the fields that we add, with those that we take off, and without a body.
    sent.push(b"From: alice@example.test\r\nBcc: secret@far.test\r\nSubject: bare\r\n".to_vec());
    for content in &sent {
        session.submit("alice@example.test", &["carol@far.test"], content).expect("it is taken");
    }
    let input = json!({"from": "Alice <alice@example.test>", "to": ["carol@far.test"], "subject": "Grüße",
        "text": "hello  \n\n\n", "html": "<p>hello</p>"});
    let (status, answer) = site.rest("POST", "/api/v1/messages", &input.to_string());
    assert_eq!(status, 202, "{answer}");
    let taken = sink.wait_for(sent.len() + 1, Duration::from_secs(90));
    for message in &taken {
        let seen = verify(world.folder.path(), &records, &message.content);
        assert_eq!(seen, expected, "{}: {}", message.message_id, head(&message.content));
        assert!(!head(&message.content).contains("Bcc"));
    }
    // The negative control.
    let changed = String::from_utf8_lossy(&taken[1].content).replace("Hello.", "Hallo.");
    let seen = verify(world.folder.path(), &records, changed.as_bytes());
    assert!(seen.len() == 2 && seen.iter().all(|line| line.ends_with("broken")), "{seen:?}");

    // A bounce is ours too, and its reader may be elsewhere.
    sink.refuse("nobody@far.test", "550 5.1.1 no such user");
    session
        .submit("alice@example.test", &["nobody@far.test"], &mails::of_size("bounced", 1, 800))
        .expect("it is taken");
    let bounce = wait_for_mail(&site, "alice", 1).remove(0);
    assert_eq!(verify(world.folder.path(), &records, &bounce), expected, "{}", head(&bounce));
    world.stop(site);
}

#[test]
fn a_rotation_goes_from_key_to_key() {
    if !has_dkimpy() {
        return;
    }
    let world = Outside::new(zone());
    let sink = Sink::start_with(&format!("127.0.0.2:{}", world.port), true);
    let site = world.serve_new(&["--set", "dkim.create_keys=true"]);
    let first = keys(&site);
    publish(&world, zone(), &site, &first);
    let (status, job) = site.rest("POST", "/api/v1/domains/example.test/dkim/rotate", "");
    assert_eq!(status, 202, "{job}");
    let look = || site.rest("GET", KEYS, "").1["items"].as_array().cloned().unwrap_or_default();
    let all = wait_until("four keys", look, |keys| keys.len() == 4);
    let second: Vec<Value> = all.iter().filter(|key| key["state"] == "pending").cloned().collect();
    // Not in the DNS yet: the old ones sign on.
    let path = format!("{KEYS}/{}/activate", text(&second[0], "selector"));
    assert_eq!(site.rest("POST", &path, "").0, 409);
    let records = publish(&world, zone(), &site, &all);
    let states: Vec<Value> = look().iter().map(|key| key["state"].clone()).collect();
    assert!(states.iter().filter(|state| **state == "active").count() == 2, "{states:?}");
    let mut session = alice(&site);
    session.submit("alice@example.test", &["carol@far.test"], &mails::of_size("rotated", 1, 800)).expect("it is taken");
    let taken = sink.wait_for(1, Duration::from_secs(90)).remove(0);
    let seen = verify(world.folder.path(), &records, &taken.content);
    assert!(seen.len() == 2 && seen.iter().all(|line| line.ends_with("holds")), "{seen:?}");
    world.stop(site);
}

fn head(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    text.split("\r\n\r\n").next().unwrap_or_default().to_owned()
}
